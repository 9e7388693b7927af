"""A plugin of pytest: scikit-learn's own tests find our classes under scikit-learn's names.

Their estimators are scikit-learn's, which we would hand on untouched; here they are treated as
nets of ours are, so that every one of those tests goes through our way of running fits.
"""

import sklearn.model_selection
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import manumatic.model_selection as ours
from manumatic.model_selection import search, validation

search.holds_net = validation.holds_net = lambda value: True
for name in ours.__all__:
    setattr(sklearn.model_selection, name, getattr(ours, name))
