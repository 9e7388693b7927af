"""Whoever looks on while a training runs: history, metrics, loggers, progress and the doctor.

Nothing in here draws a random number that the training would have drawn, or changes a weight.
"""

__all__ = ["Watcher", "judged_outputs"]

import fnmatch
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from manumatic.doctor.finding import Findings
from manumatic.doctor.listen import Listener
from manumatic.errors import ComponentError
from manumatic.gears.checkup import Checkup
from manumatic.gears.reading import reader_of
from manumatic.parts.data import judged
from manumatic.parts.loop import Step
from manumatic.watch.loggers import Run, as_loggers
from manumatic.watch.metrics import as_metrics
from manumatic.watch.progress import Progress
from manumatic.watch.spec import Watch

MOST_TRACKED = 200  # numbers; more would be a histogram


class Watcher:
    """Looks on, and writes down what it sees.

    Parameters
    ----------
    spec : Watch
    verbose : int

    Attributes
    ----------
    findings : Findings
        What the doctor has found so far.
    """

    def __init__(self, spec: Watch, verbose: int) -> None:
        self.spec = spec
        self.verbose = verbose
        self.metrics = as_metrics(spec.metrics)
        self.loggers = as_loggers(spec.log)
        self.findings = Findings(muted=spec.ignore)
        self.tracked: list[tuple[str, Callable[[], float]]] = []
        self.progress: Progress | None = None
        self.values: dict[str, Any] = {}  # of this epoch
        self.measured = self.recorded = -1  # the last epochs with metrics, with weights
        self.open = False
        self.checkup = Checkup()
        self.listener: Listener | None = None  # while the user's own loop runs

    def listen(self, training: Any) -> None:
        """Somebody iterates over the data: a loop by hand, to which the doctor listens."""
        parts = training.model, training.loss, training.optimizer
        if self.listener is None or self.listener.parts != parts:
            self.hush()
            self.listener = Listener(*parts, findings=self.findings)
            self.listener.__enter__()

    def hush(self) -> None:
        """Take the listener's hooks off the model."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    def begin(self, training: Any) -> None:
        """Before the loop starts, or starts again with another component."""
        self.hush()
        self.tracked = list(_tracked(training.model, self.spec.patterns))
        if self.verbose:
            self.progress = Progress(training.loop.epochs, self.verbose)
        if training.state.steps == 0:
            self.findings.add(*self.checkup.before(training))
            self._record_weights(training, 0)
        if not self.open:
            self.open = True
            run = Run(training.model, training.facts.sample, _settings(training))
            for logger in self.loggers:
                if hasattr(logger, "start"):
                    logger.start(run)

    def first_step(self, training: Any) -> None:
        """After the first step, with its gradients in place."""
        self.findings.add(*self.checkup.first_step(training))

    def epoch(self, training: Any, step: Step, loss: float) -> None:
        """After the last step of an epoch, whose mean training loss is given."""
        due = (step.epoch + 1) % self.spec.every == 0
        self.values = {"lr": float(training.optimizer.param_groups[0]["lr"])}
        self._add(training, step.epoch, "train", "loss", loss)
        valid = step.valid_loss
        if valid is None and training.valid is not None:  # rows to look at, not to decide by
            with torch.random.fork_rng([]):
                valid = training.facts.processes.evaluate(
                    judged(training.model, training.valid), training.loss, training.valid
                )
        if valid is not None:
            self._add(training, step.epoch, "valid", "loss", valid)
        self.findings.add(*self.checkup.epoch(training, loss))
        if due:
            self._measure(training)
            self._record_weights(training, step.epoch + 1)
        for logger in self.loggers:
            tensors = _tensors(training.model) if due and getattr(logger, "tensors", False) else {}
            logger.log(self.values | tensors, step.epoch)
        if self.progress is not None:
            told = {"loss": loss} if valid is None else {"loss": loss, "valid": valid}
            self.progress.show(step.epoch, told)

    def end(self, training: Any, ended: str) -> None:
        """After the last step; ``ended`` says how: by "epochs", "patience", "diverged", ..."""
        state = training.state
        if state.steps and ended != "diverged":
            self._measure(training)
            self._record_weights(training, state.next_epoch)
        self.findings.add(*self.checkup.after(training, ended))
        if self.progress is not None:
            self.progress.close()
            if self.findings:
                print(self.findings)
        if self.open:
            self.open = False
            last = {f"{row.name}/{row.part}": row.value for row in state.history}
            if ended == "diverged":  # the epoch that is missing
                last["loss/train"] = math.nan
            for logger in self.loggers:
                if hasattr(logger, "close"):
                    logger.close(last)

    # --- what is written down ----------------------------------------------------------------

    def _add(self, training: Any, epoch: int, part: str, name: str, value: float) -> None:
        state = training.state
        state.history.add(epoch, state.steps, part, name, value)
        self.values[f"{name}/{part}"] = value

    def _record_weights(self, training: Any, epochs: int) -> None:
        if self.recorded != epochs:
            self.recorded = epochs
            for label, read in self.tracked:
                self._add(training, epochs, "weight", label, read())

    def _measure(self, training: Any) -> None:
        epoch, facts = training.state.epoch, training.facts
        if not self.metrics or self.measured == epoch:
            return
        self.measured = epoch
        reader = reader_of(training.link, facts.task, facts.preparation)
        with torch.random.fork_rng([]):
            for part, rows in (("train", training.data), ("valid", training.valid)):
                if rows is not None:
                    raw, y = judged_outputs(_judged(training), rows)
                    for name, metric in self.metrics.items():
                        self._add(training, epoch, part, name, float(metric(reader, raw, y)))


def _tracked(model: Any, patterns: list[str]) -> Iterator[tuple[str, Callable[[], float]]]:
    """A label and a way to read it for each number of the weights that match."""
    named = dict(model.named_parameters())
    for pattern in patterns:
        found = [name for name in named if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise ComponentError(f"track={pattern!r} matches no weight of {', '.join(named)}")
        for name in found:
            weight = named.pop(name)
            if weight.numel() > MOST_TRACKED:
                raise ComponentError(
                    f"track={pattern!r} would follow the {weight.numel()} numbers of {name!r}, at "
                    f"most {MOST_TRACKED} have room; log=mm.TensorBoard(...) draws histograms"
                )
            for place in range(weight.numel()):
                yield _label(name, weight, place), _reader(weight, place)


def _label(name: str, weight: Tensor, place: int) -> str:
    if weight.numel() == 1:
        return name
    index = torch.unravel_index(torch.tensor(place), weight.shape)
    return f"{name}[{','.join(str(int(i)) for i in index)}]"


def _reader(weight: Tensor, place: int) -> Callable[[], float]:
    return lambda: float(weight.detach().reshape(-1)[place])


def _tensors(model: Any) -> dict[str, Tensor]:
    """Weights and gradients by name, as they are after a step."""
    weights = {f"weights/{name}": w.detach() for name, w in model.named_parameters()}
    return weights | {
        f"gradients/{name}": w.grad for name, w in model.named_parameters() if w.grad is not None
    }


def _judged(training: Any) -> Any:
    """The model whose predictions count: the average where there is one."""
    average = training.state.average
    return training.model if average is None else average.module


@torch.no_grad()
def judged_outputs(model: Any, rows: Any) -> tuple[Tensor, Tensor]:
    """Raw outputs (n, numbers) and targets of all rows in their order, as floats on the CPU."""
    model = judged(model, rows)
    model.eval()
    shuffle, rows.shuffle = rows.shuffle, False
    try:
        pairs = [(model(X).reshape(len(X), -1), y) for _, X, y, *_ in rows.batches(0)]
    finally:
        rows.shuffle = shuffle
    raw, y = (torch.cat(column).float().cpu() for column in zip(*pairs, strict=True))
    return raw, y


def _settings(training: Any) -> dict[str, Any]:
    """Parameters of the run as flat, plain values."""
    facts, loop = training.facts, training.loop
    told: dict[str, Any] = {"seed": facts.seed, "model": type(training.model).__name__}
    parts = {"data": facts.data, "optimizer": facts.optimizer, "loop": loop}
    for part, spec in parts.items():
        for name, value in spec.get_params(deep=False).items():
            if isinstance(value, bool | int | str) or (
                isinstance(value, float) and math.isfinite(value)
            ):
                told[f"{part}.{name}"] = value
    loss = training.loss
    return told | {"loss": getattr(loss, "__name__", type(loss).__name__)}
