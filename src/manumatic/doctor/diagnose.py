"""The doctor on request: everything that can be said before training."""

__all__ = ["case_of", "diagnose"]

import copy
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler

from manumatic.doctor.case import Case, examine, randomness_kept
from manumatic.doctor.checks import DEEP, FIRST, ROWS
from manumatic.doctor.finding import Finding, Findings
from manumatic.doctor.forward import FEW, LOOK, names
from manumatic.doctor.model import TINY
from manumatic.doctor.stability import too_fast
from manumatic.doctor.trial import drawn_elsewhere
from manumatic.errors import ComponentError, DataError
from manumatic.parts.components import Model
from manumatic.parts.data import Batches, Stream, batch_rows
from manumatic.parts.loss import LOSSES, check_loss
from manumatic.parts.model import as_model, build_model, is_lazy, probe

# These say why a model or a loss cannot be run at all.
REASONS = {"MM102", "MM103", "MM105", "MM201", "MM202"}
SOME = 32  # rows of a stream: each may be an image to read


def diagnose(
    subject: Any,
    X: Any = None,
    y: Any = None,
    *,
    loss: Any = None,
    optimizer: Any = None,
    ignore: Iterable[str] = (),
) -> Findings:
    """Look for mistakes before training; nothing that is looked at changes.

    Parameters
    ----------
    subject : nn.Module, class, function, estimator, Training, path or str
        A network in plain PyTorch, or what makes one; a manumatic estimator, to be fitted to X and
        y; the manual gear; a Python script (``"train.py"``), or its text.
    X, y : tensor or array (n, …), optional
        Rows and targets. To plain PyTorch they are given as the training loop would feed them.
    loss : str, class or callable, optional
        (prediction, target) → one number. Plain PyTorch only, and without it only the model and the
        rows are looked at.
    optimizer : torch.optim.Optimizer or class, optional
        Plain PyTorch only.
    ignore : iterable of str
        Codes to leave out.

    Returns
    -------
    Findings
        Empty where all is well.

    Raises
    ------
    ComponentError
        Model and loss cannot be run on these rows, for a reason that has no code.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    >>> X, y = torch.randn(30, 4), torch.arange(30) % 3
    >>> print(diagnose(net, X, y, loss=nn.CrossEntropyLoss()))
    MM202 issue: the model ends in Softmax and CrossEntropyLoss applies softmax again: ...
        model = model[:-1]  # without Softmax
    """
    findings = Findings(muted=tuple(ignore))
    with randomness_kept():
        findings.add(*_look(subject, X, y, loss, optimizer))
    return findings


def _look(subject: Any, X: Any, y: Any, loss: Any, optimizer: Any) -> Iterator[Finding]:
    if isinstance(subject, str | Path):
        return _read(subject)
    if hasattr(subject, "manual") or hasattr(subject, "parts"):
        if loss is not None or optimizer is not None:
            given = f"loss={loss!r}" if loss is not None else f"optimizer={optimizer!r}"
            raise ComponentError(f"{type(subject).__name__} has its own; leave out {given}")
        return _run_down(subject.manual(X, y) if hasattr(subject, "manual") else subject)
    return _plain(subject, X, y, loss, optimizer)


def _read(script: str | Path) -> Iterator[Finding]:
    from manumatic.doctor.script import read_script  # a reader of code, not needed for the rest

    text, name = str(script), "script"
    if isinstance(script, Path) or ("\n" not in script and script.endswith(".py")):
        path = Path(script)
        if not path.is_file():
            raise DataError(f"there is no file {text!r} to read")
        text, name = path.read_text(encoding="utf-8"), path.name
    yield from read_script(text, name)


def _run_down(training: Any) -> Iterator[Finding]:
    if training.loop.step is not None:
        yield from examine(case_of(training), ROWS)
        return
    whole = None if training.loop.clip_norm else case_of(training, limit=None)
    yield from _examined(case_of(training), whole)
    spec = training.facts.model
    if not isinstance(spec.net, nn.Module):
        yield from drawn_elsewhere(lambda: build_model(spec))


def _examined(case: Case, whole: Case | None) -> Iterator[Finding]:
    """What is quickly seen; where it says why nothing can run or learn, that is enough.

    The stability limit is that of all rows, ``whole``; None where it does not count.
    """
    found = examine(case, FIRST)
    yield from found
    if REASONS.isdisjoint(finding.code for finding in found):
        yield from examine(case, (_runs, *DEEP))
        if whole is not None:
            yield from examine(whole, [too_fast])


def _runs(case: Case) -> Iterator[Finding]:
    """Raise where model or loss cannot be run."""
    X, *rest = case.rows(FEW)
    prediction = probe(case.model, X)
    trains = any(weight.requires_grad for weight in case.model.parameters())
    if case.loss is not None and trains and prediction.requires_grad:
        check_loss(case.loss, prediction, *rest)
    yield from ()


# --- plain PyTorch -------------------------------------------------------------------------------


def _plain(subject: Any, X: Any, y: Any, loss: Any, optimizer: Any) -> Iterator[Finding]:
    model = subject
    if not isinstance(subject, nn.Module):
        spec = as_model(subject)
        model = _built(spec)
        yield from drawn_elsewhere(lambda: _built(spec))
    rows, target, batch_size, shuffle = X, y, 0, True
    if isinstance(X, DataLoader):
        batch_size = X.batch_size or 0
        shuffle = not isinstance(X.sampler, SequentialSampler)
        rows, target = _batch(X)
    elif X is None:
        raise ComponentError(f"{type(model).__name__} needs rows to be looked at; X is None")
    rows, target = _tensor(rows), _tensor(() if target is None else target)
    if rows is None or target is None:
        yield _text("X", X) if rows is None else _text("y", y)
        return
    if len(target) not in (0, len(rows)):
        raise ComponentError(f"X has {len(rows)} rows and y has {len(target)}")
    if is_lazy(model):
        model, optimizer = copy.deepcopy(model), None
        probe(model, rows[:FEW])
    case = Case(model, rows, target, batch_size=batch_size, shuffle=shuffle, columns=_columns(X))
    if len(target):
        case = replace(case, loss=_loss(loss), optimizer=_optimizer(optimizer, model))
    yield from _examined(case, case)


def _columns(X: Any) -> list[str] | None:
    return [str(name) for name in X.columns] if hasattr(X, "columns") else None


def _optimizer(optimizer: Any, model: nn.Module) -> Any:
    return optimizer(model.parameters()) if callable(optimizer) else optimizer


def _built(spec: Model) -> nn.Module:
    try:
        return build_model(spec)
    except TypeError as error:
        raise ComponentError(
            f"{spec!r} cannot be built: {error}; give its arguments: mm.Model(Net, ...)"
        ) from None


def _loss(loss: Any) -> Any:
    if isinstance(loss, str) and loss not in LOSSES:
        raise ComponentError(f"no loss {loss!r}; there are {', '.join(LOSSES)}")
    loss = LOSSES[loss] if isinstance(loss, str) else loss
    return loss() if isinstance(loss, type) else loss


def _tensor(values: Any) -> Tensor | None:
    """None where there is text among the values."""
    if isinstance(values, Tensor):
        return values.detach()
    array = np.asarray(values)
    return None if array.dtype.kind in "OSU" else torch.tensor(array)  # a copy: some are read-only


def _text(word: str, values: Any) -> Finding:
    if word == "y":
        labels = names(sorted({repr(label) for label in np.asarray(values).ravel().tolist()}))
        said = f"y holds text ({labels}); a loss takes numbers."
        return Finding("MM103", said, "y = torch.tensor(LabelEncoder().fit_transform(y))")
    said = "X holds text; a network takes numbers."
    if hasattr(values, "select_dtypes"):
        columns = list(values.select_dtypes(exclude=["number", "bool"]).columns)
        are = "columns of X hold" if len(columns) > 1 else "column of X holds"
        told = names([repr(name) for name in columns])
        said = f"{len(columns)} {are} text ({told}); a network takes numbers."
    return Finding("MM105", said, "X = make_column_transformer(...).fit_transform(X)")


# --- a training ----------------------------------------------------------------------------------


def case_of(training: Any, limit: int | None = LOOK) -> Case:
    """The case that the manual gear makes: rows of its data, and its components.

    Parameters
    ----------
    training : Training
        Anything with ``data``, ``model``, ``loss``, ``optimizer`` and ``facts``.
    limit : int or None
        About so many rows; None for all that are in memory.
    """
    data, facts = training.data, training.facts
    preprocess = facts.data.preprocess
    if isinstance(data, Batches):
        most = None if limit is None else _most(data.n_rows, data.batch_size, limit)
        X, y, *weight = (tensor[:most] for tensor in data.tensors)
        batch_size = data.batch_size
    else:
        with randomness_kept():
            X, y, *weight = _streamed(data)
        batch_size = getattr(data, "batch_size", 0)
        batch_size = getattr(getattr(data, "source", None), "batch_size", batch_size) or 0
    return Case(
        model=training.model,
        X=X,
        y=y,
        loss=training.loss,
        optimizer=training.optimizer,
        weight=weight[0] if weight else None,
        task=facts.task,
        batch_size=batch_size,
        shuffle=bool(getattr(data, "shuffle", True)),
        columns=None if facts.preparation.preprocess else facts.preparation.columns,
        prepared=isinstance(preprocess, str) and preprocess == "auto",
    )


def _most(n_rows: int, batch_size: int, limit: int) -> int:
    """How many rows to look at; their last batch is only as short as the last of all is."""
    short = n_rows % batch_size
    if n_rows <= limit:
        return n_rows
    if 0 < short < TINY:
        return max(limit // batch_size, 1) * batch_size + short
    return limit // batch_size * batch_size or limit


def _streamed(data: Any) -> tuple[Tensor, ...]:
    """Rows of a stream, without a trace in its samplers, generators and counters."""
    if isinstance(data, Stream) and data.source is not None:
        X, y = batch_rows(_batch(data.source))
        return X.to(data.device), data.encode(y)
    _, *batch = next(iter(copy.copy(data).batches(0)))
    return tuple(batch)


def _batch(source: Any) -> Any:
    """Some rows from all over a Dataset, as its loader would put them together."""
    loader = source if isinstance(source, DataLoader) else DataLoader(source, SOME)
    rows = loader.dataset
    if loader.batch_sampler is None or not (
        hasattr(rows, "__getitem__") and hasattr(rows, "__len__")
    ):
        return _first(loader)
    most = _most(len(rows), loader.batch_size or 1, SOME)
    return loader.collate_fn([rows[number * len(rows) // most] for number in range(most)])


def _first(loader: DataLoader[Any]) -> Any:
    state = None if loader.generator is None else loader.generator.get_state()
    batch = next(iter(loader))
    if state is not None:
        loader.generator.set_state(state)
    return batch
