"""Predict with a bundle: rows of a file in, a CSV of answers out."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import sys
from typing import Any

from manumatic.cli.table import READS, check_free, read_table
from manumatic.errors import DataError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="a bundle, as `manumatic fit` and mm.save write it")
    parser.add_argument("data", help=READS)
    parser.add_argument("-o", "--out", metavar="FILE.csv", help="default: standard output")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of a CSV")
    parser.add_argument("--force", action="store_true", help="overwrite the file")


def run(arguments: argparse.Namespace) -> int:
    """Answer each row, in the order of the file; columns that the model does not know are left."""
    check_free(arguments.out, arguments.force)
    rows, _, notes = read_table(arguments.data, lazy=True)
    if hasattr(rows, "paths"):
        return _write(arguments, _of_pictures(arguments.model, rows))
    schema, answers = _asked(arguments.model, rows)
    if not arguments.quiet and notes:
        print(*notes, sep="\n", file=sys.stderr)
    return _write(arguments, _columns(schema, answers))


def _asked(model: str, rows: Any) -> tuple[Any, dict[str, Any]]:
    """The schema of a bundle, and its answers by name: of its graph, else of the estimator."""
    from manumatic.deliver.bundle import read_bundle
    from manumatic.deliver.runtime import GRAPH, Runtime
    from manumatic.deliver.schema import Schema

    bundle = read_bundle(model)
    schema = Schema.from_json(bundle.json("schema.json"))
    if hasattr(rows, "columns") and schema.named:
        rows = rows[[name for name in rows.columns if name in schema.names]]
    if GRAPH in bundle:
        return schema, Runtime(model).answers(rows)
    from manumatic.deliver.ask import answers_of
    from manumatic.deliver.load import load

    # no graph takes texts and images, and starting torch takes seconds
    return schema, answers_of(load(model), schema.methods, rows)


def _of_pictures(model: str, images: Any) -> dict[str, Any]:
    """Which file is what; the whole estimator says so, for a graph reads no files."""
    from manumatic.deliver.bundle import read_bundle
    from manumatic.deliver.load import load
    from manumatic.gears.net import Net
    from manumatic.parts.images import as_fitted

    shape = read_bundle(model).json("schema.json").get("shape") or ()
    if len(shape) not in (2, 3):
        raise DataError(f"{model} was fitted on rows of the shape {shape}, and these are images")
    rows, estimator = images.like(shape), load(model)
    if not isinstance(estimator, Net):  # scikit-learn's read no folders
        rows = as_fitted(rows[:], shape)
    return {"file": images.paths, "prediction": estimator.predict(rows).tolist()}


def _write(arguments: argparse.Namespace, answers: dict[str, Any]) -> int:
    """As a CSV or as JSON, to a file or to standard output."""
    if arguments.json:
        text = json.dumps({name: list(values) for name, values in answers.items()}) + "\n"
    else:
        import pandas as pd

        text = pd.DataFrame(answers).to_csv(index=False)
    if arguments.out is None:
        sys.stdout.write(text)
        return 0
    from manumatic.files import write_whole

    print(write_whole(arguments.out, text))
    return 0


def _columns(schema: Any, answers: dict[str, Any]) -> dict[str, Any]:
    """Answers as flat columns: ``label``, ``probability_yes`` …"""
    found: dict[str, Any] = {}
    label = next((one for one in schema.outputs if one.method == "predict"), None)
    for output in schema.outputs:
        values = answers[output.name]
        if values.ndim == 1 or values.shape[1] == 1:
            found[output.name] = values.reshape(-1).tolist()
            continue
        classes = label.classes if label is not None else None
        fits = classes is not None and len(classes) == values.shape[1]
        names: Any = classes if fits else range(values.shape[1])
        for name, column in zip(names, values.T, strict=True):
            found[f"{output.name}_{name}"] = column.tolist()
    return found
