"""Studies of Optuna: opened or gone on with; what a dead process left is tried again."""

__all__ = [
    "LEASE",
    "RUNGS",
    "alive",
    "give_up",
    "load_optuna",
    "open_storage",
    "open_study",
    "quiet",
    "take_over",
]

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manumatic.errors import ComponentError, MissingExtra

LEASE = 120.0  # seconds for which a trial counts as running without a sign of life
RUNGS = 20  # places of a run where it is compared; each costs a line on the disk
KEY = "manumatic"  # where a study keeps what it was made for
AS_IT_IS = {"as_it_is": True}  # the trial that draws nothing
PATIENCE = 2.0  # seconds until the process that makes a study has said what for
WORDS = {
    "data": "other rows, targets or weights",
    "net": "another net",
    "space": "another space",
    "scoring": "another scoring",
    "cv": "another cv",
    "seed": "another random_state",
}


def load_optuna() -> Any:
    """Optuna.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("optuna", "tune") from None
    return optuna


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, Optuna logs errors only; its verbosity is one for the whole process."""
    logging = load_optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


# --- opening -------------------------------------------------------------------------------------


def open_storage(storage: Any) -> Any:
    """A journal at a path, which many processes may write to; None is memory.

    Parameters
    ----------
    storage : path, storage of Optuna, or None

    Raises
    ------
    ComponentError
        The file is no journal.
    """
    if storage is None or hasattr(storage, "create_new_study"):
        return storage
    optuna = load_optuna()
    journal = optuna.storages.journal
    path = Path(storage).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    # a lock that works on Windows, too; who was killed while he held it is waited for so long
    lock = journal.JournalFileOpenLock(str(path), grace_period=10)
    try:
        _mend(path, lock)
        return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock))
    except (ValueError, KeyError, TypeError) as error:
        raise ComponentError(
            f"{storage} is no journal of Optuna ({error}); name a new file, as study.log"
        ) from None


def _mend(path: Path, lock: Any) -> None:
    """Cut off half a line at the end, which a kill or a full disk leaves."""
    if not path.exists() or _whole(path):
        return
    lock.acquire()
    try:
        if not _whole(path):  # nobody was about to write the rest
            content = path.read_bytes()
            if b"\n" not in content:
                raise ValueError(f"its first line is {content[:40]!r}")
            os.truncate(path, content.rindex(b"\n") + 1)
    finally:
        lock.release()


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def open_study(
    storage: Any, name: str, *, maximize: bool, facts: Mapping[str, Any], fixed: bool
) -> tuple[Any, int]:
    """A new study, or the one of that name to go on with; and the seed of its draws.

    Parameters
    ----------
    storage : storage of Optuna or None
    name : str
    maximize : bool
        Whether a greater score is better.
    facts : mapping
        What it is for, as text; and the seed of a new study.
    fixed : bool
        Whether a study with another seed will not do.

    Raises
    ------
    ComponentError
        The study of that name was made for something else.
    """
    optuna = load_optuna()
    # not in the first quarter of a run: a slow start is often a good end
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=RUNGS // 4)
    direction = "maximize" if maximize else "minimize"
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction=direction, pruner=pruner
        )
        before = None
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        before = _said(study)
    if before is None:
        if study.get_trials(deepcopy=False):
            raise ComponentError(f"the study {name!r} was not made by tune; take another name")
        seed = int(facts["seed"])
        study.set_user_attr(KEY, dict(facts))
        study.enqueue_trial({}, user_attrs=AS_IT_IS)  # so that nothing worse is ever the best
    else:
        seed = int(before["seed"])
        _compare(name, before, facts if fixed else {**facts, "seed": seed})
    study.sampler = _sampler(seed)
    return study, seed


def _said(study: Any) -> Any:
    """What a study was made for; None where its maker died before he could say."""
    until = time.monotonic() + PATIENCE
    while KEY not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.05)
    return study.user_attrs.get(KEY)


def _compare(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key, word in WORDS.items():
        if before[key] == now[key]:
            continue
        inside = ""
        if isinstance(now[key], dict) and isinstance(before[key], dict):
            [first, *_] = [
                part
                for part in {**before[key], **now[key]}
                if before[key].get(part) != now[key].get(part)
            ]
            inside = f" ({first} was {before[key].get(first)}, is {now[key].get(first)})"
        raise ComponentError(
            f"the study {name!r} in this storage was made for {word}{inside}, so scores would not "
            "compare; give the same as then, another name= or another storage="
        )


def _sampler(seed: int) -> Any:
    """Optuna's TPE; what it draws depends on the seed, the trials so far and the trial's number.

    So processes that share a study never draw the same, and one that goes on does not begin again.
    """
    samplers = load_optuna().samplers
    base: Any = samplers.BaseSampler

    class ByNumber(base):
        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            own = np.random.SeedSequence([seed, trial.number]).generate_state(1)[0]
            self.inner = samplers.TPESampler(seed=int(own))
            return self.inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self.inner.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self.inner.sample_independent(study, trial, name, distribution)

    return ByNumber()


# --- the dead ------------------------------------------------------------------------------------


def alive() -> dict[str, Any]:
    """A sign of life, to be given again before ``LEASE`` is over."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "until": time.time() + LEASE}


def take_over(study: Any) -> None:
    """End the trials of processes that died, and put their draws in front of the queue."""
    running = load_optuna().trial.TrialState.RUNNING
    for trial in study.get_trials(deepcopy=False, states=(running,)):
        if _is_dead(trial):
            give_up(study, trial.number)


def give_up(study: Any, number: int) -> None:
    """End a trial as unfinished; what it had drawn will be tried again."""
    optuna = load_optuna()
    try:
        study.tell(number, state=optuna.trial.TrialState.FAIL)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        return  # another process was quicker
    trial = study.get_trials(deepcopy=False)[number]
    drawn = trial.system_attrs.get("fixed_params", {}) | trial.params
    if drawn or "as_it_is" in trial.user_attrs:
        again = AS_IT_IS if "as_it_is" in trial.user_attrs else None
        study.enqueue_trial(drawn, user_attrs=again)


def _is_dead(trial: Any) -> bool:
    sign = trial.user_attrs.get("alive")
    if sign is None:  # not yet given, or never
        return bool(time.time() - trial.datetime_start.timestamp() > LEASE)
    if time.time() > sign["until"]:
        return True
    here = os.name == "posix" and sign["host"] == socket.gethostname()
    return here and not _runs(sign["pid"])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks, and does nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
