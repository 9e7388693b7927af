"""Autoencoders, centres, mixtures and parts as plain PyTorch: against formulas and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from sklearn.mixture import GaussianMixture
from torch import nn
from torch.distributions import Normal, kl_divergence

from manumatic.nets.autoencoder import (
    ELBO,
    Autoencoder,
    LinearAutoencoder,
    VariationalAutoencoder,
)
from manumatic.nets.clusters import (
    Centres,
    Mixture,
    NegativeLogLikelihood,
    SquaredDistance,
    spread_centres,
)
from manumatic.nets.nonnegative import NonNegative, nndsvd

KINDS = (LinearAutoencoder, Autoencoder, VariationalAutoencoder, Centres, Mixture, NonNegative)


def seeded(kind, *args, **options):
    torch.manual_seed(0)
    return kind(*args, **options)


def rows(n=60, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.randn(3, d, generator=generator) * 3
    return torch.cat([group + torch.randn(n // 3, d, generator=generator) for group in groups])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 6), (5, 1, 2, 3)])
def test_a_reconstruction_has_the_shape_of_the_rows(kind, shape):
    net = seeded(kind, 6, code=4).eval()
    x = torch.rand(shape)
    assert net(x).shape == shape
    assert net.encode(x).shape == (5, 4)
    assert net.decode(net.encode(x)).shape == (5, 6)
    assert torch.allclose(net.decode(net.encode(x)).reshape(shape), net(x), atol=1e-6)


def test_hidden_layers_are_mirrored():
    net = Autoencoder(5, code=2, hidden=[16, 8])
    widths = [
        [layer.out_features for layer in part if isinstance(layer, nn.Linear)]
        for part in (net.encoder, net.decoder)
    ]
    assert widths == [[16, 8, 2], [8, 16, 5]]


def test_noise_is_for_training_only():
    x = torch.randn(4, 5)
    net = seeded(Autoencoder, 5, noise=0.5)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_the_divergence_is_that_of_two_normals():
    net = seeded(VariationalAutoencoder, 5, code=3)
    x = torch.randn(4, 5)
    mean, log_variance = net.encoder(x).chunk(2, dim=1)
    normal = Normal(mean, (log_variance / 2).exp())
    wanted = kl_divergence(normal, Normal(torch.zeros(3), torch.ones(3))).sum(dim=1)
    assert torch.allclose(net(x).divergence, wanted, atol=1e-6)
    assert torch.equal(net.eval()(x).divergence, net(x).divergence)


def test_the_loss_is_the_evidence_lower_bound_but_for_a_constant():
    net = seeded(VariationalAutoencoder, 5, code=3).eval()
    x = torch.randn(40, 5)
    found = net(x)
    bound = Normal(found, 1.0).log_prob(x).sum(dim=1) - found.divergence
    constant = 5 / 2 * np.log(2 * np.pi)
    wanted = -(bound + constant) * 2 / 5
    assert torch.allclose(ELBO(reduction="none")(found, x), wanted, atol=1e-5)
    assert torch.isclose(ELBO()(found, x), wanted.mean(), atol=1e-5)
    assert torch.isclose(ELBO(beta=0)(found, x), nn.functional.mse_loss(found, x))


def test_a_loss_without_its_divergence_says_so():
    with pytest.raises(AttributeError, match="divergence"):
        ELBO()(torch.zeros(2, 3), torch.zeros(2, 3))


# --- centres -----------------------------------------------------------------------------------


def test_a_step_with_rate_one_half_is_lloyds():
    x, net = rows(), Centres(3, code=3)
    net.start_at(x[[0, 20, 40]])
    nearest = torch.cdist(x, net.centres).argmin(dim=1)
    wanted = torch.stack([x[nearest == i].mean(dim=0) for i in range(3)])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    SquaredDistance()(net(x), x).backward()
    optimizer.step()
    assert torch.allclose(net.centres, wanted, atol=1e-5)


def test_centres_start_at_rows_that_lie_apart():
    x = rows()
    net = seeded(Centres, 3, code=3).eval()
    net(x)
    assert not net.started
    net.train()(x)
    assert net.started
    assert all((x == centre).all(dim=1).any() for centre in net.centres.detach())
    assert sorted(torch.cdist(x[::20], net.centres).argmin(dim=1).tolist()) == [0, 1, 2]


def test_fewer_different_rows_than_centres():
    assert spread_centres(torch.ones(4, 2), 3).shape == (3, 2)


def test_a_centre_without_rows_stays():
    x, net = rows(), Centres(3, code=2)
    net.start_at(torch.stack([x.mean(dim=0), torch.full((3,), 1e3)]))
    SquaredDistance()(net(x), x).backward()
    assert net.centres.grad[1].eq(0).all()


# --- mixtures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_likelihood_and_shares_are_those_of_scikit_learn(kind):
    x = rows() * torch.tensor([1.0, 30.0, 0.1])
    known = GaussianMixture(3, covariance_type=kind, random_state=0).fit(x.double())
    covariances = torch.tensor(known.covariances_)
    if kind == "spherical":
        covariances = covariances[:, None, None] * torch.eye(3).double()
    elif kind == "diag":
        covariances = torch.diag_embed(covariances)
    net = Mixture(3, 3, kind).eval()
    net.start_at(
        torch.tensor(known.means_), covariances.expand(3, 3, 3), torch.tensor(known.weights_)
    )
    found = net(x)
    wanted = torch.tensor(known.score_samples(x.double()))
    assert torch.allclose(found.log_likelihood.double(), wanted, atol=1e-4)
    assert np.allclose(net.encode(x).detach(), known.predict_proba(x.double()), atol=1e-5)
    assert np.allclose(net.decode(torch.eye(3)).detach(), known.means_, rtol=1e-5)
    assert NegativeLogLikelihood()(found, x).item() == pytest.approx(
        -wanted.mean().item(), abs=1e-5
    )


def test_a_mixture_starts_from_clusters():
    x = rows()
    net = seeded(Mixture, 3, code=3)
    net(x)
    means = net.decode(torch.eye(3)).detach()
    wanted = torch.stack([group.mean(dim=0) for group in x.split(20)])
    assert torch.cdist(wanted, means).amin(dim=1).max() < 0.5


def test_a_mixture_has_no_weight_that_its_kind_does_not_need():
    for kind, number in {"full": 27, "tied": 9, "diag": 0, "spherical": 0}.items():
        net = Mixture(3, 3, kind)
        assert (0 if net.above is None else net.above.numel()) == number


# --- parts -------------------------------------------------------------------------------------


def test_amounts_are_the_best_that_are_not_negative():
    torch.manual_seed(0)
    x = torch.rand(20, 6)
    net = NonNegative(6, code=3)
    parts = net.parts.detach().double().numpy()
    wanted = np.stack([nnls(parts.T, row)[0] for row in x.double().numpy()])
    assert np.allclose(net.encode(x), wanted, atol=1e-4)


def test_the_gradient_is_that_of_the_best_amounts():
    """Danskin's theorem: amounts that follow the parts change the error by nothing more."""
    torch.manual_seed(0)
    x, net = torch.rand(20, 6), NonNegative(6, code=2)

    def error():
        return (net(x) - x).square().sum()

    net.started.fill_(True)
    error().backward()
    step = 1e-2
    with torch.no_grad():
        net.roots[0, 1] += step
        up = error()
        net.roots[0, 1] -= 2 * step
        down = error()
    assert net.roots.grad[0, 1].item() == pytest.approx(((up - down) / 2 / step).item(), rel=0.02)


def test_parts_start_where_scikit_learn_does():
    from sklearn.decomposition._nmf import _initialize_nmf

    x = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
    _, wanted = _initialize_nmf(x.double().numpy(), 3, init="nndsvda", random_state=0)
    found = nndsvd(x, 3)
    assert np.allclose(found, wanted, atol=1e-4)
