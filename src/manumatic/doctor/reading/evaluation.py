"""MM402: dropout and batch norm that stay at work while the model predicts."""

__all__ = ["FRAMEWORKS", "lasting_dropout"]

import ast
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.model import classes_of_models
from manumatic.doctor.reading.source import Source
from manumatic.doctor.reading.tree import DEEP, FUNCTION, Remark, argument, ranks, word

# these switch modes and set gradients back themselves
FRAMEWORKS = (
    *("accelerate", "catalyst", "composer", "deepspeed", "fastai", "ignite", "keras"),
    *("lightning", "pytorch_lightning", "skorch", "transformers"),
)
NOISES = ("AlphaDropout", "BatchNorm", "Dropout")
NO_GRAD = {"torch.inference_mode", "torch.no_grad"}
DRAWN = {"add_graph", "export", "make_dot", "summary", "trace"}  # looked at, not evaluated
DROPOUTS = {f"torch.nn.functional.dropout{kind}" for kind in ("", "1d", "2d", "3d")}


def lasting_dropout(source: Source) -> Iterator[Remark]:
    """MM402: ``eval()`` is nowhere, or ``F.dropout`` is not told about it."""
    yield from _untold(source)
    if _is_taken_care_of(source):
        return
    trains = [part for part in source.tree.body if _has_backward(source, part)]
    seen: set[str] = set()
    for call in source.of(ast.Call):
        assert isinstance(call, ast.Call)
        name = word(call.func)
        if not name or name in seen:
            continue
        silent = _without_gradients(source, call)
        if not (_evaluates(source, call) if silent else _after_training(source, call, trains)):
            continue
        if noise := _noise(source, call.func):
            seen.add(name)
            more = "" if silent else " torch.no_grad() is missing, too."
            message = (
                f"{name} predicts here, and {name}.eval() is nowhere: {noise[0]} "
                f"({source.place(noise[1])}) is still at work.{more}"
            )
            fix = f"{name}.eval()  # before predicting; {name}.train() before training goes on"
            yield Remark(call, Finding("MM402", message, fix))


def _untold(source: Source) -> Iterator[Remark]:
    """``F.dropout(x, p)``: on by default, in eval mode too."""
    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d"):
        for call in source.calls.get(name, []):
            owner = source.owner(call)
            if owner is None or owner.name not in classes_of_models(source):
                continue
            if source.origin(call.func) not in DROPOUTS or _told(source, call):
                continue
            message = f"F.{name} drops in eval mode, too: training= is missing."
            written = ast.unparse(call)[:-1]
            fix = f"{written}, training=self.training)"
            yield Remark(call, Finding("MM402", message, fix))


def _told(source: Source, call: ast.Call) -> bool:
    named = {keyword.arg for keyword in call.keywords}
    rate = argument(call, 1, "p")
    if named & {"training", None} or len(call.args) > 2:
        return True
    if isinstance(rate, ast.Constant) and rate.value == 0:
        return True
    asked = [up.test for up in source.above(call) if isinstance(up, ast.If | ast.IfExp)]
    return any("train" in ast.unparse(test) for test in asked)


def _is_taken_care_of(source: Source) -> bool:
    """Nothing to switch off, or who knows who does it."""
    noisy = any(name.startswith(NOISES) for name in source.calls)
    return not noisy or source.uses(*FRAMEWORKS) or _switches(source) or _optimizers(source) > 1


def _switches(source: Source) -> bool:
    """Whether the script sets a mode somewhere, or hands that to a function it imports."""
    if any(isinstance(node, ast.Attribute) and node.attr == "eval" for node in source.nodes):
        return True
    if any(call.args or call.keywords for call in source.calls.get("train", [])):
        return True  # model.train(False)
    return any("eval" in name.lower() for name in source.calls if name not in source.functions)


def _optimizers(source: Source) -> int:
    """How many the script makes: two nets in a contest show pictures in training mode."""
    made = [node for node in source.of(ast.Call) if isinstance(node, ast.Call)]
    origins = [source.origin(call.func) for call in made]
    return sum(name.startswith("torch.optim.") and "lr_scheduler" not in name for name in origins)


def _without_gradients(source: Source, call: ast.Call) -> bool:
    """Under ``torch.no_grad()`` or ``inference_mode()``, as a block or over the function."""
    for up in source.above(call):
        given: list[ast.expr] = []
        if isinstance(up, ast.With):
            given = [item.context_expr for item in up.items]
        elif isinstance(up, FUNCTION):
            given = up.decorator_list
        if any(source.short(one) in NO_GRAD for one in given):
            return True
    return False


def _evaluates(source: Source, call: ast.Call) -> bool:
    """A prediction without gradients that is used, and is no step of the training itself."""
    if isinstance(source.parents[call], ast.Expr):
        return False  # fills batch norm's averages
    scope = source.scope(call)
    if scope is not source.tree:
        name = getattr(scope, "name", "")
        if name not in source.calls or "train" in {*_methods_called(scope)}:
            return False
    loop = next(iter(source.loops(call)), None)
    backs = [back for back in source.calls.get("backward", []) if loop in source.loops(back)[:1]]
    if loop is not None and any(ranks(back) > ranks(call) for back in backs):
        return False
    return bool(source.calls.get("backward") or source.calls.get("load_state_dict"))


def _methods_called(node: ast.AST) -> Iterator[str]:
    for below in ast.walk(node):
        if isinstance(below, ast.Call) and isinstance(below.func, ast.Attribute):
            yield below.func.attr


def _after_training(source: Source, call: ast.Call, trains: list[ast.stmt]) -> bool:
    """In the script's own lines, below all that trains."""
    around = source.parents[call]
    if isinstance(around, ast.Call):
        func = around.func
        if getattr(func, "attr", getattr(func, "id", "")) in DRAWN:
            return False
    if source.scope(call) is not source.tree or isinstance(around, ast.Expr):
        return False
    below = [part for part in trains if ranks(part) > ranks(call)]
    within = [part for part in trains if part in source.above(call)]
    return bool(trains) and not below and not within


def _has_backward(source: Source, part: ast.stmt) -> bool:
    if isinstance(part, (*FUNCTION, ast.ClassDef)) or "backward" not in source.calls:
        return False
    return "backward" in {*_attributes(source.reached(part))}


def _attributes(nodes: list[ast.AST]) -> Iterator[str]:
    return (node.attr for node in nodes if isinstance(node, ast.Attribute))


def _noise(source: Source, func: ast.AST) -> tuple[str, ast.Call] | None:
    """The first layer that behaves differently in training, when each possible model has one."""
    found = [_noise_in(source, maker) for maker in source.makers(func)]
    return found[0] if found and None not in found else None


def _noise_in(source: Source, maker: ast.Call, deep: int = 0) -> tuple[str, ast.Call] | None:
    owner = source.class_of(maker)
    if deep > DEEP or (owner is None and source.short(maker) != "torch.Sequential"):
        return None
    for node in ast.walk(owner or maker):
        if not isinstance(node, ast.Call):
            continue
        name = source.short(node).removeprefix("torch.")
        if name.startswith(NOISES) and not _off(node):
            return name, node
        inner = source.class_of(node) not in (None, owner)
        if inner and (found := _noise_in(source, node, deep + 1)):
            return found
    return None


def _off(layer: ast.Call) -> bool:
    """Dropout(0), or batch norm without running averages, which is the same in both modes."""
    given = argument(layer, 0, "p")
    if isinstance(given, ast.Constant) and given.value == 0:
        return True
    return any(keyword.arg == "track_running_stats" for keyword in layer.keywords)
