"""The way out: one plain PyTorch script that trains to the same weights, bit for bit.

The loop in it is the source of parts/loop.py, the networks are the source of their classes; so it
cannot drift from what ran.
"""

__all__ = ["eject"]

import functools
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from torch import nn

from manumatic.errors import EjectError
from manumatic.files import write_whole
from manumatic.gears.beside import SIGNED, file_beside
from manumatic.gears.checkpoint import tensors_as_bytes
from manumatic.gears.loop_source import loop_section
from manumatic.gears.source import Source
from manumatic.gears.stored import check_made, data_section, names_of
from manumatic.gears.stored_images import as_in_memory
from manumatic.gears.swap import complete, steps_in
from manumatic.nets.finetune import Thaw
from manumatic.parts.components import Model
from manumatic.parts.data import Batches, Stream
from manumatic.parts.device import is_small
from manumatic.parts.loss import Weighted
from manumatic.parts.optimizer import schedule_settings, settings
from manumatic.parts.schedules import Waves
from manumatic.parts.several import Recipes


def eject(training: Any, path: str | Path | None = None) -> str:
    """The script of a training, from its first step.

    Parameters
    ----------
    training : Training
    path : path, optional
        Where to write it. Rows that are too many to be read go into a file beside it.

    Raises
    ------
    EjectError
        A component has no source that could be written down.
    """
    training = as_in_memory(training)
    facts = training.facts
    if facts.swapped:
        raise EjectError(
            f"training.{facts.swapped} was exchanged after the first step: no script tells it. "
            "Exchange it before, or eject a fresh net.manual(X, y)"
        )
    path = None if path is None else Path(path)
    source = Source(path)
    sections = {
        **_data_and_model(training, source),
        "loss": _loss(training, source),
        "optimizer": _optimizer(training, source),
        "loop": loop_section(training, source),
    }
    rows = getattr(training.data, "batch_size", 1)
    text = _page(sections, source, is_small(training.model, rows))
    compile(text, str(path or "<ejected>"), "exec")
    if path is not None:  # now that nothing can be refused any more
        for name, content in source.files.items():
            write_whole(path.with_name(name), content)
        write_whole(path, text)
    return text


def _page(sections: dict[str, str], source: Source, one_thread: bool) -> str:
    source.imports.add("import torch")
    lines = _merged(source.imports)
    standard = [line for line in lines if _is_standard(line)]
    others = [line for line in lines if line not in standard]
    head = f'"""{SIGNED} {version("manumatic")}."""\n'
    parts = [head, "\n".join([*standard, "", *others]).strip() + "\n"]
    if one_thread:
        parts.append(
            "torch.set_num_threads(1)  # a second one costs a small network more than it gives\n"
        )
    for number, (name, text) in enumerate(sections.items(), 1):
        parts.append(f"# {number}. {name}\n{text.strip()}\n")
    return "\n".join(parts)


def _merged(imports: set[str]) -> list[str]:
    """Sorted, with one line for each module: ``from torch import Tensor, nn``."""
    names: dict[str, list[str]] = {}
    for line in imports:
        home, _, name = line.partition(" import ")
        names.setdefault(home, []).extend([name] if name else [])
    return [
        f"{home} import {', '.join(sorted(names[home]))}" if names[home] else home
        for home in sorted(names, key=lambda home: (home.startswith("from"), home))
    ]


def _is_standard(line: str) -> bool:
    return line.split()[1].partition(".")[0] in sys.stdlib_module_names


def _data_and_model(training: Any, source: Source) -> dict[str, str]:
    """Rows in memory come first; an object that makes them on the fly may need the model for it."""
    data, facts = training.data, training.facts
    if isinstance(data, Stream) or (isinstance(data, Batches) and facts.source is None):
        raise EjectError(
            f"the rows come from a {type(data).__name__}, which has no source; "
            "give them as arrays or a DataFrame"
        )
    if isinstance(data, Batches):
        rows = data_section(training, source)
        source.known["model"] = training.model
        return {"data": rows, "model": _model(training, source)}
    check_made(training)
    model = _model(training, source)
    source.known["model"] = training.model
    before = set(source.definitions)
    made = f"data = {source.of(data)}"
    return {"model": model, "data": "\n".join([*source.since(before), made])}


def _model(training: Any, source: Source) -> str:
    facts = training.facts
    spec, seed = facts.model, f"torch.manual_seed({facts.seed})"
    before = set(source.definitions)
    if isinstance(spec.net, nn.Module):
        lines = [*_finished("model", spec.net, source), seed]
    else:
        lines = [*_inside(spec, source, seed)]
        lines.append(f"model = {source.call(spec.net, spec.arguments)}")
    if facts.was_lazy:
        first = names_of(training)[0]
        lines.append(
            f"model.eval()({first}[:{len(facts.sample)}])  # lazy layers take their shapes"
        )
    if facts.shown:
        lines.append(f"model.initialise({', '.join(names_of(training)[: facts.shown])})")
    if facts.device.type != "cpu":
        lines.append(f"model.to({str(facts.device)!r})")
    return "\n".join([*source.since(before), *lines])


def _inside(spec: Model, source: Source, seed: str) -> list[str]:
    """Networks that the model is made of, and the seed before what is drawn."""
    finished, made = [], []
    for name, part in spec.arguments.items():
        if isinstance(part, nn.Module):
            finished += _finished(name, part, source)
        elif isinstance(part, Model):
            made.append(f"{name} = {source.call(part.net, part.arguments)}")
        else:
            continue
        source.known[name] = part
    return [*finished, seed, *made]


def _finished(called: str, net: nn.Module, source: Source) -> list[str]:
    """A finished network with its initial weights."""
    made = f"{called} = {source.of(net)}"
    ending = f"_{'start' if called == 'model' else called}.pt"
    file = file_beside(source, ending, tensors_as_bytes(net.state_dict()))
    return [made, f"{called}.load_state_dict(torch.load({file}))"]


def _loss(training: Any, source: Source) -> str:
    before = set(source.definitions)
    loss = training.loss
    if isinstance(loss, Weighted):
        inside = loss.loss
        if not isinstance(inside, nn.Module | functools.partial):
            raise EjectError("a weighted loss without reduction= has no short source; give it one")
        source.of(Weighted)
        expression = f"Weighted({source.of(inside)})"
    else:
        expression = source.of(loss)
    return "\n".join([*source.since(before), f"loss_fn = {expression}"])


def _optimizer(training: Any, source: Source) -> str:
    complete(training)
    recipe, optimizer, model = training.facts.optimizer, training.optimizer, training.model
    before = set(source.definitions)
    if isinstance(recipe, Recipes):
        lines, schedules = ["optimizer = {}"], []
        for name, part in recipe.arguments.items():
            owner = f"model.{name}" if name.isidentifier() else f'model.get_submodule("{name}")'
            target = f'optimizer["{name}"]'
            inside = dict(model.named_children())[name]
            lines += _one(part, optimizer[name], inside, (target, owner), source)
            schedules += _schedule(part.schedule, training, optimizer[name], target, source)
    else:
        lines = _one(recipe, optimizer, model, ("optimizer", "model"), source)
        schedules = _schedule(recipe.schedule, training, optimizer, "optimizer", source)
        schedules = _thaw(training, schedules, source)
    if schedules and training.loop.step is not None:
        lines.append(f"schedules = [{', '.join(schedules)}]")
    elif schedules:
        lines.append(f"schedule = {schedules[0]}")
    return "\n".join([*source.since(before), *lines])


def _one(
    recipe: Any, optimizer: Any, model: nn.Module, names: tuple[str, str], source: Source
) -> list[str]:
    """The lines that make one optimizer; the names are its own and that of its model."""
    kind, keywords = settings(recipe)
    if isinstance(kind, functools.partial):
        kind, keywords = cast(Any, kind).func, {**kind.keywords, **keywords}
    if len(optimizer.param_groups) > 1 and not recipe.groups:
        raise EjectError(
            f"this {kind.__name__} has {len(optimizer.param_groups)} groups of weights of its own; "
            "name them by patterns instead, mm.Optimizer(..., groups=[(pattern, settings)])"
        )
    name, owner = names
    lines, weights = [], f"{owner}.parameters()"
    if recipe.groups:
        lines.append(f"weights = dict({owner}.named_parameters())")
        weights = _groups(recipe, optimizer, model, source)
    keywords = {word: value for word, value in keywords.items() if (word, value) != ("fused", None)}
    told = ", ".join(f"{word}={source.of(value)}" for word, value in keywords.items())
    return [*lines, f"{name} = {source.of(kind)}({weights}{', ' if told else ''}{told})"]


def _groups(recipe: Any, optimizer: Any, model: nn.Module, source: Source) -> str:
    names = {weight: name for name, weight in model.named_parameters()}
    groups = []
    changes = [dict(change) for _, change in recipe.groups] + [{}]
    for group, change in zip(optimizer.param_groups, changes, strict=False):
        listed = ", ".join(f'weights["{names[weight]}"]' for weight in group["params"])
        told = "".join(f", {source.of(name)}: {source.of(value)}" for name, value in change.items())
        groups.append(f'{{"params": [{listed}]{told}}}')
    return "[" + ", ".join(groups) + "]"


def _thaw(training: Any, schedules: list[str], source: Source) -> list[str]:
    """The schedule that lets layers begin to learn, around that of the rates."""
    if not isinstance(training.state.schedule, Thaw):
        return schedules
    beside = "".join(f", schedule={other}" for other in schedules)
    return [f"{source.of(Thaw)}(model, {steps_in(training, 1)}{beside})"]


def _schedule(schedule: Any, training: Any, optimizer: Any, name: str, source: Source) -> list[str]:
    if schedule is None:
        return []
    if isinstance(schedule, str):
        steps = steps_in(training, training.loop.epochs)
        kind, keywords = schedule_settings(schedule, optimizer.defaults["lr"], steps)
    elif isinstance(schedule, functools.partial):
        kind, keywords = schedule.func, schedule.keywords
    else:
        kind, keywords = cast(Any, schedule), {}
    told = "".join(f", {name}={source.of(value)}" for name, value in keywords.items())
    made = training.state.schedule
    if isinstance(made, Waves) and made.model is not None:
        told += ", model=model"
    return [f"{source.of(kind)}({name}{told})"]
