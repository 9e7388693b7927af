"""Small nets and small tables that the tests of model selection share."""

import numpy as np
from sklearn.datasets import load_iris, make_regression

import manumatic as mm

X, Y = (rows[::2] for rows in load_iris(return_X_y=True))
XR, YR = make_regression(60, 4, noise=5.0, random_state=0)


def classifier(**given) -> mm.Classifier:
    """Eight hidden units, three epochs, batches of 16."""
    parts = {
        "model": mm.Model("mlp", hidden=8),
        "data": mm.Data(batch_size=16, validation=None),
        "optimizer": mm.Optimizer("adam", lr=1e-2),
        "loop": mm.Loop(epochs=3),
        "random_state": 0,
    }
    return mm.Classifier(**parts | given)


def regressor(**given) -> mm.Regressor:
    """The same for a number."""
    return mm.Regressor(**classifier().get_params(deep=False) | given)


def assert_same_table(ours, theirs) -> None:
    """Two cv_results_ or results of cross_validate: all columns equal but the times."""
    assert list(ours) == list(theirs)
    for name in theirs:
        if not name.endswith("_time"):
            if np.asarray(theirs[name]).dtype.kind == "f" and "time" not in name:
                np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_equal(ours[name], theirs[name])
