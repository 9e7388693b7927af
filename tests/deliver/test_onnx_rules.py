"""Graphs that would read files or run code of others are refused before onnxruntime sees them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from manumatic.deliver.onnx_rules import check_graph
from manumatic.errors import DataError


def model(*nodes: onnx.NodeProto, tensors: tuple = (), **more: object) -> onnx.ModelProto:
    """x (n, 2) → y, float64."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 2]) for name in ("x", "y")
    ]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], initializer=list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], **more)


def elsewhere(place: str = "numbers.bin") -> TensorProto:
    """A tensor whose numbers are in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.DOUBLE, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    return tensor


ADD = helper.make_node("Add", ["x", "w"], ["y"])
WEIGHT = numpy_helper.from_array(np.ones(2), "w")


def test_a_graph_that_is_whole_passes() -> None:
    check_graph(model(ADD, tensors=(WEIGHT,)).SerializeToString())


def test_numbers_in_another_file_are_refused_wherever_they_are() -> None:
    inside = helper.make_graph([ADD], "inside", [], [], initializer=[elsewhere()])
    sparse = onnx.SparseTensorProto(values=elsewhere(), dims=[2])
    in_sparse = model(ADD)
    in_sparse.graph.sparse_initializer.append(sparse)
    hiding = [
        model(ADD, tensors=(elsewhere(),)),
        in_sparse,
        model(helper.make_node("Constant", [], ["y"], value=elsewhere())),
        model(helper.make_node("Constant", [], ["y"], sparse_value=sparse)),
        model(helper.make_node("If", ["x"], ["y"], then_branch=inside, else_branch=inside)),
        model(helper.make_node("Many", ["x"], ["y"], tensors=[elsewhere()])),
        model(helper.make_node("Many", ["x"], ["y"], graphs=[inside])),
        model(helper.make_node("Many", ["x"], ["y"], sparse=[sparse])),
    ]
    for graph in hiding:
        with pytest.raises(DataError, match="numbers in another file"):
            check_graph(graph.SerializeToString())
    marked = elsewhere()
    del marked.external_data[:]  # the mark alone
    with pytest.raises(DataError, match="numbers in another file"):
        check_graph(model(ADD, tensors=(marked,)).SerializeToString())


def test_operators_of_others_functions_and_training_are_refused() -> None:
    inside = helper.make_graph([helper.make_node("F", [], ["y"], domain="evil")], "i", [], [])
    hiding = [
        model(helper.make_node("Add", ["x", "x"], ["y"], domain="com.microsoft")),
        model(helper.make_node("If", ["x"], ["y"], then_branch=inside, else_branch=inside)),
    ]
    for graph in hiding:
        with pytest.raises(DataError, match=r"operators of '(com\.microsoft|evil)'"):
            check_graph(graph.SerializeToString())
    declared = model(ADD, tensors=(WEIGHT,))
    declared.opset_import.append(helper.make_opsetid("of.others", 1))
    with pytest.raises(DataError, match=r"operators of 'of\.others'"):
        check_graph(declared.SerializeToString())
    function = helper.make_function("", "F", ["x"], ["y"], [ADD], [helper.make_opsetid("", 20)])
    with pytest.raises(DataError, match="functions of its own"):
        check_graph(model(ADD, functions=[function]).SerializeToString())
    training = model(ADD)
    training.training_info.add()
    with pytest.raises(DataError, match="training steps"):
        check_graph(training.SerializeToString())


@pytest.mark.parametrize(
    "content", [b"\x0a\xff", b"\xff" * 20, b"\x07", b"not a graph", b"\x3a\x05ab"]
)
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="no ONNX model"):
        check_graph(content)


def field(number: int, content: bytes) -> bytes:
    """A message in a field, as protobuf writes it."""
    size, length = len(content), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_graphs_in_graphs_have_an_end() -> None:
    """By hand: onnx itself writes none that is so deep."""
    content = b""
    for _ in range(20):
        content = field(1, field(5, field(6, content)))  # a node's attribute's graph
    check_graph(field(7, field(1, field(5, field(6, b"")))))
    with pytest.raises(DataError, match="more than 50 deep"):
        check_graph(field(7, content))


def test_onnxruntime_is_not_even_imported_for_such_a_graph(tmp_path: Path) -> None:
    """So it cannot have opened the file: refused before it is there."""
    (tmp_path / "graph.onnx").write_bytes(model(ADD, tensors=(elsewhere(),)).SerializeToString())
    code = f"""
import sys
from pathlib import Path
from manumatic.deliver.runtime import Graph
from manumatic.deliver.schema import Schema
from manumatic.errors import DataError
try:
    Graph(Path({str(tmp_path / "graph.onnx")!r}).read_bytes(), Schema("array", False, [], [], [2]))
except DataError as error:
    print(error)
heavy = ("onnxruntime", "onnx", "torch", "sklearn", "pandas")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numbers in another file" in done.stdout
    assert done.stdout.endswith("[]\n")
