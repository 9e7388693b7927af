"""Rates, decay and dropout of the table net's recipe, against the paper's formulas."""

import math

import pytest
import torch

from manumatic.nets.table import TableNet
from manumatic.parts.schedules import Waves

STEPS = 40


def made(dropout=(0.4, 0.1)):
    net = TableNet(3, 1, hidden=4, members=2, dropout=dropout)
    groups = [{"params": [net.scale], "lr": 0.6}, {"params": [*net.layers.parameters()]}]
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.02)
    return net, optimizer, Waves(optimizer, STEPS, net)


def coslog4(t):
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**4 - 1) * t)))


def flat_cos(t):
    return 0.5 * (1 + math.cos(math.pi * (max(1, 2 * t) - 1)))


def test_rate_decay_and_dropout_follow_the_paper():
    net, optimizer, schedule = made()
    for step in range(STEPS):
        t = (step + 0.5) / STEPS
        for group, lr in zip(optimizer.param_groups, (0.6, 0.1), strict=True):
            assert group["lr"] == pytest.approx(lr * coslog4(t))
            assert group["weight_decay"] == pytest.approx(0.02 * flat_cos(t))
        assert net.dropout.p == pytest.approx(0.1 + 0.3 * flat_cos(t))
        optimizer.step()
        schedule.step()
    assert net.dropout.p == 0.1


def test_one_rate_of_dropout_stays():
    net, optimizer, schedule = made(dropout=0.3)
    for _ in range(STEPS):
        optimizer.step()
        schedule.step()
    assert net.dropout.p == 0.3
    assert not net.falls


def test_its_state_holds_no_network_and_brings_the_dropout_back():
    _, optimizer, schedule = made()
    for _ in range(30):
        optimizer.step()
        schedule.step()
    state = schedule.state_dict()
    assert all(isinstance(value, int | float | bool | list) for value in state.values()), state
    net, _, other = made()
    assert net.dropout.p == pytest.approx(0.4)
    other.load_state_dict(state)
    assert net.dropout.p == pytest.approx(0.1 + 0.3 * flat_cos(30.5 / STEPS))
    assert other.model is net
