"""The loop of an ejected script: the source of parts/loop.py with this run's constants in it."""

__all__ = ["loop_section"]

from typing import Any

import libcst as cst

from manumatic.gears.source import Source
from manumatic.gears.specialise import PRESENT, specialise, text_of
from manumatic.gears.stored import cut_batches, in_one, names_of
from manumatic.gears.swap import complete
from manumatic.parts.data import Batches, are_unseen
from manumatic.parts.device import autocast
from manumatic.parts.loop import closure_loop, evaluate, loop, stepped_loop, update, validated
from manumatic.parts.optimizer import wants_closure

ALONE = {"count(X)": "len(X)"}  # one process has all rows of a batch


def loop_section(training: Any, source: Source) -> str:
    """The functions that the loop needs, and the loop itself, for a training before step 1."""
    complete(training)
    spec, data = training.loop, training.data
    targets = ["y", "weight"] if training.facts.weighted else ["y"]
    whole = isinstance(data, Batches) and in_one(training)
    own, called = _step(spec.step, source)
    changed = _augment(data, source)
    body = _body(training, called, whole, targets)
    lines = [_companions(training, source), own, changed]
    lines.append(own and "\n" if whole or not isinstance(data, Batches) else _batches(training))
    ending: list[Any] = []
    if training.valid is not None and spec.uses_validation:
        lines.append(_evaluate(training, targets))
        body, ending = _with_validation(training, body)
    body = _with_report(body, spec.epochs, bool(ending))
    lines.append(cst.Module([*body, *ending]).code.strip())
    if training.state.average is not None:
        lines.append("model.load_state_dict(average.module.state_dict())")
    return "\n".join(line for line in [*lines, "model.eval()"] if line)


def _body(training: Any, called: dict[str, str], whole: bool, targets: list[str]) -> list[Any]:
    """The statements of the loop that this run takes."""
    usual = closure_loop if wants_closure(training.optimizer) else loop
    return specialise(
        usual if training.loop.step is None else stepped_loop,
        _known(training),
        ALONE | called,
        drop=("yield",) if training.loop.accumulate > 1 else ("yield", "rows = 0"),
        inline=(update,),
        batches={"data.batches(epoch)": "" if whole else "batches(epoch)"},
        targets=targets if isinstance(training.data, Batches) else None,
    )


def _step(step: Any, source: Source) -> tuple[str, dict[str, str]]:
    """The source of the user's step, and the name that it is called by."""
    if step is None:
        return "", {}
    before = set(source.definitions)
    expression = source.of(step)
    texts = [f"\n{text.strip()}" for text in source.since(before)]
    if expression.isidentifier():
        return "\n".join(texts), {"step": expression}
    return "\n".join([*texts, f"\nstep = {expression}"]), {}


def _augment(data: Any, source: Source) -> str:
    """The function that changes the training batches."""
    augment = getattr(data, "augment", None)
    if augment is None or not isinstance(data, Batches):
        return ""
    before = set(source.definitions)
    expression = source.of(augment)
    made = "" if expression == "augment" else f"augment = {expression}"
    return "\n".join([*source.since(before), made])


def _known(training: Any) -> dict[str, Any]:
    """The loop's parameters in this run."""
    spec, state = training.loop, training.state
    companions: dict[str, Any] = {
        "scaler": state.scaler,
        "schedule": state.schedule,
        "average": state.average,
        "autocast": autocast(spec.precision, training.facts.device),
    }
    return {
        "epochs": spec.epochs,
        "start": 0,
        "guard": False,
        "model.training": False,
        "accumulate": spec.accumulate,
        "clip_norm": spec.clip_norm,
        "len(data)": len(training.data),
        "schedules": () if state.schedule is None else PRESENT,
        **{name: None if part is None else PRESENT for name, part in companions.items()},
    }


def _companions(training: Any, source: Source) -> str:
    """What goes with the loop: precision, scaler, average."""
    spec, state, device = training.loop, training.state, training.facts.device.type
    lines = []
    if (cast_to := autocast(spec.precision, training.facts.device)) is not None:
        lines.append(f'autocast = torch.autocast("{device}", {cast_to.fast_dtype})')
    if state.scaler is not None:
        lines.append(f'scaler = torch.amp.GradScaler("{device}")')
    if state.average is not None:
        source.imports.add("from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn")
        lines.append(
            f"average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn({spec.ema}))"
        )
    if spec.clip_norm is not None:
        source.imports.add("from torch import nn")
    return "\n".join(lines)


def _batches(training: Any) -> str:
    data = training.data
    names = names_of(training)
    if not data.shuffle or data.batch_size >= data.n_rows:
        split = ", ".join(f"{name}.split({data.batch_size})" for name in names)
        if data.augment is None:
            return f"\n\ndef batches(epoch):\n    yield from zip({split})\n\n"
        return f"""

def batches(epoch):
    for X, *target in zip({split}):
        yield augment(X), *target

"""
    if data.lengths is not None:
        return cut_batches(data, names)
    X, *targets = (f"{name}[rows]" for name in names)
    rows = ", ".join([X if data.augment is None else f"augment({X})", *targets])
    where = "" if training.facts.device.type == "cpu" else f".to({str(training.facts.device)!r})"
    return f"""

def batches(epoch):
    generator = torch.Generator().manual_seed(1_000_003 * {data.seed} + epoch)
    order = torch.randperm(len({names[0]}), generator=generator){where}
    for rows in order.split({data.batch_size}):
        yield {rows}

"""


def _evaluate(training: Any, targets: list[str]) -> str:
    size = training.valid.batch_size
    split = ", ".join(f"{name}_valid.split({size})" for name in ["X", *targets])
    rename = {"model(X)": "model(X, unseen=True)"} if are_unseen(training.valid) else {}
    batches = {"data.batches(0)": f"zip({split})"}
    body = specialise(evaluate, {}, ALONE | rename, batches=batches, targets=targets)
    text = text_of(cst.IndentedBlock(body)).strip("\n")
    return f"\n\n@torch.no_grad()\ndef evaluate(model, loss_fn):\n{text.lstrip(chr(10))}\n\n"


def _with_validation(training: Any, body: list[Any]) -> tuple[list[Any], list[Any]]:
    """The loop with ``validated``'s statements at the end of each epoch, and the last behind."""
    patience = training.loop.patience
    known = {"step.last": True, "best.weights": PRESENT, "patience": patience}
    model = "model" if training.state.average is None else "average.module"
    rename = {
        "evaluate(model, loss_fn, data, count)": f"evaluate({model}, loss_fn)",
        "step.valid_loss": "valid_loss",
        "step.epoch": "epoch",
        "best.loss": "best_loss",
        "best.epoch": "best_epoch",
        "best.weights": "best_weights",
        "model": model,
    }
    watching, *ending = specialise(validated, known, rename, drop=("yield",))
    *before, epochs = body
    begin = cst.parse_statement('best_loss, best_epoch, best_weights = float("inf"), -1, None')
    together = cst.IndentedBlock([*epochs.body.body, *watching.body.body])
    return [*before, begin, epochs.with_changes(body=together)], ending


def _with_report(body: list[Any], epochs: int, validated: bool) -> list[Any]:
    """A line five times in a run."""
    *before, loop_over = body
    valid = ", valid {valid_loss:.4f}" if validated else ""
    every = max(1, epochs // 5)
    text = 'print(f"epoch {epoch}, loss {loss.item():.4f}' + valid + '")'
    report = cst.parse_statement(f"if epoch % {every} == 0:\n    {text}\n")
    statements = list(loop_over.body.body)
    stop = (
        1
        if validated and isinstance(statements[-1], cst.If) and "break" in text_of(statements[-1])
        else 0
    )
    at = len(statements) - stop
    statements.insert(at, report)
    return [*before, loop_over.with_changes(body=cst.IndentedBlock(statements))]
