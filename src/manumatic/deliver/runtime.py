"""Tier 1: a bundle served by its ONNX graph and its schema; neither torch nor scikit-learn."""

__all__ = ["GRAPH", "Graph", "Runtime", "open_session"]

from pathlib import Path
from typing import Any

import numpy as np

from manumatic.deliver.bundle import read_bundle
from manumatic.deliver.golden import Mismatch, as_answers, replay
from manumatic.deliver.onnx_rules import check_graph
from manumatic.deliver.rows import feeds_of
from manumatic.deliver.schema import Output, Schema
from manumatic.errors import DataError, MissingExtra

GRAPH = "serve.onnx"


class Runtime:
    """A saved model that only predicts: onnxruntime and NumPy, nothing of the estimator.

    The file is checked byte by byte, the graph is refused where it would read other files or needs
    operators of others, and the golden rows must come out as they did when the model was saved.

    Parameters
    ----------
    path : path
        A bundle of ``mm.save``.
    threads : int
        Of onnxruntime; small models wait longer for a second thread than they gain.

    Attributes
    ----------
    schema : Schema
        Typed columns and outputs.
    bundle : Bundle
        The manifest and its digest, which names this version of the model.
    parity : dict
        What was compared when the model was saved.
    replayed : Mismatch or None
        The largest difference on the golden rows, here and now.

    Raises
    ------
    DataError
        A damaged or strange bundle, one without a graph, or golden rows that come out differently.
    MissingExtra
        onnxruntime is not there.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> import manumatic as mm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = mm.save(Ridge().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), f"{folder}/r.mm")
    ...     runtime = Runtime(saved.path)
    >>> runtime.predict([[1.5]])
    array([3.67])
    """

    def __init__(self, path: str | Path, *, threads: int = 1) -> None:
        self.bundle = read_bundle(path)
        self.schema = Schema.from_json(self.bundle.json("schema.json"))
        self.parity = self.bundle.json("parity.json")
        if GRAPH not in self.bundle:
            raise DataError(
                f"{path} has no {GRAPH}, so it cannot be served without the estimator: "
                f"{self.parity.get('reason')}. mm.load({str(path)!r}) gives the estimator"
            )
        self.graph = Graph(self.bundle.read(GRAPH), self.schema, threads)
        self.replayed = self._replay()

    @property
    def version(self) -> str:
        """The first 12 characters of the digest."""
        return self.bundle.digest[:12]

    def answers(self, rows: Any) -> dict[str, np.ndarray]:
        """All outputs by name, for rows of any kind."""
        return self.run(feeds_of(self.schema, rows))

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name, for the inputs of the graph as ``feeds_of`` makes them."""
        return self.graph.run(feeds)

    def predict(self, rows: Any) -> np.ndarray:
        """Labels or numbers (n,) or (n, targets), as the estimator gives them.

        Parameters
        ----------
        rows : DataFrame, dict of columns, list of dicts, array or list of rows
        """
        found: np.ndarray = self._by_method("predict", rows)
        return found

    def predict_proba(self, rows: Any) -> Any:
        """Probabilities (n, classes), or a list of such for several targets.

        Parameters
        ----------
        rows : DataFrame, dict of columns, list of dicts, array or list of rows
        """
        return self._by_method("predict_proba", rows)

    def transform(self, rows: Any) -> np.ndarray:
        """Transformed rows (n, outputs).

        Parameters
        ----------
        rows : DataFrame, dict of columns, list of dicts, array or list of rows
        """
        found: np.ndarray = self._by_method("transform", rows)
        return found

    def _by_method(self, method: str, rows: Any) -> Any:
        names = [output.name for output in self.schema.outputs if output.method == method]
        if not names:
            there = ", ".join(dict.fromkeys(output.method for output in self.schema.outputs))
            raise DataError(f"this model has no {method}; it has {there}")
        found = self.answers(rows)
        several = names[0].endswith("_0")
        return [found[name] for name in names] if several else found[names[0]]

    def _replay(self) -> Mismatch | None:
        golden = self.bundle.json("golden.json")
        dtypes = {output.name: output.dtype for output in self.schema.outputs}
        expected = as_answers(golden["expected"], dtypes)
        return replay(expected, self.answers(golden["rows"]), "onnxruntime here")

    def __repr__(self) -> str:
        told = ", ".join(output.name for output in self.schema.outputs)
        return f"Runtime({str(self.bundle.path)!r}: {len(self.schema.columns)} columns → {told})"


class Graph:
    """A graph in onnxruntime, with the schema that says how to read it; safe for many threads.

    Parameters
    ----------
    graph : bytes
        An ONNX model that keeps the rules of ``check_graph``; it is run from bytes, never a file.
    schema : Schema
    threads : int
        Of onnxruntime.

    Raises
    ------
    DataError
        The graph breaks a rule, onnxruntime cannot run it, or it does not fit the schema.
    MissingExtra
        onnxruntime is not there.
    """

    def __init__(self, graph: bytes, schema: Schema, threads: int = 1) -> None:
        self.schema = schema
        check_graph(graph)
        self.session = open_session(graph, threads)
        self.inputs = _matching(self.session, schema)
        self.outputs = [output.name for output in schema.outputs]

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name, as the estimator gives them.

        Parameters
        ----------
        feeds : dict of str to ndarray
            The inputs as ``feeds_of`` makes them.
        """
        given = {name: _given(feeds[name], kind) for name, kind in self.inputs.items()}
        found = self.session.run(self.outputs, given)
        return {
            output.name: _read(output, values)
            for output, values in zip(self.schema.outputs, found, strict=True)
        }


def open_session(graph: bytes, threads: int = 1) -> Any:
    """An ``onnxruntime.InferenceSession``.

    Parameters
    ----------
    graph : bytes
        An ONNX model of somebody who is trusted; ``check_graph`` is for the others.
    threads : int
        Small models wait longer for a second thread than they gain.

    Raises
    ------
    DataError
        onnxruntime cannot run it.
    MissingExtra
        onnxruntime is not there.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        raise MissingExtra("onnxruntime", "deliver") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    refused = (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.NotImplemented)
    try:
        return onnxruntime.InferenceSession(
            graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["MatMulScaleFusion"],  # it rounds the scale to float32
        )
    except (*refused, errors.InvalidArgument, errors.RuntimeException) as error:
        raise DataError(f"onnxruntime cannot run the graph: {error}") from None


def _matching(session: Any, schema: Schema) -> dict[str, str]:
    """The graph's inputs and their types; inputs and outputs must be those of the schema."""
    inputs = {one.name: one.type for one in session.get_inputs()}
    wanted = {"array": ["X"], "text": ["text"]}.get(schema.form, schema.names)
    outputs = {one.name for one in session.get_outputs()}
    gone = [output.name for output in schema.outputs if output.name not in outputs]
    if not set(inputs) <= set(wanted) or gone:
        raise DataError(
            f"the graph does not fit the schema: it takes {list(inputs)}, the schema has {wanted}; "
            f"outputs missing: {gone}"
        )
    return inputs


def _given(values: np.ndarray, kind: str) -> np.ndarray:
    """An input; words that no step reads, such as names of rows, are numbers to the graph."""
    unread = values.dtype.kind == "O" and kind == "tensor(double)"
    return np.full(values.shape, np.nan) if unread else values


def _read(output: Output, values: np.ndarray) -> np.ndarray:
    """As the estimator gives it: its labels, its shape."""
    values = values.reshape(len(values), *output.shape)
    classes = output.classes
    if output.method != "predict" or classes is None:
        return values
    if classes and isinstance(classes[0], list):  # several targets: numbers of labels
        columns = zip(classes, values.T, strict=True)
        return np.stack([_labels(of, output.dtype)[number] for of, number in columns], axis=1)
    if values.dtype.kind in "OU":
        known = {str(label): label for label in classes}
        values = np.array([known[text] for text in values.ravel()], dtype=object)
        values = values.reshape(-1, *output.shape)
    return values if output.dtype == "object" else values.astype(output.dtype)


def _labels(classes: list[Any], dtype: str) -> np.ndarray:
    return np.array(classes, dtype=dtype)
