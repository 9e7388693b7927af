"""Masking: a row says the same alone and padded, and what PyTorch's own packing would say."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from manumatic.nets.sequence import (
    Attention,
    SequenceConv,
    SequenceGRU,
    SequenceLSTM,
    SequenceTransformer,
    last_of,
    pooled,
    real_steps,
    waves,
)

NETS = [SequenceGRU, SequenceLSTM, SequenceConv, SequenceTransformer]
LENGTHS = [7, 4, 1, 9]


@pytest.fixture
def rows():
    """Four rows of LENGTHS steps with three features, NaN behind them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 9, 3, generator=generator)
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = math.nan
    return x


@pytest.mark.parametrize("kind", NETS)
@torch.no_grad()
def test_padding_changes_nothing(kind, rows):
    torch.manual_seed(0)
    net = kind(3, 2).eval()
    together = net(rows)
    for place, length in enumerate(LENGTHS):
        alone = net(rows[place : place + 1, :length])
        torch.testing.assert_close(alone, together[place : place + 1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", NETS)
def test_a_row_without_steps_is_finite_and_so_are_its_gradients(kind, rows):
    torch.manual_seed(0)
    rows[1] = math.nan
    net = kind(3, 2)
    net(rows).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
    assert net.eval()(rows[1:2]).isfinite().all()


def test_mean_maximum_and_last_are_those_of_a_loop(rows):
    x, mask = real_steps(rows)
    there = [row[:length] for row, length in zip(rows, LENGTHS, strict=True)]
    means = torch.stack([steps.mean(0) for steps in there])
    most = torch.stack([steps.amax(0) for steps in there])
    torch.testing.assert_close(pooled(x, mask), torch.cat([means, most], 1))
    assert torch.equal(last_of(x, mask), torch.stack([steps[-1] for steps in there]))


@pytest.mark.parametrize("kind", [SequenceGRU, SequenceLSTM])
@torch.no_grad()
def test_masked_states_are_those_of_packed_rows(kind, rows):
    torch.manual_seed(0)
    net = kind(3, 2, hidden=8, layers=2).eval()
    x, mask = real_steps(rows)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    states, _ = pad_packed_sequence(net.recurrent(packed)[0], batch_first=True)
    expected = net.head(torch.cat([last_of(states, mask), pooled(states, mask)], 1))
    torch.testing.assert_close(net(rows), expected)


@torch.no_grad()
def test_attention_is_that_of_pytorch_with_a_padding_mask(rows):
    torch.manual_seed(0)
    ours = Attention(8, heads=2, dropout=0.0).eval()
    theirs = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    theirs.load_state_dict(
        {
            "self_attn.in_proj_weight": ours.query_key_value.weight,
            "self_attn.in_proj_bias": ours.query_key_value.bias,
            "self_attn.out_proj.weight": ours.together.weight,
            "self_attn.out_proj.bias": ours.together.bias,
            "linear1.weight": ours.deep[0].weight,
            "linear1.bias": ours.deep[0].bias,
            "linear2.weight": ours.deep[3].weight,
            "linear2.bias": ours.deep[3].bias,
            "norm1.weight": ours.before.weight,
            "norm1.bias": ours.before.bias,
            "norm2.weight": ours.between.weight,
            "norm2.bias": ours.between.bias,
        }
    )
    x, (_, mask) = torch.randn(4, 9, 8), real_steps(rows)
    expected = theirs(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, mask)[mask], expected[mask], atol=1e-6, rtol=1e-5)


def test_waves_are_the_sines_and_cosines_of_the_paper():
    found = waves(torch.arange(5), 4)
    for place in range(5):
        angles = [place, place / 100]  # 10000^(2i/width)
        expected = [*map(math.sin, angles), *map(math.cos, angles)]
        torch.testing.assert_close(found[place], torch.tensor(expected))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's exporters about themselves
@pytest.mark.parametrize("kind", NETS)
@torch.no_grad()
def test_export_with_any_number_of_rows_and_steps(kind, rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    net = kind(3, 2).eval()
    shapes = ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},)
    other = torch.cat([rows, rows])[:7, :6]
    program = torch.export.export(net, (rows,), dynamic_shapes=shapes).module()
    more = torch.cat([rows, rows])  # torch.export fixes the steps of a recurrent net, ONNX does not
    torch.testing.assert_close(program(more), net(more))
    graph = torch.onnx.export(net, (rows,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = onnxruntime.InferenceSession(graph.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    torch.testing.assert_close(torch.tensor(found), net(other), atol=1e-5, rtol=1e-5)
