"""Losses against torch, weights against repeated rows, raw outputs read as what they mean."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from torch import nn
from torch.nn import functional as F

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.logbook import Logbook
from manumatic.parts.components import Loss
from manumatic.parts.link import Link
from manumatic.parts.loss import LOSSES, Weighted, choose_loss, per_row, shape_target
from manumatic.task import Task

NUMBER = Task("regression", None, 1, True)
PAIR = Task("binary", np.array([0, 1]), 1, True)
THREE = Task("multiclass", np.array([0, 1, 2]), 1, True)
LABELS = Task("multilabel", np.arange(3), 3, False)

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
SLOPE = X @ [1.0, -2.0, 0.5]
Y = SLOPE + 4
WORDS = np.where(SLOPE > 0, "yes", "no")
CLASSES = np.digitize(SLOPE, [-1, 1])


def outputs(n, k=None, seed=0):
    shape = (n,) if k is None else (n, k)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.requires_grad_()


def fitted(kind, model, loss, y, **changes):
    given = {
        "data": mm.Data(batch_size=None, preprocess=None),
        "optimizer": mm.Optimizer("lbfgs", max_iter=200, line_search_fn="strong_wolfe"),
        "loop": mm.Loop(5),
        "random_state": 0,
    } | changes
    return kind(model, loss=loss, **given).fit(X, y)


# --- names, classes, instances, functions --------------------------------------------------------

TORCH = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "smooth_l1": F.smooth_l1_loss,
    "poisson": F.poisson_nll_loss,
}


@pytest.mark.parametrize("name", TORCH)
def test_losses_for_numbers_are_those_of_torch(name):
    prediction = outputs(9, 1)
    target = torch.rand(9)
    for spec in (Loss(name), Loss(LOSSES[name]), Loss(LOSSES[name]()), Loss(TORCH[name])):
        loss, _ = choose_loss(spec, NUMBER, prediction, False, Logbook())
        shaped = shape_target(loss, NUMBER, target, (1,))
        assert torch.equal(loss(prediction, shaped), TORCH[name](prediction, target[:, None]))


def test_losses_for_classes_are_those_of_torch():
    prediction, target = outputs(9, 3), torch.arange(9) % 3
    for name, arguments in (("cross_entropy", {}), ("cross_entropy", {"label_smoothing": 0.2})):
        loss, _ = choose_loss(Loss(name, **arguments), THREE, prediction, False, Logbook())
        found = loss(prediction, shape_target(loss, THREE, target, (3,)))
        assert torch.equal(found, F.cross_entropy(prediction, target, **arguments))
    loss, _ = choose_loss(Loss("bce"), THREE, prediction, False, Logbook())
    found = loss(prediction, shape_target(loss, THREE, target, (3,)))
    one_hot = F.one_hot(target, 3).float()
    assert torch.equal(found, F.binary_cross_entropy_with_logits(prediction, one_hot))


@pytest.mark.parametrize(
    ("task", "k", "loss"),
    [
        (NUMBER, 1, nn.MSELoss),
        (NUMBER, None, nn.MSELoss),
        (PAIR, 2, nn.CrossEntropyLoss),
        (PAIR, 1, nn.BCEWithLogitsLoss),
        (PAIR, None, nn.BCEWithLogitsLoss),
        (THREE, 3, nn.CrossEntropyLoss),
        (LABELS, 3, nn.BCEWithLogitsLoss),
    ],
)
def test_auto_goes_by_the_target_and_says_so(task, k, loss):
    book = Logbook()
    chosen, _ = choose_loss(Loss(), task, outputs(4, k), False, book)
    assert type(chosen) is loss
    assert [(row.part, row.did) for row in book] == [("loss", loss.__name__)]


# --- the target meets the outputs row by row -----------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("y", [Y, Y[:, None]])
def test_one_output_never_meets_all_targets(shape, y):
    """(n,) beside (n, 1) would be broadcast to (n, n): every prediction becomes the mean, R² 0."""
    model = nn.Linear(3, 1) if shape else nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    if y.ndim == 2:
        with pytest.warns(UserWarning, match="column-vector y was passed"):
            net = fitted(mm.Regressor, model, "mse", y)
    else:
        net = fitted(mm.Regressor, model, "mse", y)
    assert net.score(X, Y) == pytest.approx(LinearRegression().fit(X, Y).score(X, Y), abs=1e-6)
    assert net.predict(X).shape == (60,)


def test_the_broadcast_is_as_bad_as_it_is_said_to_be():
    """The comparison above can fail: written by hand, the broadcast loss teaches the mean."""
    target = torch.tensor(Y, dtype=torch.float32)
    prediction = torch.full((60, 1), float(Y.mean()), requires_grad=True)
    with pytest.warns(UserWarning, match="target size"):
        F.mse_loss(prediction, target).backward()
    assert prediction.grad.abs().max() < 1e-6


@pytest.mark.parametrize("before", ["cross_entropy", "mse", "bce", "mae"])
@pytest.mark.parametrize("after", ["cross_entropy", "mse", "bce"])
@pytest.mark.parametrize("k", [1, 2])
def test_targets_survive_an_exchange_of_the_loss(before, after, k):
    if k == 1 and "cross_entropy" in (before, after):
        return  # one output is one question
    target = torch.tensor([0, 1, 1, 0])
    first, second = LOSSES[before](), LOSSES[after]()
    there = shape_target(second, PAIR, shape_target(first, PAIR, target, (k,)), (k,))
    assert torch.equal(there, shape_target(second, PAIR, target, (k,)))


def test_targets_survive_an_exchange_of_the_model():
    target = torch.tensor([0, 1, 1, 0])
    one, two = nn.BCEWithLogitsLoss(), nn.CrossEntropyLoss()
    there = shape_target(one, PAIR, shape_target(two, PAIR, target, (2,)), (1,))
    assert torch.equal(there, target.float()[:, None])
    assert torch.equal(shape_target(two, PAIR, there, (2,)), target)
    hot = shape_target(nn.MSELoss(), PAIR, target, (2,))
    assert torch.equal(shape_target(one, PAIR, hot, (1,)), target.float()[:, None])


# --- reading raw outputs -------------------------------------------------------------------------


def test_links_are_their_formulas():
    raw = outputs(7, 3).detach().double()
    one = raw[:, :1]
    half = expit(one.numpy()[:, 0])
    parts = expit(raw.numpy())
    expected = {
        "identity": raw.numpy(),
        "exp": np.exp(raw.numpy()),
        "exp_classes": np.exp(raw.numpy()),
        "softmax": softmax(raw.numpy(), axis=1),
        "sigmoid": parts,
        "sigmoid_shares": parts / parts.sum(axis=1, keepdims=True),
    }
    for kind, values in expected.items():
        assert np.allclose(Link(kind)(raw), values, rtol=1e-12), kind
    assert np.allclose(Link("sigmoid_pair")(one), np.column_stack([1 - half, half]), rtol=1e-12)
    clipped = Link("clip_pair")(torch.tensor([-0.5, 0.25, 1.5]))
    assert np.allclose(clipped, [[1, 0], [0.75, 0.25], [0, 1]], atol=1e-6)
    shares = Link("clip_shares")(torch.tensor([[0.5, 0.5], [1.2, -0.1], [-1.0, -2.0]]))
    assert np.allclose(shares, [[0.5, 0.5], [1, 0], [0.5, 0.5]], atol=1e-6)


FOR_TWO = {
    "two outputs": (nn.Linear(3, 2), "auto"),
    "one output": (nn.Linear(3, 1), "auto"),
    "one flat output": (nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), "auto"),
    "bce, two outputs": (nn.Linear(3, 2), "bce"),
    "bce, one output": (nn.Linear(3, 1), nn.BCEWithLogitsLoss()),
    "sigmoid and BCELoss": (nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), nn.BCELoss()),
    "softmax and BCELoss": (nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), nn.BCELoss()),
    "log-softmax and NLLLoss": (nn.Sequential(nn.Linear(3, 2), nn.LogSoftmax(1)), "nll"),
    "a function": (nn.Linear(3, 2), F.cross_entropy),
    "squared error, one output": (nn.Linear(3, 1), "mse"),
    "squared error, two outputs": (nn.Linear(3, 2), "mse"),
    "absolute error": (nn.Linear(3, 2), "mae"),
    "hinge": (nn.Linear(3, 2), nn.MultiMarginLoss()),
}


@pytest.mark.parametrize("name", FOR_TWO)
def test_two_classes_in_every_spelling(name):
    model, loss = FOR_TWO[name]
    adam = mm.Optimizer("adam", lr=0.05)
    net = fitted(mm.Classifier, model, loss, WORDS, optimizer=adam, loop=mm.Loop(150))
    assert net.score(X, WORDS) > 0.85
    found = net.predict_proba(X)
    assert found.shape == (60, 2)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert np.array_equal(net.classes_[found.argmax(axis=1)], net.predict(X))


def test_one_logit_is_logistic_regression():
    noisy = np.where(SLOPE + rng.normal(size=60) > 0, "yes", "no")
    expected = LogisticRegression(C=np.inf, tol=1e-8).fit(X, noisy).predict_proba(X)
    for model in (nn.Linear(3, 1), nn.Linear(3, 2)):
        net = fitted(mm.Classifier, model, "auto", noisy)
        assert np.allclose(net.predict_proba(X), expected, atol=2e-3)


def test_log_probabilities_are_log_softmax():
    net = fitted(mm.Classifier, nn.Linear(3, 3), "auto", CLASSES, loop=mm.Loop(1))
    raw = X @ net.model_.weight.detach().numpy().T + net.model_.bias.detach().numpy()
    assert np.allclose(net.predict_log_proba(X), log_softmax(raw, axis=1), atol=1e-4)


def test_counts_are_poisson_regression():
    counts = np.random.default_rng(1).poisson(np.exp(SLOPE / 3))
    net = fitted(mm.Regressor, nn.Linear(3, 1), "poisson", counts, data=mm.Data(batch_size=None))
    from sklearn.pipeline import make_pipeline

    expected = make_pipeline(net.preprocess_, PoissonRegressor(alpha=0, tol=1e-8)).fit(X, counts)
    assert np.allclose(net.predict(X), expected.predict(X), rtol=2e-2)
    assert (net.predict(X) > 0).all()


def test_many_labels_are_many_questions():
    answers = np.column_stack([SLOPE > 0, SLOPE > 1, X[:, 0] > 0]).astype(int)
    for model, loss in (
        (nn.Linear(3, 3), "auto"),
        (nn.Sequential(nn.Linear(3, 3), nn.Sigmoid()), nn.BCELoss()),
    ):
        adam = mm.Optimizer("adam", lr=0.05)
        net = fitted(mm.Classifier, model, loss, answers, optimizer=adam, loop=mm.Loop(200))
        assert (net.predict(X) == answers).mean() > 0.9
        assert net.predict_proba(X).shape == (60, 3)
        assert net.classes_.tolist() == [0, 1, 2]
    assert np.array_equal(net.fit(X, answers.tolist()).predict(X), net.predict(X))


# --- weights are repeats, for any loss -----------------------------------------------------------


def asymmetric(prediction, target):
    error = prediction - target
    return torch.where(error > 0, error, -3 * error).mean()


class LogCosh(nn.Module):
    def forward(self, prediction, target):
        return torch.log(torch.cosh(prediction - target)).mean()


@pytest.mark.parametrize(
    "loss",
    [*TORCH, F.mse_loss, asymmetric, LogCosh(), nn.HuberLoss(delta=0.3)],
    ids=lambda loss: getattr(loss, "__name__", str(loss)),
)
@given(seed=st.integers(0, 1000), n=st.integers(1, 12))
@settings(max_examples=8, deadline=None)
def test_a_weighted_mean_is_the_mean_over_repeated_rows(loss, seed, n):
    prediction = outputs(n, 1, seed)
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(n, 1, generator=generator)
    weight = torch.randint(1, 4, (n,), generator=generator)
    plain, _ = choose_loss(Loss(loss), NUMBER, prediction, False, Logbook())
    weighted, _ = choose_loss(Loss(loss), NUMBER, prediction, True, Logbook())
    rows = torch.arange(n).repeat_interleave(weight)
    expected = plain(prediction[rows], target[rows])
    found = weighted(prediction, target, weight / weight.float().mean())
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    [there] = torch.autograd.grad(expected, prediction)
    [here] = torch.autograd.grad(found, prediction)
    assert torch.allclose(here, there, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_weighted_classes_are_repeated_classes(smoothing):
    prediction, target = outputs(6, 3), torch.arange(6) % 3
    weight = torch.tensor([1, 2, 3, 1, 2, 3])
    loss = Weighted(per_row(nn.CrossEntropyLoss(label_smoothing=smoothing)))
    rows = torch.arange(6).repeat_interleave(weight)
    expected = F.cross_entropy(prediction[rows], target[rows], label_smoothing=smoothing)
    assert torch.allclose(loss(prediction, target, weight / 2), expected)


@pytest.mark.parametrize("loss", ["auto", asymmetric])
def test_fractional_weights_train_like_their_multiples(loss):
    weight = np.random.default_rng(2).integers(1, 5, size=60) / 4
    options = {"optimizer": mm.Optimizer("sgd", lr=0.05), "loop": mm.Loop(20)}
    net = mm.Regressor(nn.Linear, loss=loss, data=mm.Data(None, preprocess=None), random_state=0)
    net.set_params(**options)
    halves = net.fit(X, Y, sample_weight=weight).predict(X)
    whole = net.fit(X, Y, sample_weight=weight * 4).predict(X)
    twice = np.repeat(np.arange(60), (weight * 4).astype(int))
    repeated = net.fit(X[twice], Y[twice]).predict(X)
    assert np.array_equal(whole, repeated)
    assert np.allclose(halves, whole, atol=1e-4)
    assert not np.allclose(net.fit(X, Y).predict(X), whole, atol=1e-4)


def test_class_weights_are_sample_weights():
    loss = mm.Loss(class_weight={"yes": 3.0, "no": 0.5})
    weighted = fitted(mm.Classifier, nn.Linear(3, 2), loss, WORDS, loop=mm.Loop(1))
    by_row = np.where(WORDS == "yes", 3.0, 0.5)
    net = mm.Classifier(nn.Linear(3, 2), loss="auto", random_state=0).set_params(
        data=weighted.data, optimizer=weighted.optimizer, loop=weighted.loop
    )
    assert np.allclose(
        net.fit(X, WORDS, sample_weight=by_row).predict_proba(X),
        weighted.predict_proba(X),
        atol=1e-4,
    )


def test_balanced_classes_answer_as_often():
    rare = np.where(SLOPE > 2.2, "rare", "often")
    weight = mm.Loss(class_weight="balanced")
    plain = fitted(mm.Classifier, nn.Linear(3, 2), "auto", rare, loop=mm.Loop(1)).predict(X)
    balanced = fitted(mm.Classifier, nn.Linear(3, 2), weight, rare, loop=mm.Loop(1)).predict(X)
    assert (balanced == "rare").sum() >= (plain == "rare").sum()


# --- what is refused -----------------------------------------------------------------------------

ENDING_IN = {
    "softmax": (nn.Sequential(nn.Linear(3, 2), nn.Softmax(1)), "cross_entropy", "ends in Softmax"),
    "sigmoid": (nn.Sequential(nn.Linear(3, 1), nn.Sigmoid()), "auto", "ends in Sigmoid"),
    "softmax, reshaped": (
        nn.Sequential(nn.Linear(3, 2), nn.Softmax(1), nn.Unflatten(1, (2,)), nn.Flatten(1)),
        "auto",
        "ends in Softmax",
    ),
    "raw outputs for NLLLoss": (nn.Linear(3, 2), "nll", "NLLLoss needs log-probabilities"),
}


@pytest.mark.parametrize("name", ENDING_IN)
def test_an_activation_that_the_loss_applies_itself_is_refused(name):
    model, loss, words = ENDING_IN[name]
    with pytest.raises(ComponentError, match=words):
        mm.Classifier(model, loss=loss).fit(X, WORDS)


REFUSED = {
    "an unknown name": ("mes", "no loss 'mes'; .* Did you mean 'mse'"),
    "a number": (3, "got 3"),
    "None": (None, "got None"),
    "an unknown argument": (mm.Loss("mse", foo=1), "MSELoss cannot be built.*'foo'"),
    "one argument": (lambda prediction: prediction.mean(), "cannot compare outputs"),
    "a third argument": (nn.GaussianNLLLoss(), "GaussianNLLLoss cannot compare .*'var'"),
    "no tensor": (lambda prediction, target: 3.0, "returned 3.0; a loss is one number"),
    "no mean": (lambda p, t: (p - t) ** 2, r"returned \(4, 1\); a loss is one number"),
    "reduction none": (nn.MSELoss(reduction="none"), r"MSELoss returned \(4, 1\)"),
    "counting": (lambda p, t: (p.round() == t).float().mean(), "does not change with any weight"),
    "classes": ("cross_entropy", "CrossEntropyLoss tells classes apart"),
    "yes or no": (nn.BCEWithLogitsLoss, "BCEWithLogitsLoss tells classes apart"),
    "class weights": (mm.Loss("mse", class_weight="balanced"), "class_weight='balanced'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_loss_is_said_before_the_first_step(name):
    loss, words = REFUSED[name]
    net = mm.Regressor("linear", loss=loss)
    with pytest.raises(ComponentError, match=words):
        net.fit(X, Y)
    assert not hasattr(net, "model_")


@pytest.mark.parametrize(
    "class_weight",
    ["heavy", {"yes": 1.0, "nope": 3.0}, {"nope": 1.0}, [1, 2], {"yes": -1.0}, {"no": math.nan}],
)
def test_class_weights_that_make_no_sense(class_weight):
    with pytest.raises(ComponentError, match=r"class_weight must be|weights of classes are finite"):
        mm.Classifier("linear", loss=mm.Loss(class_weight=class_weight)).fit(X, WORDS)


def test_the_loss_of_the_user_is_not_changed():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]), reduction="mean")
    mm.Classifier("linear", loss=loss, loop=mm.Loop(1)).fit(X, WORDS, sample_weight=rng.random(60))
    assert loss.reduction == "mean"
    assert loss.weight.tolist() == [1.0, 2.0]
