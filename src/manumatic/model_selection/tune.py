"""Parameters drawn by Optuna, each draw trained in the manual gear and stopped when it lags."""

__all__ = ["tune"]

import math
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from sklearn.base import clone
from sklearn.metrics import check_scoring

from manumatic.errors import ComponentError, DivergedError
from manumatic.gears.choices import choose_seed
from manumatic.model_selection.folds import folds_of, refuse_streams
from manumatic.model_selection.identity import data_key, told
from manumatic.model_selection.spaces import Space, as_space, components
from manumatic.model_selection.studies import load_optuna, open_storage, open_study, quiet
from manumatic.model_selection.tuned import LOSS, Trial, Tuned
from manumatic.model_selection.tuning import Search, private, refuse_units, with_params


def tune(
    net: Any,
    X: Any,
    y: Any = None,
    *,
    time: float | None = 60.0,
    trials: int | None = None,
    space: Any = "auto",
    scoring: Any = None,
    cv: Any = None,
    storage: Any = None,
    name: str = "tune",
    random_state: Any = None,
    sample_weight: Any = None,
    on_trial: Callable[[Trial], Any] | None = None,
) -> Tuned:
    """Draw parameters, train a clone of the net with each, and fit the best on all rows.

    The first trial is the net as it is; then Optuna's TPE draws (Bergstra et al. 2011). A trial
    trains in the manual gear; after each epoch its validation loss may be compared, and a trial
    that is worse than the median of the others at the same share of their runs is stopped. A net
    whose members leave rows out (``CrossedNet``) goes by these meanwhile, as it does in ``fit``.

    Parameters
    ----------
    net : Classifier, Regressor or Autoencoder
        It is neither fitted nor changed.
    X, y : as for ``fit``
        No Dataset or DataLoader.
    time : float or None
        Seconds for the trials of this call; the trial that is under way then is stopped at its next
        step. The last fit comes on top.
    trials : int or None
        Enough for the study as a whole: those of other processes and earlier calls count.
    space : "auto", dict or callable
        ``{"optimizer__lr": (1e-3, 0.3, "log"), "model__hidden": [64, 128]}``: (low, high) are whole
        numbers where both are, a list holds values of any kind. Or a function of Optuna's trial
        that returns ``{parameter: value}``. "auto" goes by the net: learning rate, weight decay,
        batch size; of a ready net also what its paper draws.
    scoring : str, callable or None
        A scorer of scikit-learn; None is the loss on the rows held out.
    cv : int, splitter or None
        Folds, trained side by side. None is one split: the rows of ``mm.Data(validation=(X, y))``,
        else a fifth.
    storage : path, storage of Optuna, or None
        A journal that keeps each trial, for any number of processes at once; the same call goes on
        after any end. None is memory.
    name : str
        Of the study in the storage.
    random_state : int, RandomState or None
        Decides the draws and the rows held out, and the trainings where the net has no
        ``random_state``; None is that of the net. A study goes on with its own.
    sample_weight : array-like (n,), optional
        As for ``fit``; rows held out count by it, too.
    on_trial : callable, optional
        Hears of each :class:`Trial` of this call when it has ended.

    Returns
    -------
    Tuned
        ``.best`` is fitted; ``.params``, ``.score``, ``.frame``, ``.study``.

    Raises
    ------
    MissingExtra
        Optuna is not installed.
    ComponentError
        What cannot be tuned; a study that was made for something else; no trial done in time.
    DivergedError
        All trials diverged.
    KeyboardInterrupt
        Ctrl-C before the first trial was done. Later it ends the trials, and a second one the last
        fit.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import manumatic as mm
    >>> X, y = load_iris(return_X_y=True)
    >>> net = mm.Classifier(
    ...     "mlp", optimizer=mm.Optimizer("adam"), loop=mm.Loop(epochs=20), random_state=0
    ... )
    >>> found = tune(net, X, y, trials=4, space={"optimizer__lr": (1e-4, 0.1, "log")})
    >>> bool(found.score <= found.frame["score"].max()), list(found.params)
    (True, ['optimizer__lr'])
    """
    load_optuna()
    began, net = monotonic(), private(net)
    _check(time, trials)
    refuse_streams(X)
    random_state = net.random_state if random_state is None else random_state
    training = net.manual(X, y, sample_weight)
    drawn = as_space(space, training)
    scorer = _scorer(net, scoring, drawn)
    made_for = _made_for(net, drawn, scoring, cv, random_state)
    made_for["data"] = data_key(X, y, sample_weight)
    folds = folds_of(net, X, y, sample_weight, cv, made_for["seed"])
    kept: dict[str, Any] = {"maximize": scoring is not None, "fixed": random_state is not None}
    kept["facts"] = made_for
    with quiet():
        study, seed = open_study(open_storage(storage), name, **kept)
        if seed != made_for["seed"]:
            folds = folds_of(net, X, y, sample_weight, cv, seed)
        own = seed if net.random_state is None else choose_seed(net.random_state)
        search = Search(
            net.set_params(random_state=own),
            explicit=components(net, training),
            space=drawn,
            folds=folds,
            scorer=scorer,
            study=study,
            reopen=lambda: _reopened(study, storage, name, kept),
            deadline=math.inf if time is None else began + time,
            most=trials,
            on_trial=None if on_trial is None else lambda trial: on_trial(_row(trial, scoring)),
        )
        interrupted = search.run()
        found = _best(search, X, y, sample_weight, scoring, interrupted)
    value = LOSS if scoring is None else str(getattr(scoring, "__name__", scoring))
    return Tuned(*found[:3], value, found[3], search.study, monotonic() - began, interrupted)


def _made_for(net: Any, drawn: Space, scoring: Any, cv: Any, random_state: Any) -> dict[str, Any]:
    """What the scores of a study depend on, beside its rows."""
    return {
        "net": told(net),
        "space": told(drawn.function or dict(drawn.entries)),
        "scoring": told(scoring),
        "cv": told(cv),
        "seed": choose_seed(random_state),
    }


def _reopened(study: Any, storage: Any, name: str, kept: dict[str, Any]) -> Any:
    return study if storage is None else open_study(open_storage(storage), name, **kept)[0]


def _check(time: Any, trials: Any) -> None:
    for word, given, kinds in (("time", time, (int, float)), ("trials", trials, int)):
        whole = isinstance(given, kinds) and not isinstance(given, bool) and given > 0
        if given is not None and not whole:
            kind = "a whole number, 1 or more" if word == "trials" else "seconds, more than 0"
            raise ComponentError(f"{word} must be {kind}, or None; got {given!r}")
    if time is None and trials is None:
        raise ComponentError(
            f"tune needs an end: time in seconds, trials, or both; got {time!r} and {trials!r}"
        )


def _scorer(net: Any, scoring: Any, drawn: Space) -> Any:
    """Who judges; None for the loss, whose unit must not be drawn then."""
    if scoring is None:
        refuse_units(net, drawn.entries)
        return None
    try:
        return check_scoring(net, scoring)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ComponentError(
            f"scoring={scoring!r} is no scorer of scikit-learn: {reason}"
        ) from None


def _best(
    search: Search, X: Any, y: Any, weight: Any, scoring: Any, interrupted: bool
) -> tuple[Any, dict[str, Any], float, list[Trial]]:
    """The net fitted with the best parameters, these, their score, and all trials."""
    optuna = load_optuna()
    found = search.study.get_trials(deepcopy=False)
    rows = [_row(t, scoring) for t in found if t.state != optuna.trial.TrialState.WAITING]
    complete = [found[row.number] for row in rows if row.state == "complete"]
    if not complete:
        if interrupted:
            raise KeyboardInterrupt
        _refuse(rows)
    # of equals the first: the net as it is, if it is among them
    best = min(complete, key=lambda trial: trial.value if scoring is None else -trial.value)
    params: dict[str, Any] = {}
    if "as_it_is" not in best.user_attrs:
        params = search.space.draw(optuna.trial.FixedTrial(best.params))
    net = with_params(clone(search.net), params, search.explicit, scored=True)
    return net.fit(X, y, sample_weight=weight), params, best.value, rows


def _refuse(rows: Sequence[Trial]) -> None:
    wild = [row for row in rows if row.state == "diverged"]
    if wild and not any(row.state == "unfinished" for row in rows):
        raise DivergedError(f"all of {len(wild)} trials diverged; the first: {wild[0].why}")
    raise ComponentError(
        f"none of {len(rows)} trials was done when the time was over; give a longer time=, or "
        "fewer epochs, as mm.Loop(epochs=20)"
    )


def _row(trial: Any, scoring: Any) -> Trial:
    """A trial of Optuna in our words."""
    outcome = trial.user_attrs.get("outcome", {})
    ended = outcome.get("ended", "time")  # or a kill
    state = {"time": "unfinished"}.get(ended, ended) if trial.state.is_finished() else "running"
    losses = trial.intermediate_values
    last = losses[max(losses)] if losses else math.nan
    return Trial(
        trial.number,
        state,
        trial.value if state == "complete" else math.nan,
        outcome.get("epochs", 0),
        trial.duration.total_seconds() if trial.duration is not None else math.nan,
        dict(trial.params),
        last if scoring is None else -last,  # a score grows where a loss falls
        outcome.get("why", ""),
    )
