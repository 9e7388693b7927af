"""A forward pass, written down: what really ran, once, with nothing of the network changed."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from manumatic.parts.tracing import trace


class Turns(nn.Module):
    """Control flow that symbolic tracing cannot follow."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(4))

    def forward(self, x):
        for layer in self.layers:
            if x.sum() < 1e9:
                x = x + layer(x).tanh()
        return x


class Noisy(nn.Module):
    """Everything that looking might change: a mode, a buffer, the random state, a counter."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3, momentum=None)
        self.drop = nn.Dropout()
        self.lazy = nn.LazyLinear(2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.lazy(self.drop(self.norm(x.add_(torch.rand(1)))))


class Calls(nn.Module):
    """Layers by name, and a ``forward`` that is given."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.run = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        return self.run(self, x)


def told(model, X=None, **options):
    """(name or kind, places of what it took) of each step."""
    steps = trace(model, (torch.ones(3, 2) if X is None else X,), **options).steps
    return [(step.name or step.kind, step.inputs) for step in steps]


def names(model, X=None, **options):
    return [name for name, _ in told(model, X, **options)]


# --- what ran ------------------------------------------------------------------------------------


def test_control_flow_is_no_obstacle():
    with pytest.raises(fx.proxy.TraceError):
        fx.symbolic_trace(Turns())
    steps = trace(Turns(), (torch.ones(3, 3),)).steps
    assert [step.kind for step in steps] == ["input", *4 * ["Linear", "tanh", "add"], "output"]
    assert [step.inputs for step in steps[1:4]] == [[0], [1], [0, 2]]


def test_shapes_are_those_of_all_tensors():
    _, lstm, output = trace(nn.LSTM(4, 5, batch_first=True), (torch.ones(3, 7, 4),)).steps
    assert (lstm.taken, lstm.made) == ([(3, 7, 4)], [(3, 7, 5), (1, 3, 5), (1, 3, 5)])
    assert output.made == lstm.made


def test_what_changes_in_place_is_on_the_way():
    def forward(self, x):
        self.act(x)
        x[:, 0] = 0
        x.add_(1)
        return x.contiguous()  # already is

    X = torch.tensor([[-1.0, 2.0]])
    assert told(Calls(forward, act=nn.ReLU(inplace=True)), X) == [
        *(("input", []), ("act", [0]), ("setitem", [1]), ("add", [2]), ("output", [3])),
    ]
    assert X.tolist() == [[-1.0, 2.0]]


def test_functions_that_lead_nowhere_are_left_out_unless_all_is_asked_for():
    def forward(self, x):
        x.mean().abs()
        x = x.contiguous()  # already is
        self.unheard(x)
        return self.linear(x)

    model = Calls(forward, linear=nn.Linear(2, 2), unheard=nn.Linear(2, 2))
    assert told(model) == [("input", []), ("unheard", [0]), ("linear", [0]), ("output", [2])]
    functions = ["mean", "abs", "contiguous"]
    assert names(model, whole=True) == ["input", *functions, "unheard", "linear", "output"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_tensor_is_not_taken_for_one_that_is_gone(whole):
    def forward(self, x):
        for _ in range(20):
            x.relu()  # freed at once: the next tensor may lie in its place
            x = x + torch.zeros(2)
        return x

    found = told(Calls(forward), whole=whole)
    assert [name for name, _ in found if name != "relu"] == ["input", *20 * ["add"], "output"]
    for name, inputs in found[1:]:
        assert [found[place][0] for place in inputs] in (["input"], ["add"]), name


def test_a_layer_that_reads_constants_has_no_line_from_the_input():
    def forward(self, x):
        return self.linear(x) + self.embed(torch.arange(2)).sum()

    steps = told(Calls(forward, linear=nn.Linear(2, 2), embed=nn.Embedding(2, 2)))
    assert steps[1:4] == [("linear", [0]), ("embed", []), ("sum", [2])]


def test_the_way_goes_on_behind_what_torch_does_not_show():
    def forward(self, x):
        return self.two(torch.from_numpy(self.one(x).numpy()))

    steps = told(Calls(forward, one=nn.Linear(2, 2), two=nn.Linear(2, 2)))
    assert steps[1:3] == [("one", [0]), ("two", [1])]


def test_tensors_of_inference_mode_are_followed():
    def forward(self, x):
        with torch.inference_mode():
            x = F.relu(self.one(x))
        return self.two(x.clone())

    steps = told(Calls(forward, one=nn.Linear(2, 2), two=nn.Linear(2, 2)))
    assert steps[1:5] == [("one", [0]), ("relu", [1]), ("clone", [2]), ("two", [3])]


def test_depth_closes_boxes():
    block = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model = nn.Sequential(nn.Sequential(block, nn.Tanh()), nn.Flatten())
    assert names(model, depth=1) == ["input", "0", "1", "output"]
    assert names(model, depth=2) == ["input", "0.0", "0.1", "1", "output"]
    assert names(model) == ["input", "0.0.0", "0.0.1", "0.1", "1", "output"]


def test_layers_of_torch_are_looked_into_only_where_all_is_asked_for():
    model = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True))
    X = torch.randn(3, 5, 4)
    assert names(model, X) == ["input", "0", "output"]
    steps = trace(model, (X,), whole=True).steps
    assert {"0.linear1", "0.norm2", "0.dropout"} <= {step.name for step in steps}
    [attention] = [step for step in steps if step.kind == "multi_head_attention_forward"]
    assert attention.within == "0.self_attn"
    assert attention.parameters == sum(w.numel() for w in model[0].self_attn.parameters())


# --- the network stays as it is ------------------------------------------------------------------


def test_nothing_changes():
    model, X = Noisy(), torch.ones(3, 3, requires_grad=True)
    model.norm.eval()
    before = copy.deepcopy({k: v for k, v in model.state_dict().items() if "lazy" not in k})
    state, hooks = torch.get_rng_state(), len(model.lazy._forward_pre_hooks)
    found = trace(model, (X,))
    assert sum(layer.parameters for layer in found.layers) == 6 + 8
    assert isinstance(model.lazy, nn.LazyLinear)  # not built
    assert model.calls == 0
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)
    assert len(model.lazy._forward_pre_hooks) == hooks
    assert not any(part._forward_hooks for part in [*model.modules(), *found.model.modules()])
    assert all(weight.grad is None for weight in (X, *model.parameters()))
    assert X.tolist() == torch.ones(3, 3).tolist()


def test_a_compiled_model_is_taken_as_it_was_written():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), backend=backend)
    kinds = [step.kind for step in trace(compiled, (torch.ones(3, 2),)).steps]
    assert kinds == ["input", "Linear", "Tanh", "output"]
    assert graphs == []  # it was not compiled for this, which can take minutes
