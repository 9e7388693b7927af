"""What an ONNX graph in a bundle may hold, read off its bytes before onnxruntime sees them."""

__all__ = ["check_graph"]

from collections.abc import Iterator

from manumatic.errors import DataError

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")  # operators that every runtime brings; no code of others
DEEPEST = 50  # graphs inside of If and Loop

# Message → field number → the message inside (onnx.proto). Wherever a tensor can be is looked at.
INSIDE = {
    "model": {7: "graph", 8: "operators"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
        **{22: "sparse tensor", 23: "sparse tensor"},
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
DOMAIN = {"node": 7, "operators": 1}  # the field that says whose operators
FORBIDDEN = {
    ("model", 20): "training steps",
    ("model", 25): "functions of its own",
    ("tensor", 13): "numbers in another file (external data)",
}
PLACE = ("tensor", 14)  # where the numbers are: 0 is in the tensor itself


def check_graph(graph: bytes) -> None:
    """Refuse a graph that reads other files or needs operators of others; nothing is opened.

    Parameters
    ----------
    graph : bytes
        An ONNX model.

    Raises
    ------
    DataError
        External data, an operator outside of ``ai.onnx`` and ``ai.onnx.ml``, functions or training
        steps, or no ONNX model at all.

    Examples
    --------
    >>> from onnx import helper
    >>> node = helper.make_node("Neg", ["x"], ["y"], domain="of.others")
    >>> model = helper.make_model(helper.make_graph([node], "g", [], []))
    >>> check_graph(model.SerializeToString())
    Traceback (most recent call last):
    manumatic.errors.DataError: the graph has operators of 'of.others'; ... ai.onnx.ml
    """
    _check("model", memoryview(graph), 0)


def _check(kind: str, message: memoryview, depth: int) -> None:
    if depth > DEEPEST:
        raise DataError(f"the graph holds graphs in graphs more than {DEEPEST} deep")
    for field, value in _fields(message):
        if (kind, field) in FORBIDDEN or ((kind, field) == PLACE and value != 0):
            what = FORBIDDEN.get((kind, field), FORBIDDEN["tensor", 13])
            raise DataError(f"the graph has {what}; a bundle's graph must be whole in itself")
        if not isinstance(value, memoryview):
            continue
        if DOMAIN.get(kind) == field:
            domain = bytes(value).decode("utf-8", "replace")
            if domain not in DOMAINS:
                raise DataError(
                    f"the graph has operators of {domain!r}; known are ai.onnx and ai.onnx.ml"
                )
        inside = INSIDE.get(kind, {}).get(field)
        if inside is not None:
            _check(inside, value, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values of the fields of a message (protobuf's wire format)."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            number, place = _varint(message, place)
            yield field, number
            continue
        if wire == 2:
            length, place = _varint(message, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise DataError(f"the graph is no ONNX model: a field of the kind {wire}")
        if place + length > len(message):
            raise DataError("the graph is no ONNX model: it ends too early")
        yield field, message[place : place + length] if wire == 2 else 0
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    number, shift = 0, 0
    while place < len(message) and shift < 64:
        byte = message[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place
    raise DataError("the graph is no ONNX model: a number has no end")
