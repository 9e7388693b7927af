"""OpenAPI from a schema: every column a typed field, with an example that works."""

__all__ = ["example_row", "openapi", "row_schema"]

from typing import Any

from manumatic.deliver.schema import Column, Schema
from manumatic.deliver.serve.gate import Limits
from manumatic.deliver.serve.inference_protocol import DATATYPES
from manumatic.deliver.serve.service import Service

JSON_TYPES = {"number": "number", "duration": "number", "integer": "integer", "boolean": "boolean"}
ERRORS = {
    "400": "This is no HTTP, or it ended too early.",
    "401": "The token is missing or wrong.",
    "413": "More bytes than one request may have.",
    "422": "A cell is not as the schema says, or there are too many rows; the message says where.",
    "429": "Too many rows are waiting.",
    "504": "No answer in time.",
}
TENSORS = {
    "type": "object",
    "properties": {"model_name": {"type": "string"}, "outputs": {"type": "array"}},
    "required": ["model_name", "model_version", "outputs"],
}


def row_schema(schema: Schema) -> dict[str, Any]:
    """JSON Schema of one row.

    Parameters
    ----------
    schema : Schema

    Examples
    --------
    >>> row_schema(Schema("table", True, [Column("size", "number", nullable=True)], []))["required"]
    ['size']
    """
    if schema.form == "text":
        return {"type": "string"}
    if schema.form == "array":
        nullable = any(column.nullable for column in schema.columns)
        found: dict[str, Any] = {"type": ["number", "null"] if nullable else "number"}
        for size in reversed(schema.shape or []):
            found = {"type": "array", "items": found, "minItems": size, "maxItems": size}
        return found
    return {
        "type": "object",
        "properties": {column.name: _cell(column) for column in schema.columns},
        "required": schema.names,
        "additionalProperties": False,
    }


def _cell(column: Column) -> dict[str, Any]:
    kind = JSON_TYPES.get(column.kind, "string")
    told: dict[str, Any] = {"type": [kind, "null"] if column.nullable else kind}
    if column.kind == "date":
        told["format"] = "date-time"
    if column.kind == "word" and column.categories is not None:
        told |= _words(column, [None] if column.nullable else [])
    if column.low is not None and column.kind != "boolean":
        told["description"] = f"seen from {column.low} to {column.high}"
    if column.example is not None:
        told["example"] = column.example
    return told


def _words(column: Column, none: list[None]) -> dict[str, Any]:
    words = [word for word in column.categories or () if word is not None]
    told: dict[str, Any] = {}
    if not all(isinstance(word, str) for word in words):
        told["type"] = ["string", "number", *("null" for _ in none)]
    if not column.unseen:
        told["enum"] = words + none
    return told


def example_row(schema: Schema) -> Any:
    """A row that the model takes, as JSON has it.

    Parameters
    ----------
    schema : Schema

    Examples
    --------
    >>> example_row(Schema("table", True, [Column("size", "number", example=80.0)], []))
    {'size': 80.0}
    """
    if schema.form == "text":
        return "some words"
    if schema.form == "array":
        cells: Any = [c.example if c.example is not None else 0.0 for c in schema.columns]
        for size in reversed((schema.shape or [])[1:]):
            cells = [cells[i : i + size] for i in range(0, len(cells), size)]
        return cells
    return {c.name: c.example if c.example is not None else _blank(c) for c in schema.columns}


def _blank(column: Column) -> Any:
    blanks = {"word": "", "boolean": False, "date": "2026-01-01T00:00:00"}
    return blanks.get(column.kind, 0)


def openapi(service: Service, limits: Limits, token: bool) -> dict[str, Any]:
    """The description of the whole server.

    Parameters
    ----------
    service : Service
    limits : Limits
    token : bool
        Whether clients need one.
    """
    schema = service.model.schema
    rows = {
        "type": "array",
        "items": row_schema(schema),
        "minItems": 1,
        "maxItems": limits.rows,
    }
    body = {
        "type": "object",
        "properties": {"rows": rows},
        "required": ["rows"],
        "additionalProperties": False,
        "example": {"rows": [example_row(schema)]},
    }
    answer = {
        "type": "object",
        "properties": {"predictions": {"type": "array"}, "model": {"type": "string"}},
        "required": ["predictions", "model"],
    }
    paths: dict[str, Any] = {
        path: {"post": _operation(said, body, answer)}
        for path, said in (
            ("/predict", "Rows → predictions"),
            ("/score", "The same, for Azure ML"),
            ("/invocations", "The same, for SageMaker"),
        )
    }
    paths["/v2/models/{name}/infer"] = {
        "post": _operation("The Open Inference Protocol, version 2", _tensors(schema), TENSORS)
        | {"parameters": [_name_of(service)]}
    }
    responses = paths["/v2/models/{name}/infer"]["post"]["responses"]
    responses["404"] = responses["422"] | {"description": "No model of this name."}
    for path, said in {
        "/livez": "The process answers",
        "/readyz": "It takes requests",
        "/schema": "Columns and outputs",
        "/metrics": "Prometheus' text",
    }.items():
        paths[path] = {"get": {"summary": said, "responses": _responses({}, path == "/metrics")}}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": service.name, "version": service.model.digest},
        "paths": paths,
    }
    if token:
        found["components"] = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        found["security"] = [{"token": []}]
    return found


def _tensors(schema: Schema) -> dict[str, Any]:
    """A request of the Open Inference Protocol; that shape and data must fit, no schema can say."""
    if schema.form == "table":
        names = schema.names
    else:
        names = ["text" if schema.form == "text" else "X"]
    tensor = {
        "type": "object",
        "properties": {
            "name": {"enum": names},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "datatype": {"enum": list(DATATYPES)},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    inputs = {"type": "array", "items": tensor, "minItems": len(names), "maxItems": len(names)}
    known = {"enum": [output.name for output in schema.outputs]}
    output = {"type": "object", "properties": {"name": known}, "required": ["name"]}
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": inputs,
            "outputs": {"type": "array", "items": output},
        },
        "required": ["inputs"],
    }


def _name_of(service: Service) -> dict[str, Any]:
    kind = {"type": "string", "enum": [service.name]}
    return {"name": "name", "in": "path", "required": True, "schema": kind}


def _operation(summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": body}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": _responses(answer, False),
    }


def _responses(answer: dict[str, Any], text: bool) -> dict[str, Any]:
    kind = "text/plain" if text else "application/json"
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    failed = {
        code: {"description": said, "content": {"application/json": {"schema": error}}}
        for code, said in ERRORS.items()
    }
    return {"200": {"description": "OK", "content": {kind: {"schema": answer}}}} | failed
