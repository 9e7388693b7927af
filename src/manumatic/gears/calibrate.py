"""Probabilities of a finished training, calibrated on the rows that it held out."""

__all__ = ["calibrated"]

from dataclasses import replace
from typing import Any

from manumatic.errors import ComponentError
from manumatic.gears.watching import judged_outputs
from manumatic.parts.calibration import helps, inverse_temperature
from manumatic.parts.data import Batches, are_unseen
from manumatic.parts.link import Link
from manumatic.parts.loss import as_loss

FEWEST = 50  # rows from which a temperature means something


def calibrated(training: Any) -> Link:
    """The link of a training, with the temperature that its validation rows ask for.

    Raises
    ------
    ComponentError
        ``mm.Loss(calibrate=True)`` for a training that has nothing to calibrate on.
    """
    link, facts = training.link, training.facts
    loss = as_loss(facts.loss)
    wanted, lacking = loss.calibrate, _lacking(training)
    if wanted is True and lacking:
        raise ComponentError(f"mm.Loss(calibrate=True) {lacking}")
    automatic = wanted == "auto" and loss.name == "auto"
    if lacking or not (wanted is True or (automatic and len(training.valid.X) >= FEWEST)):
        return link
    raw, target = judged_outputs(training.model, training.valid)
    if automatic and not helps(raw, target):
        return link
    factor = inverse_temperature(raw, target)
    unseen = are_unseen(training.valid)
    judges = "rows, as members that left them out tell," if unseen else "validation rows"
    facts.logbook.note(
        "loss",
        f"scores times {factor:.2f} before they become probabilities",
        f"the log-loss of {len(raw)} {judges} is least there",
    )
    return replace(link, sharpness=factor)


def _lacking(training: Any) -> str:
    """What stands in the way of a calibration, in words; empty where nothing does."""
    if training.link.kind not in ("softmax", "sigmoid_pair"):
        return f"needs the probabilities of classes; the outputs are read as {training.link.kind!r}"
    if not isinstance(training.valid, Batches) or not training.loop.uses_validation:
        return "needs validation rows: give mm.Loop(patience=...) or mm.Loop(keep='best')"
    if training.facts.weighted:
        return "does not go with weighted rows, whose probabilities are not those of the data"
    return ""
