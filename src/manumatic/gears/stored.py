"""The data section of an ejected script: rows in it, or in a file beside it, read as they were."""

__all__ = ["check_made", "cut_batches", "data_section", "in_one", "names_of"]

import inspect
import io
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from manumatic.errors import EjectError
from manumatic.gears.beside import arrays_beside, file_beside
from manumatic.gears.source import Source
from manumatic.gears.stored_columns import apart, as_stored
from manumatic.gears.stored_images import read_files
from manumatic.parts.data import are_unseen, split_settings
from manumatic.parts.images import Images
from manumatic.parts.lengths import lengths_of

FEW = 60  # numbers that a reader takes in at a glance


def names_of(training: Any) -> list[str]:
    """Names of the training tensors; where batches are cut, ``X`` and ``y`` name a batch."""
    whole = in_one(training)
    tensors = ["X", "y", "weight"][: len(training.data.tensors)]
    return tensors if whole else [f"{name}_train" for name in tensors]


def in_one(training: Any) -> bool:
    """Whether each step sees all rows as they are, so that no batches are cut."""
    data = training.data
    return len(data) == 1 and training.loop.accumulate == 1 and data.augment is None


def data_section(training: Any, source: Source) -> str:
    """Code that leaves the tensors of training and validation rows under their names."""
    facts = training.facts
    names = names_of(training)
    X, y, *_ = training.data.tensors
    judging = _judging(training, names)
    if _may_be_printed(training):
        target = names[0] if _is_itself(facts) else _literal(y)
        moved = _on(facts.device, names)
        return f"{names[0]} = {_literal(X)}\n{names[1]} = {target}{moved}{judging}"
    if training.loop.uses_validation and _of_ones_own(training):
        raise EjectError(
            "validation rows of your own are not written; give a share, mm.Data(validation=0.1)"
        )
    lines = [_read(facts, source), *_targets(facts, source), TENSOR]
    lines += _split(training, source)
    lines += _numbers(training, source, names)
    return "\n".join(line for line in lines if line) + _on(facts.device, names) + judging


def _judging(training: Any, names: list[str]) -> str:
    """The line that lets training rows judge, where members of the net leave some out."""
    if not are_unseen(training.valid):
        return ""
    judging = ", ".join(f"{name.removesuffix('_train')}_valid" for name in names)
    return f"\n{judging} = {', '.join(names)}  # by the members that left a row out"


def check_made(training: Any) -> None:
    """Raise EjectError where a script could not make the object that makes rows on the fly."""
    data, facts = training.data, training.facts
    if facts.was_lazy or (training.valid is not None and training.loop.uses_validation):
        raise EjectError(
            f"the rows come from a {type(data).__name__}: no layer can take its shape from them, "
            "and none can be held out; give the layers their sizes, and leave out validation"
        )
    asked = inspect.signature(type(data)).parameters
    if lost := [name for name in asked if name not in vars(data)]:
        raise EjectError(
            f"{type(data).__name__} does not keep its {lost[0]!r}, so that no script can make it "
            f"again; write self.{lost[0]} = {lost[0]} in its __init__"
        )


def _may_be_printed(training: Any) -> bool:
    """Whether the rows are so few, and so plain, that they stand in the script itself."""
    preparation, (X, _, *weight) = training.facts.preparation, training.data.tensors
    plain = preparation.preprocess is None and preparation.target is None and X.ndim == 2
    return plain and X.numel() <= FEW and not weight and not _held_out(training)


def _literal(tensor: torch.Tensor) -> str:
    """Numbers with as many digits as float32 has."""

    def short(value: Any) -> Any:
        if isinstance(value, list):
            return [short(item) for item in value]
        return float(str(np.float32(value))) if tensor.is_floating_point() else value

    return f"torch.tensor({short(tensor.tolist())})"


def _on(device: torch.device, names: list[str]) -> str:
    if device.type == "cpu":
        return ""
    moved = ", ".join(f'{name}.to("{device}")' for name in names)
    return f"\n{', '.join(names)} = {moved}"


def _is_itself(facts: Any) -> bool:
    """Whether each row is its own target."""
    return bool(facts.task.kind == "reconstruction")


def _read(facts: Any, source: Source) -> str:
    """How the script reads the rows that are stored beside it."""
    rows = facts.source
    source.imports.add("import numpy as np")
    if isinstance(rows.X, Images):
        return read_files(rows.X, _without_objects(rows.y), source)
    if isinstance(rows.X, pd.DataFrame):
        preprocess = facts.preparation.preprocess
        return _csv(rows, preprocess, source, y=not _is_itself(facts))
    X = rows.X.astype(str) if rows.X.dtype == object else rows.X
    stored, read = {"X": X}, 'rows = stored["X"]'
    if not _is_itself(facts):
        stored["y"] = _without_objects(rows.y)
        read = 'rows, target = stored["X"], stored["y"]'
    if rows.weight is not None:
        stored["weight"] = rows.weight
        read += '\nweights = stored["weight"]'
    return f"stored = {arrays_beside(source, **stored)}\n{read}"


def _without_objects(y: np.ndarray) -> np.ndarray:
    if y.dtype != object:
        return y
    if not all(isinstance(label, str) for label in y.ravel()):
        raise EjectError(
            f"labels of mixed types ({y.ravel()[0]!r}, ...) cannot be written; make them strings"
        )
    return y.astype(str)


def _csv(rows: Any, preprocess: Any, source: Source, *, y: bool) -> str:
    source.imports.add("import pandas as pd")
    values = rows.y.reshape(len(rows.y), -1) if y else np.empty((len(rows), 0))
    many = values.shape[1] > 1
    targets = [f"target_{i}" if many else "target" for i in range(values.shape[1])]
    columns = dict(zip(targets, values.T, strict=True))
    if rows.weight is not None:
        columns["weight"] = rows.weight
    _check_names(rows.X, columns)
    table, lines_of_images = apart(rows.X, preprocess, source)
    content = table.assign(**columns).to_csv(index=False)
    options = _reading(table)
    again = pd.read_csv(io.StringIO(content), **options)[list(table.columns)]
    _compare(table.reset_index(drop=True), again)
    place = file_beside(source, ".csv", content)
    told = [f"{key}={source.of(value)}" for key, value in options.items()]
    lines = ["rows = pd.read_csv(", *(f"    {part}," for part in (place, *told)), ")"]
    if len(targets) == 1:
        lines.append('target = rows.pop("target").to_numpy()')
    elif targets:
        lines += [f"target = rows[{targets}].to_numpy()", f"rows = rows.drop(columns={targets})"]
    if rows.weight is not None:
        lines.append('weights = rows.pop("weight").to_numpy()')
    return "\n".join(lines + lines_of_images)


def _check_names(frame: pd.DataFrame, added: dict[str, Any]) -> None:
    if not all(isinstance(name, str) for name in frame.columns):
        raise EjectError(
            f"the columns {list(frame.columns)[:3]} cannot be written; name them with strings"
        )
    taken = [name for name in added if name in frame.columns]
    if taken:
        raise EjectError(
            f"the column {taken[0]!r} has the name that the script gives the target; rename it"
        )


def _reading(frame: pd.DataFrame) -> dict[str, Any]:
    """What read_csv must be told to give the same columns again."""
    kinds = {name: _dtype(column) for name, column in frame.items()}
    dates = [name for name, kind in kinds.items() if kind == "date"]
    guessed = ("date", "float64", "int64", "bool")
    told = {name: kind for name, kind in kinds.items() if kind not in guessed}
    options: dict[str, Any] = {"dtype": told} if told else {}
    options |= {"parse_dates": dates} if dates else {}
    options |= {"keep_default_na": False, "na_values": [""]}
    if pd.__version__ < "3":  # before, the last digit could be lost
        options["float_precision"] = "round_trip"
    return options


def _dtype(column: pd.Series) -> str:
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values = kind.categories.dtype
        return str(values) if isinstance(values, np.dtype) and values.kind in "fiub" else "str"
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        return str(kind)
    if pd.api.types.is_datetime64_any_dtype(kind):
        return "date"
    if isinstance(kind, pd.api.extensions.ExtensionDtype) and kind.kind in "fiub":
        return str(kind)
    return "str"


def _compare(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """What is read back must mean the same: equal words and numbers, the same cells missing."""
    for name in before.columns:
        one, two = before[name], after[name]
        same = (one.isna().to_numpy() == two.isna().to_numpy()).all()
        if same:
            kept = ~one.isna().to_numpy()
            same = [str(v) for v in one[kept]] == [str(v) for v in two[kept]]
        if not same:
            raise EjectError(
                f"column {name!r} ({one.dtype}) does not survive a CSV file; "
                "make it numbers, dates or strings"
            )


def _targets(facts: Any, source: Source) -> list[str]:
    if facts.task.kind not in ("binary", "multiclass"):
        return []
    source.imports.add("import numpy as np")
    return ["classes, target = np.unique(target, return_inverse=True)"]


def _of_ones_own(training: Any) -> bool:
    """Whether validation rows came beside the others."""
    own = isinstance(training.facts.data.validation, tuple | list | Images)
    return training.valid is not None and own


def _held_out(training: Any) -> bool:
    """Whether validation rows were split off."""
    valid = training.valid
    return valid is not None and not (_of_ones_own(training) or are_unseen(valid))


def _split(training: Any, source: Source) -> list[str]:
    if not _held_out(training):
        return []
    facts = training.facts
    labels = facts.source.y if facts.task.kind in ("binary", "multiclass") else None
    n_rows = len(facts.source)
    held_out, stratified = split_settings(n_rows, facts.data.validation, labels)
    if not facts.data.shuffle:
        first = n_rows - held_out
        return [f"train, valid = slice(0, {first}), slice({first}, {n_rows})"]
    source.imports |= {"from sklearn.model_selection import train_test_split", "import numpy as np"}
    stratify = ", stratify=target" if stratified else ""
    return [
        f"train, valid = train_test_split(np.arange({n_rows}), test_size={held_out}, "
        f"random_state={facts.seed}{stratify})"
    ]


def _numbers(training: Any, source: Source, names: list[str]) -> list[str]:
    """Preprocessing fitted on the training rows, and the tensors."""
    facts, lines = training.facts, []
    preparation = facts.preparation
    held = _held_out(training)
    frame = isinstance(facts.source.X, pd.DataFrame)
    train = ("rows.iloc[train]" if frame else "rows[train]") if held else "rows"
    valid = "rows.iloc[valid]" if frame else "rows[valid]"
    target = "target[train]" if held else "target"
    if preparation.preprocess is not None:
        lines += _preprocess(preparation.preprocess, source)
        beside = "" if _is_itself(facts) else f", {target}"
        train, valid = (
            f"preprocess.fit_transform({train}{beside})",
            f"preprocess.transform({valid})",
        )
    if whole := not training.data.X.is_floating_point():
        train, valid = f"torch.tensor({train})", f"torch.tensor({valid})"
    lines.append(f"{names[0]} = {train if whole else _tensor(train)}")
    if held:
        lines.append(f"X_valid = {valid if whole else _tensor(valid)}")
    lines += _target_lines(training, source, names, held)
    lines += _weights(names[2], held) if facts.weighted else []
    return lines + _lengths(training, source, names)


def _target_lines(training: Any, source: Source, names: list[str], held: bool) -> list[str]:
    """The targets, scaled where they were."""
    facts, scaler, lines = training.facts, training.facts.preparation.target, []
    target, held_target = ("target[train]", "target[valid]") if held else ("target", "")
    if _is_itself(facts):
        return [f"{names[1]} = {names[0]}", *(["y_valid = X_valid"] if held else [])]
    if scaler is not None:
        lines.append(f"scaler = {source.of(clone(scaler))}.fit({_column(target, facts)})")
        target, held_target = (
            f"scaler.transform({_column(part, facts)})" for part in (target, held_target)
        )
    lines.append(f"{names[1]} = {_target(target, training)}")
    return lines + ([f"y_valid = {_target(held_target, training)}"] if held else [])


def _lengths(training: Any, source: Source, names: list[str]) -> list[str]:
    """How long each row is, where batches are cut to their longest."""
    data = training.data
    if data.lengths is None or data.batch_size >= data.n_rows or not data.shuffle:
        return []
    before = set(source.definitions)
    called = source.of(lengths_of)
    return [*(f"\n{text}" for text in source.since(before)), f"lengths = {called}({names[0]})"]


def cut_batches(data: Any, names: list[str]) -> str:
    """The function of a script that gives batches of rows of like length, cut to their longest."""
    first, *others = names
    rest = "".join(f", {name}[rows]" for name in others)
    cut = f"{first}[rows][:, : int(lengths[rows].max())]"
    cut = cut if data.augment is None else f"augment({cut})"
    where = "" if data.X.device.type == "cpu" else f".to({str(data.X.device)!r})"
    return f"""

def batches(epoch):
    generator = torch.Generator().manual_seed(1_000_003 * {data.seed} + epoch)
    order, found = torch.randperm(len({first}), generator=generator){where}, []
    for some in order.split({8 * data.batch_size}):  # of these, rows of like length come together
        found += some[lengths[some].argsort(stable=True)].split({data.batch_size})
    for place in torch.randperm(len(found), generator=generator).tolist():
        rows = found[place]
        yield {cut}{rest}

"""


def _preprocess(preprocess: Any, source: Source) -> list[str]:
    """The preprocessing, not yet fitted, behind the functions that it calls."""
    before = set(source.definitions)
    expression = source.of(as_stored(preprocess))
    return [*(f"\n{text}" for text in source.since(before)), f"preprocess = {expression}"]


def _weights(name: str, held: bool) -> list[str]:
    if not held:
        return [f"{name} = {_tensor('weights')}"]
    return [
        f"{name} = {_tensor('weights[train]')}",
        f"weight_valid = {_tensor('weights[valid]')}",
    ]


def _column(target: str, facts: Any) -> str:
    return target if facts.task.n_outputs > 1 else f"{target}.reshape(-1, 1)"


def _tensor(numbers: str) -> str:
    return f"tensor({numbers})"


TENSOR = """

def tensor(numbers):
    return torch.tensor(np.ascontiguousarray(numbers, dtype=np.float32))


"""


def _target(target: str, training: Any) -> str:
    y = training.data.y
    if not y.is_floating_point():
        return f"torch.tensor({target})"
    facts = training.facts
    if facts.task.kind in ("binary", "multiclass") and y.ndim == 2 and y.shape[1] > 1:
        return f"torch.eye(len(classes))[{target}]"
    shape = ", ".join(["-1", *map(str, facts.out_shape)])
    return f"{_tensor(target)}.reshape({shape})"
