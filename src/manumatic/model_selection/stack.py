"""Many trainings as one: those that are alike share each forward, backward and step."""

__all__ = ["train_together"]

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from manumatic.errors import DivergedError
from manumatic.model_selection.loop import Stack
from manumatic.model_selection.members import alike, why_alone
from manumatic.model_selection.room import keep_freed_memory, most_members
from manumatic.model_selection.trial import try_together

FEWEST = 4  # members of a stack; fewer are as fast one after another
FEWEST_BY_VMAP = 6


def train_together(trainings: Sequence[Any]) -> list[DivergedError | None]:
    """Run each training to the end of its loop, many of them at once.

    Afterwards each is as if its own ``run`` had been called: weights, optimizer, history, best
    epoch, random state, findings. In float64 the numbers agree to 1e-10; in float32 they differ as
    two orders of summation do. Gradients are not left in place. A training that cannot share a
    stack runs alone, and its logbook says why.

    Parameters
    ----------
    trainings : sequence of Training
        That have not begun; ``net.manual(X, y)`` makes one.

    Returns
    -------
    errors : list
        None for a training that has come to its end; the DivergedError that its ``run`` would have
        raised where its loss did not stay finite. Those do no harm to the others.

    Raises
    ------
    KeyboardInterrupt
        Trainings that have come to their end until then are finished; the others stand where
        they are, and could go on.

    Examples
    --------
    >>> import manumatic as mm
    >>> trainings = [
    ...     mm.Regressor(
    ...         "linear",
    ...         data=mm.Data(batch_size=None, preprocess=None),
    ...         optimizer=mm.Optimizer("sgd", lr=lr),
    ...         loop=mm.Loop(epochs=1000),
    ...         random_state=42,
    ...     ).manual([[1], [2], [3], [4], [5]], [52, 59, 66, 73, 80])
    ...     for lr in (0.001, 0.003, 0.01, 0.1)
    ... ]
    >>> [error is None for error in train_together(trainings)]
    [True, True, True, False]
    >>> round(trainings[2].model.weight.item(), 4)
    7.3693
    """
    found: dict[int, DivergedError | None] = {}
    with warnings.catch_warnings():
        # about kernels that torch.func has to call for one member after the other
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        for members in _groups(trainings, lambda training: why_alone(training) or alike(training)):
            for part, network in _stacks(members):
                if isinstance(network, str):
                    errors = _one_after_another(part, network if len(trainings) > 1 else "")
                else:
                    errors = Stack(part, network).run()
                found |= zip(map(id, part), errors, strict=True)
    return [found[id(training)] for training in trainings]


def _groups(trainings: Sequence[Any], key: Callable[[Any], Hashable]) -> list[list[Any]]:
    groups: dict[Hashable, list[Any]] = {}
    for training in trainings:
        groups.setdefault(key(training), []).append(training)
    return list(groups.values())


def _stacks(members: list[Any]) -> Iterator[tuple[list[Any], Any]]:
    """Members that are alike, cut into stacks: each with its network, or a reason for none."""
    if why_alone(members[0]):
        yield members, why_alone(members[0])
        return
    too_few = "a stack pays from {} trainings on; {} {}".format
    if len(members) < FEWEST:
        yield members, too_few(FEWEST, len(members), "are built like it")
        return
    trial = try_together(members)
    if trial.network is None:
        yield members, trial.reason
        return
    fewest = FEWEST if trial.network.plain else FEWEST_BY_VMAP
    for group in [members] if trial.apart else _groups(members, _rows):
        most = most_members(group[0], trial.saved)
        if len(group) < fewest:
            alike = (
                "built like it" if trial.apart else "like it and have as many rows, which it mixes"
            )
            yield group, too_few(fewest, len(group), f"are {alike}")
        elif most < fewest:
            yield group, "there is no memory for several of its size at once"
        else:
            keep_freed_memory()
            group.sort(key=lambda training: training.loop.epochs)  # so that many end together
            size = -(-len(group) // -(-len(group) // most))
            for first in range(0, len(group), size):
                yield group[first : first + size], trial.network


def _rows(training: Any) -> Hashable:
    return training.data.n_rows, None if training.valid is None else training.valid.n_rows


def _one_after_another(members: Sequence[Any], reason: str) -> list[DivergedError | None]:
    errors: list[DivergedError | None] = []
    for training in members:
        if reason:
            training.facts.logbook.note("loop", "trained alone", reason)
        try:
            training.run()
            errors.append(None)
        except DivergedError as error:
            errors.append(error)
    return errors
