"""Models that were trained on a million other tables and learn a new one in context.

Fit keeps the rows, predict is one forward pass over them and the rows asked about. The package's
own estimator does both, its preprocessing and its ensemble included: that is what was measured.
"""

__all__ = ["FOUNDATIONS", "Foundation", "InContext", "keep_rows", "named", "refuse_steps"]

import contextlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manumatic.errors import ComponentError, MissingExtra
from manumatic.parts.components import Model
from manumatic.parts.device import choose_device

# what the packages raise in fit
REFUSALS = (AssertionError, LookupError, OSError, RuntimeError, TypeError, ValueError)
TABICL_HOME = "jingang/TabICL"


class InContext(nn.Module):
    """A pretrained model with the rows that it goes by.

    Copies, pickles and bundles hold the rows and the name: the package fits them again, with the
    weights that lie on that machine.

    Parameters
    ----------
    name : str
        Of the foundation model.
    arguments : dict
        Of the package's estimator.
    rows : ndarray (n, features) of float32
    targets : ndarray (n,)
        Class numbers or floats.
    classification : bool
    """

    def __init__(
        self,
        name: str,
        arguments: dict[str, Any],
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        classification: bool,
    ) -> None:
        super().__init__()
        self.name = name
        self.arguments = arguments
        self.rows = rows
        self.targets = targets
        self.classification = classification
        self._learn()

    def forward(self, X: Tensor) -> Tensor:
        """Probabilities (n, classes) or predictions (n, 1) for rows (n, features); no gradients."""
        rows = X.detach().cpu().numpy()
        if self.classification:
            return torch.from_numpy(np.asarray(self.learner.predict_proba(rows)))
        return torch.from_numpy(np.asarray(self.learner.predict(rows))).reshape(-1, 1)

    def _learn(self) -> None:
        # stdout is for results; building the network draws from torch's generator
        with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng([]):
            learner = _made(self.name, self.arguments, self.classification)
            self.learner = _fit(self.name, learner, self.rows, self.targets)
        found = vars(self.learner).get("models_") or [self.learner.model_]
        self.pretrained = nn.ModuleList(found).requires_grad_(False)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "arguments", "rows", "targets", "classification")
        return {key: getattr(self, key) for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        vars(self).update(state)
        here = {"device": str(choose_device("auto"))} | FOUNDATIONS[self.name].given
        # a file from elsewhere makes no download, and writes nothing
        asked = {key: value for key, value in self.arguments.items() if key != "disk_offload_dir"}
        self.arguments = asked | here
        self._learn()


@dataclass(frozen=True)
class Foundation:
    """A package that brings such a model.

    Attributes
    ----------
    package : str
        What is imported, and the name of its extra.
    prefix : str
        Of its two estimators: ``TabICLClassifier``, ``TabICLRegressor``.
    paper : str
    needs : callable
        Estimator, unfitted → where its weights should be and how to get them, in one sentence;
        empty where they are there.
    given : dict
        Arguments of its estimators that we set unless the user does.
    labels : str
        The argument that takes the places of columns that are labels; empty where there is none.
    """

    package: str
    prefix: str
    paper: str
    needs: Callable[[Any], str]
    given: dict[str, Any]
    labels: str = ""


def named(model: Any) -> str:
    """The name of the foundation model that ``model=`` asks for; empty for any other model."""
    net = model.net if isinstance(model, Model) else model
    return net if isinstance(net, str) and net in FOUNDATIONS else ""


def refuse_steps(model: Any, error: type[Exception] = ComponentError) -> None:
    """Raise for a model that has no training to step through.

    Parameters
    ----------
    model : Any
        As an estimator takes it.
    error : type
        What to raise.
    """
    if name := named(model):
        raise error(
            f"{name!r} learns in context: nothing is trained, so there is no loop to step through, "
            f"to go on with or to write down; mm.Classifier({name!r}) and mm.Regressor({name!r}) "
            "fit and predict"
        )


def keep_rows(
    model: Any,
    X: np.ndarray,
    y: np.ndarray,
    *,
    classification: bool,
    labels: list[int],
    device: torch.device,
    seed: int,
) -> InContext:
    """The foundation model that ``model=`` asks for, with these rows as its context.

    Parameters
    ----------
    model : str or Model
        The name of a foundation model; arguments of the package's estimator go in ``mm.Model``.
    X : ndarray (n, features) of float32
    y : ndarray (n,)
        Class numbers or floats.
    classification : bool
    labels : list of int
        Columns of X that are codes of labels.
    device : torch.device
    seed : int

    Raises
    ------
    MissingExtra
        The package is not there.
    ComponentError
        Its weights are not there, or it refuses the arguments or the rows.
    """
    name = named(model)
    foundation = FOUNDATIONS[name]
    given = {"device": str(device), "random_state": seed, **foundation.given}
    if foundation.labels and labels:
        given[foundation.labels] = labels
    arguments = given | (model.arguments if isinstance(model, Model) else {})
    return InContext(name, arguments, X, y, classification=classification)


def _made(name: str, arguments: dict[str, Any], classification: bool) -> Any:
    """The package's estimator, unfitted, once its weights are there."""
    foundation = FOUNDATIONS[name]
    try:
        package: Any = import_module(foundation.package)
    except ImportError:
        raise MissingExtra(foundation.package, foundation.package) from None
    kind = foundation.prefix + ("Classifier" if classification else "Regressor")
    try:
        learner = getattr(package, kind)(**arguments)
    except TypeError as error:
        raise ComponentError(
            f"{name} cannot be built: {error}; mm.Model({name!r}, ...) takes the arguments of "
            f"{kind}"
        ) from None
    if missing := foundation.needs(learner):
        raise ComponentError(f"{name} has no weights: {missing}")
    return learner


def _fit(name: str, learner: Any, rows: np.ndarray, targets: np.ndarray) -> Any:
    try:
        return learner.fit(rows, targets)
    except pickle.UnpicklingError:
        raise ComponentError(
            f"{name} cannot read its weights: {learner.model_path} is damaged"
        ) from None
    except REFUSALS as error:
        raise ComponentError(f"{name} cannot be fitted: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    """The first paragraph of what it says, in one line."""
    said = " ".join(str(error).strip().split("\n\n")[0].split())
    return said or type(error).__name__


def _tabicl(learner: Any) -> str:
    from huggingface_hub import try_to_load_from_cache

    if learner.allow_auto_download:  # its user has asked for it
        return ""
    path, file = learner.model_path, learner.checkpoint_version
    if path is None and not isinstance(try_to_load_from_cache(TABICL_HOME, file), str):
        missing = f"{file} is not in Hugging Face's cache (HF_HUB_CACHE)"
    elif path is not None and not Path(path).is_file():
        missing = f"there is no file {str(path)!r}"
    else:
        return ""
    return (
        f"{missing}; run `hf download {TABICL_HOME} {file}`, or say where it is, "
        'mm.Model("tabicl", model_path="..."), or allow the download, '
        'mm.Model("tabicl", allow_auto_download=True)'
    )


def _tabpfn(learner: Any) -> str:
    from tabpfn.model_loading import resolve_model_path
    from tabpfn.settings import settings

    path = learner.model_path
    if not isinstance(path, str | Path | list):
        return ""
    which = "classifier" if hasattr(learner, "predict_proba") else "regressor"
    version = settings.tabpfn.model_version.value
    paths = resolve_model_path(None if path == "auto" else path, which, version)[0]
    missing = [str(found) for found in paths if not Path(found).is_file()]
    if not missing:
        return ""
    return (
        f"there is no file {missing[0]!r} (TABPFN_MODEL_CACHE_DIR moves the folder); the package "
        "fetches it once you have accepted its licence: "
        f'python -c "from tabpfn import {type(learner).__name__} as T; T().fit([[0], [1]], [0, 1'
        '])", or say where it is, mm.Model("tabpfn", model_path="...")'
    )


FOUNDATIONS = {
    "tabicl": Foundation(
        "tabicl", "TabICL", "arXiv 2602.11139", _tabicl, {"allow_auto_download": False}
    ),
    "tabpfn": Foundation(
        "tabpfn",
        "TabPFN",
        "doi:10.1038/s41586-024-08328-6",
        _tabpfn,
        {},
        "categorical_features_indices",
    ),
}
