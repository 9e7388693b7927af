"""What automatic decides for images: the net, its width, how long it learns, and at which rate."""

import numpy as np
import pytest
import torch

import manumatic as mm
from manumatic.gears.pictures import picture_loop, picture_steps, sized_picture_net
from manumatic.logbook import Logbook
from manumatic.nets.image import CNN, ResNet
from manumatic.task import Task


def sized(side, n_rows, net="auto", **arguments):
    task = Task("multiclass", np.arange(3), 1, True, (1, side, side + 2))
    return sized_picture_net(mm.Model(net, **arguments), task, n_rows, Logbook())


@pytest.mark.parametrize(
    ("side", "n_rows", "net", "arguments"),
    [
        (8, 1000, "cnn", {"width": 32}),
        (28, 5000, "cnn", {"width": 16}),
        (28, 60_000, "cnn", {"width": 32}),
        (100, 500, "resnet", {}),
    ],
)
def test_the_net_goes_by_the_side_and_the_number_of_images(side, n_rows, net, arguments):
    found = sized(side, n_rows)
    assert (found.net, found.arguments) == (net, arguments)


def test_what_the_user_says_is_done():
    assert sized(100, 500, "cnn").net == "cnn"
    assert sized(28, 60_000, "cnn", width=5).arguments == {"width": 5}
    assert sized(8, 100, dropout=0.3).arguments == {"dropout": 0.3, "width": 32}


@pytest.mark.parametrize(("n_rows", "epochs"), [(100, 100), (1437, 56), (4000, 20), (7999, 12)])
def test_few_images_are_seen_often_and_none_held_out(n_rows, epochs):
    loop = picture_loop(n_rows, Logbook())
    assert (loop.epochs, loop.uses_validation) == (epochs, False)


def test_many_images_are_seen_twelve_times():
    assert picture_steps(60_000, 512) == 12 * 118


def test_a_fit_takes_these():
    X = np.random.default_rng(0).random((40, 12, 12))
    y = [0, 1] * 20
    training = mm.Classifier(random_state=0).manual(X, y)
    assert isinstance(training.model, CNN)
    assert training.loop.epochs == 100
    assert training.valid is None
    assert training.data.n_rows == 40
    assert isinstance(training.optimizer, torch.optim.AdamW)
    assert training.facts.optimizer.schedule == "one_cycle"
    own = mm.Classifier(data=mm.Data(validation=(X[:9], y[:9])), random_state=0).manual(X, y)
    assert own.valid.n_rows == 9
    assert own.loop.epochs == 300
    large = mm.Classifier().manual(np.random.default_rng(0).random((6, 3, 70, 80)), [0, 1] * 3)
    assert isinstance(large.model, ResNet)


def test_a_net_of_the_user_is_trained_as_before():
    X = np.random.default_rng(0).random((40, 12, 12))
    training = mm.Classifier(mm.Model(CNN, width=4), random_state=0).manual(X, [0, 1] * 20)
    assert training.facts.optimizer.schedule == "cosine"
    assert training.data.augment is None
