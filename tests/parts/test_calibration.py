"""Temperatures against scipy's minimiser, and scikit-learn's own calibration."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.base import clone
from sklearn.metrics import log_loss

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.parts.calibration import helps, inverse_temperature

RNG = np.random.default_rng(0)


def drawn(n, classes, sharp, seed=0):
    """Scores that are ``sharp`` times as sure as the labels that were drawn by them."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(n, classes, generator=generator)
    both = torch.cat([torch.zeros(n, 1), raw], dim=1) if classes == 1 else raw
    target = torch.multinomial(both.softmax(1), 1, generator=generator).squeeze(1)
    return sharp * raw, target


def best(raw, target):
    both = torch.cat([torch.zeros(len(raw), 1), raw], dim=1) if raw.shape[1] == 1 else raw

    def loss(log_factor):
        (n, classes), scores = both.shape, both.double() * np.exp(log_factor)
        seen = log_loss(target, scores.softmax(1).numpy(), labels=range(classes))
        return n * seen - classes * scores.log_softmax(1).mean().item()  # a row more of each class

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10})
    return np.exp(found.x)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.sampled_from([0.3, 1.0, 4.0]), st.integers(0, 100))
def test_the_least_log_loss(classes, sharp, seed):
    raw, target = drawn(400, classes, sharp, seed)
    found = inverse_temperature(raw, target)
    assert found == pytest.approx(best(raw, target), rel=1e-4)
    assert found * sharp == pytest.approx(1, abs=0.6)  # as sure as they may be


def test_no_mistake_among_few_rows_is_no_certainty():
    """40 rows that are right and 4 that are anything: the odds are 41 to 1."""
    found = inverse_temperature(torch.eye(4).repeat(10, 1), torch.arange(4).repeat(10))
    assert found == pytest.approx(np.log(41))


def test_targets_in_any_shape():
    raw, target = drawn(200, 1, 3.0)
    assert inverse_temperature(raw, target.float().unsqueeze(1)) == inverse_temperature(raw, target)


def test_where_it_helps():
    assert all(helps(*drawn(400, 3, 4.0, seed)) for seed in range(10))
    assert not all(helps(*drawn(400, 3, 1.0, seed)) for seed in range(10))


# --- in a fit ------------------------------------------------------------------------------------

X = RNG.normal(size=(1200, 5))
Y = (X[:, 0] + RNG.normal(size=1200) > 0).astype(int)
SHY = mm.Loss(label_smoothing=0.4)  # it learns to be less sure than it is
LAST = mm.Loop(epochs=30, keep="best")


def fitted(**changes):
    given = {"data": mm.Data(validation=400), "loss": SHY, "loop": LAST, "random_state": 0}
    return mm.Classifier("mlp", **(given | changes)).fit(X[:800], Y[:800])


def test_probabilities_of_other_rows_gain():
    calm, shy = fitted(), fitted(loss=clone(SHY).set_params(calibrate=False))
    factor = calm._reader.link.sharpness
    assert factor > 1.5
    assert shy._reader.link.sharpness == 1
    assert any("scores times" in row.did for row in calm.logbook_)
    assert np.array_equal(calm.predict(X), shy.predict(X))
    before, after = (log_loss(Y[800:], net.predict_proba(X[800:])) for net in (shy, calm))
    assert after < before
    odds = [np.diff(np.log(net.predict_proba(X))).ravel() for net in (calm, shy)]
    np.testing.assert_allclose(odds[0], factor * odds[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        np.exp(calm.predict_log_proba(X)), calm.predict_proba(X), rtol=1e-5, atol=1e-7
    )


def test_asked_for():
    theirs = mm.Loss("cross_entropy", calibrate=True, label_smoothing=0.4)
    assert fitted(loss=theirs)._reader.link.sharpness > 1.5
    assert fitted(loop=mm.Loop(epochs=30, time=50))._reader.link.sharpness > 1.5


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "cross_entropy"},
        {"loss": mm.Loss(class_weight="balanced")},
        {"loop": mm.Loop(epochs=20)},
    ],
    ids=["their loss", "weights", "no rows held out"],
)
def test_it_keeps_out(changes):
    assert fitted(**changes)._reader.link.sharpness == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"loop": mm.Loop(epochs=2), "loss": mm.Loss(calibrate=True)}, "needs validation rows"),
        ({"loss": mm.Loss(calibrate=True, class_weight="balanced")}, "weighted rows"),
    ],
)
def test_asked_for_in_vain(changes, why):
    with pytest.raises(ComponentError, match=why):
        fitted(**changes)


def test_the_converted_net_is_calibrated_too():
    net = fitted()
    module = mm.to_torch(net)
    np.testing.assert_allclose(module.predict_proba(X[:20]), net.predict_proba(X[:20]), rtol=1e-5)
