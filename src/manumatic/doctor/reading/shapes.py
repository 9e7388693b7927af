"""MM201: a target of shape (n,) beside outputs of shape (n, 1)."""

__all__ = ["unlike_shapes"]

import ast
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.model import ends, losses, width
from manumatic.doctor.reading.source import Bound, Source
from manumatic.doctor.reading.tree import DEEP, Remark, word

TENSORS = {"torch.FloatTensor", "torch.Tensor", "torch.as_tensor", "torch.from_numpy"}
ARRAYS = {"numpy.array", "numpy.asarray", "pandas.Series", "torch.tensor", *TENSORS}
# of these, return_X_y=True gives a y of shape (n,)
LOADERS = {
    *("sklearn.fetch_california_housing", "sklearn.load_breast_cancer", "sklearn.load_diabetes"),
    *("sklearn.load_digits", "sklearn.load_iris", "sklearn.load_wine", "sklearn.make_friedman1"),
    *("sklearn.make_classification", "sklearn.make_regression"),
}
MADE = ("sklearn.make_classification", "sklearn.make_friedman1", "sklearn.make_regression")
KEEP = {"astype", "clone", "copy", "cpu", "cuda", "detach", "double", "float", "to", "to_numpy"}


def unlike_shapes(source: Source) -> Iterator[Remark]:
    """MM201, only where target, loss and last layer are all in sight."""
    for call, loss, prediction, target in losses(source):
        if loss not in ("MSELoss", "mse_loss"):
            continue
        for output, column in ((prediction, target), (target, prediction)):
            wide = {width(source, end) for end in ends(source, output)}
            name = word(column)
            if wide == {1} and name and _flat(source, column):
                message = (
                    f"{name} has shape (n,) and {ast.unparse(output)} has shape (n, 1): {loss} "
                    "compares every row with every other, and the model learns the mean."
                )
                yield Remark(call, Finding("MM201", message, f"{name} = {name}.view(-1, 1)"))


def _flat(source: Source, node: ast.AST | None, deep: int = 0) -> bool:
    """Whether a value surely has one dimension."""
    if deep > 2 * DEEP:
        return False
    match node:
        case ast.List(items):
            return bool(items) and all(isinstance(item, ast.Constant) for item in items)
        case ast.Subscript(value, ast.Constant(str())):  # frame["price"]
            return {source.short(call) for call in source.makers(value)} == {"pandas.read_csv"}
        case ast.Attribute(value, "values"):
            return _flat(source, value, deep + 1)
        case ast.Attribute(value, "target"):  # load_diabetes().target
            makers = source.makers(value)
            return _loaded(source, makers) and not any(call.keywords for call in makers)
        case ast.Call():
            inner = _same_shape(source, node)
            return inner is not None and _flat(source, inner, deep + 1)
        case ast.Name() | ast.Attribute():
            bounds = source.values(node)
            return bool(bounds) and all(_flat_bound(source, bound, deep + 1) for bound in bounds)
    return False


def _same_shape(source: Source, call: ast.Call) -> ast.expr | None:
    """``torch.tensor(y)`` and ``y.float()`` have the shape of y."""
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr in KEEP and not source.origin(func):
        return func.value
    return call.args[0] if call.args and source.short(call) in ARRAYS else None


def _loaded(source: Source, makers: list[ast.Call]) -> bool:
    return bool(makers) and {source.short(call) for call in makers} <= LOADERS


def _flat_bound(source: Source, bound: Bound, deep: int) -> bool:
    value, path = bound.value, bound.path
    if not path and not bound.looped:
        return _flat(source, value, deep)
    if value is None or len(path) != 1:
        return False
    if bound.looped:  # for xb, yb in loader
        return _flat_batch(source, value, path[0], deep)
    return isinstance(value, ast.Call) and _flat_part(source, value, path[0], deep)


def _flat_part(source: Source, call: ast.Call, place: int, deep: int) -> bool:
    """One of several values of a call."""
    if source.short(call) == "sklearn.train_test_split":  # of two arrays come four
        return place // 2 < len(call.args) and _flat(source, call.args[place // 2], deep)
    told = {keyword.arg for keyword in call.keywords}
    pair = "return_X_y" in told or (source.short(call) in MADE and "n_targets" not in told)
    return place == 1 and pair and _loaded(source, [call])


def _flat_batch(source: Source, loader: ast.AST, place: int, deep: int) -> bool:
    """Item of a batch: the same shape as what a TensorDataset was made of."""
    makers = source.makers(loader)
    sets = [made for call in makers for made in source.makers(call.args[0] if call.args else None)]
    loaders = {source.short(call) for call in makers} == {"torch.DataLoader"}
    tensors = {source.short(call) for call in sets} == {"torch.TensorDataset"}
    if not loaders or not tensors or any(len(call.args) <= place for call in sets):
        return False
    return all(_flat(source, call.args[place], deep) for call in sets)
