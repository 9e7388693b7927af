"""Learning rates: the numbers of the tutorial, a net that stays as it is, one suggestion."""

import copy
import json
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_friedman1
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from manumatic.errors import ComponentError, DataError, DivergedError
from manumatic.gears.automatic import Classifier, Regressor
from manumatic.inspection.learning_rate import LearningRateDisplay
from manumatic.inspection.range_test import Probe, RangeTest, rate_that_leaves
from manumatic.inspection.rates import Run, with_verdicts
from manumatic.inspection.sweep import sweep
from manumatic.parts.components import Checkpoint, Data, Loop, Optimizer
from manumatic.show.lines import frame_for, range_chart, rates_chart

RATES = [0.1, 0.01, 0.001]


def tutorial(**changes):
    """The net of the tutorial: one line, full batch, unscaled, SGD."""
    parameters = {
        "data": Data(batch_size=None, preprocess=None),
        "optimizer": Optimizer("sgd", lr=0.01),
        "loop": Loop(epochs=1000),
        "random_state": 42,
    }
    return Regressor("linear", **(parameters | changes))


@pytest.fixture(scope="module")
def hours():
    X = np.arange(1.0, 6).reshape(5, 1)
    return X, 45 + 7 * X[:, 0]


@pytest.fixture(scope="module")
def three(hours):
    return sweep(tutorial(), *hours, lr=RATES)


@pytest.fixture(scope="module")
def tested(hours):
    return sweep(tutorial(), *hours)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600], y[:600]


# --- side by side --------------------------------------------------------------------------------


def test_the_numbers_of_the_tutorial(three):
    frame = three.frame.set_index("lr")
    assert list(frame.columns) == ["final_loss", "best_loss", "diverged_at", "seconds", "verdict"]
    assert frame.final_loss.tolist() == [
        math.inf,
        *(pytest.approx(v, 1e-4) for v in (0.3257, 143.91)),
    ]
    assert frame.diverged_at[0.1] == 127
    assert frame.diverged_at.isna().tolist() == [False, True, True]
    assert frame.verdict.tolist() == ["diverged", "best", "slow"]
    assert frame.best_loss[0.1] == pytest.approx(4031.2007, abs=1e-3)
    assert (frame.seconds > 0).all()
    assert three.suggested == 0.01
    assert three.limit == pytest.approx(0.08452405, abs=1e-8)
    assert list(three.histories) == RATES
    assert [len(three.histories[lr].curve()) for lr in RATES] == [127, 1000, 1000]


def test_the_sentence_says_which_and_why(three):
    assert three.sentence == (
        "Take lr 0.01: its loss of 0.3257 is the lowest after 1,000 epochs, where 0.001 is still "
        "at 143.9; lr 0.1 is above the stability limit 0.084, so that each step overshoots by more "
        "than it corrects and the loss is no longer finite in epoch 127."
    )
    lines = str(three).splitlines()
    head = ["lr", "final loss", "best loss", "diverged at", "time", "verdict"]
    assert re.split("  +", lines[0].strip()) == head
    assert [line.split()[-1] for line in lines[1:4]] == ["diverged", "best", "slow"]
    assert lines[0].rindex("best loss") + len("best loss") == lines[2].rindex("0.3257") + 6
    assert lines[-1] == three.sentence


def test_each_rate_trains_as_the_net_itself_would(hours, three):
    for lr in (0.01, 0.001):
        net = tutorial().set_params(optimizer__lr=lr).fit(*hours)
        assert three.histories[lr].curve() == net.history_.curve()
    weight, bias = (float(w.detach()) for w in net.model_.parameters())
    assert (round(weight, 2), round(bias, 2)) == (14.79, 16.89)  # lr 0.001, from the tutorial


def test_the_net_is_neither_fitted_nor_changed(hours, tmp_path):
    start = nn.Linear(1, 1)
    path = tmp_path / "run.pt"
    net = tutorial(
        loop=Loop(epochs=3, checkpoint=Checkpoint(path, every=0)), random_state=None, verbose=1
    )
    net.model = start
    before, told = copy.deepcopy(start.state_dict()), repr(net)
    state = torch.get_rng_state()
    for lr in (None, [0.01, 0.02]):
        sweep(net, *hours, lr=lr)
    assert repr(net) == told
    assert not hasattr(net, "model_")
    assert not path.exists()
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_rates_share_a_seed_where_the_net_has_none(hours):
    net = tutorial(random_state=None, loop=Loop(epochs=2))
    found = sweep(net, *hours, lr=[0.001, 0.002])
    assert len({history.curve()[0][1] for history in found.histories.values()}) == 1


def test_where_all_diverge_half_the_limit_is_suggested(hours):
    found = sweep(tutorial(), *hours, lr=[1.0, 0.5])
    assert found.suggested == 0.042
    assert found.sentence.startswith(
        "lr 0.5 and 1 are above the stability limit 0.084, so that each"
    )
    assert found.sentence.endswith("in epochs 17 and 13; take 0.042, half of that.")
    net = tutorial(optimizer=Optimizer("sgd", lr=0.01, nesterov=True, momentum=0.9))
    found = sweep(net, *hours, lr=[1.0])
    assert found.limit is None
    assert found.sentence.startswith("lr 1 is too high, so that each step overshoots")
    assert found.suggested == 0.1


def test_rows_held_out_decide_where_the_loop_decides_by_them(digits):
    net = Classifier("mlp", loop=Loop(epochs=4, patience=4), random_state=0)
    found = sweep(net, *digits, lr=[1e-4, 1e-2])
    assert found.part == "valid"
    assert found.limit is None
    assert found.suggested == 1e-2
    assert "validation loss" in found.sentence
    assert "validation loss" in found.svg()
    best = min(loss for _, loss in found.histories[1e-2].curve("loss", "valid"))
    assert found.rows[1].best_loss == best


def test_what_automatic_chose_is_swept_too(digits):
    """lr of an optimizer that nobody gave: AdamW along a cosine."""
    found = sweep(Classifier("mlp", loop=Loop(epochs=2), random_state=0), *digits, lr=[0.01])
    net = Classifier(
        "mlp",
        optimizer=Optimizer("adamw", lr=0.01, schedule="cosine", weight_decay=0.01),
        loop=Loop(epochs=2),
        random_state=0,
    ).fit(*digits)
    assert found.histories[0.01].curve() == net.history_.curve()


def test_weights_of_rows_reach_the_trainings(hours):
    weights = np.array([1.0, 1, 1, 1, 9])
    found = sweep(tutorial(), *hours, lr=[0.01], sample_weight=weights)
    net = tutorial().fit(*hours, sample_weight=weights)
    assert found.histories[0.01].curve() == net.history_.curve()
    assert found.limit < 0.0845


def test_interrupted_keeps_what_is_finished(hours):
    def stop(run):
        if run.lr == 0.01:
            raise KeyboardInterrupt

    found = sweep(tutorial(loop=Loop(epochs=5)), *hours, lr=RATES, on_run=stop)
    assert found.interrupted
    assert list(found.histories) == [0.1, 0.01]
    assert found.sentence.startswith("Interrupted after 2 of 3 rates. Take lr 0.01: ")


@pytest.mark.parametrize("lr", [[], [0.1, -1], [math.inf], "fast", [0.0]])
def test_rates_must_be_positive_numbers(lr, hours):
    with pytest.raises(ComponentError, match="lr must be None or positive numbers"):
        sweep(tutorial(), *hours, lr=lr)


def test_other_estimators_are_sent_back(hours):
    with pytest.raises(ComponentError, match=r"got Pipeline\. Of a Pipeline give the last step"):
        sweep(make_pipeline(tutorial()), *hours)


def test_verdicts():
    runs = [
        Run(lr, final, final, None, 0.1)
        for lr, final in ((1e-3, 5.0), (1e-2, 1.0), (2e-2, 1.04), (1e-1, 2.0), (1.0, 90.0))
    ]
    words = [run.verdict for run in with_verdicts(runs, "train", [9.0] * 5)]
    assert words == ["slow", "best", "close", "rough", "grows"]


# --- range test ----------------------------------------------------------------------------------


def test_a_known_limit_is_halved(tested):
    assert tested.suggested == 0.042
    assert tested.sentence.startswith(
        "Take lr 0.042, half of the stability limit 0.084, above which"
    )
    assert tested.diverges_from > tested.limit
    assert list(tested.frame.columns) == ["lr", "loss", "smoothed"]
    assert len(tested.frame) <= 100
    assert tested.histories == {}
    assert tested.rows[0].loss == pytest.approx(4031.2, abs=0.5)  # lr 1e-6 moves hardly anything
    assert "lowest" in str(tested)
    assert "diverges from here" in str(tested)


def test_momentum_that_swings_is_no_divergence(hours):
    """Its loss rises to six times its lowest at lr 0.003, and comes back."""
    net = tutorial(optimizer=Optimizer("sgd", momentum=0.9))
    found = sweep(net, *hours)
    assert found.suggested == 0.08
    assert found.diverges_from > 0.1


@pytest.mark.parametrize(
    "optimizer", [Optimizer("sgd"), Optimizer("sgd", momentum=0.9), Optimizer("adamw")]
)
@pytest.mark.parametrize("batch_size", [8, 64])
def test_a_noisy_curve_leads_to_a_rate_that_learns(digits, optimizer, batch_size):
    net = Classifier(
        "mlp",
        data=Data(batch_size=batch_size),
        optimizer=optimizer,
        loop=Loop(epochs=15),
        random_state=0,
    )
    found = sweep(net, *digits)
    assert "a tenth of" in found.sentence
    assert found.suggested < found.rows[-1].lr
    net.set_params(optimizer__lr=found.suggested).fit(*digits)
    assert net.score(*digits) > 0.85


def test_the_suggestion_hardly_moves_with_the_seed():
    X, y = make_friedman1(400, noise=1.0, random_state=0)
    net = Regressor("mlp", data=Data(batch_size=4), optimizer=Optimizer("adamw"))
    found = [sweep(net.set_params(random_state=seed), X, y).suggested for seed in range(4)]
    assert max(found) / min(found) < 5


def test_a_test_that_begins_too_high_begins_lower(hours):
    X, y = hours
    found = sweep(tutorial(), 1e4 * X, y)
    assert found.suggested == pytest.approx(4e-10, rel=0.2)
    assert found.rows[0].lr == 1e-12
    with pytest.raises(DataError, match="even with a learning rate of 1e-12 the loss explodes"):
        sweep(tutorial(), 1e9 * X, y)


def test_a_loss_that_is_no_number_from_the_start_is_an_error(hours):
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(1.0))

        def forward(self, X):
            return self.w * X * math.inf

    with pytest.raises(DivergedError, match="the loss is inf before the first step"):
        sweep(tutorial().set_params(model=Broken()), *hours)


def test_groups_keep_their_proportion(digits):
    """A group with lr 0 is frozen and stays it, and the one with a tenth has a tenth."""
    groups = [("0.*", {"lr": 0.0}), ("2.bias", {"lr": 1e-4})]
    net = Classifier("mlp", optimizer=Optimizer("adamw", lr=1e-3, groups=groups), random_state=0)
    assert sweep(net, *digits).suggested > 0


def test_a_stream_is_tested_on_its_first_batch(digits):
    X, y = digits
    rows = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
    net = Classifier("mlp", random_state=0)
    found = sweep(net, DataLoader(rows, batch_size=100))
    assert found.limit is None
    assert 1e-4 < found.suggested < 0.1


def test_steps_are_checked(hours):
    with pytest.raises(ComponentError, match="steps must be a whole number, 20 or more; got 3"):
        sweep(tutorial(), *hours, steps=3)
    assert len(sweep(tutorial(), *hours, steps=30).rows) <= 30


def test_divergence_is_for_good():
    losses = [9.0, 8, 4, 1, 6, 1.2, 7, 8, 9]
    probes = [Probe(10.0**n, loss, loss) for n, loss in enumerate(losses)]
    assert rate_that_leaves(probes, probes[3], 9.0) == 1e6
    assert rate_that_leaves(probes[:6], probes[3], 9.0) is None
    assert RangeTest(probes, probes[3], 1e6).suggested == 100.0


# --- pictures ------------------------------------------------------------------------------------


def test_pictures_are_well_formed_and_bring_their_style(three, tested):
    for found in (three, tested):
        picture = found.svg()
        root = ElementTree.fromstring(picture)
        assert root.get("aria-label")
        assert "prefers-color-scheme: dark" in picture
        assert len(picture) < 40_000
        assert picture in found._repr_html_()
    assert "lr 0.1: not finite in epoch 127" in three.svg()
    assert "lr 0.01, suggested" in three.svg()
    assert "stability limit 0.084: above it each step overshoots" in three.svg()
    for text in ("suggested 0.042", "stability limit 0.084", "diverges from"):
        assert text in tested.svg()


def test_the_frame_is_made_for_those_that_do_not_diverge():
    curves = {0.1: [(0, 10.0), (1, 1e30)], 0.01: [(0, 10.0), (1, 0.1)]}
    values, ceiling = frame_for(curves, {0.1: "inf"})
    assert ceiling == 40.0
    assert max(values) == ceiling
    drawn = rates_chart(curves, suggested=0.01, diverged={0.1: "inf"})
    # from log10(10) to log10(40) of the 30 decades to 1e30: two hundredths of an epoch
    xs = [
        float(x) for x in re.findall(r"([\d.]+),[\d.]+", drawn.split('<polyline class="curve"')[1])
    ]
    assert max(xs[:2]) < 70


def test_pictures_of_extremes():
    assert rates_chart({}, suggested=1.0, diverged={}) == ""
    assert rates_chart({0.1: []}, suggested=1.0, diverged={0.1: "nan"}) == ""
    assert range_chart([(0.1, math.inf, math.inf)], suggested=0.1) == ""
    gone = {3.0: [], 0.1: [(0, -1.0), (1, -2.0)], 0.2: [(0, 5.0)]}
    picture = rates_chart(gone, suggested=0.1, diverged={3.0: "epoch 0", 0.2: "epoch 1"})
    ElementTree.fromstring(picture)
    assert "lr 3: epoch 0" in picture
    ElementTree.fromstring(rates_chart({1.0: [(0, 2.0)]}, suggested=0.1, diverged={1.0: "x"}))


def test_the_display_draws_what_the_sweep_found(three, tested):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    display = LearningRateDisplay.from_sweep(three).plot()
    assert display.figure_ is display.ax_.figure
    assert len(display.lines_) == 3
    assert display.ax_.get_yscale() == "log"
    labels = [line.get_label() for line in display.lines_]
    assert labels == ["lr 0.1: not finite in epoch 127", "lr 0.01, suggested", "lr 0.001"]
    assert display.lines_[1].get_ydata()[-1] == pytest.approx(0.3257, abs=1e-4)
    assert display.ax_.get_ylim()[1] < 20_000
    assert "0.084" in display.ax_.get_title(loc="left")
    _, ax = pyplot.subplots()
    assert tested.plot(ax) is ax
    assert ax.get_xscale() == "log"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[1:3] == ["suggested 0.042", "stability limit 0.084"]
    assert display.svg() == three.svg()
    pyplot.close("all")


def test_a_display_comes_from_an_estimator(hours):
    net = tutorial(loop=Loop(epochs=3))
    display = LearningRateDisplay.from_estimator(net, *hours, lr=[0.01])
    assert display.sweep.suggested == 0.01
    assert not hasattr(display, "ax_")


def test_facts_are_json(three, tested):
    for found, kind in ((three, "side by side"), (tested, "range test")):
        facts = json.loads(json.dumps(found.facts(), allow_nan=False))
        assert (facts["schema"], facts["kind"]) == (1, kind)
        assert facts["suggested"] == found.suggested
    assert three.facts()["rows"][0]["final_loss"] is None
    assert three.facts()["curves"]["0.01"][-1][1] == pytest.approx(0.3257, abs=1e-4)
