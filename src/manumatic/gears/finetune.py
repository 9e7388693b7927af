"""What automatic decides for a trained network that goes on learning; when its layers thaw."""

__all__ = ["fine_tuning", "has_learned", "is_trained", "thawing"]

from typing import Any

from torch import nn

from manumatic.convert.module import Converted
from manumatic.errors import ComponentError
from manumatic.logbook import Logbook
from manumatic.nets.finetune import FineTuned, Thaw, matches
from manumatic.parts.components import Model, Optimizer
from manumatic.parts.finetune import FineTune
from manumatic.parts.several import Together

FRESH = 2e-3  # learning rate of weights that were never trained
TRAINED = 5e-4  # of those that were: they are near a good place
ATTENTIVE = 5e-5  # of a trained transformer: Devlin et al. 2018, arXiv:1810.04805, appendix A.3


def has_learned(model: Any) -> bool:
    """Whether the user's ``model=`` goes on learning and needs few steps for it."""
    return isinstance(model, FineTune) and not isinstance(model.net, Converted)


def is_trained(spec: Model) -> bool:
    """Whether a model starts from weights that have been trained."""
    return isinstance(spec.net, nn.Module) or spec.net is FineTuned


def fine_tuning(model: FineTuned, logbook: Logbook, lr: float | None = None) -> Optimizer:
    """AdamW with a cosine schedule: a small rate for what was trained, a larger for what is fresh.

    Parameters
    ----------
    model : FineTuned
    logbook : Logbook
    lr : float or None
        Of the trained weights, where the user has set it.
    """
    usual = ATTENTIVE if _attends(model) else TRAINED
    slow, fast = (usual, FRESH) if lr is None else (lr, lr * FRESH / usual)
    names = [name for name, _ in model.named_parameters()]
    fresh = [pattern for pattern in model.fresh if any(matches(name, [pattern]) for name in names)]
    tuned = bool(model.plan) or any(
        weight.requires_grad and not matches(name, fresh)
        for name, weight in model.named_parameters()
    )
    if not fresh or not tuned:
        rate, why = (slow, "it was trained before") if not fresh else (fast, "only these learn")
        what = "all" if not fresh else "the fresh weights"
        logbook.note("optimizer", f"AdamW, lr {rate:g} for {what}, falling along a cosine", why)
        return Optimizer("adamw", lr=rate, schedule="cosine", weight_decay=0.01)
    told = f"AdamW, lr {slow:g} for the trained layers, {fast:g} for the fresh ones, along a cosine"
    logbook.note("optimizer", told, "what is trained must not be thrown away by the first steps")
    groups = [(pattern, {"lr": fast}) for pattern in fresh]
    return Optimizer("adamw", lr=slow, schedule="cosine", groups=groups, weight_decay=0.01)


def _attends(model: FineTuned) -> bool:
    """Whether it is a transformer, whose trained weights bear small steps only."""
    return any("attention" in type(module).__name__.lower() for module in model.modules())


def thawing(training: Any, steps: int, schedule: Any) -> Any:
    """The schedule of a training, inside one that thaws layers where the model has a plan for it.

    Raises
    ------
    ComponentError
        Several processes or several optimizers: a layer would thaw in one of them only.
    """
    model = training.model
    if not getattr(model, "plan", None) or not isinstance(model, FineTuned):
        return schedule
    if not training.facts.processes.alone:
        raise ComponentError(
            f"thaw={model.plan!r} does not go with {training.facts.processes.world} processes, "
            "which agree on what learns before the first step; train in one, or set thaw=None"
        )
    if isinstance(schedule, Together):
        raise ComponentError(
            f"thaw={model.plan!r} does not go with schedules of several optimizers; give one, "
            "mm.Optimizer(..., groups=[(pattern, settings)])"
        )
    return Thaw(model, steps, training.state.next_epoch, schedule)
