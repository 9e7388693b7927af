"""How long a step may be: the curvature of the loss, and the limit that it sets for SGD."""

__all__ = ["at_most", "sharpness", "stability_limit", "too_fast"]

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from manumatic.doctor.case import Case
from manumatic.doctor.finding import Finding

Weights = dict[str, Tensor]
FEW = 16  # rows that show whether a model is linear
STEPS = 100  # of the Lanczos iteration, at most; 5 to 20 do
BLOCK = 4096  # rows in float64 at a time: they stay in the cache
MOST = 10**9  # products in a Gram matrix; beyond, its eigenvalue costs less without it
# they do something else while training, so that what is seen in eval mode does not hold there
FICKLE = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


def sharpness(
    model: nn.Module,
    X: Tensor,
    y: Tensor,
    loss: Callable[..., Tensor],
    weight: Tensor | None = None,
) -> float:
    """The largest positive eigenvalue of the Hessian of the loss over all trainable weights.

    One linear layer under the mean squared error has it in closed form, from the Gram matrix of its
    inputs. Else a Lanczos iteration finds it, at the weights as they are: each of its steps costs
    about two gradients, none stores the Hessian. Weights, ``.grad``, buffers and random states stay
    as they were.

    Parameters
    ----------
    model : torch.nn.Module
    X : Tensor (n, ...)
    y : Tensor (n, ...)
    loss : callable
        (prediction, target) → their mean loss; (prediction, target, weight) where rows have
        weights.
    weight : Tensor (n,), optional

    Returns
    -------
    float
        In units of the loss per squared unit of a weight; 0.0 where no direction curves upwards.

    References
    ----------
    C. Lanczos, Journal of Research of the National Bureau of Standards 45, 255 (1950); products of
    a Hessian and a vector: B. A. Pearlmutter, Neural Computation 6, 147 (1994).

    Examples
    --------
    >>> hours = torch.tensor([[1.0], [2], [3], [4], [5]])
    >>> score = torch.tensor([[52.0], [59], [66], [73], [80]])
    >>> round(sharpness(nn.Linear(1, 1), hours, score, nn.MSELoss()), 3)
    23.662
    """
    case = Case(model, X, y, loss, weight=weight)
    layer = _linear_layer(case)
    if layer is not None and _squares_errors(case):
        return _closed_form(layer, case)
    return _lanczos(*_curvature(case))


def stability_limit(case: Case) -> float | None:
    """The learning rate above which plain SGD moves away from the minimum, whatever the start.

    It is 2(1 + momentum) / (λmax + weight_decay), and exact for a batch of all rows and a loss
    whose curvature is everywhere the same: a model that is linear in its weights under the mean
    squared error. Both are found out by looking at a few rows, so that it makes no difference how
    model and loss are written.

    Parameters
    ----------
    case : Case
        Model, rows, loss and optimizer.

    Returns
    -------
    float or None
        None where there is no such limit, or none that is known: any other model, loss or
        optimizer; SGD with Nesterov momentum, dampening or several groups of weights.

    References
    ----------
    B. T. Polyak, USSR Computational Mathematics and Mathematical Physics 4(5), 1 (1964).

    Examples
    --------
    >>> model = nn.Linear(1, 1)
    >>> case = Case(
    ...     model,
    ...     torch.tensor([[1.0], [2], [3], [4], [5]]),
    ...     torch.tensor([[52.0], [59], [66], [73], [80]]),
    ...     nn.MSELoss(),
    ...     torch.optim.SGD(model.parameters(), lr=0.1),
    ... )
    >>> round(stability_limit(case), 6)
    0.084524
    """
    group = _plain_sgd(case)
    if group is None:
        return None
    with torch.random.fork_rng(_devices(case)):
        layer = _linear_layer(case)
        if (layer is None and not _is_linear(case)) or not _squares_errors(case):
            return None
    curvature = _lanczos(*_curvature(case)) if layer is None else _closed_form(layer, case)
    curvature += group["weight_decay"]
    return 2 * (1 + group["momentum"]) / curvature if curvature > 0 else None


def too_fast(case: Case) -> Iterator[Finding]:
    """MM301 before the first step: a learning rate above the stability limit of the loss.

    The limit is exact where a step sees the very rows of the case. Where it sees fewer, or more,
    the limit is a guide, and only a rate of more than twice the limit is named.
    """
    limit = stability_limit(case)
    if limit is None:
        return
    group = _plain_sgd(case)
    assert group is not None
    lr, rows, size = float(group["lr"]), len(case.X), case.batch_size
    exact = size in (0, rows)
    # 1e-4: at the limit itself the loss neither grows nor falls, and float32 has its errors
    if lr <= limit * (1.0001 if exact else 2):
        return
    name = f"{at_most(limit)}, the stability limit {_formula(group)}"
    if exact:
        said = f"lr {lr:g} is above {name} of this loss: every step overshoots and the loss grows."
    else:
        which = (
            f"over {rows:,} rows" if size > rows else f"over all rows, and batches of {size} vary"
        )
        said = (
            f"lr {lr:g} is more than twice {name} of this loss {which}: steps overshoot and the "
            "loss grows."
        )
    yield Finding("MM301", said + _if_scaled(case, limit), _slower(case, limit / 2, group))


def at_most(value: float) -> str:
    """A limit with two digits, rounded down: what is said to be safe has to be safe.

    Examples
    --------
    >>> at_most(0.08452405), at_most(1.0), at_most(237.0), at_most(0.000123)
    ('0.084', '1.0', '230', '0.00012')
    """
    value *= 1 + 1e-6  # 0.9999999 is 1.0 with an error of float32
    size = math.floor(math.log10(value))
    cut = math.floor(value / 10.0 ** (size - 1)) * 10.0 ** (size - 1)
    return f"{cut:.{max(1 - size, 0)}f}"


# --- what is there -------------------------------------------------------------------------------


def _plain_sgd(case: Case) -> dict[str, Any] | None:
    """The settings of an SGD for which there is a formula."""
    optimizer = case.optimizer
    if not isinstance(optimizer, torch.optim.SGD) or len(optimizer.param_groups) != 1:
        return None
    group = optimizer.param_groups[0]
    if group["nesterov"] or group["dampening"] or group["maximize"]:
        return None
    trained = {id(weight) for weight in case.model.parameters() if weight.requires_grad}
    return group if {id(weight) for weight in group["params"]} == trained else None


def _squares_errors(case: Case) -> bool:
    """Whether the loss is the (weighted) mean squared error, by its values at random errors."""
    X, y, *weight = case.rows(FEW)
    if case.loss is None or not y.is_floating_point():
        return False
    with torch.no_grad():
        if case.model(X).shape != y.shape:
            return False
        errors = _normal(y.shape, y) * (1 + y.abs().amax())  # of all sizes: Huber would show
        squares = errors.square().reshape(len(y), -1).mean(dim=1)
        wanted = (squares * weight[0]).mean() if weight else squares.mean()
        return torch.allclose(case.loss(y + errors, y, *weight), wanted, rtol=1e-3)


def _is_linear(case: Case) -> bool:
    """Whether outputs are linear in the weights: f(w + d) + f(w - d) = 2 f(w) for random w, d."""
    if any(isinstance(layer, FICKLE) for layer in case.model.modules()):
        return False
    at, by = (_drawn(case.model, seed) for seed in (0, 1))
    ahead, here, back = (
        _output(case, {name: at[name] + sign * by[name] for name in at}) for sign in (1, 0, -1)
    )
    size = max(ahead.abs().amax(), back.abs().amax())
    return bool(((ahead + back - 2 * here).abs().amax() <= 1e-4 * size).item())


def _linear_layer(case: Case) -> nn.Linear | None:
    """The one layer that a model consists of, its input the flat rows, wherever it is packed."""
    layers = [layer for layer in case.model.modules() if list(layer.parameters(recurse=False))]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        return None
    if any(isinstance(part, FICKLE) for part in case.model.modules()):
        return None
    layer, rows = layers[0], case.X[:FEW].reshape(len(case.X[:FEW]), -1)
    if rows.shape[1] != layer.in_features or not rows.is_floating_point():
        return None
    drawn = _drawn(case.model, 0)
    output = _output(case, drawn).reshape(len(rows), -1)
    expected = functional_call(layer, {k.rpartition(".")[2]: v for k, v in drawn.items()}, rows)
    same = output.shape == expected.shape and torch.allclose(output, expected, rtol=1e-4)
    return layer if same else None


@torch.no_grad()
def _output(case: Case, weights: Weights) -> Tensor:
    """What the model returns for a few rows with these weights."""
    return functional_call(case.model, weights, case.rows(FEW)[0])


def _drawn(model: nn.Module, seed: int) -> Weights:
    named = dict(model.named_parameters())
    generator = torch.Generator().manual_seed(seed)
    return {name: _normal(weight.shape, weight, generator) for name, weight in named.items()}


def _normal(shape: Any, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Normal numbers from an own generator."""
    generator = generator or torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)


def _devices(case: Case) -> list[Any]:
    """Whose random states could be drawn from, beside the CPU's."""
    return [case.X.device] if case.X.is_cuda else []


# --- curvature -----------------------------------------------------------------------------------


@torch.no_grad()
def _closed_form(layer: nn.Linear, case: Case) -> float:
    """λmax of 2/(n·outputs) Aᵀ W A, A = [X, 1]: each output has the same block of the Hessian."""
    bias = layer.bias is not None and layer.bias.requires_grad
    rows = case.X.reshape(len(case.X), -1)[:, : layer.in_features * layer.weight.requires_grad]
    scale = 2 / (len(rows) * layer.out_features)
    wide = len(rows) < rows.shape[1] + bias
    if rows.numel() * min(rows.shape) > MOST:
        return _lanczos(*_gram_products(rows, case.weight, bias, scale))
    total: Tensor | float = 0.0
    cut = len(rows) if wide else BLOCK
    for first in range(0, len(rows), cut):
        some = rows[first : first + cut]
        A = torch.ones(len(some), rows.shape[1] + bias, dtype=torch.float64, device=rows.device)
        A[:, : rows.shape[1]] = some
        if case.weight is not None:
            A *= case.weight[first : first + cut].double().sqrt().unsqueeze(1)
        total = total + (A @ A.T if wide else A.T @ A)  # the smaller: the same eigenvalues
    if not isinstance(total, Tensor) or not total.numel():
        return 0.0
    return max(scale * torch.linalg.eigvalsh(total)[-1].item(), 0.0)


def _gram_products(
    rows: Tensor, weight: Tensor | None, bias: bool, scale: float
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """v ↦ 2/(n·outputs) Aᵀ W A v in the precision of the rows, and a random v to begin with."""
    width = rows.shape[1]

    def product(vector: Tensor) -> Tensor:
        inside = vector.to(rows.dtype)
        along = rows @ inside[:width] + (inside[width] if bias else 0)
        if weight is not None:
            along = along * weight
        ends = [rows.T @ along, along.sum().reshape(1)] if bias else [rows.T @ along]
        return scale * torch.cat(ends).to(vector.dtype)

    return product, _normal((width + bias,), rows).double()


def _curvature(case: Case) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """v ↦ Hessian · v, and a random v to begin with."""
    weights = [weight for weight in case.model.parameters() if weight.requires_grad]
    buffers = {name: value.clone() for name, value in case.model.named_buffers()}
    _, *rest = case.rows(len(case.X))
    forked = torch.random.fork_rng(_devices(case))
    # fused attention has no second derivative
    with torch.enable_grad(), forked, sdpa_kernel(SDPBackend.MATH):
        loss = case.loss(functional_call(case.model, buffers, case.X), *rest)  # type: ignore[misc]  # sharpness has one
        slopes = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
        flat = torch.cat([slope.flatten() for slope in slopes])

    def product(vector: Tensor) -> Tensor:
        if not flat.requires_grad:  # a loss that is linear in the weights
            return torch.zeros_like(vector)
        along = vector.to(flat.dtype)
        found = torch.autograd.grad(flat, weights, along, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten() for part in found]).to(vector.dtype)

    return product, _normal(flat.shape, flat).double()


def _lanczos(product: Callable[[Tensor], Tensor], start: Tensor) -> float:
    """The largest eigenvalue of a symmetric matrix that is known by its products.

    Without re-orthogonalisation: rounding brings copies of eigenvalues that were found, never
    others, and only three vectors are held.
    """
    vector, before = start / start.norm(), torch.zeros_like(start)
    diagonal: list[float] = []
    beside: list[float] = [0.0]
    largest = 0.0
    for step in range(min(len(start), STEPS)):
        image = product(vector) - beside[-1] * before
        diagonal.append(torch.dot(image, vector).item())
        image -= diagonal[-1] * vector
        beside.append(image.norm().item())
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside[1:-1]))
        largest = values[-1].item()
        # how far the product with its vector is from being that multiple of it
        error = beside[-1] * abs(vectors[-1, -1].item())
        if error <= 1e-6 * values.abs().max().item() and (step >= 5 or error == 0):
            break
        before, vector = vector, image / beside[-1]
    return max(largest, 0.0)


def _tridiagonal(diagonal: list[float], beside: list[float]) -> Tensor:
    main, off = (torch.tensor(row, dtype=torch.float64) for row in (diagonal, beside))
    return torch.diag(main) + torch.diag(off, 1) + torch.diag(off, -1)


# --- words ---------------------------------------------------------------------------------------


def _formula(group: dict[str, Any]) -> str:
    above = "2(1 + momentum)" if group["momentum"] else "2"
    return f"{above}/(λmax + weight_decay)" if group["weight_decay"] else f"{above}/λmax"


def _if_scaled(case: Case, limit: float) -> str:
    """What the limit would be with columns of mean 0 and standard deviation 1."""
    X = case.X.double()
    spread = X.std(dim=0, correction=0)
    X = (X - X.mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
    scaled = stability_limit(_with_rows(case, X.to(case.X.dtype)))
    if scaled is None or scaled < 1.5 * limit:
        return ""
    return f" With X standardised the limit is {at_most(scaled)}."


def _with_rows(case: Case, X: Tensor) -> Case:
    return Case(case.model, X, case.y, case.loss, case.optimizer, case.weight)


def _slower(case: Case, lr: float, group: dict[str, Any]) -> str:
    """The optimizer with that rate, as manumatic or (where no task is known) torch writes it."""
    kept = ("momentum", "weight_decay")
    more = "".join(f", {name}={group[name]:g}" for name in kept if group[name])
    rate = f"{float(at_most(lr)):g}"
    if case.task is None:
        return f"optimizer = torch.optim.SGD(model.parameters(), lr={rate}{more})"
    return f'optimizer=mm.Optimizer("sgd", lr={rate}{more})'
