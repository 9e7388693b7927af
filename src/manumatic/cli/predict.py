"""Predict with a bundle: rows of a file in, a CSV of answers out."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import sys
from typing import Any

from manumatic.cli.table import READS, read_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", help="a bundle, as `manumatic fit` and mm.save write it")
    parser.add_argument("data", help=READS)
    parser.add_argument("-o", "--out", metavar="FILE.csv", help="default: standard output")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of a CSV")


def run(arguments: argparse.Namespace) -> int:
    """Answer each row, in the order of the file; columns that the model does not know are left."""
    from manumatic.deliver.runtime import Runtime

    runtime = Runtime(arguments.model)
    rows, _, notes = read_table(arguments.data)
    if hasattr(rows, "columns") and runtime.schema.named:
        rows = rows[[name for name in rows.columns if name in runtime.schema.names]]
    answers = _columns(runtime, runtime.answers(rows))
    if not arguments.quiet and notes:
        print(*notes, sep="\n", file=sys.stderr)
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


def _columns(runtime: Any, answers: dict[str, Any]) -> dict[str, Any]:
    """Answers as flat columns: ``label``, ``probability_yes`` …"""
    found: dict[str, Any] = {}
    label = next((one for one in runtime.schema.outputs if one.method == "predict"), None)
    for output in runtime.schema.outputs:
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
