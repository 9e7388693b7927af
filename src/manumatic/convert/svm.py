"""Support vector machines as libsvm decides: one against one, votes, coupled probabilities."""

__all__ = ["OneClass", "SupportVectors", "VectorClassifier", "couple"]

from itertools import combinations
from typing import Any

import numpy as np
import torch
from sklearn import svm
from torch import Tensor, nn

from manumatic.convert.kernels import Kernel, dense, pairwise_kernel
from manumatic.convert.outliers import Detector
from manumatic.convert.pieces import Classifier, Piece, Regressor
from manumatic.convert.registry import Build, converts
from manumatic.convert.repeat import repeat
from manumatic.errors import ConvertError

# bounds and patience of svm.cpp: predict_probability and multiclass_probability
SMALLEST, PATIENCE, CLOSE = 1e-7, 100, 0.005


class SupportVectors(nn.Module):
    """Σ coef · kernel(x, support vector) + intercept: a column for each decision.

    Parameters
    ----------
    kernel : Kernel
    vectors : nn.Parameter (m, features)
    coef : nn.Parameter (m, decisions)
    intercept : nn.Parameter (decisions,)
    """

    def __init__(
        self, kernel: Kernel, vectors: nn.Parameter, coef: nn.Parameter, intercept: nn.Parameter
    ) -> None:
        super().__init__()
        self.kernel, self.vectors = kernel, vectors
        self.coef, self.intercept = coef, intercept

    def forward(self, x: Tensor) -> Tensor:
        """Decisions (n, decisions)."""
        return self.kernel(x, self.vectors) @ self.coef + self.intercept


def couple(pairs: Tensor, k: int) -> Tensor:
    """Probabilities of k classes from those of each pair, with libsvm's steps and its patience.

    Parameters
    ----------
    pairs : Tensor (n, k, k)
        ``pairs[:, i, j]``: how likely i is, if it is i or j; the diagonal is not read.
    k : int

    Returns
    -------
    Tensor (n, k)
        libsvm stops where the equations hold to 0.005 / k, and so does this: row by row.

    Notes
    -----
    T.-F. Wu, C.-J. Lin, R. C. Weng, Probability estimates for multi-class classification by
    pairwise coupling, JMLR 5 (2004), second approach, algorithm 2.

    Examples
    --------
    >>> couple(torch.tensor([[[0.0, 0.8], [0.2, 0.0]]]), 2).round(decimals=2)
    tensor([[0.8000, 0.2000]])
    """
    others = 1 - torch.eye(k, dtype=pairs.dtype, device=pairs.device)
    against = pairs.transpose(1, 2)
    quadratic = torch.diag_embed((against**2 * others).sum(2)) - against * pairs * others

    close = pairs.new_tensor(CLOSE / k)

    def going(i: Tensor, p: Tensor, live: Tensor) -> Tensor:
        return (i < max(PATIENCE, k)) & live.any()

    def step(i: Tensor, p: Tensor, live: Tensor) -> tuple[Tensor, ...]:
        pull = (quadratic * p[:, None]).sum(2)
        total = (p * pull).sum(1, keepdim=True)
        live = live & ((pull - total).abs().amax(1) >= close)
        new = p
        for t in range(k):
            row = quadratic[:, t]
            change = (total - pull[:, t : t + 1]) / row[:, t : t + 1]
            new = new + change * (1 - others[t])
            grown = change * row[:, t : t + 1] + 2 * pull[:, t : t + 1]
            total = (total + change * grown) / (1 + change) / (1 + change)
            pull = (pull + change * row) / (1 + change)
            new = new / (1 + change)
        return i + 1, torch.where(live[:, None], new, p), live

    start = torch.ones_like(pairs[:, 0]) / k
    counter = torch.zeros((), dtype=torch.int64, device=pairs.device)
    alive = torch.ones_like(start[:, 0], dtype=torch.bool)
    return repeat(going, step, counter, start, alive)[1]


class VectorClassifier(Classifier):
    """One decision a pair of classes: > 0 is a vote for the first.

    Parameters
    ----------
    classes : ndarray (k,)
    body : SupportVectors
        (n, features) → (n, pairs).
    has : tuple of str
        The methods.
    by_pair : bool
        ``decision_function`` gives (n, pairs).
    break_ties : bool
        The label is the largest score, not the most votes.
    platt : tuple of Tensor (pairs,), optional
        A and B of 1 / (1 + exp(A · decision + B)).
    """

    first: Tensor
    second: Tensor
    platt_a: Tensor
    platt_b: Tensor

    def __init__(
        self,
        classes: np.ndarray,
        body: SupportVectors,
        has: tuple[str, ...],
        *,
        by_pair: bool = False,
        break_ties: bool = False,
        platt: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__(classes, body, has)
        k = len(classes)
        self.by_pair, self.break_ties = by_pair and k > 2, break_ties and k > 2
        pairs = torch.tensor(list(combinations(range(k), 2)))
        hot = torch.eye(k, dtype=torch.float64)
        self.register_buffer("first", hot[pairs[:, 0]])
        self.register_buffer("second", hot[pairs[:, 1]])
        if platt is not None:
            self.register_buffer("platt_a", platt[0])
            self.register_buffer("platt_b", platt[1])

    def _votes(self, decisions: Tensor) -> Tensor:
        won = (decisions > 0).to(decisions.dtype)
        return won @ self.first + (1 - won) @ self.second

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k): the votes, and less than half a vote for how clear they were."""
        decisions = self.body(x)
        if len(self.first) == 1:
            return torch.cat([torch.zeros_like(decisions), -decisions], 1)
        clear = decisions @ (self.first - self.second)
        lost = (decisions < 0).to(decisions.dtype)
        votes = (1 - lost) @ self.first + lost @ self.second
        return votes + clear / (3 * (clear.abs() + 1))

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,)."""
        return self(x).argmax(1) if self.break_ties else self._votes(self.body(x)).argmax(1)

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n,), (n, k) or (n, pairs)."""
        return self.body(x) if self.by_pair else super().decision_function(x)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        found = torch.sigmoid(-(self.body(x) * self.platt_a + self.platt_b))
        smallest, largest = found.new_tensor([SMALLEST, 1 - SMALLEST])
        found = found.clamp(smallest, largest)[:, :, None, None]
        of_pair = self.first[:, :, None] * self.second[:, None]
        pairs = (found * of_pair + (1 - found) * of_pair.transpose(1, 2)).sum(1)
        return couple(pairs, len(self.classes))


class OneClass(Detector):
    """Inside or outside of the one class.

    Parameters
    ----------
    body : SupportVectors
    offset : Tensor ()
        Score − decision.
    """

    offset: Tensor

    def __init__(self, body: SupportVectors, offset: Tensor) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("offset", offset)

    def decision_function(self, x: Tensor) -> Tensor:
        """Above 0 inside (n,)."""
        return self.body(x)[:, 0]

    def score_samples(self, x: Tensor) -> Tensor:
        """The same before the offset (n,)."""
        return self.decision_function(x) + self.offset

    def predict(self, x: Tensor) -> Tensor:
        """1 inside, −1 outside (n,); libsvm counts the border as outside."""
        return torch.where(self.decision_function(x) > 0, 1, -1)


def _body(estimator: Any, coef: np.ndarray, build: Build) -> SupportVectors:
    vectors = dense(estimator.support_vectors_)
    if estimator.kernel == "precomputed":
        vectors = np.zeros((0, estimator.n_features_in_))  # refused below, by name
    kernel = pairwise_kernel(
        estimator.kernel,
        type(estimator).__name__,
        vectors.shape[1],
        gamma=estimator._gamma,
        coef0=estimator.coef0,
        degree=estimator.degree,
    )
    weights = (build.weight(each) for each in (vectors, coef, estimator._intercept_))
    return SupportVectors(kernel, *weights)


@converts(svm.SVC, svm.NuSVC)
def classifier(estimator: Any, build: Build) -> Piece:
    """A decision for each pair of classes."""
    by_pair = estimator.decision_function_shape == "ovo"
    if by_pair and estimator.break_ties:
        raise ConvertError(
            "break_ties=True with decision_function_shape='ovo' cannot predict, here as in "
            "scikit-learn; set one of them back"
        )
    dual, counts = dense(estimator._dual_coef_), estimator._n_support
    ends = np.concatenate([[0], np.cumsum(counts)])
    pairs = list(combinations(range(len(counts)), 2))
    coef = np.zeros((ends[-1], len(pairs)))
    for pair, (i, j) in enumerate(pairs):
        coef[ends[i] : ends[i + 1], pair] = dual[j - 1, ends[i] : ends[i + 1]]
        coef[ends[j] : ends[j + 1], pair] = dual[i, ends[j] : ends[j + 1]]
    has: tuple[str, ...] = ("predict", "decision_function")
    platt = None
    if hasattr(estimator, "predict_proba"):
        has = (*has, "predict_proba", "predict_log_proba")
        platt = build.tensor(estimator._probA), build.tensor(estimator._probB)
    return VectorClassifier(
        estimator.classes_,
        _body(estimator, coef, build),
        has,
        by_pair=by_pair,
        break_ties=estimator.break_ties,
        platt=platt,
    )


@converts(svm.SVR, svm.NuSVR)
def regressor(estimator: Any, build: Build) -> Piece:
    """One decision: the number."""
    return Regressor(_body(estimator, dense(estimator._dual_coef_).T, build))


@converts(svm.OneClassSVM)
def one_class(estimator: Any, build: Build) -> Piece:
    """One decision: inside."""
    body = _body(estimator, dense(estimator._dual_coef_).T, build)
    return OneClass(body, build.tensor(np.ravel(estimator.offset_)[0]))
