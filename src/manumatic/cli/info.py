"""Print versions, device and threads: what a bug report needs."""

__all__ = ["add_arguments", "run"]

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("manumatic", "torch", "scikit-learn", "numpy", "pandas")
OPTIONAL = ("lightgbm", "xgboost", "catboost", "pyarrow", "onnx", "onnxruntime", "optuna")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(arguments: argparse.Namespace) -> int:
    """Print the facts about this installation."""
    facts = _facts()
    if arguments.json:
        print(json.dumps(facts, indent=2))
    else:
        wide = max(map(len, facts))
        print("\n".join(f"{name:<{wide}}  {value}" for name, value in facts.items()))
    return 0


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
