"""``load``: a bundle back into an estimator; each tier by its own door."""

__all__ = ["load"]

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manumatic.deliver.ask import answers_of, rows_for
from manumatic.deliver.bundle import Bundle, read_bundle
from manumatic.deliver.golden import as_answers, replay
from manumatic.deliver.rebuild import WRONG, unpack
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.schema import Schema
from manumatic.errors import ComponentError, DataError


def load(
    path: str | Path,
    classes: Sequence[Any] = (),
    *,
    trusted: bool = False,
    tier: int | None = None,
) -> Any:
    """Read a bundle of :func:`~manumatic.deliver.save.save`.

    Every byte is checked before anything is parsed, and the golden rows must come out as they did
    when the model was saved. A tier that fails is an error: there is no other way behind it.

    Parameters
    ----------
    path : path
        A file or a folder.
    classes : sequence of type or function
        Your own, which the estimator needs: ``classes=[Net]``. Nothing is imported because a file
        names it.
    trusted : bool
        Load the pickle in it (tier 3), which can run any code. Only for files that you made, or
        whose maker you trust.
    tier : 1, 2 or 3, optional
        1 gives a ``Runtime``: onnxruntime alone. 2, which is meant without a word, the estimator,
        without running code from the file. 3 the pickle; it needs ``trusted=True``.

    Returns
    -------
    estimator
        It predicts, and can be fitted on.

    Raises
    ------
    DataError
        The bundle is damaged, lacks this tier, names classes that are neither known nor given, or
        says something else here than when it was saved.
    ComponentError
        A tier that there is not, or tier 3 without ``trusted=True``.
    MissingExtra
        A package for this tier is not there.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> import manumatic as mm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = mm.save(Ridge().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), f"{folder}/r.mm")
    ...     ridge, runtime = load(saved.path), load(saved.path, tier=1)
    >>> ridge.predict([[1.5]]), runtime.predict([[1.5]])
    (array([3.67]), array([3.67]))
    """
    tier = tier if tier is not None else 3 if trusted else 2
    if tier not in (1, 2, 3):
        raise ComponentError(f"tier must be 1, 2 or 3; got {tier!r}")
    if trusted != (tier == 3):
        raise ComponentError(
            f"got tier={tier} and trusted={trusted}: tier 3 runs code from the file and needs "
            "trusted=True, and nothing else does"
        )
    if tier == 1:
        return Runtime(path)
    bundle = read_bundle(path)
    estimator = _unpickled(bundle) if tier == 3 else _rebuilt(bundle, classes)
    _replay(bundle, estimator)
    return estimator


def _need(bundle: Bundle, name: str, tier: int) -> bytes:
    if name not in bundle:
        about = bundle.manifest.get("about", {})
        raise DataError(
            f"{bundle.path} has no tier {tier}; it has {about.get('tiers')}. "
            f"{' '.join(about.get('notes', []))}"
        )
    return bundle.read(name)


def _rebuilt(bundle: Bundle, classes: Sequence[Any]) -> Any:
    _need(bundle, "config.json", 2)
    parts = bundle.read("preprocess.skops") if "preprocess.skops" in bundle else None
    return unpack(
        bundle.json("config.json"),
        bundle.read("weights.safetensors"),
        parts,
        bundle.json("history.json"),
        classes,
    )


def _unpickled(bundle: Bundle) -> Any:
    content = _need(bundle, "estimator.pickle", 3)
    return pickle.load(io.BytesIO(content))  # noqa: S301 - the caller said trusted=True


def _replay(bundle: Bundle, estimator: Any) -> None:
    """The golden rows, asked again."""
    schema = Schema.from_json(bundle.json("schema.json"))
    golden = bundle.json("golden.json")
    try:
        found = answers_of(estimator, schema.methods, rows_for(schema, golden["rows"]))
        dtypes = {output.name: output.dtype for output in schema.outputs}
        expected = as_answers(golden["expected"], dtypes)
    except WRONG as error:
        raise DataError(
            f"{bundle.path} cannot answer its golden rows here: {type(error).__name__} {error}"
        ) from None
    replay(expected, found, "the estimator here")
