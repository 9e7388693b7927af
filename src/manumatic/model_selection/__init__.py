"""scikit-learn's model selection for our nets: many fits, trained as one.

Every name but ``windows`` is scikit-learn's, with its signature and its results; changing the
import is the whole change.
"""

__all__ = [
    "GridSearchCV",
    "HalvingGridSearchCV",
    "RandomizedSearchCV",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "validation_curve",
    "windows",
]

from manumatic.model_selection.search import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
)
from manumatic.model_selection.validation import (
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from manumatic.model_selection.windows import windows
