"""Fine-tuning as plain PyTorch: what rests, what thaws, changes of low rank."""

import types

import pytest
import torch
from torch import nn

from manumatic.nets.finetune import (
    FineTuned,
    LowRank,
    Thaw,
    answer_of,
    features_of,
    matches,
    put,
)


class Body(nn.Module):
    """All that changes without a gradient: running statistics, with and without weights."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.layers = nn.Sequential(
            nn.Linear(8, 8), nn.BatchNorm1d(8, affine=False), nn.Dropout(0.5)
        )
        self.fc = nn.Linear(8, 100)

    def forward(self, x):
        return self.fc(self.layers(self.drop(self.norm(self.stem(x)))))


def tuned(**arguments):
    torch.manual_seed(0)
    return FineTuned(Body(), at="fc", in_features=8, out_features=3, **arguments)


def learn(net, steps=3):
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(16, 4)).square().sum().backward()
        optimizer.step()


def changed(net, before):
    return {name for name, now in net.state_dict().items() if not torch.equal(now, before[name])}


def copy_of(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def test_a_frozen_body_is_the_same_to_the_last_running_mean():
    net = tuned()
    before = copy_of(net)
    learn(net.train())
    assert changed(net, before) == {"body.fc.weight", "body.fc.bias"}


def test_a_frozen_part_computes_as_in_prediction():
    net = tuned().train()
    x = torch.randn(5, 4)
    assert net.training
    assert torch.equal(net(x), net(x))  # no dropout at work
    assert torch.equal(net(x), net.eval()(x))


def test_what_learns_has_its_dropout():
    net = tuned(freeze=["stem.*", "norm.*"]).train()
    assert not net.body.norm.training
    assert net.body.layers[1].training
    assert net.body.layers[2].training
    assert net.body.drop.training
    assert tuned().train().body.drop.training is False
    ended = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 9))
    ended = FineTuned(ended, at="2", in_features=8, out_features=3).train()
    assert ended.body[1].training  # that before the head belongs to it


def test_only_what_a_pattern_names_rests():
    net = tuned(freeze=["layers.*"])
    before = copy_of(net)
    learn(net.train())
    assert not any("layers" in name for name in changed(net, before))
    assert {"body.stem.weight", "body.norm.running_mean"} <= changed(net, before)


def test_a_kept_head_learns_alone():
    net = FineTuned(Body(), at="fc", head=None)
    assert [n for n, w in net.named_parameters() if w.requires_grad] == [
        "body.fc.weight",
        "body.fc.bias",
    ]


def test_none_leaves_what_the_network_says_of_itself():
    body = Body()
    body.stem.requires_grad_(False)
    net = FineTuned(body, head=None, freeze=None)
    assert not net.body.stem.weight.requires_grad
    assert net.body.fc.weight.requires_grad
    assert not net.train().body.stem.training


def test_layers_thaw_after_so_many_steps_and_their_statistics_with_them():
    net = tuned(thaw={1: ["layers.*"], 2: ["*"]}).train()
    schedule = Thaw(net, steps=3)
    seen = []
    for _ in range(7):
        before = copy_of(net)
        learn(net, steps=1)
        seen.append({name.split(".")[1] for name in changed(net, before)})
        schedule.step()
    assert seen[:3] == [{"fc"}] * 3
    assert seen[3:6] == [{"fc", "layers"}] * 3
    assert seen[6] == {"stem", "norm", "layers", "fc"}


def test_a_schedule_inside_goes_on_from_a_state():
    def made():
        net = tuned(thaw={1: ["*"]})
        optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
        return net, Thaw(net, 2, schedule=torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5))

    net, schedule = made()
    net(torch.zeros(2, 4)).sum().backward()
    schedule.schedule.optimizer.step()
    for _ in range(3):
        schedule.step()
    other, again = made()
    assert not other.body.stem.weight.requires_grad
    again.load_state_dict(schedule.state_dict())
    assert other.body.stem.weight.requires_grad
    assert other.body.norm.training
    assert again.schedule.get_last_lr() == schedule.schedule.get_last_lr() == [0.125]
    assert again.done == 3


def test_a_run_that_begins_late_has_thawed():
    net = tuned(thaw={2: ["stem.*"]})
    Thaw(net, steps=5, done=1)
    assert not net.body.stem.weight.requires_grad
    Thaw(net, steps=5, done=2)
    assert net.body.stem.weight.requires_grad
    assert not net.body.norm.weight.requires_grad


def test_a_change_of_low_rank_is_its_formula():
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    low = LowRank(layer, rank=2, scale=0.25)
    x = torch.randn(3, 5, 6)
    assert torch.equal(low(x), layer(x))  # B begins at 0
    with torch.no_grad():
        low.lora_b.normal_()
    weight = layer.weight + 0.25 * low.lora_b @ low.lora_a
    torch.testing.assert_close(low(x), nn.functional.linear(x, weight, layer.bias))
    torch.testing.assert_close(low.merged()(x), low(x))
    torch.testing.assert_close(low.weight, weight)
    assert low.bias is layer.bias


def test_low_rank_changes_learn_and_the_layers_do_not():
    net = tuned(lora={"rank": 2, "scale": 1.0, "layers": ["*"]})
    before = copy_of(net)
    learn(net.train())
    assert changed(net, before) == {
        *("body.stem.lora_a", "body.stem.lora_b", "body.fc.weight", "body.fc.bias"),
        *("body.layers.0.lora_a", "body.layers.0.lora_b"),
    }
    assert isinstance(net.body.fc, nn.Linear)
    assert net.fresh[-1] == "body.fc.*"
    plain = net.eval().merged()
    assert type(plain.stem) is nn.Linear
    assert isinstance(net.body.stem, LowRank)
    x = torch.randn(5, 4)
    torch.testing.assert_close(plain.eval()(x), net(x))


def test_a_transformer_of_torch_takes_low_rank_changes_in_its_fast_path():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = FineTuned(layer, head=None, lora={"rank": 2, "scale": 1.0, "layers": ["*"]})
    with torch.no_grad():
        net.body.linear1.lora_b.normal_()
    x = torch.randn(3, 5, 8)
    slow = net.train()
    for dropout in (m for m in slow.modules() if isinstance(m, nn.Dropout)):
        dropout.eval()
    slow.body.self_attn.eval()
    expected = slow(x)
    with torch.inference_mode():
        torch.testing.assert_close(net.eval()(x), expected)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (lambda t: t, "tensor"),
        (lambda t: (t, None), "tuple"),
        (lambda t: {"loss": None, "logits": t, "other": t + 1}, "dict"),
        (lambda t: types.SimpleNamespace(last_hidden_state=t - 1, pooler_output=t), "object"),
        (lambda t: {"loss": None, "out": t}, "dict with other names"),
    ],
)
def test_the_answer_is_found_in_what_networks_return(found, name):
    tensor = torch.ones(2, 3)
    assert answer_of(found(tensor)) is tensor, name


def test_features_are_means_of_what_is_there():
    x = torch.arange(12.0).reshape(2, 3, 2)
    there = torch.tensor([[True, True, False], [True, False, False]])
    assert features_of(x, there).tolist() == [[1.0, 2.0], [6.0, 7.0]]
    assert features_of(x, None).tolist() == x.mean(1).tolist()
    assert features_of(x[:, :, None, :], None).tolist() == x.mean(2).tolist()
    assert features_of(x[:, 0], None) is not None


def test_tokens_come_as_numbers_and_a_mask():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(7, 4)

        def forward(self, input_ids=None, attention_mask=None):
            self.seen = input_ids, attention_mask
            return (self.words(input_ids),)

    body = Reader()
    net = FineTuned(body, in_features=4, out_features=2, pad=1)
    found = net(torch.tensor([[2, 8, 0], [5, 0, 0]]))
    assert body.seen[0].tolist() == [[0, 6, 1], [3, 1, 1]]
    assert body.seen[1].tolist() == [[1, 1, 0], [1, 0, 0]]
    torch.testing.assert_close(found[1], net.head(body.words.weight[3]))


def test_names_match_with_and_without_the_body():
    assert matches("body.layer1.0.weight", ["layer1.*"])
    assert matches("body.layer1.0.weight", ["body.layer1.*"])
    assert not matches("body.layer1.0.weight", ["layer2.*", "0.weight"])


def test_a_layer_is_put_in_its_place():
    body = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    layer = nn.Identity()
    assert put(body, "1.0", layer)[1][0] is layer
    assert put(body, "", layer) is layer
