"""The form of a model: one field a column, for people."""

__all__ = ["render_docs", "render_page"]

import json
import shlex
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from manumatic.deliver.schema import Column, Schema
from manumatic.show.pages import environment

MOST_FIELDS = 400
INPUTS = {"number": "number", "integer": "number", "duration": "number", "date": "datetime-local"}
TOLD = {
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "word": "a word",
    "date": "a date, UTC",
    "duration": "seconds",
}


def render_page(name: str, version: str, schema: Schema) -> str:
    """The page as HTML; everything it needs is in it.

    Parameters
    ----------
    name : str
        Of the model.
    version : str
    schema : Schema

    Examples
    --------
    >>> schema = Schema("table", True, [Column("size", "number", example=80.0)], [])
    >>> 'type="number"' in render_page("rents", "abc", schema)
    True
    """
    columns = [Column("text", "word")] if schema.form == "text" else schema.columns[:MOST_FIELDS]
    return (
        environment()
        .get_template("serve.html")
        .render(
            name=name,
            version=version,
            style=_style("serve.css"),
            form=schema.form,
            shape=list(schema.shape or []),
            names=[column.name for column in columns],
            fields=[_field(column) for column in columns],
        )
    )


def render_docs(name: str, described: dict[str, Any], schema: Schema) -> str:
    """The documentation as HTML: every field, every route, and requests that work.

    Parameters
    ----------
    name : str
        Of the model.
    described : dict
        OpenAPI's description.
    schema : Schema
    """
    paths = described["paths"]
    return (
        environment()
        .get_template("serve_docs.html")
        .render(
            name=name,
            version=described["info"]["version"],
            style=_style("serve.css"),
            fields=[_field(column) for column in schema.columns[:MOST_FIELDS]],
            routes=[
                (method.upper(), path, operation["summary"])
                for path, methods in paths.items()
                for method, operation in methods.items()
            ],
            errors=list(paths["/predict"]["post"]["responses"].items())[1:],
            body=shlex.quote(json.dumps(_example(paths), ensure_ascii=False)),
        )
    )


def _example(paths: dict[str, Any]) -> Any:
    """A request that works."""
    body = paths["/predict"]["post"]["requestBody"]["content"]["application/json"]
    return body["schema"]["example"]


def _style(sheet: str) -> Markup:
    folder = files("manumatic.show") / "templates"
    names = ("palette.css", "page.css", sheet)
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def _field(column: Column) -> dict[str, Any]:
    told = TOLD[column.kind]
    if column.low is not None and column.kind in ("number", "integer", "duration"):
        told += f", seen {column.low:g} to {column.high:g}"
    if column.nullable:
        told += ", or nothing"
    example = "" if column.example is None else column.example
    if isinstance(example, bool):
        example = str(example).lower()
    return {
        "name": column.name,
        "kind": column.kind,
        "input": INPUTS.get(column.kind, "text"),
        "told": told,
        "words": [str(word) for word in (column.categories or ())[:200] if word is not None],
        "nullable": column.nullable,
        "example": example,
    }
