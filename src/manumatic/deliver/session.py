"""Files of other worlds with the methods of the estimator, to compare the two."""

__all__ = ["Session", "Told", "feeds"]

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from manumatic.convert.border import UNKNOWN
from manumatic.convert.module import Converted
from manumatic.deliver.graph import NAMES, is_plain, outputs_of
from manumatic.deliver.rows import STRANGER
from manumatic.deliver.runtime import open_session


class Told:
    """Something that gives all outputs for rows, with the methods of the estimator it came from.

    Parameters
    ----------
    module : Converted
        Where it came from.
    run : callable
        Rows of any kind → the outputs in the order of ``outputs_of``, as arrays.
    """

    def __init__(self, module: Converted, run: Callable[[Any], Sequence[np.ndarray]]) -> None:
        self.module, self.run = module, run
        self.names = outputs_of(module)

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        places = [i for i, of in enumerate(self.names.values()) if of == method]
        if not places:
            raise AttributeError(method)
        return lambda X: self._read(method, [self.run(X)[i] for i in places])

    def _read(self, method: str, found: list[np.ndarray]) -> Any:
        classes = self.module.net.classes
        if method != "predict" or classes is None:
            return found if f"{NAMES.get(method)}_0" in self.names else found[0]
        (labels,) = found
        if isinstance(classes, list):
            columns = [of[number] for of, number in zip(classes, labels.T, strict=True)]
            return np.stack(columns, 1)
        numbers = labels.dtype.kind in "iu" and classes.dtype.kind not in "fiub"
        return classes[labels] if numbers else labels


class Session(Told):
    """An ONNX graph in onnxruntime.

    Parameters
    ----------
    graph : bytes
    module : Converted
    """

    def __init__(self, graph: bytes, module: Converted) -> None:
        session = open_session(graph)
        super().__init__(module, lambda X: session.run(None, feeds(module, X)))


def feeds(module: Converted, X: Any) -> dict[str, np.ndarray]:
    """Rows of any kind → the inputs of the graph; a word that no step knows becomes another such.

    Parameters
    ----------
    module : Converted
    X : array or DataFrame (n, features)

    Returns
    -------
    dict of str to ndarray
        Columns (n, 1) by name, or the one input ``X``.
    """
    numbers = np.asarray(module.border.transform(X), np.float64)
    if is_plain(module.border):
        return {"X": numbers}
    found: dict[str, np.ndarray] = {}
    for column, values in zip(module.border.columns, numbers.T, strict=True):
        if column.kind == "word":
            words = {UNKNOWN: STRANGER} | {float(code): str(w) for w, code in column.words.items()}
            values = np.array(["" if v != v else words[v] for v in values.tolist()], dtype=object)
        found[column.name] = values[:, None]
    return found
