"""Before step 1: rows and targets whose numbers a network cannot learn well from."""

__all__ = ["missing", "unscaled", "wrong_labels", "wrong_types"]

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.doctor.case import Case
from manumatic.doctor.finding import Finding
from manumatic.doctor.forward import LOOK, kind_of, loss_name, names, predict, stray_labels
from manumatic.show.frame import short

APART = 100  # factor between the standard deviations of two columns
FAR = 100  # largest absolute value
SPREAD = 10  # standard deviation of a target
EMBEDS = (nn.Embedding, nn.EmbeddingBag)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
CASTS = {torch.float32: "float", torch.float64: "double", torch.int64: "long"}


# --- MM101 ---------------------------------------------------------------------------------------


def unscaled(case: Case) -> Iterator[Finding]:
    """MM101: columns of very different size, large numbers, a target that is spread widely."""
    found = [] if case.prepared or _scales_itself(case.model) else list(_features(case))
    if kind_of(case.loss) == "numbers" and case.y.numel():
        y = case.y.double()
        spread = y.std(correction=0).item()
        if spread > SPREAD:
            said = (
                f"y goes from {_plain(y.min().item())} to {_plain(y.max().item())} with a standard "
                f"deviation of {short(spread, 3)}, far from the 1 that learning rates are made for."
            )
            itself = case.task is not None and case.task.kind == "reconstruction"
            scaler = f"mm.Data({'preprocess' if itself else 'target'}=StandardScaler())"
            found.append((said, scaler if case.task else "y = (y - y.mean()) / y.std()"))
    if found:
        yield Finding("MM101", " ".join(said for said, _ in found), found[0][1])


def _scales_itself(model: nn.Module) -> bool:
    """Whether rows are looked up, or scaled by the first layer."""
    layers = [layer for layer in model.modules() if next(layer.children(), None) is None]
    return any(isinstance(layer, EMBEDS) for layer in layers) or isinstance(layers[0], NORMS)


def _features(case: Case) -> Iterator[tuple[str, str]]:
    X = case.rows(LOOK if case.X.ndim < 3 else 32)[0]
    if X.ndim > 2:
        yield from _values(X)
        return
    X = X.reshape(len(X), -1)
    X = X if X.is_floating_point() else X.float()
    spread, (low, high) = X.std(dim=0, correction=0), X.aminmax(dim=0)
    whole = spread.isfinite()  # MM105 speaks of the others
    reach = torch.maximum(low.abs(), high.abs()).where(whole, 0)
    mend = 'mm.Data(preprocess="auto")' if case.task else "X = (X - X.mean(0)) / X.std(0)"
    real = whole & (spread > 1e-6 * reach)  # not constant, but for rounding
    if _ratio(spread[real]) > APART:
        # neither two values nor counts that are mostly zero
        real &= ((low != X) & (high != X)).any(0) & ((X != 0).float().mean(0) > 0.5)
        ratio = _ratio(spread[real])
        if ratio > APART:
            ends = spread.where(real, 0).argmax(), spread.where(real, torch.inf).argmin()
            spans = [
                f"{_column(case, c)} spans {_plain(low[c].item())} to {_plain(high[c].item())}"
                for c in ends
            ]
            times = f"{float(f'{ratio:.2g}'):,.0f}"
            yield f"{' and '.join(spans)}: the one varies {times} times as much.", mend
            return
    if reach.numel() and reach.max() > FAR:
        far = reach.argmax()
        size = _plain(reach[far].item())
        yield f"{_column(case, far)} reaches {size}; networks want inputs near 1.", mend


def _ratio(spread: Tensor) -> float:
    """How many times as much as the quietest column the liveliest one varies."""
    return (spread.max() / spread.min()).item() if len(spread) > 1 else 1.0


def _values(X: Tensor) -> Iterator[tuple[str, str]]:
    """Images and sequences: all their numbers have one meaning."""
    reach = X.float().abs().amax().item()
    if FAR < reach < float("inf"):
        pixels = X.ndim == 4 and reach <= 255
        what = "pixels" if pixels else "values"
        said = f"{what} of X reach {_plain(reach)}; networks want inputs near 1."
        yield said, "X = X / 255" if pixels else "X = (X - X.mean()) / X.std()"


def _plain(value: float) -> str:
    """A value as it stands in the data: a year has no comma."""
    return f"{value:.4g}" if abs(value) < 1e4 else short(value)


def _column(case: Case, number: Any) -> str:
    """A column of X by its name, else by its number."""
    known = case.columns or ()
    return repr(known[number]) if len(known) == case.X[0].numel() else f"column {number}"


# --- MM102 ---------------------------------------------------------------------------------------


def wrong_types(case: Case) -> Iterator[Finding]:
    """MM102: X of another type than the weights, y of another type than the loss takes."""
    floats = (weight.dtype for weight in case.model.parameters() if weight.is_floating_point())
    dtype = next(floats, None)
    if dtype is None:
        return
    with torch.no_grad():
        found = _rows_type(case, dtype) or _target_type(case, dtype)
    if found:
        yield Finding("MM102", *found)


def _rows_type(case: Case, dtype: torch.dtype) -> tuple[str, str] | None:
    wanted = _wanted_type(case, dtype)
    if wanted is None:
        return None
    is_now = f"X is {_name(case.X.dtype)}{_default(case.X.dtype)}"
    said = f"{is_now} and the weights are {_name(dtype)}."
    if wanted == torch.int64:
        said = f"{is_now}, and an embedding looks its rows up by whole numbers (int64)."
    elif (case.X.dtype, dtype) == (torch.float64, torch.float32):
        said = f"{said[:-1]}; the cast changes numbers by 6e-8 of their size at most."
    return said, f"X = {_cast('X', wanted)}"


def _wanted_type(case: Case, dtype: torch.dtype) -> torch.dtype | None:
    """The type of X with which the model can run; None where it runs, or where no type helps."""
    X, embeds = case.X[:2], any(isinstance(layer, EMBEDS) for layer in case.model.modules())
    if X.dtype == dtype and not embeds:
        return None
    output = predict(case.model, X)
    if output is not None and (output.dtype != X.dtype or X.dtype == dtype):
        return None  # it casts by itself
    whole = embeds and torch.equal(X, X.trunc())  # NaN is not
    types = [other for other in (torch.int64, dtype)[not whole :] if other != X.dtype]
    return next((other for other in types if predict(case.model, X.to(other)) is not None), None)


def _target_type(case: Case, dtype: torch.dtype) -> tuple[str, str] | None:
    kind, y = kind_of(case.loss), case.y
    if not kind or not y.numel():
        return None
    wanted = dtype
    if kind in ("classes", "log_classes"):
        shares = y.is_floating_point() and y.ndim > 1 and y.shape[1] > 1  # of each class
        if not shares:
            wanted = torch.uint8 if y.dtype == torch.uint8 else torch.int64
    if y.dtype == wanted:
        return None
    takes = "class numbers of int64" if wanted == torch.int64 else f"targets of {_name(wanted)}"
    said = f"y is {_name(y.dtype)}{_default(y.dtype)}; {loss_name(case.loss)} takes {takes}."
    return said, f"y = {_cast('y', wanted)}"


def _name(dtype: torch.dtype) -> str:
    """torch.float32 → float32."""
    return str(dtype).removeprefix("torch.")


def _cast(variable: str, dtype: torch.dtype) -> str:
    """The expression that casts: ``X.float()``."""
    return f"{variable}.{CASTS[dtype]}()" if dtype in CASTS else f"{variable}.to({dtype})"


def _default(dtype: torch.dtype) -> str:
    return " (NumPy's default)" if dtype == torch.float64 else ""


# --- MM103 ---------------------------------------------------------------------------------------


def wrong_labels(case: Case) -> Iterator[Finding]:
    """MM103: labels outside 0 … K-1, as a column, or beside one output; yes and no beyond 0, 1."""
    kind, y = kind_of(case.loss), case.y
    if not y.numel():
        return
    if kind in ("logits", "probabilities"):
        found = _yes_and_no(case)
    elif kind in ("classes", "log_classes") and not y.is_floating_point():
        with torch.no_grad():
            prediction = predict(case.model, case.X[:2])
        found = None if prediction is None else _class_numbers(case, prediction)
    else:
        found = None
    if found:
        yield Finding("MM103", *found)


def _class_numbers(case: Case, prediction: Tensor) -> tuple[str, str] | None:
    loss, y = loss_name(case.loss), case.y
    if prediction.ndim < 2:
        return None
    if y.ndim == prediction.ndim == 2:
        said = (
            f"y has the shape {tuple(y.shape)}; {loss} takes one class number a row, ({len(y)},)."
        )
        return said, "y = y.view(-1)" if y.shape[1] == 1 else "y = y.argmax(dim=1)"
    outputs = prediction.shape[1]
    if outputs > 1 and not stray_labels(case.loss, prediction, y):
        return None
    labels = y.unique().tolist()
    if outputs == 1:
        said = f"the model has 1 output, so {loss} is 0 whatever it returns; y has "
        pair = "loss, y = nn.BCEWithLogitsLoss(), y.float().view(-1, 1)"
        wider = f"nn.Linear(..., {max(len(labels), 2)})  # the last layer: one output a class"
        return f"{said}{len(labels)} classes.", pair if labels == [0, 1] else wider
    said = f"y holds the labels {names(labels)}; with {outputs} outputs {loss} takes"
    said = f"{said} 0 to {outputs - 1}."
    if len(labels) > outputs:
        return said, f"nn.Linear(..., {len(labels)})  # the last layer: one output a class"
    return said, "y = torch.unique(y, return_inverse=True)[1]"


def _yes_and_no(case: Case) -> tuple[str, str] | None:
    low, high = (value.item() for value in case.y.aminmax())
    if not (low < 0 or high > 1):
        return None
    loss = loss_name(case.loss)
    said = f"y goes from {low:g} to {high:g}; {loss} takes 0 to 1, and has no least value beyond."
    if len(case.y.unique()) == 2:
        return said, "y = (y == y.max()).float()"
    return said, "loss = nn.CrossEntropyLoss()  # y: class numbers; the model: one output a class"


# --- MM105 ---------------------------------------------------------------------------------------


def missing(case: Case) -> Iterator[Finding]:
    """MM105: values that are no finite numbers make the loss, and then all weights, NaN."""
    for word, values in (("X", case.X), ("y", case.y)):
        if values.is_floating_point() and not values.isfinite().all():
            if word == "X" and _are_absent_steps(case):
                continue
            yield Finding("MM105", *_gaps(case, word, values))


def _are_absent_steps(case: Case) -> bool:
    """Whether only whole steps of sequences (n, t, features) are NaN, and the model knows that."""
    if case.X.ndim != 3:
        return False
    gone = case.X.isnan().all(dim=2)
    if not case.X[~gone].isfinite().all():
        return False
    rows = gone.any(dim=1).nonzero().flatten()[:2]
    with torch.no_grad():
        prediction = predict(case.model, case.X[rows])
    return prediction is not None and bool(prediction.isfinite().all())


def _gaps(case: Case, word: str, values: Tensor) -> tuple[str, str]:
    bad = ~values.isfinite()
    rows = bad.reshape(len(bad), -1).any(dim=1)
    kinds = {"missing (NaN)": values.isnan(), "infinite": values.isinf()}
    said = names([f"{gaps.sum():,} {what}" for what, gaps in kinds.items() if gaps.any()])
    where = (
        f"in {int(rows.sum()):,} of {len(rows):,} rows (the first is {int(rows.int().argmax())})"
    )
    if word == "y":
        return f"y has {said} values {where}.", "rows = y.isfinite(); X, y = X[rows], y[rows]"
    if values.ndim == 2:
        columns = [_column(case, c) for c in bad.any(dim=0).nonzero().flatten().tolist()]
        where = f"in {names(columns)}, {where}"
    mend = "X = torch.where(X.isfinite(), X, X.nanmedian(0).values)"
    return f"X has {said} values {where}.", 'mm.Data(preprocess="auto")' if case.task else mend
