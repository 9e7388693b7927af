"""FineTune: a trained network as the start; which of its layers learn, and what it answers."""

__all__ = ["FineTune", "resolve_fine_tuning"]

import copy
import inspect
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from manumatic.convert.module import Converted
from manumatic.errors import ComponentError, nearest
from manumatic.logbook import Logbook
from manumatic.nets.finetune import FineTuned, answer_of, features_of, matches
from manumatic.parts.components import Model
from manumatic.parts.model import build_model, resolve_model
from manumatic.task import Task

HEADS = ("fc", "_fc", "classifier", "head", "heads", "score", "last_linear", "output")
READ = ("r", "lora_alpha", "target_modules", "use_rslora")  # of a configuration of peft
BESIDE = ("peft_type", "task_type", "peft_version", "base_model_name_or_path", "inference_mode")


class FineTune(Model):
    """A trained network that goes on learning: give it as ``model=``.

    The network is deep-copied, never changed. What is frozen rests whole: its weights, its running
    statistics and its dropout.

    Parameters
    ----------
    net : torch.nn.Module, type or callable
        A trained network, of Hugging Face or torchvision, too; or a function that makes one.
    head : "auto", None, torch.nn.Module or callable
        "auto" replaces the linear layer that gives the answer by a fresh ``nn.Linear(in_features,
        out_features)``, and puts one behind a network that ends with features. A module, or a
        function of (in_features, out_features), is taken in place of it. None keeps the network as
        it is.
    freeze : "auto", str, sequence of str, or None
        Patterns of names of weights (``"layer1.*"``). "auto" freezes all but the head; None leaves
        ``requires_grad`` as the network has it.
    thaw : dict of int to str or sequence of str, or None
        ``{3: "layer4.*", 6: "*"}``: layers that begin to learn after so many epochs. Running
        statistics have names, too: ``["*.weight", "*.bias"]`` leaves them at rest.
    lora : int, peft.LoraConfig or None
        Rank of the changes that linear layers learn in place of their weights (Hu et al. 2021,
        arXiv:2106.09685); of a configuration of peft its rank, alpha and layers are read.
    **arguments
        Handed to the function that makes the network.

    Examples
    --------
    >>> import manumatic as mm
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> trained = mm.Classifier("mlp", random_state=0).fit(X[:100], y[:100])  # two of three kinds
    >>> net = mm.Classifier(mm.FineTune(trained.model_), loop=mm.Loop(epochs=5), random_state=0)
    >>> net.fit(X, y).model_.fresh
    ['body.2.*']
    """

    def __init__(
        self,
        net: Any,
        head: Any = "auto",
        freeze: str | Sequence[str] | None = "auto",
        thaw: Mapping[int, str | Sequence[str]] | None = None,
        lora: Any = None,
        **arguments: Any,
    ) -> None:
        super().__init__(net, **arguments)
        self.head = head
        self.freeze = freeze
        self.thaw = thaw
        self.lora = lora


@dataclass
class _Answer:
    """Where a network's answer comes from."""

    at: str | None = None  # the linear layer that gives it; None where there is none
    in_features: int = 0
    pad: int | None = None  # of a network that reads tokens


def resolve_fine_tuning(spec: FineTune, task: Task, logbook: Logbook) -> Model:
    """The network that goes on learning, with all its arguments.

    Raises
    ------
    ComponentError
        No network to start from, rows that it cannot take, or patterns that match no weight.
    """
    if isinstance(spec.net, str) or not callable(spec.net):
        raise ComponentError(
            f"mm.FineTune takes a trained nn.Module, or a function that makes one; got {spec.net!r}"
        )
    start = resolve_model(Model(spec.net, **spec.arguments), task, logbook)
    with torch.random.fork_rng([]):  # looking must not change what is drawn later
        body = build_model(start)
        converted = isinstance(body, Converted)  # it gives predictions already
        answer = _Answer() if converted else _answer(body, task)
        arguments = _arguments(spec, body, answer, task, keeps=converted)
        tuned = FineTuned(body, **copy.deepcopy(arguments))
    _tell(tuned, answer, arguments.get("head", ""), logbook)
    first = start.net if isinstance(start.net, nn.Module) else start
    return Model(FineTuned, body=first, **arguments)


def _arguments(
    spec: FineTune, body: nn.Module, answer: _Answer, task: Task, *, keeps: bool
) -> dict[str, Any]:
    """Those of :class:`FineTuned` that are not its defaults."""
    head, freeze = spec.head, spec.freeze
    if isinstance(head, str):
        if head != "auto":
            raise ComponentError(
                'head must be "auto", None, an nn.Module or a function of (in_features, '
                f"out_features); got {head!r}"
            )
        head = None if keeps else nn.Linear
    if head is None and freeze == "auto" and answer.at is None:
        freeze = None  # nothing tells a head from the rest
    names = [*dict(body.named_parameters()), *dict(body.named_buffers())]
    found = {
        "at": answer.at,
        "head": head,
        "in_features": answer.in_features,
        "out_features": task.out_features,
        "freeze": freeze if freeze in ("auto", None) else _patterns(freeze, "freeze", names),
        "thaw": _thaw(spec.thaw, names),
        "lora": _lora(spec.lora, body, answer.at),
        "pad": answer.pad,
    }
    if head is None:
        del found["in_features"], found["out_features"]
    usual = inspect.signature(FineTuned).parameters
    return {name: value for name, value in found.items() if value is not usual[name].default}


# --- what the network answers --------------------------------------------------------------------


def _answer(body: nn.Module, task: Task) -> _Answer:
    """The layer that the answer comes from, seen in a run on rows of zeros."""
    pad = _pad(body, task)
    seen: list[tuple[str, nn.Linear, Tensor]] = []

    def note(name: str) -> Any:
        def hook(layer: Any, _: Any, found: Any) -> None:
            seen.append((name, layer, found))

        return hook

    layers = [(name, one) for name, one in body.named_modules() if isinstance(one, nn.Linear)]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers]
    try:
        found = _run(body, task, pad)
    finally:
        for hook in hooks:
            hook.remove()
    place = found.untyped_storage().data_ptr()
    ends = [one for one in seen if one[2].untyped_storage().data_ptr() == place]
    if not ends:  # the layer's name says so, where something small comes after it
        ends = [
            (name, layer, out)
            for name, layer, out in seen
            if name.rpartition(".")[2] in HEADS and layer.out_features == found.shape[-1]
        ]
    if ends:
        return _Answer(ends[-1][0], ends[-1][1].in_features, pad)
    return _Answer(None, features_of(found, None).shape[-1], pad)


def _pad(body: nn.Module, task: Task) -> int | None:
    """The number for padding of a network of Hugging Face that reads tokens; None for others."""
    config = getattr(body, "config", None)
    named = "input_ids" in inspect.signature(body.forward).parameters
    # what peft makes of one hands all on, and names nothing
    if not named and not (task.vocabulary and hasattr(config, "vocab_size")):
        return None
    name = type(body).__name__
    if not task.vocabulary:
        raise ComponentError(
            f"{name} reads tokens, and X was prepared as numbers of shape {task.in_shape}; give "
            "texts and the tokenizer of the network, data=mm.Data(preprocess=tokenizer)"
        )
    known = getattr(config, "vocab_size", None) or task.vocabulary
    if task.vocabulary - 2 > known:
        raise ComponentError(
            f"the tokenizer has {task.vocabulary - 2} tokens, and {name} knows {known}; give the "
            "tokenizer that it was trained with, data=mm.Data(preprocess=tokenizer)"
        )
    return getattr(config, "pad_token_id", None) or 0


@torch.no_grad()
def _run(body: nn.Module, task: Task, pad: int | None) -> Tensor:
    kind = torch.long if task.vocabulary else torch.float32
    rows = torch.zeros(2, *task.in_shape, dtype=kind)
    mask = {} if pad is None else {"attention_mask": torch.ones_like(rows)}
    modes = [(module, module.training) for module in body.modules()]
    body.eval()  # batch norm must not learn from zeros
    try:
        return answer_of(body(rows, **mask))
    except (RuntimeError, TypeError, ValueError, IndexError, StopIteration) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComponentError(
            f"{type(body).__name__} cannot take rows of shape {task.in_shape} ({kind}): {reason}. "
            "Bring them to what it was trained on, data=mm.Data(preprocess=...)"
        ) from error
    finally:
        for module, training in modes:
            module.training = training


# --- what the user asked for ---------------------------------------------------------------------


def _patterns(given: Any, what: str, names: Sequence[str]) -> list[str]:
    patterns = [given] if isinstance(given, str) else given
    if not isinstance(patterns, list | tuple) or not all(isinstance(p, str) for p in patterns):
        raise ComponentError(
            f'{what} takes patterns of names of weights, such as "layer1.*"; got {given!r}'
        )
    for pattern in patterns:
        if not any(matches(name, [pattern]) for name in names):
            few = ", ".join(names[:5]) + (", ..." if names[5:] else "")
            raise ComponentError(
                f"{what}: the pattern {pattern!r} matches no weight of the network, which has "
                f"{few}.{nearest(pattern, names)}"
            )
    return list(patterns)


def _thaw(given: Any, names: Sequence[str]) -> dict[int, list[str]] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping) or not all(type(n) is int and n >= 0 for n in given):
        raise ComponentError(
            f'thaw takes {{epoch: pattern}}, such as {{3: "layer4.*"}}; got {given!r}'
        )
    return {epoch: _patterns(wanted, "thaw", names) for epoch, wanted in sorted(given.items())}


def _lora(given: Any, body: nn.Module, at: str | None) -> dict[str, Any] | None:
    """Rank, scale and layers of the changes."""
    if given is None:
        return None
    layers = [name for name, layer in body.named_modules() if type(layer) is nn.Linear]
    layers = [name for name in layers if name != at]
    if hasattr(given, "lora_alpha"):
        found = _of_peft(given, layers)
    elif type(given) is int and given >= 1:
        found = {"rank": given, "scale": 1.0, "layers": ["*"]}
    else:
        raise ComponentError(f"lora takes a rank, 1 or more, or a peft.LoraConfig; got {given!r}")
    if not any(matches(name, found["layers"]) for name in layers):
        told = ", ".join(layers[:5]) or "none"
        raise ComponentError(
            f"lora={given!r} changes linear layers, and none of {type(body).__name__} is meant; "
            f"before its head it has {told}. thaw trains layers of any kind"
        )
    return found


def _of_peft(config: Any, layers: Sequence[str]) -> dict[str, Any]:
    """What a LoraConfig says, as far as it says no more than LoRA itself."""
    usual = vars(type(config)())
    others = {
        name: value
        for name, value in vars(config).items()
        if name not in (*READ, *BESIDE) and value != usual.get(name)
    }
    if others:
        name, value = next(iter(others.items()))
        raise ComponentError(
            f"{name}={value!r} of the LoraConfig is not read here; let peft put it in: "
            "mm.FineTune(peft.get_peft_model(net, config), head=None, freeze=None)"
        )
    rank, wanted = config.r, config.target_modules
    patterns = ["*"]
    if isinstance(wanted, str) and wanted != "all-linear":  # as peft reads it
        patterns = [name for name in layers if re.fullmatch(wanted, name)]
    elif wanted is not None and not isinstance(wanted, str):
        patterns = [one for name in sorted(wanted) for one in (name, f"*.{name}")]
    root = math.sqrt(rank) if config.use_rslora else rank
    return {"rank": rank, "scale": config.lora_alpha / root, "layers": patterns}


def _tell(net: FineTuned, answer: _Answer, head: Any, logbook: Logbook) -> None:
    """What is fresh, what rests, and for how long."""
    if head is not None:
        behind = answer.at is None
        place = "behind the network" if behind else f"in place of {answer.at or 'the only layer'}"
        why = "the network ends with features" if behind else "this layer gave the answer"
        logbook.note("model", f"a fresh head {place}", why)
    weights = [(weight.numel(), weight.requires_grad) for weight in net.parameters()]
    learn, size = sum(n for n, learns in weights if learns), sum(n for n, _ in weights)
    if learn < size:
        why = "the rest is frozen, its running statistics and dropout, too"
        logbook.note("model", f"{learn:,} of {size:,} weights learn", why)
    for epoch, patterns in net.plan.items():
        logbook.note("model", f"{', '.join(patterns)} from epoch {epoch} on", "as you asked")
