"""Bytes of a request → columns of the graph, every cell checked on the way; and the way back."""

__all__ = ["Decoder", "Invalid", "answer_of", "check_keys", "finite_rows"]

import json
from typing import Annotated, Any

import numpy as np

from manumatic.deliver.rows import feed_of, feeds_of
from manumatic.deliver.schema import Column, Schema
from manumatic.errors import DataError, MissingExtra

LONGEST = 300  # characters of a message, for a key in it may be anything
JSON_KINDS = {"boolean": bool, "date": str}


class Invalid(Exception):
    """The request cannot be answered as it is; the message names row, column and what was wanted.

    Parameters
    ----------
    message : str
        Without any value of the request.
    reason : str
        One word, for counting.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message[:LONGEST])
        self.reason = reason


class Decoder:
    """Reads the rows of requests by the types of a schema.

    A number must be a number: ``"0.1"`` and ``true`` are not; 3.0 is a whole one. A missing value
    is ``null``, and only where the model takes one. Unknown columns are refused, and so is a key
    that an object has twice.

    Parameters
    ----------
    schema : Schema
    most_rows : int
        Of one request.
    """

    def __init__(self, schema: Schema, most_rows: int) -> None:
        try:
            import msgspec
        except ImportError:
            raise MissingExtra("msgspec", "deliver") from None
        self.schema, self.most_rows = schema, most_rows
        self._errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
        row = _row_type(schema)
        many = Annotated[list[row], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]
        request = msgspec.defstruct("Request", [("rows", many)], forbid_unknown_fields=True)
        vertex = msgspec.defstruct("Instances", [("instances", many), ("parameters", Any, None)])
        self._decoders = {
            "rows": msgspec.json.Decoder(request),
            "instances": msgspec.json.Decoder(vertex),
            "tensors": msgspec.json.Decoder(),
        }
        names = schema.names if schema.form == "table" else []
        self._colons = sum(1 + name.count(":") for name in names)  # of one row
        self._whole = [c.name for c in schema.columns if c.kind == "integer"] if names else []

    def __call__(self, body: bytes, key: str = "rows") -> tuple[dict[str, np.ndarray], int]:
        """The inputs of the graph, and how many rows there are.

        Raises
        ------
        Invalid
        """
        rows = getattr(self._decoded(body, key), key)
        if len(rows) > self.most_rows:
            told = f"a request may have {self.most_rows} rows at most"
            raise Invalid(told, "too_many_rows")
        check_keys(body, 1 + len(rows) * self._colons)
        return self._read(rows), len(rows)

    def tensors(self, body: bytes) -> Any:
        """The body as plain values.

        Raises
        ------
        Invalid
        """
        asked = self._decoded(body, "tensors")
        check_keys(body, None)
        return asked

    def _decoded(self, body: bytes, key: str) -> Any:
        try:
            return self._decoders[key].decode(body)
        except self._errors as error:
            broken = isinstance(error, UnicodeDecodeError)
            told = "the body is not UTF-8" if broken else f"{error}" or "nested too deeply"
            raise Invalid(told, "malformed") from None

    def feeds(self, columns: dict[str, Any]) -> dict[str, np.ndarray]:
        """Columns → the inputs of the graph; Invalid where a cell is not as the schema says."""
        try:
            found = feeds_of(self.schema, columns)
        except DataError as error:
            raise Invalid(str(error), "value") from None
        for name in self._whole:
            _check_whole(name, found[name])
        return found

    def _read(self, rows: list[Any]) -> dict[str, np.ndarray]:
        if self.schema.form == "array":
            return self.feeds({"X": np.array(rows, dtype=np.float64)})  # None becomes NaN
        if self.schema.form == "text":
            return self.feeds({"text": rows})
        found: dict[str, np.ndarray] = {}
        for place, column in enumerate(self.schema.columns):
            field = f"c{place}"
            cells = [getattr(row, field) for row in rows]
            if column.kind in ("word", "date"):
                try:
                    found[column.name] = feed_of(column, cells)
                except DataError as error:
                    raise Invalid(str(error), "value") from None
            else:  # what else feed_of looks for, no JSON of this type can hold
                found[column.name] = np.array(cells, dtype=np.float64)[:, None]
        for name in self._whole:
            _check_whole(name, found[name])
        return found


def _check_whole(name: str, values: np.ndarray) -> None:
    broken = values % 1 > 0  # False where it is missing
    if broken.any():
        raise Invalid(f"row {int(broken.argmax())}, {name!r}: expected a whole number", "value")


def check_keys(body: bytes, colons: int | None) -> None:
    """Raise Invalid where an object has a key twice; most readers take the last and say nothing.

    Parameters
    ----------
    body : bytes
        JSON that was read already.
    colons : int, optional
        How many a body without such a key and without text has; where it has just so many, it need
        not be read a second time.
    """
    if body.count(b":") == colons and b"\\" not in body:
        return

    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            raise Invalid("an object has a key twice", "malformed")

    try:
        json.loads(body, object_pairs_hook=unique, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        raise Invalid("nested too deeply, or no JSON", "malformed") from None


def _row_type(schema: Schema) -> Any:
    import msgspec

    if schema.form == "text":
        return str
    if schema.form == "array":
        return _array_type(schema.shape or [], any(column.nullable for column in schema.columns))
    fields = [(f"c{place}", _cell_type(column)) for place, column in enumerate(schema.columns)]
    names = {f"c{place}": column.name for place, column in enumerate(schema.columns)}
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True)


def _array_type(shape: list[int], nullable: bool) -> Any:
    import msgspec

    kind: Any = float | None if nullable else float
    for size in reversed(shape):
        kind = Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]
    return kind


def _cell_type(column: Column) -> Any:
    kind: Any = JSON_KINDS.get(column.kind, float)
    if column.kind == "word":
        known = [type(word) for word in column.categories or () if word is not None]
        kind = str
        for other in (int, float):
            kind = kind | other if other in known else kind
    return kind | None if column.nullable else kind


def finite_rows(outputs: dict[str, np.ndarray]) -> None:
    """Raise Invalid where the model has no finite answer: never a silent null.

    Parameters
    ----------
    outputs : dict of str to ndarray
        (n, …) by name.
    """
    for name, found in outputs.items():
        if found.dtype.kind != "f":
            continue
        finite = np.isfinite(found).reshape(len(found), -1).all(1)
        if not finite.all():
            row = int(finite.argmin())
            raise Invalid(f"row {row}: the model's {name} is not a finite number", "nonfinite")


def answer_of(schema: Schema, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """What a client reads: ``predictions``, and beside them what else the model says.

    Parameters
    ----------
    schema : Schema
    outputs : dict of str to ndarray
        (n, …) by name.

    Returns
    -------
    dict
        ``predictions`` (n), and ``probabilities`` (n, classes) with ``classes``, or ``scores``.

    Examples
    --------
    >>> from manumatic.deliver.schema import Output
    >>> schema = Schema("table", True, [], [Output("prediction", "predict", "float64", [1])])
    >>> answer_of(schema, {"prediction": np.array([[1.5], [2.0]])})
    {'predictions': [1.5, 2.0]}
    """
    answer: dict[str, Any] = {}
    classes = next((one.classes for one in schema.outputs if one.name == "label"), None)
    for output in schema.outputs:
        found = outputs[output.name]
        if found.ndim == 2 and found.shape[1] == 1:
            found = found[:, 0]
        name = {"probability": "probabilities", "score": "scores"}.get(output.name, output.name)
        main = output.name in ("label", "prediction", "transformed")
        answer["predictions" if main else name] = found.tolist()
        if output.name == "probability":
            answer["classes"] = classes
    return answer
