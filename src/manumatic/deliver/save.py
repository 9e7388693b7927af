"""``save``: a fitted estimator into one file that says what it takes and proves what it says."""

__all__ = ["Saved", "save"]

import pickle as pickles
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from manumatic.convert.module import Converted, to_torch
from manumatic.deliver.ask import answers_of, methods_of, rows_for
from manumatic.deliver.bundle import write_bundle, write_json
from manumatic.deliver.describe import Described, describe
from manumatic.deliver.golden import TOLERANCE, Mismatch, as_plain, largest_gap
from manumatic.deliver.graph import onnx_graph, outputs_of
from manumatic.deliver.probes import BATCHES
from manumatic.deliver.rebuild import unpack
from manumatic.deliver.rows import feeds_of
from manumatic.deliver.runtime import Graph
from manumatic.deliver.state import Packed, pack
from manumatic.errors import ComponentError, ConvertError, DataError, MissingExtra

MOST_COMPARED = 1000  # rows of X
PACKAGES = (
    *("manumatic", "numpy", "onnx", "onnxruntime", "pandas", "safetensors", "scikit-learn"),
    *("scipy", "skops", "torch"),
)
TIERS = {
    1: "serves with onnxruntime alone (Runtime)",
    2: "loads without running code from the file (load)",
    3: "loads as a pickle, which runs code from the file (load, trusted=True)",
}


@dataclass
class Saved:
    """What was written, and what it can do.

    Attributes
    ----------
    path : Path
    digest : str
        SHA-256 of all of it.
    tiers : list of int
        1 serves, 2 loads, 3 is a pickle.
    notes : list of str
        What it cannot do, and why.
    gaps : dict of str to Mismatch
        By "onnx" and "state": the largest difference from the estimator that was seen.
    needs : list of str
        Classes and functions to pass: ``load(path, classes=[...])``.
    """

    path: Path
    digest: str
    tiers: list[int]
    notes: list[str] = field(default_factory=list)
    gaps: dict[str, Mismatch] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.path} ({self.digest[:12]})"]
        lines += [f"  tier {tier}: {TIERS[tier]}" for tier in self.tiers]
        for who, gap in self.gaps.items():
            lines.append(f"  {who}: at most {gap.gap:.1e} off, in {gap.output} of row {gap.row}")
        if self.needs:
            names = ", ".join(name.rpartition(":")[2] for name in self.needs)
            lines.append(f"  load(path, classes=[{names}])")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def save(
    estimator: Any,
    path: str | Path,
    X: Any = None,
    *,
    keep_rows: bool = True,
    pickle: bool = False,
) -> Saved:
    """Write a fitted estimator as a bundle: checked, compared, and whole or not at all.

    Parameters
    ----------
    estimator : fitted estimator
        manumatic's, scikit-learn's, or a pipeline of both.
    path : path
        A file, ``model.mm`` for example; a new folder where it ends in ``/``.
    X : array, DataFrame or list (n, features), optional
        Sample rows: types, ranges and a profile of the columns are learned from them, and the
        graph is compared on them. Up to 24 of them stay in the file as golden rows.
    keep_rows : bool
        False keeps no row of X: golden rows are made up. Ranges, categories and quantiles stay.
    pickle : bool
        Write a pickle, too, for ``load(path, trusted=True)``: it takes what nothing else does, and
        runs code when it is loaded.

    Returns
    -------
    Saved
        Which tiers the bundle has, and how far the graph is off at most.

    Raises
    ------
    NotFittedError
        The estimator has not seen data yet.
    ConvertError
        The graph, or the estimator rebuilt from the data, disagrees with the estimator; nothing is
        written.
    ComponentError
        It can be written in no way at all.
    DataError
        X is needed, or the estimator cannot take it.
    MissingExtra
        A package for bundles is not there.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> import manumatic as mm
    >>> model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = mm.save(model, f"{folder}/model.mm")
    ...     again = mm.load(f"{folder}/model.mm")
    >>> saved.tiers, again.predict([[0.4], [2.6]])
    ([1, 2], array(['no', 'yes'], dtype='<U3'))
    """
    if not (hasattr(estimator, "predict") or hasattr(estimator, "transform")):
        raise ComponentError(f"save takes a fitted estimator; got {estimator!r}")
    check_is_fitted(estimator)
    notes: list[str] = []
    gaps: dict[str, Mismatch] = {}
    module = _converted(estimator, notes)
    border = None if module is None else module.border
    told = methods_of(estimator) if module is None else outputs_of(module)
    described = describe(estimator, X, border, told, keep_rows)
    members: dict[str, bytes] = {}
    if module is not None:
        members |= _graph(estimator, module, described, X, notes, gaps)
    packed = _packed(estimator, described, notes, gaps, members)
    if pickle:
        members["estimator.pickle"] = pickles.dumps(estimator)
    present = {1: "serve.onnx", 2: "config.json", 3: "estimator.pickle"}
    tiers = [tier for tier, name in present.items() if name in members]
    if not tiers:
        raise ComponentError(f"{type(estimator).__name__} cannot be saved: {'; '.join(notes)}")
    needs = [] if packed is None else sorted(packed.needs)
    members |= _told(described, notes, gaps, packed)
    about = {
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "estimator": type(estimator).__name__,
        "tiers": tiers,
        "notes": notes,
        "needs": needs,
        "versions": _versions(),
    }
    bundle = write_bundle(path, members, about)
    return Saved(bundle.path, bundle.digest, tiers, notes, gaps, needs)


def _converted(estimator: Any, notes: list[str]) -> Converted | None:
    try:
        return to_torch(estimator)
    except ConvertError as error:
        notes.append(f"no tier 1, it cannot become ONNX: {error}")
        return None


def _graph(
    estimator: Any,
    module: Converted,
    described: Described,
    X: Any,
    notes: list[str],
    gaps: dict[str, Mismatch],
) -> dict[str, bytes]:
    """The graph, after it has said on all rows what the estimator says."""
    try:
        content = onnx_graph(module)
        graph = Graph(content, described.schema)
    except (ConvertError, DataError) as error:
        notes.append(f"no tier 1, it cannot become ONNX: {error}")
        return {}
    for rows in (described.rows, *_batches(described.rows)):
        expected = answers_of(estimator, graph.schema.methods, rows_for(graph.schema, rows))
        found = graph.run(feeds_of(graph.schema, rows))
        _compare("onnx", expected, found, gaps, described.kinds)
    if X is not None:
        some = X.iloc[:MOST_COMPARED] if hasattr(X, "iloc") else X[:MOST_COMPARED]
        sample = {name: values[:MOST_COMPARED] for name, values in described.sample.items()}
        expected = answers_of(estimator, graph.schema.methods, some)
        _compare("onnx", expected, graph.run(feeds_of(graph.schema, sample)), gaps, None)
    return {"serve.onnx": content}


def _batches(rows: dict[str, list[Any]]) -> list[dict[str, list[Any]]]:
    """The golden rows in batches of other sizes, repeated where they are too few."""
    return [
        {name: (values * (size // len(values) + 1))[:size] for name, values in rows.items()}
        for size in BATCHES
    ]


def _compare(
    who: str,
    expected: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
    gaps: dict[str, Mismatch],
    kinds: list[str] | None,
) -> None:
    """Keep the largest difference; raise where it is too large."""
    worst = largest_gap(expected, found)
    if worst is None:
        return
    if not worst.gap <= TOLERANCE:
        kind = "of X" if kinds is None else kinds[worst.row % len(kinds)]
        what = {"onnx": "the ONNX graph", "state": "the estimator rebuilt from the file"}[who]
        raise ConvertError(
            f"{what} disagrees with the estimator: {worst.output} of row {worst.row} ({kind}) is "
            f"off by {worst.gap:.3g}, and {TOLERANCE:g} is allowed; nothing was written"
        )
    if who not in gaps or worst.gap > gaps[who].gap:
        gaps[who] = worst


def _packed(
    estimator: Any,
    described: Described,
    notes: list[str],
    gaps: dict[str, Mismatch],
    members: dict[str, bytes],
) -> Packed | None:
    """The estimator as data, after it has come back from it and said the same."""
    try:
        import safetensors.torch
    except ImportError:
        raise MissingExtra("safetensors", "deliver") from None
    try:
        packed = pack(estimator)
        weights = safetensors.torch.save(packed.tensors)
        classes = list(packed.needs.values())
        again = unpack(packed.tree, weights, packed.parts, packed.histories, classes)
    except (ComponentError, DataError) as error:
        notes.append(f"no tier 2, it cannot be written as data: {error}")
        return None
    schema = described.schema
    found = answers_of(again, schema.methods, rows_for(schema, described.rows))
    _compare("state", described.answers, found, gaps, described.kinds)
    members["config.json"] = write_json(packed.tree)
    members["weights.safetensors"] = weights
    if packed.parts is not None:
        members["preprocess.skops"] = packed.parts
    return packed


def _told(
    described: Described, notes: list[str], gaps: dict[str, Mismatch], packed: Packed | None
) -> dict[str, bytes]:
    """The members that are plain values."""
    golden = {
        "rows": described.rows,
        "kinds": described.kinds,
        "expected": {name: as_plain(values) for name, values in described.answers.items()},
    }
    parity = {
        "tolerance": TOLERANCE,
        "batches": [*BATCHES, len(described.kinds)],
        "gaps": {who: gap._asdict() for who, gap in gaps.items()},
        "reason": next((note for note in notes if "tier 1" in note), None),
    }
    return {
        "schema.json": write_json(described.schema.to_json()),
        "golden.json": write_json(golden),
        "parity.json": write_json(parity),
        "history.json": write_json([] if packed is None else packed.histories),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
