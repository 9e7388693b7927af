"""The five numbers of the tutorial."""

__all__ = ["load_study_hours"]

from typing import Any

import pandas as pd

from manumatic.datasets.bunches import bunch


def load_study_hours(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Hours of study and the score in the exam: five rows on the line 45 + 7 · hours.

    Parameters
    ----------
    return_X_y : bool
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool
        Return pandas objects in place of arrays.

    Returns
    -------
    Bunch
        ``data`` (5, 1), ``target`` (5,), ``frame``, ``feature_names``, ``target_names``, ``DESCR``.

    Examples
    --------
    >>> X, y = load_study_hours(return_X_y=True)
    >>> X.ravel(), y
    (array([1., 2., 3., 4., 5.]), array([52., 59., 66., 73., 80.]))
    """
    hours = pd.Series([1.0, 2.0, 3.0, 4.0, 5.0])
    frame = pd.DataFrame({"hours": hours, "score": 45 + 7 * hours})
    text = "Hours of study and the score in the exam; score = 45 + 7 · hours, exactly."
    return bunch(frame, text, return_X_y=return_X_y, as_frame=as_frame)
