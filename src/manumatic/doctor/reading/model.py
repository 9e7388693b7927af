"""MM202, MM203: what a model ends in, which loss gets it, and layers that nobody registers."""

__all__ = ["classes_of_models", "ends", "hidden_layers", "losses", "twice", "width"]

import ast
import math
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.source import Bound, Source
from manumatic.doctor.reading.tree import DEEP, FUNCTION, Remark, argument, own, ranks, word

LOSSES = {
    "CrossEntropyLoss": ("softmax", "log_softmax"),
    "cross_entropy": ("softmax", "log_softmax"),
    "BCEWithLogitsLoss": ("sigmoid",),
    "binary_cross_entropy_with_logits": ("sigmoid",),
    "MSELoss": (),
    "mse_loss": (),
}
KINDS = {"softmax": "softmax", "logsoftmax": "log_softmax", "sigmoid": "sigmoid"}
WEIGHTS = {
    *("BatchNorm1d", "BatchNorm2d", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d"),
    *("Embedding", "GRU", "GRUCell", "LSTM", "LSTMCell", "LayerNorm", "Linear", "RNN"),
    *("MultiheadAttention", "Parameter", "TransformerEncoderLayer"),
}


def classes_of_models(source: Source) -> dict[str, ast.ClassDef]:
    """The classes of the script that are models: torch.nn.Module somewhere among their bases."""

    def is_model(owner: ast.ClassDef, deep: int = 0) -> bool:
        for base in owner.bases:
            inner = source.classes.get(word(base))
            if source.short(base) == "torch.Module":
                return True
            if inner is not None and deep < DEEP and is_model(inner, deep + 1):
                return True
        return False

    return {name: owner for name, owner in source.classes.items() if is_model(owner)}


# --- what comes last -----------------------------------------------------------------------------


def ends(source: Source, node: ast.AST | None, deep: int = 0) -> list[ast.Call | None]:
    """The last operations behind a value, layers among them; None: some cannot be seen."""
    if deep > DEEP or node is None:
        return [None]
    if isinstance(node, ast.Name):
        return ends(source, _latest(source, node), deep + 1)
    if not isinstance(node, ast.Call):
        return [None]
    if source.short(node):
        return [node]  # F.softmax(x)
    made = [node.func] if isinstance(node.func, ast.Call) else source.makers(node.func)
    if made:  # nn.Softmax(1)(x), self.head(x), model(x)
        return [end for maker in made for end in _model_ends(source, maker, deep + 1)]
    return [node] if isinstance(node.func, ast.Attribute) else [None]  # x.softmax(1)


def _latest(source: Source, name: ast.Name) -> ast.expr | None:
    """What a name holds here, when the statement that gave it always comes before."""
    before = [bound for bound in source.values(name) if ranks(bound.node) < ranks(name)]
    last = max(before, key=lambda bound: ranks(bound.node), default=None)
    if last is None or last.path or last.looped or isinstance(last.node, ast.arg):
        return None
    return last.value if source.parents[last.node] in source.above(name) else None


def _model_ends(source: Source, call: ast.Call, deep: int) -> list[ast.Call | None]:
    """What a layer, a Sequential or a class of the script ends in."""
    if source.short(call) == "torch.Sequential":
        layers = _layers(call)
        made = source.makers(layers[-1]) if layers else []
        return [end for maker in made for end in _model_ends(source, maker, deep + 1)] or [None]
    owner = source.class_of(call)
    if owner is None or deep > DEEP:
        return [call if source.short(call) else None]
    returned = [
        back.value
        for method in owner.body
        if isinstance(method, FUNCTION) and method.name == "forward"
        for back in own(method)
        if isinstance(back, ast.Return)
    ]
    return [end for value in returned for end in ends(source, value, deep + 1)] or [None]


def _layers(call: ast.Call) -> list[ast.expr]:
    """What a Sequential is made of; empty where the text does not say."""
    given = call.args
    if len(given) == 1 and isinstance(given[0], ast.Call):
        pairs = given[0].args[0] if given[0].args else None  # OrderedDict([("name", layer), ...])
        if isinstance(pairs, ast.List):
            return [pair.elts[1] for pair in pairs.elts if isinstance(pair, ast.Tuple)]
    return [] if any(isinstance(layer, ast.Starred) for layer in given) else given


def _kind(source: Source, end: ast.Call | None) -> str:
    """softmax, log_softmax, sigmoid or nothing of the kind; of functions, layers and methods."""
    if end is None:
        return ""
    library, _, name = source.short(end).partition(".")
    if not library and isinstance(end.func, ast.Attribute):
        library, name = "torch", end.func.attr
    return KINDS.get(name.lower().replace("_", ""), "") if library == "torch" else ""


def width(source: Source, end: ast.Call | None) -> int:
    """The outputs of an ``nn.Linear``, where a number stands there; otherwise 0."""
    if end is None or source.short(end) != "torch.Linear":
        return 0
    given = argument(end, 1, "out_features")
    value = given.value if isinstance(given, ast.Constant) else 0
    return value if isinstance(value, int) else 0


# --- softmax, and again --------------------------------------------------------------------------


def losses(source: Source) -> Iterator[tuple[ast.Call, str, ast.expr, ast.expr]]:
    """The calls of losses: the call, the loss's name, prediction and target."""
    for call in source.of(ast.Call):
        assert isinstance(call, ast.Call)
        made = [call.func] if isinstance(call.func, ast.Call) else source.makers(call.func)
        names = {source.short(maker).removeprefix("torch.") for maker in [*made, call]} - {""}
        prediction, target = argument(call, 0, "input"), argument(call, 1, "target")
        if len(names) == 1 and names <= {*LOSSES} and prediction is not None and target is not None:
            yield call, names.pop(), prediction, target


def twice(source: Source) -> Iterator[Remark]:
    """MM202: the model ends in what its loss applies itself."""
    seen: set[ast.AST] = set()
    for call, loss, prediction, _ in losses(source):
        found = ends(source, prediction)
        kinds = {_kind(source, end) for end in found}
        if len(kinds) != 1 or not kinds <= {*LOSSES[loss]} or seen.intersection(found):
            continue
        seen.update(end for end in found if end is not None)
        [kind] = kinds
        first = next(end for end in found if end is not None)
        message = (
            f"{_whose(source, first)} ends in {kind}, and {loss} ({source.place(call)}) applies "
            f"{kind if kind == 'sigmoid' else 'log-softmax'} to that: {_harm(source, first, kind)}."
        )
        yield Remark(first, Finding("MM202", message, FIXES[kind]))


FIXES = {
    "softmax": "probabilities = model(X).softmax(dim=1)  # where you predict; not in the model",
    "log_softmax": "loss_fn = nn.NLLLoss()  # takes log-probabilities",
    "sigmoid": "probabilities = model(X).sigmoid()  # where you predict; not in the model",
}


def _harm(source: Source, end: ast.Call, kind: str) -> str:
    if kind == "log_softmax":
        return "the loss stays the same, one of the two does nothing"
    if kind == "sigmoid":
        return "a row with label 0 keeps a loss of 0.693 or more"
    classes = _classes(source, end)
    if classes < 2:
        return "the loss cannot come near 0"
    lowest = math.log(math.e + classes - 1) - 1  # all on the right class: -log(e / (e + K - 1))
    return f"with {classes} classes the loss cannot go below {math.floor(1000 * lowest) / 1000}"


def _classes(source: Source, end: ast.Call) -> int:
    """How many outputs go into a softmax."""
    around = source.parents.get(end)
    if isinstance(around, ast.Call) and end in around.args[1:]:  # in a Sequential
        before = around.args[around.args.index(end) - 1]
        return width(source, before if isinstance(before, ast.Call) else None)
    given = argument(end, 0, "input")
    if isinstance(end.func, ast.Attribute) and not source.short(end):
        given = end.func.value
    widths = {width(source, before) for before in ends(source, given)}
    return widths.pop() if len(widths) == 1 else 0


def _whose(source: Source, node: ast.AST) -> str:
    """The name of the model around a layer: its class, or what it is assigned to."""
    if owner := source.owner(node):
        return owner.name
    for up in source.above(node):
        if isinstance(up, ast.Assign) and word(up.targets[0]):
            return word(up.targets[0])
    return "the model"


# --- layers in a list ----------------------------------------------------------------------------


def hidden_layers(source: Source) -> Iterator[Remark]:
    """MM203: a Python list or dict of layers, which torch.nn.Module does not look into."""
    for title, owner in classes_of_models(source).items():
        text = ast.unparse(owner)
        if any(way in text for way in ("add_module", "register_", "setattr", "def parameters")):
            continue
        for attribute, bound in _collections(source, owner):
            kind = KIND[type(bound.value)]
            layers = _items(bound.value) + _appended(source, owner, attribute)
            weights = [layer for layer in layers if _has_weights(source, layer)]
            given = bound.node.value if isinstance(bound.node, ast.Assign) else bound.node
            names = {attribute, word(given)} - {""}
            if not weights or any(_registered(source, owner, name) for name in names):
                continue
            only = all(source.short(layer) == "torch.Parameter" for layer in weights)
            wrap = f"nn.{'Parameter' if only else 'Module'}{'Dict' if kind == 'dict' else 'List'}"
            message = (
                f"{title}'s {attribute} is a Python {kind}: PyTorch does not see the weights in "
                "it, and no optimizer over parameters() trains them."
            )
            yield Remark(
                bound.node, Finding("MM203", message, f"{attribute} = {wrap}({attribute})")
            )


def _collections(source: Source, owner: ast.ClassDef) -> Iterator[tuple[str, Bound]]:
    """Attributes that are once and for all a list, tuple or dict, under their own names."""
    for (place, attribute), bounds in list(source.bound.items()):
        if place is not owner or len(bounds) != 1 or bounds[0].path or bounds[0].looped:
            continue
        value = bounds[0].value
        if isinstance(value, ast.Name):
            value = _latest(source, value)
        if type(value) in KIND:
            yield attribute, bounds[0]._replace(value=value)


KIND: dict[type, str] = {
    ast.List: "list",
    ast.ListComp: "list",
    ast.Tuple: "tuple",
    ast.Dict: "dict",
    ast.DictComp: "dict",
}


def _items(value: ast.expr | None) -> list[ast.Call]:
    items: list[ast.expr] = []
    if isinstance(value, ast.List | ast.Tuple):
        items = value.elts
    elif isinstance(value, ast.Dict):
        items = value.values
    elif isinstance(value, ast.ListComp):
        items = [value.elt]
    elif isinstance(value, ast.DictComp):
        items = [value.value]
    return [item for item in items if isinstance(item, ast.Call)]


def _appended(source: Source, owner: ast.ClassDef, attribute: str) -> list[ast.Call]:
    """What ``self.layers.append(...)`` adds."""
    calls = [call for call in source.calls.get("append", []) if source.owner(call) is owner]
    mine = [call for call in calls if word(getattr(call.func, "value", call)) == attribute]
    return [call.args[0] for call in mine if call.args and isinstance(call.args[0], ast.Call)]


def _has_weights(source: Source, call: ast.Call) -> bool:
    """Whether a layer with weights is made, alone or in a Sequential."""
    inside = [node for node in ast.walk(call) if isinstance(node, ast.Call)]
    return any(
        source.short(one) in {f"torch.{name}" for name in WEIGHTS}
        or word(one.func) in classes_of_models(source)
        for one in inside
    )


def _registered(source: Source, owner: ast.ClassDef, attribute: str) -> bool:
    """Whether the list also goes to something that registers it or hands on its parameters."""
    calls = [node for node in ast.walk(owner) if isinstance(node, ast.Call)]
    takers = [call for call in calls if source.short(call).startswith("torch.")]
    if any(word(below) == attribute for call in takers for below in ast.walk(call)):
        return True
    short = attribute.removeprefix("self.")
    for node in source.of(ast.For, ast.ListComp, ast.GeneratorExp):  # for l in net.layers: ...
        text = ast.unparse(node)
        if f".{short}" in text and "parameters" in text:
            return True
    return False
