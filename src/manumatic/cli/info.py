"""Print what a bundle takes and answers; without one, the versions that a bug report needs."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("manumatic", "torch", "scikit-learn", "numpy", "pandas")
OPTIONAL = ("lightgbm", "xgboost", "catboost", "pyarrow", "onnx", "onnxruntime", "optuna")
MOST = 30  # columns that are printed
WORDS = 6  # values of a column that are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("model", nargs="?", help="a bundle; left out: this installation")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print the facts about a bundle, or about this installation."""
    facts = _facts() if arguments.model is None else _of_bundle(arguments.model)
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    told = facts if arguments.model is None else _told(facts)
    wide = max(map(len, told))
    print("\n".join(f"{name:<{wide}}  {value}".rstrip() for name, value in told.items()))
    return 0


def _of_bundle(path: str) -> dict[str, Any]:
    """What stands in the file; nothing is loaded."""
    from manumatic.deliver.bundle import read_bundle

    bundle = read_bundle(path)
    schema = bundle.json("schema.json")
    return {"path": path, "digest": bundle.digest, "about": bundle.manifest["about"], **schema}


def _told(facts: dict[str, Any]) -> dict[str, str]:
    """Those facts in lines."""
    about, shape = facts["about"], facts["shape"]
    versions = [f"{name} {about['versions'].get(name, '-')}" for name in PACKAGES[:3]]
    tiers = {1: "1 predicts and serves", 2: "2 loads again", 3: "3 loads again by running code"}
    told = {
        "bundle": f"{facts['path']} ({facts['digest'][:12]})",
        "model": about["estimator"],
        "saved": f"{about['saved'][:16].replace('T', ' ')} UTC with {', '.join(versions)}",
        "tiers": ", ".join(tiers[tier] for tier in about["tiers"]),
        "notes": "; ".join(about["notes"]),
        "answers": "; ".join(map(_answer, facts["outputs"])),
        "takes": f"{facts['form']}{f' of shape {tuple(shape)}' if shape else ''}",
    }
    columns = facts["columns"] if facts["named"] else []
    told |= {f"  {column['name']}": _column(column) for column in columns[:MOST]}
    more = {"  ...": f"{len(columns) - MOST} more"} if len(columns) > MOST else {}
    return {name: value for name, value in told.items() if value} | more


def _answer(output: dict[str, Any]) -> str:
    classes = [str(label) for label in output["classes"] or []]
    return f"{output['name']}{': ' if classes else ''}{_first(classes)}"


def _column(column: dict[str, Any]) -> str:
    """Its kind and the values seen."""
    seen = _first([str(word) for word in column["categories"] or [] if word is not None])
    if not seen and column["low"] is not None:
        seen = f"{column['low']} to {column['high']}".replace("T00:00:00", "")
    told = f"{column['kind']}{': ' if seen else ''}{seen}"
    return f"{told}; may be missing" if column["nullable"] else told


def _first(words: list[str]) -> str:
    return ", ".join([*words[:WORDS], *["..."] * (len(words) > WORDS)])


def _facts() -> dict[str, Any]:
    import torch

    facts: dict[str, Any] = {name: version(name) for name in PACKAGES}
    for name in OPTIONAL:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    return facts | {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": "cpu" if accelerator is None else str(accelerator),
        "threads": torch.get_num_threads(),
    }
