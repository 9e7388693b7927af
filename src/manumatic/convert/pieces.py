"""What a converted estimator is made of: modules with the methods of scikit-learn, on tensors."""

__all__ = ["Chain", "Classifier", "METHODS", "Piece", "Pieces", "Regressor", "Transformer"]

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.convert.border import Column

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "transform",
    "inverse_transform",
)


class Piece(nn.Module):
    """A fitted estimator on tensors: numbers (n, features) in; ``forward`` gives the raw outputs.

    Attributes
    ----------
    methods : tuple of str
        Which of scikit-learn's methods it has, under their own names; each takes and returns
        tensors. Labels are their numbers in ``classes``.
    classes : ndarray, list of ndarray or None
        The labels; a list for several targets.
    columns : tuple of Column or None
        The columns that it gives, where some of them are no numbers.
    without : tuple of str
        Methods of the estimator that cannot be had: chance decides them, or it refuses itself.
    """

    methods: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    classes: Any = None
    columns: tuple[Column, ...] | None = None

    def call(self, method: str, x: Tensor) -> Any:
        """One of ``methods`` by its name."""
        return getattr(self, method)(x)


class Transformer(Piece):
    """Numbers (n, features) → numbers (n, outputs); ``forward`` is ``transform``.

    Parameters
    ----------
    body : nn.Module, optional
        What it computes; or a subclass overrides ``forward``.
    """

    methods: tuple[str, ...] = ("transform",)

    def __init__(self, body: nn.Module | None = None) -> None:
        super().__init__()
        if body is not None:
            self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Numbers (n, outputs)."""
        return self.body(x)

    def transform(self, x: Tensor) -> Tensor:
        """The same."""
        return self(x)


class Regressor(Piece):
    """Numbers (n, features) → predictions; ``forward`` gives a column for each target.

    Parameters
    ----------
    body : nn.Module, optional
        (n, features) → (n, targets); or a subclass overrides ``forward``.
    flat : bool
        ``predict`` gives (n,), as after a fit on a target (n,).
    """

    methods: tuple[str, ...] = ("predict",)

    def __init__(self, body: nn.Module | None = None, *, flat: bool = True) -> None:
        super().__init__()
        self.flat = flat
        if body is not None:
            self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (n, targets)."""
        return self.body(x)

    def predict(self, x: Tensor) -> Tensor:
        """Predictions (n,) or (n, targets), as the estimator gives them."""
        found = self(x)
        return found[:, 0] if self.flat else found


class Classifier(Piece):
    """Numbers (n, features) → scores (n, classes): the label is the largest, softmax is the odds.

    Scores of two classes are (0, d), d the decision function of scikit-learn.

    Parameters
    ----------
    classes : ndarray (k,)
    body : nn.Module, optional
        (n, features) → (n, k), or one column where there are two classes; or a subclass overrides
        ``forward``.
    has : sequence of str
        The methods that the estimator has.
    """

    def __init__(
        self,
        classes: Any,
        body: nn.Module | None = None,
        has: Sequence[str] = ("predict", "predict_proba", "predict_log_proba"),
    ) -> None:
        super().__init__()
        self.classes = classes
        self.methods = tuple(has)
        if body is not None:
            self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Scores (n, k)."""
        scores = self.body(x)
        if scores.shape[1] == 1:
            return torch.cat([torch.zeros_like(scores), scores], 1)
        return scores

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        return self(x).argmax(1)

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities (n, k)."""
        return self(x).softmax(1)

    def predict_log_proba(self, x: Tensor) -> Tensor:
        """Their logarithms (n, k)."""
        return self.predict_proba(x).log()

    def decision_function(self, x: Tensor) -> Tensor:
        """Scores (n, k), or (n,) of the second of two classes."""
        scores = self(x)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


class Pieces(nn.ModuleDict):
    """Pieces by name; the names are part of those of the parameters."""

    def all(self) -> list[Piece]:
        """In their order."""
        return [piece for piece in self.values() if isinstance(piece, Piece)]


class Chain(Piece):
    """Transformers one after another and then anything, whose methods it has.

    Parameters
    ----------
    steps : dict of str to Piece
        In their order, under the names that they have in the parameters.
    """

    def __init__(self, steps: dict[str, Piece]) -> None:
        super().__init__()
        self.steps = Pieces(steps)
        *_, last = steps.values()
        self.classes, self.columns = last.classes, last.columns
        one_way = any("inverse_transform" not in step.methods for step in steps.values())
        self.methods = tuple(m for m in last.methods if not (one_way and m == "inverse_transform"))
        self.without = last.without

    def forward(self, x: Tensor) -> Tensor:
        """What the last step makes of it."""
        *first, last = self.steps.all()
        for step in first:
            x = step.call("transform", x)
        return last(x)

    def call(self, method: str, x: Tensor) -> Any:
        """A method of the last step; ``inverse_transform`` goes through all, backwards."""
        if method == "inverse_transform":
            for step in reversed(self.steps.all()):
                x = step.call(method, x)
            return x
        *first, last = self.steps.all()
        for step in first:
            x = step.call("transform", x)
        return last.call(method, x)
