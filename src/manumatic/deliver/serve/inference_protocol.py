"""The Open Inference Protocol, version 2: tensors by name, as KServe and Triton speak it."""

__all__ = ["DATATYPES", "decode_tensors", "encode_tensors", "metadata", "told_back", "wanted_of"]

import math
from typing import Any

import numpy as np

from manumatic.deliver.schema import Column, Output, Schema
from manumatic.deliver.serve.decode import Invalid

FLOATS = ("FP64", "FP32", "FP16")
WHOLE = tuple(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
TYPES: dict[Any, tuple[type, ...]] = {
    **dict.fromkeys(FLOATS, (int, float, type(None))),
    **dict.fromkeys(WHOLE, (int,)),
    "BOOL": (bool,),
    "BYTES": (str, type(None)),
}
DATATYPES = tuple(TYPES)
OF_KIND = {"integer": "INT64", "boolean": "BOOL", "word": "BYTES", "date": "BYTES"}
OF_DTYPE = {"f": "FP64", "i": "INT64", "u": "UINT64", "b": "BOOL"}


def metadata(name: str, version: str, schema: Schema) -> dict[str, Any]:
    """What ``GET v2/models/{name}`` answers.

    Parameters
    ----------
    name : str
    version : str
    schema : Schema
    """
    outputs = [
        {
            "name": output.name,
            "datatype": OF_DTYPE.get(np.dtype(output.dtype).kind, "BYTES"),
            "shape": [-1, *output.shape],
        }
        for output in schema.outputs
    ]
    if schema.form == "table":
        inputs = [
            {"name": c.name, "datatype": OF_KIND.get(c.kind, "FP64"), "shape": [-1, 1]}
            for c in schema.columns
        ]
    else:
        text = schema.form == "text"
        kind, shape = ("BYTES", [-1]) if text else ("FP64", [-1, *(schema.shape or [])])
        inputs = [{"name": "text" if kind == "BYTES" else "X", "datatype": kind, "shape": shape}]
    told = {"name": name, "versions": [version], "platform": "onnxruntime_onnx"}
    return told | {"inputs": inputs, "outputs": outputs}


def decode_tensors(schema: Schema, request: Any) -> dict[str, Any]:
    """The tensors of a request → columns.

    Parameters
    ----------
    schema : Schema
    request : dict
        ``inputs``: each with ``name``, ``shape``, ``datatype`` and ``data``, nested or flat.

    Raises
    ------
    Invalid
    """
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        raise Invalid("expected an object with a list of inputs", "malformed")
    found = {}
    for place, one in enumerate(inputs):
        name = one.get("name")
        if not isinstance(name, str) or name in found:
            raise Invalid(f"inputs[{place}]: a name is missing or given twice", "malformed")
        found[name] = _tensor(one, place)
    if schema.form == "table":
        kinds = {column.name: column for column in schema.columns}
        return {name: _column(values, kinds.get(name), name) for name, values in found.items()}
    return found


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(n) is int and n >= 0 for n in value)


def _tensor(one: dict[Any, Any], place: int) -> np.ndarray:
    shape: Any = one.get("shape")
    datatype, data = one.get("datatype"), one.get("data")
    where = f"inputs[{place}]"
    if not _is_shape(shape) or not isinstance(data, list):
        raise Invalid(f"{where}: expected shape, a list of whole numbers, and data", "malformed")
    flat: list[Any] = []
    _flatten(data, flat, 0, where)
    if len(flat) != math.prod(shape):
        raise Invalid(f"{where}: data has not as many values as the shape says", "malformed")
    if datatype not in DATATYPES:
        raise Invalid(f"{where}: expected a datatype of {', '.join(DATATYPES)}", "malformed")
    if not all(type(value) in TYPES[datatype] for value in flat):
        raise Invalid(f"{where}: a value is not of the datatype", "value")
    dtype = {"BYTES": object, "BOOL": bool}.get(str(datatype), np.float64)
    try:
        return _shaped(flat, dtype, shape)
    except OverflowError:
        raise Invalid(f"{where}: a value is too large", "value") from None


def _shaped(flat: list[Any], dtype: Any, shape: list[int]) -> np.ndarray:
    made = np.empty(len(flat), dtype=dtype)
    made[:] = flat
    return made.reshape(shape)


def _flatten(data: list[Any], into: list[Any], depth: int, where: str) -> None:
    if depth > 8:
        raise Invalid(f"{where}: data is nested too deeply", "malformed")
    for value in data:
        if isinstance(value, list):
            _flatten(value, into, depth + 1, where)
        else:
            into.append(value)


def _column(values: np.ndarray, column: Column | None, name: str) -> Any:
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise Invalid(f"the input {name!r} must have the shape [n] or [n, 1]", "value")
    flat = values.reshape(-1)
    text = all(isinstance(word, str | None) for word in column.categories or ()) if column else True
    if column is not None and column.kind == "word" and text and flat.dtype.kind != "O":
        raise Invalid(f"the input {name!r} must be BYTES", "value")
    return flat if column is None or flat.dtype.kind == "f" else flat.tolist()


def told_back(request: dict[str, Any]) -> dict[str, str]:
    """The ``id`` of a request, which its answer carries, too.

    Parameters
    ----------
    request : dict

    Raises
    ------
    Invalid
        It is no text.
    """
    if "id" not in request:
        return {}
    if not isinstance(request["id"], str):
        raise Invalid("id must be text", "malformed")
    return {"id": request["id"]}


def wanted_of(schema: Schema, request: dict[str, Any]) -> list[Output]:
    """The outputs that a request asks for: all where it names none.

    Parameters
    ----------
    schema : Schema
    request : dict

    Raises
    ------
    Invalid
        There is none of this name.
    """
    asked, known = request.get("outputs", []), {output.name: output for output in schema.outputs}
    if not isinstance(asked, list):
        raise Invalid("outputs must be a list", "malformed")
    found = []
    for place, one in enumerate(asked):
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or name not in known:
            raise Invalid(f"outputs[{place}]: expected one of {', '.join(known)}", "malformed")
        found.append(known[name])
    return found or schema.outputs


def encode_tensors(
    wanted: list[Output], outputs: dict[str, np.ndarray], about: dict[str, Any]
) -> dict[str, Any]:
    """Outputs → the response.

    Parameters
    ----------
    wanted : list of Output
    outputs : dict of str to ndarray
    about : dict
        ``model_name``, ``model_version``, and the ``id`` of the request if there was one.
    """
    told = []
    for output in wanted:
        values = outputs[output.name]
        datatype = OF_DTYPE.get(values.dtype.kind, "BYTES")
        flat = values.ravel().tolist()
        data = [str(value) for value in flat] if datatype == "BYTES" else flat
        told.append(
            {"name": output.name, "shape": list(values.shape), "datatype": datatype, "data": data}
        )
    return about | {"outputs": told}
