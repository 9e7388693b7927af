"""What OpenAPI promises holds: schemathesis asks whatever the description allows, and what not."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import DEAR, FLATS, pipeline, serving
from sklearn.linear_model import Ridge

import manumatic as mm
from manumatic.deliver.schema import Column, Output, Schema
from manumatic.deliver.serve.describe import row_schema
from manumatic.deliver.serve.gate import Limits

# That shape and data of a tensor must fit, and that each column is there once, no JSON Schema says.
CONFIG = """
[[operations]]
include-path = "/v2/models/{name}/infer"
checks.positive_data_acceptance.enabled = false
"""


def flats() -> tuple[Any, Any]:
    """Nulls and unseen words are taken."""
    return pipeline(), FLATS


def strict() -> tuple[Any, Any]:
    """No unseen words."""
    model = pipeline()
    model.set_params(columntransformer__onehotencoder__handle_unknown="error")
    full = FLATS.dropna()
    return model.fit(full, DEAR[full.index]), full


def numbers() -> tuple[Any, Any]:
    """Rows are lists."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    return Ridge().fit(X, X[:, 0]), X


@pytest.mark.slow
@pytest.mark.parametrize("make", [flats, strict, numbers])
def test_schemathesis_finds_nothing(make: Any, tmp_path: Path) -> None:
    model, X = make()
    mm.save(model, tmp_path / "model.mm", X)
    (tmp_path / "config.toml").write_text(CONFIG)
    with serving(tmp_path / "model.mm", Limits(rows=20)) as (port, _):
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "config.toml", "run"]
        command += [f"http://127.0.0.1:{port}/openapi.json", "--max-examples", "15", "--no-color"]
        command += ["--phases", "examples,coverage,fuzzing", "--generation-deterministic"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) generated", done.stdout)[1]) > 100


def test_cells() -> None:
    columns = [
        Column("a", "integer", nullable=True, low=1, high=5, example=2),
        Column("b", "word", categories=["x", None], unseen=False, nullable=True),
        Column("c", "word", categories=["x", 1], example="x"),
        Column("d", "date"),
        Column("e", "word", categories=["x", 1], unseen=False),
    ]
    row = row_schema(Schema("table", True, columns, [Output("label", "predict", "object", [])]))
    assert row["required"] == ["a", "b", "c", "d", "e"]
    assert row["additionalProperties"] is False
    a, b, c, d, e = row["properties"].values()
    assert a == {"type": ["integer", "null"], "description": "seen from 1 to 5", "example": 2}
    assert b["enum"] == ["x", None]
    assert c["type"] == ["string", "number"]
    assert d == {"type": "string", "format": "date-time"}
    assert e == {"type": ["string", "number"], "enum": ["x", 1]}


def test_rows_of_other_forms() -> None:
    assert row_schema(Schema("text", False, [], [])) == {"type": "string"}
    block = row_schema(Schema("array", False, [], [], [2, 3]))
    assert (block["minItems"], block["maxItems"]) == (2, 2)
    assert block["items"]["items"] == {"type": "number"}
