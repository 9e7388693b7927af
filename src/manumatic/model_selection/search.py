"""scikit-learn's searches, with the nets of all candidates and folds trained as one."""

__all__ = ["GridSearchCV", "HalvingGridSearchCV", "RandomizedSearchCV"]

from collections.abc import Callable, Sequence
from typing import Any, Self

from sklearn import model_selection
from sklearn.base import BaseEstimator
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - until it is no experiment

from manumatic.model_selection.backend import as_one, holds_net

Round = tuple[list[dict[str, Any]], dict[str, list[Any]]]  # candidates, and columns about them
BEST = ("best_estimator_", "best_index_", "best_params_", "best_score_", "refit_time_")


class _Search(BaseEstimator):
    """What the searches share: scikit-learn's ``fit``, its fits gathered and trained as one."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit all candidates on all folds, then the best one on all rows.

        Parameters
        ----------
        X, y, **params
            As in scikit-learn.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C; what is finished is kept before it goes its way: ``interrupted_`` is True,
            ``cv_results_`` holds the candidates that are finished on all folds, if there are any,
            and there is no best one.
        """
        self.__dict__.pop("interrupted_", None)
        if not holds_net(self):
            return super().fit(X, y, **params)
        self._rounds: list[Round] = []
        with as_one(self.n_jobs) as together:
            try:
                return super().fit(X, y, **params)
            except KeyboardInterrupt:
                self._keep(together.results())
                raise
            finally:
                del self._rounds

    def _run_search(
        self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None
    ) -> None:
        """As scikit-learn, with a note of the candidates; an interrupt asks for them."""
        rounds = vars(self).get("_rounds", [])

        def evaluate(
            candidate_params: Sequence[dict[str, Any]],
            cv: Any = None,
            more_results: dict[str, list[Any]] | None = None,
            **context: Any,
        ) -> Any:
            candidates = list(candidate_params)
            rounds.append((candidates, more_results or {}))
            return evaluate_candidates(candidates, cv, more_results, **context)

        super()._run_search(evaluate, callback_ctx=callback_ctx)

    def _keep(self, results: list[Any]) -> None:
        """After an interrupt: the table of what is finished."""
        self.interrupted_ = True
        for name in (*BEST, "cv_results_"):
            self.__dict__.pop(name, None)  # of an earlier fit
        candidates: list[dict[str, Any]] = []
        out: list[dict[str, Any]] = []
        columns: dict[str, list[Any]] = {}
        rows = ((row, i, more) for asked, more in self._rounds for i, row in enumerate(asked))
        for first, (candidate, number, more) in enumerate(rows):
            batches = results[first * self.n_splits_ : (first + 1) * self.n_splits_]
            folds = [batch[0] for batch in batches if batch is not None]
            failed = callable(self.scoring) and any(fold["fit_error"] for fold in folds)
            if len(folds) == self.n_splits_ and not failed:
                candidates.append(candidate)
                out += folds
                for name, column in more.items():
                    columns.setdefault(name, []).append(column[number])
        if out:
            self.cv_results_ = self._format_results(candidates, self.n_splits_, out, columns)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "cv_results_") and not hasattr(self, "interrupted_")


class GridSearchCV(_Search, model_selection.GridSearchCV):
    """scikit-learn's GridSearchCV; the nets of all candidates and folds are trained as one.

    Parameters, results and methods are those of :class:`sklearn.model_selection.GridSearchCV`.
    The scores are those of training each net alone. Candidates whose nets differ in shape are
    trained in one stack a shape; what cannot be stacked is trained alone, and its logbook says
    why. Estimators of scikit-learn, alone or around the net, are fitted as ever.

    With ``n_jobs``, or inside ``joblib.parallel_config``, each process trains its share as one.
    ``fit_time`` is a fit's own time and an equal share of the time that was spent together.

    Attributes
    ----------
    interrupted_ : bool
        Only there, and True, where Ctrl-C has ended ``fit``; then there is no best estimator, and
        ``cv_results_`` holds the candidates that were finished, if there were any.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> from manumatic.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier(
    ...     "mlp", optimizer=mm.Optimizer("adam"), loop=mm.Loop(epochs=20), random_state=0
    ... )
    >>> search = GridSearchCV(net, {"optimizer__lr": [1e-5, 1e-2]}).fit(X, y)
    >>> search.best_params_
    {'optimizer__lr': 0.01}
    """


class RandomizedSearchCV(_Search, model_selection.RandomizedSearchCV):
    """scikit-learn's RandomizedSearchCV; the nets of all candidates and folds are trained as one.

    Parameters, results and methods are those of
    :class:`sklearn.model_selection.RandomizedSearchCV`; how the nets are trained, see
    :class:`GridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> from manumatic.model_selection import RandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier(
    ...     "mlp", optimizer=mm.Optimizer("adam"), loop=mm.Loop(epochs=20), random_state=0
    ... )
    >>> rates = {"optimizer__lr": loguniform(1e-4, 1e-1)}
    >>> search = RandomizedSearchCV(net, rates, n_iter=4, random_state=0).fit(X, y)
    >>> len(search.cv_results_["params"])
    4
    """


class HalvingGridSearchCV(_Search, model_selection.HalvingGridSearchCV):
    """scikit-learn's HalvingGridSearchCV; the nets of each round are trained as one.

    Parameters, results and methods are those of
    :class:`sklearn.model_selection.HalvingGridSearchCV`; how the nets are trained, see
    :class:`GridSearchCV`. ``resource="loop__epochs"`` gives more epochs to fewer candidates.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> from manumatic.model_selection import HalvingGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier(
    ...     "mlp", optimizer=mm.Optimizer("adam"), loop=mm.Loop(epochs=20), random_state=0
    ... )
    >>> search = HalvingGridSearchCV(
    ...     net, {"optimizer__lr": [1e-4, 1e-3, 1e-2]}, resource="loop__epochs", max_resources=20
    ... ).fit(X, y)
    >>> search.best_params_["optimizer__lr"]
    0.01
    """
