"""Sequences in both gears: lengths, gaps, images apart, and time kept in order."""

import numpy as np
import pytest
from agreement import gears_agree
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from torch import nn

import manumatic as mm
from manumatic.errors import ComponentError, DataError
from manumatic.model_selection import windows


def ragged(count, seed=0):
    """Rows of 3 to 20 steps of two features; one of them drifts up or down."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    rows = []
    for label in y:
        steps = np.arange(rng.integers(3, 21))
        drift = (1 if label else -1) * 0.5 * steps
        rows.append(
            np.column_stack([drift + rng.normal(size=len(steps)), rng.normal(size=len(steps))])
        )
    return rows, y


X, Y = ragged(120)


def net(model="gru", **settings):
    settings = {"loop": mm.Loop(epochs=5), "data": mm.Data(batch_size=32)} | settings
    return mm.Classifier(model, random_state=0, **settings)


def test_the_gears_agree(tmp_path):
    model = mm.Model("conv", hidden=8, layers=2)
    loop = mm.Loop(epochs=3, patience=2)
    gears_agree(net(model, loop=loop), X, Y, tmp_path)


@pytest.mark.parametrize("model", ["auto", "gru", "conv"])
def test_it_learns_and_nothing_is_found_wrong(model):
    fitted = net(model, loop=mm.Loop(epochs=15)).fit(X, Y)
    rows, labels = ragged(80, seed=1)
    assert fitted.score(rows, labels) > 0.9
    assert not fitted.findings_


def test_rows_may_be_longer_than_those_of_training_and_stand_alone():
    fitted = net().fit(X, Y)
    together = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba([X[3]])[0], together[3], atol=1e-6)
    assert fitted.predict([np.ones((50, 2))]).shape == (1,)
    with pytest.raises(ValueError, match="3 features"):
        fitted.predict(np.ones((2, 5, 3)))


def test_a_missing_value_is_flagged_and_a_missing_step_is_masked():
    rows = [row.copy() for row in X]
    rows[0][1, 0] = np.nan
    fitted = net(loop=mm.Loop(epochs=1)).fit(rows, Y)
    assert fitted._task.in_shape[1] == 3  # two features and a flag
    found = fitted.preprocess_.transform(fitted._read(rows, reset=False))
    assert found[0, 1, 2] == 1
    assert np.isnan(found).all(axis=2).any()
    assert "MM105" not in [finding.code for finding in fitted.findings_]


def test_arrays_are_images_or_sequences_and_the_logbook_says_how_to_choose():
    y = np.arange(20) % 2
    rng = np.random.default_rng(0)
    square, oblong = rng.normal(size=(20, 8, 8)), rng.normal(size=(20, 12, 3))
    once = {"loop": mm.Loop(epochs=1)}

    def name(model, rows):
        fitted = net(model, **once).fit(rows, y)
        return type(fitted.model_).__name__, str(fitted.logbook_)

    assert name("auto", square)[0] == "CNN"
    found, told = name("auto", oblong)
    assert found == "SequenceConv"
    assert "model='cnn' takes them for images" in told
    assert name("gru", square)[0] == "SequenceGRU"
    assert name("cnn", oblong)[0] == "CNN"
    assert name("auto", (oblong * 50).clip(0, 255).astype(np.uint8))[0] == "CNN"
    assert name("gru", rng.normal(size=(20, 6)))[0] == "SequenceGRU"  # one feature a step
    images = net(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(20, 2)), **once)
    assert images.fit(oblong, y).score(oblong, y) >= 0


def test_lists_of_plain_numbers_are_sequences_only_where_that_is_asked_for():
    rows, y = [[1.0, 2.0], [3.0], [2.0, 2.0, 5.0], [4.0]] * 5, [0, 1] * 10
    assert net("lstm", loop=mm.Loop(epochs=1)).fit(rows, y).predict([[1.0]]).shape == (1,)
    with pytest.raises(ValueError, match=r'from 1 to 3 values; .* model="gru"'):
        net("auto").fit(rows, y)
    with pytest.raises(DataError, match="2 features a step"):
        net("gru").fit([np.ones((2, 3)), np.ones((4, 2))] * 5, [0, 1] * 5)


def test_a_net_for_tables_is_refused_with_the_names_of_those_for_sequences():
    with pytest.raises(ComponentError, match="no ready net 'mlp' for sequences; there are gru"):
        net("mlp").fit(np.zeros((8, 5, 2)) + np.arange(8)[:, None, None], [0, 1] * 4)


def test_bundles(tmp_path):
    fitted = net(loop=mm.Loop(epochs=1)).fit(X, Y)
    saved = mm.save(fitted, tmp_path / "steps.mm", X)
    assert saved.tiers == [2]
    assert any("the rows are sequences" in note for note in saved.notes)
    again = mm.load(tmp_path / "steps.mm")
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


# --- time ----------------------------------------------------------------------------------------


def test_without_shuffle_the_last_rows_are_held_out():
    series = np.sin(np.arange(130) / 5)
    rows, target = windows(series, 10)
    forecast = mm.Regressor(
        "gru",
        data=mm.Data(shuffle=False, validation=0.25, batch_size=32, target=None),
        loop=mm.Loop(epochs=1, patience=1),
        random_state=0,
    )
    training = forecast.manual(rows, target)
    assert training.data.n_rows == 90
    np.testing.assert_allclose(training.data.y.ravel(), target[:90], atol=1e-6)
    np.testing.assert_allclose(training.valid.y.ravel(), target[90:], atol=1e-6)


def test_a_forecast_beats_the_last_value_on_time_that_was_not_seen():
    rng = np.random.default_rng(0)
    steps = np.arange(240)
    series = np.sin(2 * np.pi * steps / 12) + 0.1 * rng.normal(size=240)
    rows, target = windows(series, 12)
    forecast = mm.Regressor(
        mm.Model("gru", hidden=16),
        data=mm.Data(batch_size=16),
        optimizer=mm.Optimizer("adamw", lr=1e-2),
        loop=mm.Loop(epochs=30),
        random_state=0,
    )
    cv = TimeSeriesSplit(2)
    ours = -cross_val_score(forecast, rows, target, cv=cv, scoring="neg_mean_absolute_error")
    last = [np.abs(target[test] - rows[test, -1, 0]).mean() for _, test in cv.split(rows)]
    assert (ours < 0.7 * np.array(last)).all()
