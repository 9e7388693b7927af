"""Which checks run when."""

__all__ = ["DEEP", "FIRST", "ROWS"]

from manumatic.doctor.case import Check
from manumatic.doctor.data import missing, unscaled, wrong_labels, wrong_types
from manumatic.doctor.model import (
    double_softmax,
    far_first_loss,
    mixed_rows,
    restless_predictions,
    stretched_target,
    tiny_batches,
)
from manumatic.doctor.trial import not_learned_by_heart, unfindable_class, wrong_device
from manumatic.doctor.weights import untrained_weights

# Before every fit: about a millisecond on the CPU for a small network. They hold their peace where
# a model cannot run on the rows at all. The learning rate is judged beside them, on all rows.
FIRST: tuple[Check, ...] = (
    missing,
    wrong_types,
    wrong_labels,
    unscaled,
    stretched_target,
    double_softmax,
    untrained_weights,
    mixed_rows,
    far_first_loss,
    restless_predictions,
    tiny_batches,
)
# Before a fit with a step of the user's own: what forward returns and the loss compares, it knows.
ROWS: tuple[Check, ...] = (missing, unscaled)
# When diagnose is asked: they copy the model, and train and move the copy.
DEEP: tuple[Check, ...] = (not_learned_by_heart, wrong_device, unfindable_class)
