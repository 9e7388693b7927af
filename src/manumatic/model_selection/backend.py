"""scikit-learn hands its fits to joblib; this backend of joblib trains the nets in them as one."""

__all__ = ["Together", "Workers", "as_one", "holds_net"]

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import ParallelBackendBase, get_active_backend

from manumatic.gears.net import Net
from manumatic.model_selection.meeting import MOST_CALLS, Done, Meeting

Batch = list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]


class Workers:
    """A meeting in each of several processes, each with its share of the calls.

    Parameters
    ----------
    n_jobs : int or None
        As joblib takes it.
    """

    def __init__(self, n_jobs: int | None) -> None:
        self.n_jobs = n_jobs
        self._batches: list[Batch] = []
        self._done: list[Done | None] = []
        self._results: list[Any] = []

    def add(self, function: Any, done: Done | None = None) -> int:
        """Take in what joblib calls a batch."""
        self._batches.append(function.items)  # without the backend in it, which stays here
        self._done.append(done)
        return len(self._batches) - 1

    def until(self, number: int) -> Any:
        """Send off what has come in, unless this one is back; its result."""
        if number >= len(self._results):
            self._send()
        return self._results[number]

    def results(self) -> list[Any]:
        """What each call has returned; None where it has not."""
        return self._results + [None] * (len(self._batches) - len(self._results))

    def close(self) -> None:
        """Nothing to do: joblib looks after its processes."""

    def _send(self) -> None:
        back = len(self._results)
        batches = self._batches[back:]
        size = -(-len(batches) // effective_n_jobs(self.n_jobs))
        shares = [batches[first : first + size] for first in range(0, len(batches), size)]
        for results in Parallel(self.n_jobs)(delayed(_meet)(share) for share in shares):
            self._results += results
        for done in self._done[back : len(self._results)]:
            if done is not None:
                done()


def _meet(batches: Sequence[Batch]) -> list[Any]:
    """In one of the processes: what each batch has returned."""
    meeting = Meeting()
    try:
        calls = [meeting.add(partial(_run, batch)) for batch in batches]
        return [meeting.until(call) for call in calls]
    finally:
        meeting.close()


def _run(batch: Batch) -> list[Any]:
    with parallel_config("sequential"):  # the processes have shared out the cores
        return [function(*args, **options) for function, args, options in batch]


class _Job:
    """What joblib asks for a result."""

    def __init__(self, meeting: Meeting | Workers, call: Any) -> None:
        self._meeting, self._call = meeting, call

    def get(self, timeout: float | None = None) -> Any:
        """Go on until it is there."""
        return self._meeting.until(self._call)


class Together(ParallelBackendBase):
    """One process, or a share of the calls for each process, and in it all nets trained as one.

    Only the first ``Parallel`` that is made takes it; those inside the calls and those that come
    later find joblib as it was before.

    Parameters
    ----------
    n_jobs : int or None
        As the user has given it; with the configuration of joblib around (``parallel_config``,
        Dask, Ray) it says how many processes there are.

    Attributes
    ----------
    meeting : Meeting or Workers
    """

    def __init__(self, n_jobs: int | None) -> None:
        super().__init__()
        self.n_jobs = n_jobs
        self.meeting: Any = None
        self.around = parallel_config(backend=self)  # from here on, until somebody takes it

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """A ``Parallel`` takes it."""
        self.around.unregister()
        backend, _ = get_active_backend()
        threads = getattr(backend, "supports_sharedmem", False)  # would only race
        alone = effective_n_jobs(self.n_jobs) == 1 or threads
        self.meeting = Meeting() if alone else Workers(self.n_jobs)
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """How many calls joblib may hand over before it asks for a result."""
        return MOST_CALLS

    def get_nested_backend(self) -> Any:
        """What a ``Parallel`` inside a call of this process finds: joblib as it was."""
        return get_active_backend()

    def submit(self, func: Callable[[], Any], callback: Callable[..., Any] | None = None) -> _Job:
        """Take in a call; it begins when joblib asks for a result."""
        return _Job(self.meeting, self.meeting.add(func, callback))

    apply_async = submit  # its name before joblib 1.5

    def results(self) -> list[Any]:
        """What each call has returned, None where it has not; nothing goes on after this."""
        self.close()
        return [] if self.meeting is None else self.meeting.results()

    def close(self) -> None:
        """End what has not come to its end."""
        self.around.unregister()
        if self.meeting is not None:
            self.meeting.close()


@contextmanager
def as_one(n_jobs: int | None) -> Iterator[Together]:
    """In here, the next ``Parallel`` of joblib trains the nets in its calls as one."""
    backend = Together(n_jobs)
    try:
        yield backend
    finally:
        backend.close()


def holds_net(value: Any) -> bool:
    """Whether one of our estimators is in it: in lists, dicts and parameters of estimators."""
    if isinstance(value, Net):
        return True
    if isinstance(value, dict):
        return any(map(holds_net, value.values()))
    if isinstance(value, list | tuple):
        return any(map(holds_net, value))
    inside = hasattr(value, "get_params") and not isinstance(value, type)
    return inside and holds_net(value.get_params(deep=False))
