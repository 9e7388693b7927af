"""Tables to try things on: generated here from a fixed seed, nothing is downloaded.

==================== ============ ============== ===============================================
loader               rows×columns target         what it is for
==================== ============ ============== ===============================================
load_study_hours     5×1          exam score     every number of the tutorial, checkable by hand
load_houses          506×13       price          numbers only, shaped like the old Boston table
load_flats           2,000×15     price          one column of each kind, with missing values
load_churn           3,000×13     yes or no      labels, one customer in five leaves
load_adverts         1,500×5      price          numbers, a label, a text and a photo in one row
==================== ============ ============== ===============================================
"""

__all__ = ["load_adverts", "load_churn", "load_flats", "load_houses", "load_study_hours"]

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manumatic.datasets.adverts import load_adverts as load_adverts
    from manumatic.datasets.churn import load_churn as load_churn
    from manumatic.datasets.flats import load_flats as load_flats
    from manumatic.datasets.houses import load_houses as load_houses
    from manumatic.datasets.study_hours import load_study_hours as load_study_hours


def __getattr__(name: str) -> Any:
    """Look names up on first use, so that importing the package loads neither NumPy nor pandas."""
    if name not in __all__:
        raise AttributeError(f"module 'manumatic.datasets' has no attribute {name!r}")
    return getattr(import_module(f"manumatic.datasets.{name.removeprefix('load_')}"), name)


def __dir__() -> list[str]:
    return __all__
