"""Augmented training: all gears agree, bit for bit, and only training batches are changed."""

import runpy
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.utils.data import TensorDataset

import manumatic as mm
from manumatic.errors import ComponentError
from manumatic.model_selection import cross_validate
from manumatic.parts.augment import Augment

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, size=(60, 18, 18)).astype(np.uint8)
Y = RNG.integers(0, 3, size=60)


def noisy(X):
    """A function of the user's."""
    return X + 0.1 * torch.randn_like(X)


CASES = {
    "auto": {},
    "resnet": {"model": mm.Model("resnet", width=2)},
    "all of it": {"augment": Augment(2, flip=True, cutout=3, border="reflect")},
    "full batch": {"augment": Augment(1), "batch_size": None},
    "in order": {"augment": Augment(1), "shuffle": False, "batch_size": 16},
    "accumulate": {"augment": Augment(1), "batch_size": 16, "loop": mm.Loop(2, accumulate=3)},
    "a function": {"augment": noisy, "batch_size": 16},
    "several": {"augment": nn.Sequential(Augment(1), nn.Dropout2d(0.3)), "batch_size": 16},
    "best weights": {"augment": Augment(1), "batch_size": 16, "loop": mm.Loop(3, patience=2)},
}


def net(model="cnn", loop=None, **data):
    loop = loop or mm.Loop(2)
    model = mm.Model("cnn", width=2) if model == "cnn" else model
    return mm.Classifier(model, data=mm.Data(**data), loop=loop, random_state=3)


def same(one, *others):
    for other in others:
        for name, weight in one.state_dict().items():
            assert torch.equal(weight, other.state_dict()[name]), name


@pytest.mark.parametrize("case", CASES)
def test_automatic_manual_ejected_and_watched_agree(case, tmp_path):
    fitted = net(**CASES[case]).fit(X, Y)
    training = net(**CASES[case]).manual(X, Y)
    for _ in training:
        pass
    watched = net(**CASES[case]).set_params(watch=mm.Watch(metrics="accuracy")).fit(X, Y)
    path = tmp_path / "train.py"
    text = net(**CASES[case]).eject(path, X, Y)
    assert "manumatic" not in text.split("\n", 1)[1]
    with torch.random.fork_rng([]):
        script = runpy.run_path(str(path))
    script["stored"].close()
    same(fitted.model_, training.model, watched.model_, script["model"])


def test_augmentation_changes_what_is_learned():
    plain, moved = (net(augment=a).fit(X, Y).model_ for a in (None, Augment(2)))
    weights = zip(plain.parameters(), moved.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in weights)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_training_goes_on_from_anywhere(stop, tmp_path):
    settings = {"augment": Augment(2, cutout=2), "batch_size": 16, "loop": mm.Loop(3, keep="best")}
    whole = net(**settings).manual(X, Y).run()
    first = net(**settings).manual(X, Y)
    for _ in range(stop):
        first.step()
    first.save(tmp_path / "run.pt")
    second = net(**settings).manual(X, Y).load(tmp_path / "run.pt").run()
    same(whole.model, second.model)


def test_only_training_batches_are_changed():
    seen = []

    def note(X):
        seen.append(len(X))
        return X

    fitted = net(augment=note, batch_size=16, loop=mm.Loop(2, keep="best")).fit(X, Y)
    seen = seen[1:]  # a look at some rows before the first step
    fitted.predict(X)
    assert seen == [16, 16, 16, 6] * 2


def test_a_prediction_is_no_matter_of_chance():
    fitted = net(augment=Augment(2)).fit(X, Y)
    before = torch.get_rng_state()
    assert np.array_equal(fitted.predict_proba(X), fitted.predict_proba(X))
    assert torch.equal(before, torch.get_rng_state())


def test_a_fit_leaves_the_global_randomness_alone():
    before = torch.get_rng_state()
    net(augment=Augment(2)).fit(X, Y)
    assert torch.equal(before, torch.get_rng_state())


def test_auto_moves_images_that_are_large_enough_and_never_flips():
    chosen = net().manual(X, Y).data.augment
    assert repr(chosen) == "Augment(shift=1, flip=False, cutout=0, border='edge')"
    assert net().manual(np.zeros((20, 28, 28)) + Y[:20, None, None], Y[:20]).data.augment.shift == 2
    assert net().manual(X[:, :8, :8], Y).data.augment is None
    assert net("table").manual(X[:, 0], Y).data.augment is None
    own = nn.Sequential(nn.Flatten(), nn.Linear(18 * 18, 3))
    assert net(own).manual(X, Y).data.augment is None


def test_the_logbook_says_so():
    assert "moved by up to 1 pixels" in str(net().fit(X, Y).logbook_)
    assert "as you asked" in str(net(augment=noisy).fit(X, Y).logbook_)


def test_a_function_that_loses_rows_is_named():
    with pytest.raises(ComponentError, match=r"\(2, 1, 18, 18\) for rows of the shape \(4, 1"):
        net(augment=lambda X: X[:2]).fit(X, Y)
    with pytest.raises(ComponentError, match="got 'flip'"):
        net(augment="flip").fit(X, Y)
    with pytest.raises(ComponentError, match="Augment"):
        net(augment=Augment).fit(X, Y)


def test_members_of_a_search_train_alone_and_the_same():
    model = mm.Model("mlp", hidden=4)
    estimator = net(model, augment=noisy, batch_size=16, preprocess=None)
    rows = X[:, 0].astype(np.float32) / 255
    found = cross_validate(estimator, rows, Y, cv=2, return_estimator=True, return_indices=True)
    for fitted, train in zip(found["estimator"], found["indices"]["train"], strict=True):
        assert "augmented" in str(fitted.logbook_)
        same(fitted.model_, net(**vars_of(estimator)).fit(rows[train], Y[train]).model_)


def vars_of(estimator):
    data = estimator.data
    return {
        "model": estimator.model,
        "augment": data.augment,
        "batch_size": data.batch_size,
        "preprocess": data.preprocess,
    }


def test_streams_are_augmented_too(tmp_path):
    tensors = torch.from_numpy(X[:, None] / 255).float(), torch.from_numpy(Y)
    stream = torch.utils.data.Subset(TensorDataset(*tensors), range(60))
    labels = Y
    seen = []

    def note(X):
        seen.append(tuple(X.shape))
        return X

    net(augment=note, batch_size=32, loop=mm.Loop(1)).fit(stream, labels)
    assert seen[1:] == [(32, 1, 18, 18), (28, 1, 18, 18)]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    seen.clear()
    net(augment=note, batch_size=32, loop=mm.Loop(1)).fit(mapped, labels)
    assert seen[1:] == [(32, 1, 18, 18), (28, 1, 18, 18)]


def test_transforms_of_torchvision():
    transforms = torchvision_transforms()
    flip = transforms.RandomHorizontalFlip(p=1.0)
    fitted = net(augment=flip).fit(X, Y)
    same(fitted.model_, net(augment=None).fit(X[:, :, ::-1], Y).model_)


def torchvision_transforms():
    """torchvision's, where its binary part goes with this torch."""
    try:
        from torchvision.transforms import v2
    except (ImportError, RuntimeError) as error:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        pytest.skip(f"torchvision cannot be imported: {error}")
    return v2


class Foreign:
    """As torchvision's older transforms: a ``get_params`` that is not scikit-learn's."""

    @staticmethod
    def get_params(X, size):
        return size

    def __call__(self, X):
        return X


def test_a_transform_with_parameters_of_its_own_is_cloned():
    estimator = net(augment=Foreign(), batch_size=16)
    again = clone(estimator)
    assert isinstance(again.data.augment, Foreign)
    assert again.data.augment is not estimator.data.augment
    assert again.data.batch_size == 16
    assert "data__augment" in estimator.get_params()
    assert estimator.set_params(data__augment=None).data.augment is None
    estimator.set_params(data__augment=Foreign()).fit(X, Y)
