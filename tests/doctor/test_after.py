"""After a run: each finding on a real small training that earns it, and a near miss."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from plain_loop import SCORE, drive, mlp, study_hours
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_regression,
)
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.preprocessing import StandardScaler
from torch import nn

import manumatic as mm
from manumatic.doctor.after import (
    fluke,
    no_better_than,
    overfitted,
    row_keys,
    scaled_before_split,
    seen_before,
    sorted_batches,
    sorted_folds,
    unfinished,
    worse_than_chance,
)
from manumatic.doctor.course import Course, chance
from manumatic.doctor.finding import Finding
from manumatic.history import History


def codes(found: Iterator[Finding]) -> list[str]:
    return [finding.code for finding in found]


def table(load: Any, rows: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled columns; scaled numbers or class numbers; in a fixed shuffled order."""
    X, y = load(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))[:rows]
    X, y = StandardScaler().fit_transform(X)[order], y[order]
    if y.dtype.kind == "f":
        return torch.tensor(X).float(), torch.tensor((y - y.mean()) / y.std()).float().view(-1, 1)
    return torch.tensor(X).float(), torch.tensor(y)


# --- MM302 ---------------------------------------------------------------------------------------


def test_study_hours_is_not_finished_after_1000_epochs() -> None:
    history = study_hours(0.01, 1000)
    course = Course(history, 1000, lr=0.01, final_lr=0.01, chance=98.0, n_train=5, n_weights=2)
    [finding] = unfinished(course)
    assert finding.code == "MM302"
    assert finding.message == (
        "not finished: the training loss fell 49 % over the last 100 epochs (0.64 → 0.33); at this "
        "pace about 340 more epochs bring it to 0.033."
    )
    assert finding.fix == "loop=mm.Loop(epochs=2000)  # or scale X"
    assert study_hours(0.01, 1340)[-1].value == pytest.approx(0.033, rel=0.05)


def test_study_hours_is_finished_after_3000_epochs() -> None:
    history = study_hours(0.01, 3000)
    assert history[-1].value < 1e-3 * 98
    course = Course(history, 3000, lr=0.01, final_lr=0.01, chance=98.0, n_train=5, n_weights=2)
    assert codes(unfinished(course)) == []


def test_patience_or_a_schedule_at_its_end_say_that_a_run_is_done() -> None:
    course = Course(
        study_hours(0.01, 1000), 1000, lr=0.01, final_lr=0.01, chance=98.0, n_train=5, n_weights=2
    )
    assert codes(unfinished(replace(course, final_lr=1e-6))) == []
    assert codes(unfinished(replace(course, ended="patience"))) == []
    assert codes(unfinished(replace(course, ended="diverged"))) == []


def classifier(epochs: int, lr: float) -> Course:
    X, y = table(load_iris)
    torch.manual_seed(0)
    model, loss = nn.Linear(4, 3), nn.CrossEntropyLoss()
    history = drive(model, X, y, loss, torch.optim.SGD(model.parameters(), lr=lr), epochs)
    return Course(
        history,
        epochs,
        lr=lr,
        final_lr=lr,
        chance=chance(loss, y),
        n_train=150,
        n_weights=15,
        kind="multiclass",
    )


def test_a_classifier_is_unfinished_while_it_is_near_guessing() -> None:
    X, y = (torch.tensor(values) for values in load_digits(return_X_y=True))
    X, loss = X.float() / 16, nn.CrossEntropyLoss()
    torch.manual_seed(0)
    model = nn.Linear(64, 10)
    history = drive(model, X, y, loss, torch.optim.SGD(model.parameters(), lr=0.05), 4, 32)
    course = Course(
        history,
        4,
        lr=0.05,
        final_lr=0.05,
        chance=chance(loss, y),
        n_train=1797,
        n_weights=650,
        kind="multiclass",
    )
    [finding] = unfinished(course)
    assert "the training loss fell 16 % over the last epoch (1.3 → 1.1)" in finding.message
    assert finding.fix.startswith("loop=mm.Loop(epochs=8)")


def test_a_classifier_whose_loss_creeps_on_is_left_alone() -> None:
    course = classifier(400, 0.5)
    losses = course.train
    assert losses[-1] < losses[-41]
    assert codes(unfinished(course)) == []


def test_learning_by_heart_is_not_learning() -> None:
    """Noise, and a network with more weights than rows: its loss falls for a long time."""
    torch.manual_seed(0)
    X, y = torch.randn(200, 10), torch.randn(200, 1)
    model = mlp(10, 1)
    history = drive(
        model, X, y, nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=3e-3), 40, 32
    )
    course = Course(
        history, 40, lr=3e-3, final_lr=3e-3, chance=chance(nn.MSELoss(), y), n_train=200
    )
    assert codes(unfinished(course)) == ["MM302"]  # if the weights were few
    assert codes(unfinished(replace(course, n_weights=4929))) == []


def test_three_epochs_of_a_large_network_are_too_few() -> None:
    X, y = table(load_breast_cancer)
    torch.manual_seed(0)
    model, loss = mlp(30, 2), nn.CrossEntropyLoss()
    history = drive(model, X, y, loss, torch.optim.Adam(model.parameters()), 3, 64)
    course = Course(
        history, 3, lr=1e-3, final_lr=1e-3, chance=chance(loss, y), n_train=569, n_weights=6274
    )
    [finding] = unfinished(replace(course, kind="binary", prepared=True))
    assert "fell 32 % over the last epoch (0.52 → 0.35)" in finding.message
    assert finding.fix == "loop=mm.Loop(epochs=6)"


def test_a_validation_loss_that_has_settled_says_that_it_is_done() -> None:
    """Whatever the training loss does."""
    torch.manual_seed(0)
    X, y = torch.randn(200, 10), torch.randn(200, 1)
    model = mlp(10, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = X.flip(1)[:60], y[:60]
    history = drive(model, X, y, nn.MSELoss(), optimizer, 40, 32, rows)
    course = Course(history, 40, lr=3e-3, final_lr=3e-3, chance=1.0, n_valid=60)
    assert codes(unfinished(course)) == []
    without = History(row for row in history if row.part == "train")
    assert codes(unfinished(replace(course, history=without))) == ["MM302"]


# --- MM305, MM311 --------------------------------------------------------------------------------


def diabetes(keep: str, valid: int = 100, epochs: int = 60) -> tuple[Course, int]:
    """A network that overfits; the epoch in which it was best."""
    X, y = table(load_diabetes, 300)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh())
    model.append(nn.Linear(128, 1))
    train = slice(valid, None)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = X[:valid], y[:valid]
    history = drive(model, X[train], y[train], nn.MSELoss(), optimizer, epochs, 32, rows)
    losses = [row.value for row in history if row.part == "valid"]
    best = losses.index(min(losses))
    return (
        Course(
            history,
            epochs,
            keep=keep,
            best_epoch=best if keep == "best" else -1,
            n_train=300 - valid,
            n_valid=valid,
            lr=3e-3,
            final_lr=3e-3,
            chance=chance(nn.MSELoss(), y[train]),
            valid_chance=chance(nn.MSELoss(), y[train], on=(y[:valid],)),
        ),
        best,
    )


def test_overfitting_with_the_last_weights_kept() -> None:
    course, best = diabetes("last")
    valid = course.valid
    assert valid[-1] > 1.3 * valid[best]
    [finding] = overfitted(course)
    assert finding.code == "MM305"
    assert f"best in epoch {best} ({valid[best]:.3g}) and is {valid[-1]:.3g}" in finding.message
    assert finding.fix == 'loop=mm.Loop(epochs=60, keep="best")'


def test_overfitting_with_the_best_weights_kept_does_no_harm() -> None:
    assert codes(overfitted(diabetes("best")[0])) == []


def test_a_validation_loss_that_scatters_is_no_overfitting() -> None:
    X, y = table(load_diabetes, 300)
    torch.manual_seed(0)
    model = nn.Linear(10, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    rows = X[:20], y[:20]
    history = drive(model, X[20:], y[20:], nn.MSELoss(), optimizer, 40, 16, rows)
    course = Course(history, 40, n_valid=20, chance=1.0)
    valid = course.valid
    assert valid[-1] > 1.1 * min(valid)
    assert codes(overfitted(course)) == []


def test_the_best_epoch_was_the_first_of_many_by_few_rows() -> None:
    """Noise: no epoch is better than another, but the training loss falls."""
    torch.manual_seed(1)
    X, y = torch.randn(200, 10), torch.randn(200, 1)
    model = mlp(10, 1)
    rows = X[:40], y[:40]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = drive(model, X[40:], y[40:], nn.MSELoss(), optimizer, 30, 32, rows)
    course = Course(history, 30, keep="best", n_valid=40)
    valid = course.valid
    best = valid.index(min(valid))
    assert best <= 1
    [finding] = fluke(replace(course, best_epoch=best))
    assert f"the weights of epoch {best} are kept, the best of 30 by 40 validation rows" in (
        finding.message
    )
    assert codes(fluke(replace(course, best_epoch=best, n_valid=200))) == []
    assert codes(fluke(replace(course, best_epoch=2))) == []
    assert codes(fluke(replace(course, best_epoch=best, keep="last"))) == []


def test_a_best_epoch_in_the_middle_is_no_fluke() -> None:
    course, best = diabetes("best")
    assert best > 1
    assert codes(fluke(course)) == []


# --- MM405 ---------------------------------------------------------------------------------------


def test_validation_rows_that_guessing_predicts_better() -> None:
    torch.manual_seed(0)
    X, y = torch.randn(200, 10), torch.randn(200, 1)
    model, rows = mlp(10, 1), (X[:60], y[:60])
    history = drive(
        model, X[60:], y[60:], nn.MSELoss(), torch.optim.Adam(model.parameters()), 40, 32, rows
    )
    course = Course(
        history,
        40,
        n_valid=60,
        chance=chance(nn.MSELoss(), y[60:]),
        valid_chance=chance(nn.MSELoss(), y[60:], on=(y[:60],)),
    )
    dummy = DummyRegressor().fit(X[60:], y[60:]).predict(X[:60])
    expected = float(((dummy - y[:60].view(-1).numpy()) ** 2).mean())
    [finding] = worse_than_chance(course)
    assert f"does not beat always answering the mean, which gives {expected:.4g}." in (
        finding.message
    )
    assert f"validation loss of {course.valid[-1]:.4g}" in finding.message


def test_a_model_that_learned_beats_chance() -> None:
    course, best = diabetes("best")
    assert course.valid[best] < 0.75
    assert codes(worse_than_chance(course)) == []


def test_without_validation_rows_the_training_loss_is_judged() -> None:
    history = study_hours(0.0001, 10)
    course = Course(history, 10, chance=98.0)
    [finding] = worse_than_chance(course)
    assert "the training loss of" in finding.message
    assert codes(worse_than_chance(Course(study_hours(0.01, 1000), 1000, chance=98.0))) == []


def test_a_plateau_is_not_reported_twice() -> None:
    history = History()
    for epoch in range(40):
        history.add(epoch, epoch + 1, "train", "loss", 98.0)
    assert codes(worse_than_chance(Course(history[:10], 10, chance=98.0))) == ["MM405"]
    assert codes(worse_than_chance(Course(history, 40, chance=98.0))) == []


def test_a_tie_with_a_baseline_on_the_same_folds() -> None:
    X, y = load_diabetes(return_X_y=True)
    folds = KFold(10, shuffle=True, random_state=0)
    score = "neg_root_mean_squared_error"
    line, lasso, guess = (
        -cross_val_score(model, X, y, cv=folds, scoring=score)
        for model in (LinearRegression(), Lasso(0.001), DummyRegressor())
    )
    [finding] = no_better_than("Lasso", lasso, "LinearRegression", line, lower_is_better=True)
    assert finding.code == "MM405"
    assert f"Lasso ({lasso.mean():.4g}) does not beat LinearRegression ({line.mean():.4g})" in (
        finding.message
    )
    assert codes(no_better_than("line", line, "mean", guess, lower_is_better=True)) == []
    assert codes(no_better_than("mean", guess, "line", line, lower_is_better=True)) == ["MM405"]
    assert codes(no_better_than("line", -line, "mean", -guess, lower_is_better=False)) == []


def test_the_test_of_a_tie_is_the_one_that_compare_uses() -> None:
    from manumatic.compare.verdict import paired_test

    ours, theirs = [3.0, 5.0, 6.0, 4.0, 3.0], [2.0, 3.0, 3.0, 3.9, 3.9]
    p = paired_test(ours, theirs, ratio=1 / 4).p / 2
    [finding] = no_better_than("a", ours, "b", theirs, lower_is_better=False)
    assert f"p = {p:.2g}" in finding.message


# --- MM304, MM404 --------------------------------------------------------------------------------


def test_batches_of_sorted_classes() -> None:
    """What they do to a training, and what is said."""
    X, y = (torch.tensor(values) for values in load_iris(return_X_y=True))
    X, last = X.float() - X.float().mean(0), []
    for order in (torch.arange(150), torch.tensor(np.random.RandomState(0).permutation(150))):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        for _ in range(5):
            for rows in order.split(25):
                loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        last.append((model(X).argmax(1) == y).float().mean().item())
    assert last[0] < 0.9 < last[1]
    [finding] = sorted_batches(y, 25, shuffle=False)
    assert finding.code == "MM304"
    assert "6 of 6 batches of 25 rows hold one class only" in finding.message
    assert finding.fix == "data=mm.Data(shuffle=True)"


def test_batches_of_a_sorted_target() -> None:
    y = np.sort(load_diabetes(return_X_y=True)[1])
    [finding] = sorted_batches(y.reshape(-1, 1), 32, shuffle=False)
    assert "rank correlation 1.000" in finding.message


def autoregressive(by: float) -> np.ndarray:
    draw = np.random.RandomState(0).randn(400)
    for row in range(1, 400):
        draw[row] += by * draw[row - 1]
    return draw


@pytest.mark.parametrize(
    ("y", "batch_size", "shuffle"),
    [
        (np.arange(3).repeat(50), 25, True),
        (np.arange(3).repeat(50), 150, False),
        (np.arange(3).repeat(10), 8, False),  # 30 rows
        (np.random.RandomState(0).permutation(np.arange(3).repeat(50)), 25, False),
        (autoregressive(0.5), 32, False),
        ((np.random.RandomState(0).rand(400) < 0.01).astype(int), 8, False),  # nearly one class
        (np.random.RandomState(0).permutation(np.arange(3).repeat(50)), 1, False),
    ],
)
def test_batches_that_are_mixed(y: np.ndarray, batch_size: int, shuffle: bool) -> None:
    assert codes(sorted_batches(y, batch_size, shuffle)) == []


def test_folds_of_sorted_classes() -> None:
    X, y = load_iris(return_X_y=True)
    accuracy = cross_val_score(LogisticRegression(max_iter=1000), X, y, cv=KFold(3))
    assert accuracy.tolist() == [0, 0, 0]
    [finding] = sorted_folds(y, KFold(3).split(X))
    assert finding.code == "MM404"
    assert "accuracy can be 0.00 0.00 0.00 at most" in finding.message
    assert finding.fix == "cv=StratifiedKFold(3, shuffle=True, random_state=0)"
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    assert codes(sorted_folds(names, KFold(3).split(X))) == ["MM404"]


def test_folds_of_a_sorted_target() -> None:
    y = np.sort(load_diabetes(return_X_y=True)[1])
    [finding] = sorted_folds(y, KFold(5).split(y))
    assert (
        "the means of y, 58.84, 95.2, 140.8, 196.6, 271, are up to 2.8 standard" in finding.message
    )
    assert finding.fix == "cv=KFold(5, shuffle=True, random_state=0)"


def test_folds_that_are_mixed_or_meant_so() -> None:
    X, y = load_iris(return_X_y=True)
    assert codes(sorted_folds(y, KFold(3, shuffle=True, random_state=0).split(X))) == []
    assert codes(sorted_folds(y, StratifiedKFold(3).split(X, y))) == []
    rare = np.array([0] * 70 + [1] * 76 + [2] * 4)
    assert codes(sorted_folds(rare, KFold(5, shuffle=True, random_state=0).split(rare))) == []
    numbers = load_diabetes(return_X_y=True)[1]
    assert codes(sorted_folds(numbers, KFold(10).split(numbers))) == []
    assert codes(sorted_folds(numbers[:60], LeaveOneOut().split(numbers[:60]))) == []
    trend = np.arange(100) + np.random.RandomState(0).rand(100)
    assert codes(sorted_folds(trend, TimeSeriesSplit(5).split(trend))) == []
    assert codes(sorted_folds(trend, KFold(5).split(trend))) == ["MM404"]


# --- MM403, MM401 --------------------------------------------------------------------------------


def test_columns_that_were_scaled_before_the_split() -> None:
    X, _ = load_iris(return_X_y=True)
    scaled = StandardScaler().fit_transform(X)
    [finding] = scaled_before_split(scaled)
    assert "all 4 columns of X have mean 0.000 and standard deviation 1.000 over all 150" in (
        finding.message
    )
    assert codes(scaled_before_split(scaled.astype("float32"))) == ["MM403"]
    sample = (X - X.mean(0)) / X.std(0, ddof=1)
    assert codes(scaled_before_split(np.c_[sample, np.ones(150)])) == ["MM403"]


def test_columns_that_were_not() -> None:
    X, _ = load_iris(return_X_y=True)
    scaled = StandardScaler().fit_transform(X)
    train = StandardScaler().fit(X[:120]).transform(X)
    diabetes = load_diabetes(return_X_y=True)[0]  # mean 0, but another length
    for other in (X, train, scaled[:140], scaled[:, :1], diabetes, np.c_[scaled, X[:, 0]]):
        assert codes(scaled_before_split(other)) == []
    assert codes(scaled_before_split(np.random.RandomState(0).randn(5000, 3))) == []
    assert codes(scaled_before_split(np.array([["a", "b"]] * 9))) == []


def test_one_model_for_all_folds_sees_the_rows_that_test_it() -> None:
    """The leak, measured: goes on from fold to fold against fresh weights for each."""
    X, y = table(load_diabetes)
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    errors: dict[bool, list[float]] = {True: [], False: []}
    found: list[Finding] = []
    for fresh in errors:
        keys = None
        for number, (train, test) in enumerate(folds):
            if fresh or number == 0:
                torch.manual_seed(0)
                model = mlp(10, 1)
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
            drive(model, X[train], y[train], nn.MSELoss(), optimizer, 15, 64)
            errors[fresh].append((model(X[test]) - y[test]).square().mean().item())
            now = row_keys(X[train])
            if keys is not None and not fresh:
                found += seen_before(keys, now)
            keys = now
    assert np.mean(errors[False][1:]) < 0.8 * np.mean(errors[True][1:])
    assert [finding.code for finding in found] == ["MM401"] * 4
    both = len(set(folds[0][0]) & set(folds[1][0]))
    assert f"have seen {both} of its {len(folds[1][0])} rows, and 89 rows" in found[0].message


def test_going_on_with_the_same_rows_or_with_new_ones_is_meant() -> None:
    X, _ = table(load_diabetes)
    keys = row_keys(X)
    assert codes(seen_before(keys, row_keys(X.flip(0)))) == []
    assert codes(seen_before(keys[:200], keys[200:])) == []
    assert codes(seen_before(keys[:200], keys[190:])) == []  # a few twice
    assert codes(seen_before(keys[:200], keys[100:300])) == ["MM401"]


def test_rows_of_few_kinds_are_shared_by_chance() -> None:
    X = torch.randint(0, 3, (400, 3), generator=torch.Generator().manual_seed(0))
    keys = row_keys(X)
    assert codes(seen_before(keys[:200], keys[200:])) == []


def test_a_row_has_the_same_key_wherever_it_stands() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(70000, 7, generator=generator)
    keys = row_keys(X)
    state = torch.get_rng_state()
    assert len(np.unique(keys)) == len(np.unique(X.numpy(), axis=0))
    assert np.array_equal(keys[69990:], row_keys(X[69990:]))
    assert np.array_equal(keys[::999], row_keys(X[::999].clone()))
    images = torch.rand(6, 1, 4, 4, generator=generator)
    assert np.array_equal(row_keys(images)[4:], row_keys(images[4:]))
    assert torch.equal(state, torch.get_rng_state())


# --- through manumatic ---------------------------------------------------------------------------


def test_a_run_of_the_automatic_gear_reads_the_same() -> None:
    """Its history is the course's; the numbers are the plain loop's."""
    hours = mm.Regressor(
        "linear",
        data=mm.Data(batch_size=None, preprocess=None),
        optimizer=mm.Optimizer("sgd", lr=0.01),
        loop=mm.Loop(epochs=1000),
        random_state=42,
    )
    hours.fit([[1], [2], [3], [4], [5]], SCORE.view(-1).numpy())
    course = Course(
        hours.history_, 1000, lr=0.01, final_lr=0.01, chance=98.0, n_train=5, n_weights=2
    )
    assert codes(unfinished(course)) == ["MM302"]
    assert codes(worse_than_chance(course)) == []
    X, y = make_regression(300, 5, noise=5.0, random_state=0)
    net = mm.Regressor(random_state=0).fit(X, y)
    course = Course(
        net.history_, 100, ended="patience", keep="best", best_epoch=50, chance=1.0, n_valid=30
    )
    assert [f for check in (unfinished, overfitted, worse_than_chance) for f in check(course)] == []
