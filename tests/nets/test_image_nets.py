"""Networks for images: shapes, sizes, and a block written by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import manumatic as mm
from manumatic.nets.image import Block, ResNet, strides_of


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 3),
    c=st.integers(1, 4),
    h=st.integers(4, 70),
    w=st.integers(4, 70),
    blocks=st.integers(1, 2),
)
def test_any_images_will_do(n, c, h, w, blocks):
    net = ResNet((c, h, w), 5, width=2, blocks=blocks).eval()
    assert net(torch.randn(n, c, h, w)).shape == (n, 5)


def test_large_images_are_halved_at_once():
    net = ResNet((3, 224, 224), 2, width=2).eval()
    assert net.stem(torch.zeros(1, 3, 224, 224)).shape == (1, 2, 56, 56)
    assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 2)


@given(side=st.integers(1, 500))
def test_the_last_stage_leaves_seven_pixels_or_less(side):
    first, *stages = strides_of(side)
    left = -(-side // first)
    assert left <= max(32, -(-side // 4))
    for stride in stages:
        left = -(-left // stride)
    assert left <= 7
    assert len(stages) >= 2
    assert side > 16 or stages == [1, 2]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 50), (2, 224, 224)])
@pytest.mark.parametrize("blocks", [1, 3])
def test_the_weights_can_be_counted(shape, blocks):
    """9·a·b a convolution, a·b a shortcut, 2·b a batch norm, and the last layer."""
    width, outputs = 4, 6
    first, *stages = strides_of(min(shape[1:]))
    count = shape[0] * width * (2 * first + 1) ** 2 + 2 * width
    for place in range(len(stages)):
        a = width * 2**place
        b = 2 * a
        count += 9 * a * b + 9 * b * b + a * b + 6 * b  # the first block, with its shortcut
        count += (blocks - 1) * (18 * b * b + 4 * b)
    count += outputs * (width * 2 ** len(stages) + 1)
    net = ResNet(shape, outputs, width=width, blocks=blocks)
    assert sum(weight.numel() for weight in net.parameters()) == count


@pytest.mark.parametrize(("before", "after", "stride"), [(3, 3, 1), (3, 5, 1), (4, 4, 2)])
def test_a_block_is_relu_of_x_and_what_two_convolutions_add(before, after, stride):
    block = Block(before, after, stride).double()
    x = torch.randn(6, before, 7, 9, dtype=torch.float64)

    def normed(values, layer):
        """By the mean and spread of the batch, as in training."""
        mean = values.mean(dim=(0, 2, 3), keepdim=True)
        spread = values.var(dim=(0, 2, 3), keepdim=True, correction=0) + 1e-5
        weight, bias = (p[None, :, None, None] for p in (layer.weight, layer.bias))
        return (values - mean) / spread.sqrt() * weight + bias

    def convolved(values, layer, stride, padding):
        return F.conv2d(values, layer.weight, stride=stride, padding=padding)

    with torch.no_grad():
        for layer in (block.change[1], block.change[4]):
            layer.weight.uniform_(0.5, 1.5)
            layer.bias.uniform_(-1, 1)
        one, norm, _, two, last = block.change
        added = normed(convolved(x, one, stride, 1), norm).clamp(min=0)
        added = normed(convolved(added, two, 1, 1), last)
        if before != after or stride != 1:
            x_there = normed(convolved(x, block.shortcut[0], stride, 0), block.shortcut[1])
        else:
            x_there = x
        torch.testing.assert_close(block(x), (x_there + added).clamp(min=0))


def test_the_layout_in_memory_changes_no_number():
    net, x = ResNet((2, 20, 20), 3, width=4).eval(), torch.randn(4, 2, 20, 20)
    plain = net.head(net.stages(net.stem(x)))
    torch.testing.assert_close(net(x), plain)


def test_resnet_by_name():
    X = torch.rand(24, 3, 9, 10).numpy()
    net = mm.Classifier("resnet", loop=mm.Loop(epochs=1), random_state=0).fit(X, [0, 1] * 12)
    assert isinstance(net.model_, ResNet)
    assert net.predict_proba(X).shape == (24, 2)
    wide = mm.Classifier(mm.Model("resnet", width=4), loop=mm.Loop(1)).fit(X, [0, 1] * 12)
    assert wide.model_.stem[0].out_channels == 4
