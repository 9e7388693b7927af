"""A fitted estimator as one ONNX graph: columns in, words among them, labels and odds out."""

__all__ = ["NAMES", "Outputs", "is_plain", "onnx_graph", "outputs_of"]

import contextlib
import io
import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.convert.border import UNKNOWN, Border, Column
from manumatic.convert.module import Converted, to_torch
from manumatic.convert.tree_op import translations
from manumatic.deliver.onnx_functions import functions
from manumatic.errors import ConvertError, MissingExtra

OPSET, TREES = 20, 5  # of onnx itself, and of ai.onnx.ml
NAMES = {
    "predict_proba": "probability",
    "decision_function": "score",
    "score_samples": "score",
    "transform": "transformed",
}


def onnx_graph(estimator: Any) -> bytes:
    """One ONNX graph of the whole estimator: what goes into ``predict`` → what comes out.

    Parameters
    ----------
    estimator : fitted estimator or Converted

    Returns
    -------
    bytes
        A model of opset 20. It has an input a column, (n, 1), under the column's name: numbers as
        double, dates as seconds since 1970, words as strings, "" where one is missing. Rows without
        names that are all numbers are one input ``X`` (n, features). For the outputs see
        :func:`outputs_of`.

    Raises
    ------
    MissingExtra
        onnx or onnxscript is not there.
    ConvertError
        A part of the estimator has no converter, or no counterpart in ONNX.

    Examples
    --------
    >>> import onnx
    >>> from sklearn.linear_model import LogisticRegression
    >>> graph = onnx_graph(LogisticRegression().fit([[0.0], [1.0], [2.0]], ["no", "no", "yes"]))
    >>> [output.name for output in onnx.load_from_string(graph).graph.output]
    ['label', 'probability']
    """
    try:
        import onnx
        import onnx_ir
        import onnxscript  # noqa: F401 (torch's exporter wants it)
        from onnx_ir.passes.common import CommonSubexpressionEliminationPass
    except ImportError:
        raise MissingExtra("onnx and onnxscript", "deliver") from None
    module = estimator if isinstance(estimator, Converted) else to_torch(estimator)
    model = _export(module).model
    # label and probability are asked for one by one, and need the same trees
    model = CommonSubexpressionEliminationPass(size_limit=2**31)(model).model
    _read_words(model.graph, module.border)
    _write_words(model.graph, module)
    _tidy(model, {*_example(module.border), *outputs_of(module)})
    model.opset_imports.setdefault("ai.onnx.ml", TREES)
    found = onnx_ir.to_proto(model)
    try:
        onnx.checker.check_model(found)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise ConvertError(f"the graph of this estimator is no valid ONNX: {reason}") from error
    return bytes(found.SerializeToString())


def outputs_of(module: Converted) -> dict[str, str]:
    """The outputs of a graph, and which method gives each.

    Parameters
    ----------
    module : Converted

    Returns
    -------
    dict of str to str
        A classifier has ``label`` and ``probability``, or ``score`` where it has no probabilities;
        a regressor ``prediction``, a transformer ``transformed``. Several targets of several
        classes have ``probability_0``, ``probability_1`` …

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> outputs_of(to_torch(Ridge().fit([[0.0], [1.0]], [1.0, 3.0])))
    {'prediction': 'predict'}
    """
    methods, classes = module.net.methods, module.net.classes
    labels = classes is not None or len(methods) > 1
    found = {"label" if labels else "prediction": "predict"} if "predict" in methods else {}
    for method in ("predict_proba", "decision_function", "score_samples", "transform"):
        if method in methods and not (found and method == "transform"):
            several = method == "predict_proba" and _gives_a_list(module)
            ends = [f"_{i}" for i in range(len(classes))] if several else [""]
            found |= {NAMES[method] + end: method for end in ends}
            if "predict" in methods:
                break  # one number beside the label is enough
    return found


def _gives_a_list(module: Converted) -> bool:
    """Probabilities of several targets are a list, but a chain of classifiers has one matrix."""
    if not isinstance(module.net.classes, list):
        return False
    with torch.no_grad():
        rows = module.like.new_zeros(1, module.n_features_in_)
        return isinstance(module.net.call("predict_proba", rows), list)


class Outputs(nn.Module):
    """All outputs at once: rows (n, features) → a tensor for each name in :func:`outputs_of`.

    Parameters
    ----------
    module : Converted
    """

    labels: Tensor

    def __init__(self, module: Converted) -> None:
        super().__init__()
        self.module, self.methods = module, list(dict.fromkeys(outputs_of(module).values()))
        classes = module.net.classes
        self.numeric = isinstance(classes, np.ndarray) and classes.dtype.kind in "fiub"
        if self.numeric:
            self.register_buffer("labels", torch.as_tensor(classes))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Labels are numbers of classes, or themselves where they are numbers."""
        x, found = x.to(self.module.like.dtype), []
        for method in self.methods:
            given = self.module.net.call(method, x)
            if method == "predict" and self.numeric:
                given = self.labels.index_select(0, given)
            found += given if isinstance(given, list) else [given]
        return tuple(found)


class _Columns(nn.Module):
    """The same, from a dictionary of columns (n, 1)."""

    def __init__(self, outputs: Outputs) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, columns: dict[str, Tensor]) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = self.outputs(torch.cat(list(columns.values()), 1))
        return found


def _example(border: Border) -> dict[str, Tensor]:
    if is_plain(border):
        return {"X": torch.zeros(3, len(border.columns), dtype=torch.float64)}
    return {column.name: torch.zeros(3, 1, dtype=torch.float64) for column in border.columns}


def is_plain(border: Border) -> bool:
    """Whether rows are one matrix of numbers without names.

    Parameters
    ----------
    border : Border
    """
    return not border.named and all(column.kind == "number" for column in border.columns)


def _export(module: Converted) -> Any:
    graph, columns = _Columns(Outputs(module)).eval(), _example(module.border)
    shapes = {"columns": {name: {0: torch.export.Dim.DYNAMIC} for name in columns}}
    noisy = logging.getLogger("onnxscript"), logging.getLogger("torch.onnx")
    levels = [log.level for log in noisy]
    try:
        for log in noisy:
            log.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of torch.export about itself
            return torch.onnx.export(
                graph,
                (),
                kwargs={"columns": columns},
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=list(columns),
                output_names=list(outputs_of(module)),
                opset_version=OPSET,
                verbose=False,
                external_data=False,
                custom_translation_table=functions() | translations(graph),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ConvertError(f"torch.onnx cannot write this estimator: {reason}") from error
    finally:
        for log, level in zip(noisy, levels, strict=True):
            log.setLevel(level)


def _read_words(graph: Any, border: Border) -> None:
    """Put a dictionary before each column of words: torch has no strings, ONNX has."""
    import onnx_ir as ir

    words = {column.name: column for column in border.columns if column.kind == "word"}
    for place, codes in enumerate(list(graph.inputs)):
        if codes.name not in words:
            continue
        column = words[codes.name]
        given = ir.Value(
            name=column.name, type=ir.TensorType(ir.DataType.STRING), shape=codes.shape
        )
        keys = _keys(column)
        look = ir.node(
            "LabelEncoder",
            [given],
            domain="ai.onnx.ml",
            attributes={
                "keys_strings": list(keys),
                "values_floats": list(keys.values()),  # exact up to 2²⁴ words
                "default_float": UNKNOWN,
            },
        )
        double = ir.node("Cast", look.outputs, attributes={"to": ir.DataType.DOUBLE.value})
        double.outputs[0].type, double.outputs[0].shape = codes.type, codes.shape
        codes.replace_all_uses_with(double.outputs[0])
        graph.insert_before(graph[0], [look, double])
        graph.inputs[place] = given


def _keys(column: Column) -> dict[str, float]:
    """Words and their codes; "" is a missing one, unless it is a word itself."""
    texts = {str(word): float(code) for word, code in column.words.items()}
    if len(texts) < len(column.words):
        raise ConvertError(
            f"the column {column.name!r} has words that are the same as text, such as None and "
            "'None'; an ONNX graph takes text only"
        )
    return {"": float("nan")} | texts


def _tidy(model: Any, taken: set[str]) -> None:
    """Inner values give way to the names of columns; nothing of this machine stays inside."""
    import onnx_ir as ir

    outer = {id(value) for value in (*model.graph.inputs, *model.graph.outputs)}
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        node.metadata_props.clear()  # torch keeps stack traces there, with paths
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if id(value) not in outer and value.name in taken:
                value.name = f"inner {value.name}"
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()


def _write_words(graph: Any, module: Converted) -> None:
    """Turn numbers of labels into words at the end."""
    import onnx_ir as ir

    classes = module.net.classes
    if not isinstance(classes, np.ndarray) or classes.dtype.kind in "fiub":
        return
    number = graph.outputs[0]
    look = ir.node(
        "LabelEncoder",
        [number],
        domain="ai.onnx.ml",
        attributes={
            "keys_int64s": list(range(len(classes))),
            "values_strings": [str(label) for label in classes],
        },
    )
    (word,) = look.outputs
    word.type, word.shape, word.name = ir.TensorType(ir.DataType.STRING), number.shape, "label"
    number.name = "label_number"
    graph.append(look)
    graph.outputs[0] = word
