"""Augmentation against loops over pixels, written with NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import manumatic as mm
from manumatic.parts.augment import Augment, augmented


def images(n=5, c=2, h=6, w=9):
    return np.random.default_rng(0).normal(size=(n, c, h, w)).astype(np.float32)


def fold(place, side):
    """The mirror image of a place outside."""
    while not 0 <= place < side:
        place = -place if place < 0 else 2 * (side - 1) - place
    return place


def pixel(image, row, column, border):
    h, w = image.shape[1:]
    if border == "reflect":
        return image[:, fold(row, h), fold(column, w)]
    if border == "zero" and not (0 <= row < h and 0 <= column < w):
        return np.zeros(len(image), np.float32)
    return image[:, min(max(row, 0), h - 1), min(max(column, 0), w - 1)]


def by_hand(X, settings, seed):
    """The same draws in the same order, then one pixel after the other."""
    generator = torch.Generator().manual_seed(seed)
    n, _, h, w = X.shape

    def whole(low, high):
        return torch.randint(low, high, (n, 1), generator=generator)[:, 0].tolist()

    found, shift, size = X.copy(), settings["shift"], settings["cutout"]
    if shift:
        down, right = whole(-shift, shift + 1), whole(-shift, shift + 1)
        for i, r, k in np.ndindex(n, h, w):
            found[i, :, r, k] = pixel(X[i], r + down[i], k + right[i], settings["border"])
    if settings["flip"]:
        for i, chance in enumerate(torch.rand(n, generator=generator).tolist()):
            found[i] = found[i, :, :, ::-1].copy() if chance < 0.5 else found[i]
    if size:
        tops, lefts = whole(0, h), whole(0, w)
        for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            top, left = top - size // 2, left - size // 2
            found[i, :, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    return found


@given(
    shift=st.integers(0, 4),
    flip=st.booleans(),
    cutout=st.integers(0, 7),
    border=st.sampled_from(["edge", "reflect", "zero"]),
    seed=st.integers(0, 1000),
)
def test_a_batch_is_changed_as_a_loop_over_its_pixels_changes_it(shift, flip, cutout, border, seed):
    X = images()
    settings = {"shift": shift, "flip": flip, "cutout": cutout, "border": border}
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        found = Augment(**settings)(torch.from_numpy(X))
    np.testing.assert_array_equal(found.numpy(), by_hand(X, settings, seed))


def test_images_of_a_batch_move_each_their_own_way():
    X = torch.arange(49.0).reshape(1, 1, 7, 7).expand(200, 1, 7, 7)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        middle = Augment(shift=2)(X)[:, 0, 3, 3]
    assert sorted(set(middle.tolist())) == [7.0 * r + c for r in range(1, 6) for c in range(1, 6)]


def test_nothing_asked_is_nothing_done():
    X, before = torch.from_numpy(images()), torch.get_rng_state()
    assert Augment()(X) is X
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("settings", [{"shift": -1}, {"shift": 0.5}, {"border": "wrap"}])
def test_a_setting_that_cannot_be_is_named(settings):
    with pytest.raises(ValueError, match=str(*settings.values())):
        mm.Augment(**settings)


def test_a_batch_is_changed_when_its_turn_comes():
    seen = []

    def note(X):
        seen.append(X)
        return -X

    batches = augmented(iter([(0, 1, "a"), (1, 2, "b")]), note)
    assert seen == []
    assert next(batches) == (0, -1, "a")
    assert seen == [1]
