"""Stacking: what some estimators say are the columns of another."""

__all__ = ["Stacked", "StackedLabels"]

from typing import Any

import torch
from sklearn.ensemble import StackingClassifier, StackingRegressor
from torch import Tensor

from manumatic.convert.inside import Inside, Members, inside
from manumatic.convert.pieces import Piece
from manumatic.convert.registry import Build, converts


class Stacked(Piece):
    """The final estimator on what the others say, and on the rows where they pass through.

    Parameters
    ----------
    members : Members
    methods : list of str
        What each is asked.
    final : Inside
        Its labels are numbers of ``classes``.
    classes : ndarray (k,) or None
    passthrough : bool
    """

    def __init__(
        self,
        members: Members,
        asked: list[str],
        final: Inside,
        classes: Any,
        *,
        passthrough: bool,
    ) -> None:
        super().__init__()
        self.members, self.asked, self.final = members, asked, final
        self.classes, self.passthrough = classes, passthrough
        kept = ("predict", "predict_proba", "decision_function")
        has = [name for name in kept if name in final.piece.methods]
        self.methods = (*(has[:1] if classes is None else has), "transform")
        self.two = classes is not None and len(classes) == 2  # one of two columns says it all

    def forward(self, x: Tensor) -> Tensor:
        """The raw outputs of the final estimator."""
        return self.final(self.transform(x))

    def call(self, method: str, x: Tensor) -> Any:
        """The final estimator's own, but for ``transform``."""
        if method == "transform":
            return self.transform(x)
        found = self.final.call(method, self.transform(x))
        return found.long() if method == "predict" and self.classes is not None else found

    def transform(self, x: Tensor) -> Tensor:
        """The columns of the final estimator."""
        found = []
        for member, method in zip(self.members.all(), self.asked, strict=True):
            found += self._columns(member.call(method, x), method)
        return torch.cat([*found, x] if self.passthrough else found, 1)

    def _columns(self, said: Any, method: str) -> list[Tensor]:
        if isinstance(said, list):  # a table for each of several labels
            return [table[:, 1:] for table in said]
        if said.ndim == 1:
            return [said[:, None]]
        return [said[:, 1:] if method == "predict_proba" and self.two else said]


class StackedLabels(Stacked):
    """The same for several labels a row."""

    def call(self, method: str, x: Tensor) -> Any:
        """Of several tables of probabilities, scikit-learn gives the first columns."""
        found = super().call(method, x)
        if method == "predict_proba":
            return torch.stack([table[:, 0] for table in found], 1)
        return found


@converts(StackingClassifier, StackingRegressor, strings=True)
def stacking(estimator: Any, build: Build) -> Piece:
    """Members, and the final one on computed columns."""
    members = inside(estimator.estimators_, build, build.columns)
    if estimator.passthrough:
        for column in build.columns or ():
            column.read_as_number(f"{type(estimator).__name__}(passthrough=True)")
    final = Inside(build.convert(estimator.final_estimator_))
    classes: Any = getattr(estimator, "classes_", None)
    several = isinstance(classes, list)
    kind = StackedLabels if several else Stacked
    return kind(
        members, list(estimator.stack_method_), final, classes, passthrough=estimator.passthrough
    )
