"""A table in the form in which scikit-learn's loaders return theirs."""

__all__ = ["bunch"]

from typing import Any

import pandas as pd
from sklearn.utils import Bunch


def bunch(
    frame: pd.DataFrame, description: str, *, return_X_y: bool, as_frame: bool
) -> Bunch | tuple[Any, Any]:
    """Split off the last column, the target.

    Parameters
    ----------
    frame : DataFrame (n, d + 1)
    description : str
    return_X_y : bool
    as_frame : bool
        pandas objects in place of arrays.

    Returns
    -------
    Bunch or (data, target)
        ``target_names`` holds the labels, or the name of a target of numbers.
    """
    X, y = frame.iloc[:, :-1], frame.iloc[:, -1]
    numeric = pd.api.types.is_numeric_dtype(y)
    found = Bunch(
        data=X if as_frame else X.to_numpy(),
        target=y if as_frame else y.to_numpy(),
        frame=frame if as_frame else None,
        feature_names=list(X.columns),
        target_names=[y.name] if numeric else sorted(y.unique()),
        DESCR=description,
    )
    return (found.data, found.target) if return_X_y else found
