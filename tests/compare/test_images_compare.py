"""Contests on images: who takes part, how pixels are scaled, what the verdict says."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import manumatic as mm
from manumatic.compare.candidates import line_up
from manumatic.compare.columns import Brightness, flatten
from manumatic.compare.problem import open_problem

RNG = np.random.default_rng(0)


def crosses(n=60, channels=None):
    """A bar on noise, light or dark, upright or flat. No single pixel tells which."""
    X = RNG.normal(0, 0.3, size=(n, 9, 9) if channels is None else (n, channels, 9, 9))
    y = np.arange(n) % 2
    for image, upright, by in zip(X, y, RNG.choice([-2, 2], size=n), strict=True):
        row, column = RNG.integers(0, 5, size=2)
        if upright:
            image[..., row : row + 5, column] += by
        else:
            image[..., row, column : column + 5] += by
    return X, np.array(["flat", "upright"])[y]


def names(side, **given):
    X = np.zeros((6, side, side)) + np.arange(6)[:, None, None]
    found, notes = line_up(open_problem(X, list("ababab")), **given)
    return [candidate.name for candidate in found], notes


def test_networks_meet_forests_kernels_and_lines_but_no_boosted_trees():
    found, notes = names(9)
    assert {"LogisticRegression", "SVC", "RandomForest", "KNeighbors", "cnn-net"} <= set(found)
    assert not [name for name in found if "Boosting" in name or "XGB" in name or "LGBM" in name]
    assert "boosted trees" in notes[0]
    assert "HistGradientBoosting" in names(9, models=["HistGradientBoosting"])[0]


def test_large_images_meet_a_net_that_halves_them_first():
    assert "resnet-net" in names(80)[0]
    assert "cnn-net" not in names(80)[0]


def test_pixels_are_scaled_all_alike():
    X = RNG.normal(3, [1.0, 5.0, 0.1], size=(50, 3))
    flat = StandardScaler().fit(X.reshape(-1, 1))
    expected = flat.transform(X.reshape(-1, 1)).reshape(50, 3)
    np.testing.assert_allclose(Brightness().fit(X).transform(X), expected)
    assert not Brightness().fit_transform(np.full((4, 2), 7.0)).any()


def test_the_kernel_is_that_of_scikit_learn_on_flat_pixels():
    X, y = crosses()
    candidates, _ = line_up(open_problem(X, y), ["SVC"])
    ours = candidates[-1].build().fit(X, y == "flat").decision_function(X)
    plain = make_pipeline(FunctionTransformer(flatten), SVC()).fit(X, y == "flat")
    np.testing.assert_allclose(ours, plain.decision_function(X), atol=1e-6)  # no scale changes it


@pytest.mark.parametrize("channels", [None, 3])
def test_the_verdict_is_in_the_words_for_images(channels):
    X, y = crosses(channels=channels)
    net = mm.Classifier(mm.Model("cnn", width=8), loop=mm.Loop(40), random_state=0)
    result = mm.compare(X, y, models=["LogisticRegression"], nets={"small": net}, folds=3)
    scores = {row.name: row.mean for row in result.rows}
    assert scores["small"] > 0.9 > 0.7 > scores["LogisticRegression"]
    assert (result.verdict.gear, result.verdict.model) == ("PyTorch", "small")
    assert result.verdict.rule == "images"
    assert "Neighbouring pixels belong together" in str(result.verdict)
