"""A package with an in-context model that needs no weights of others: nearest neighbours."""

from typing import Any, Self

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from torch import nn


class NearestClassifier(KNeighborsClassifier):
    def __init__(self, n_neighbors: int = 3, device: str = "cpu", random_state: int = 0) -> None:
        super().__init__(n_neighbors)
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        print("what packages say on the way")
        self.model_ = nn.Linear(1, 1)
        return super().fit(X, y)


class NearestRegressor(KNeighborsRegressor):
    def __init__(self, n_neighbors: int = 3, device: str = "cpu", random_state: int = 0) -> None:
        super().__init__(n_neighbors)
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        self.model_ = nn.Linear(1, 1)
        return super().fit(X, y)
