"""The net for rows of several kinds: each encoder against itself, alone and in plain PyTorch."""

import pytest
import torch
from torch.nn import functional as F

from manumatic.nets.image import CNN
from manumatic.nets.mixed import MixedNet
from manumatic.nets.table import TableNet
from manumatic.nets.text import TextBag


def rows(n=5, seed=0):
    """Three numbers, a text of four words, a picture 3 × 6 × 5 behind its flag."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(n, 3, generator=generator)
    ids = torch.randint(0, 20, (n, 4), generator=generator)
    there = (torch.arange(n) % 3 > 0).float().unsqueeze(1)
    pixels = torch.randn(n, 3 * 6 * 5, generator=generator)
    return numbers, ids, there, pixels, torch.cat([numbers, ids, there, pixels], 1)


def net(**settings):
    torch.manual_seed(0)
    shapes = {"table": 3, "texts": [(20, 4)], "images": [(3, 6, 5)]}
    return MixedNet(2, **(shapes | {"width": 8, "hidden": 6, "members": 3} | settings)).eval()


def test_each_encoder_reads_its_columns_as_it_would_alone():
    numbers, ids, there, pixels, X = rows()
    whole = net()
    bag = TextBag(20, 8, pairs=2**12).eval()
    bag.load_state_dict(whole.texts[0].state_dict())
    cnn = CNN(3, 8, width=8).eval()
    cnn.load_state_dict(whole.images[0].state_dict())
    weights = [(norm.weight, norm.bias) for norm in whole.norms]
    text = F.layer_norm(bag(ids), (8,), *weights[0])
    image = F.layer_norm(cnn(pixels.view(-1, 3, 6, 5)), (8,), *weights[1]) * there
    read = torch.cat([numbers, text, image], 1)
    torch.testing.assert_close(whole.read(X), read)
    table = TableNet(3 + 16, 2, 6, members=3, numeric=range(3)).eval()
    table.load_state_dict(whole.table.state_dict())
    torch.testing.assert_close(whole(X), table(read))


def test_where_there_is_no_image_its_pixels_say_nothing():
    *_, X = rows(2)
    other = X.clone()
    other[:, -90:] = 5.0
    found, again = net()(X), net()(other)
    assert torch.equal(found[0], again[0])
    assert not torch.allclose(found[1], again[1])


@pytest.mark.parametrize(
    ("shapes", "numbers"),
    [
        ({"table": 4}, 4),
        ({"texts": [(9, 3), (5, 2)]}, 5),
        ({"images": [(1, 3, 2)]}, 7),
        ({"table": 2, "texts": [(9, 3)], "images": [(1, 3, 2), (3, 2, 2)]}, 2 + 3 + 7 + 13),
    ],
)
def test_any_of_the_kinds_may_be_left_out(shapes, numbers):
    made = MixedNet(2, **shapes, width=4, hidden=5, members=2)
    made.initialise(torch.ones(6, numbers), torch.arange(12.0).view(6, 2))
    assert made(torch.ones(6, numbers)).shape == (6, 2, 2)
    assert made.eval()(torch.ones(6, numbers)).shape == (6, 2)


def test_every_weight_learns_and_beginning_changes_no_statistics():
    *_, X = rows(32)
    made = net(bins=4).train()
    before = {name: buffer.clone() for name, buffer in made.images.named_buffers()}
    made.initialise(X)
    assert made.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in made.images.named_buffers())
    assert 0.3 < made.eval()(X).std() < 3
    made.train()(X).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in made.parameters())
