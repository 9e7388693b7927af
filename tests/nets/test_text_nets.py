"""Networks for texts: padding says nothing, pairs of words are what a loop counts."""

from itertools import pairwise

import pytest
import torch

from manumatic.nets.text import (
    TextBag,
    TextConv,
    TextGRU,
    TextLSTM,
    TextTransformer,
    pair_numbers,
    word_vectors,
)

NETS = [TextBag, TextConv, TextGRU, TextLSTM, TextTransformer]
IDS = torch.tensor([[5, 3, 9, 1, 7, 2], [4, 8, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize("kind", NETS)
@torch.no_grad()
def test_padding_changes_nothing(kind):
    torch.manual_seed(0)
    net = kind(10, 3).eval()
    together = net(IDS)
    for place, length in enumerate([6, 2, 1]):
        alone = net(IDS[place : place + 1, :length])
        torch.testing.assert_close(alone, together[place : place + 1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", NETS)
def test_an_empty_text_is_finite_and_so_are_its_gradients(kind):
    torch.manual_seed(0)
    net = kind(10, 3)
    net(torch.cat([IDS, torch.zeros_like(IDS[:1])])).square().sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
    assert net.eval()(torch.zeros(1, 6, dtype=torch.int64)).isfinite().all()


def test_pairs_have_the_numbers_of_a_loop():
    found = pair_numbers(IDS, 50)
    for row, numbers in zip(IDS.tolist(), found.tolist(), strict=True):
        expected = [(a * 1_000_003 + b) % 49 + 1 if b else 0 for a, b in pairwise(row)]
        assert numbers == expected


@torch.no_grad()
def test_the_bag_is_the_mean_and_the_maximum_of_its_vectors():
    torch.manual_seed(0)
    net = TextBag(10, 3, width=4, pairs=50).eval()
    for row in IDS.tolist():
        words = [word for word in row if word]
        vectors = [net.words.weight[word] for word in words]
        pairs = [(a * 1_000_003 + b) % 49 + 1 for a, b in pairwise(words)]
        vectors += [net.pairs.weight[pair] for pair in pairs]
        seen = torch.stack(vectors)
        expected = net.head(torch.cat([seen.mean(0), seen.amax(0)]))
        torch.testing.assert_close(net(torch.tensor([row]))[0], expected)


def test_the_order_of_words_is_seen_by_all_but_a_bag_of_single_words():
    torch.manual_seed(0)
    one, other = torch.tensor([[2, 3, 4]]), torch.tensor([[4, 3, 2]])
    for kind in NETS:
        net = kind(10, 3).eval()
        assert not torch.allclose(net(one), net(other))
    bag = TextBag(10, 3, pairs=0).eval()
    torch.testing.assert_close(bag(one), bag(other))


def test_the_vector_of_padding_stays_zero():
    torch.manual_seed(0)
    vectors = word_vectors(10, 4)
    optimizer = torch.optim.SGD(vectors.parameters(), lr=1.0)
    vectors(IDS).sum().backward()
    optimizer.step()
    assert not vectors.weight[0].any()
    assert vectors.weight[5].any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's exporters about themselves
@pytest.mark.parametrize("kind", NETS)
@torch.no_grad()
def test_export_with_any_number_of_texts_and_words(kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    net = kind(10, 3).eval()
    shapes = ({0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO},)
    other = torch.cat([IDS, IDS])[:5, :4]
    program = torch.export.export(net, (IDS,), dynamic_shapes=shapes).module()
    more = torch.cat([IDS, IDS])  # torch.export fixes the steps of a recurrent net, ONNX does not
    torch.testing.assert_close(program(more), net(more))
    graph = torch.onnx.export(net, (IDS,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    session = onnxruntime.InferenceSession(graph.model_proto.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    torch.testing.assert_close(torch.tensor(found), net(other), atol=1e-5, rtol=1e-5)
