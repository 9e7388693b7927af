"""scikit-learn's functions that fit an estimator many times, with its nets trained as one."""

__all__ = [
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "validation_curve",
]

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn import model_selection

from manumatic.model_selection.backend import as_one, holds_net

Function = TypeVar("Function", bound=Callable[..., Any])


def _together(function: Function) -> Function:
    """The function; the nets of all its fits are trained as one."""

    @functools.wraps(function)
    def run(estimator: Any, *args: Any, **options: Any) -> Any:
        if not holds_net([estimator, options.get("param_range")]):
            return function(estimator, *args, **options)
        with as_one(options.get("n_jobs")):
            return function(estimator, *args, **options)

    run.__module__ = __name__
    run.__doc__ = f"scikit-learn's; nets of ours are trained as one.\n\n    {function.__doc__}"
    return cast(Function, run)


cross_validate = _together(model_selection.cross_validate)
cross_val_score = _together(model_selection.cross_val_score)
cross_val_predict = _together(model_selection.cross_val_predict)
learning_curve = _together(model_selection.learning_curve)
validation_curve = _together(model_selection.validation_curve)
