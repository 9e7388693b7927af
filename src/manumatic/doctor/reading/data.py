"""MM304, MM403, MM404: batches in one order, fits before the split, folds of sorted rows."""

__all__ = ["early_fits", "sorted_folds", "unshuffled_batches"]

import ast
import re
from collections.abc import Iterator

from manumatic.doctor.finding import Finding
from manumatic.doctor.reading.loop import is_split
from manumatic.doctor.reading.source import Source
from manumatic.doctor.reading.tree import FUNCTION, Remark, argument, own, ranks, word

# --- batches -------------------------------------------------------------------------------------

ORDERED = {"TimeSeriesSplit", "randperm", "permutation", "shuffle"}  # thought of, some other way
SETS = ("torch.ConcatDataset", "torch.Subset", "torch.TensorDataset")


def unshuffled_batches(source: Source) -> Iterator[Remark]:
    """MM304: the loader of a training loop keeps the rows in their order."""
    if ORDERED & {*source.calls} or source.uses("lightning", "pytorch_lightning"):
        return
    seen: set[ast.Call] = set()
    for loop in source.of(ast.For):
        assert isinstance(loop, ast.For)
        loader = _iterated(source, loop.iter)
        makers = source.makers(loader)
        if len(makers) != 1 or makers[0] in seen or not _is_plain(source, makers[0]):
            continue
        nodes = source.reached(loop)
        name = word(loader).removeprefix("self.")
        if "backward" not in {node.attr for node in nodes if isinstance(node, ast.Attribute)}:
            continue
        if re.search("val|test|eval", name):
            continue
        seen.add(makers[0])
        message = (
            f"{name} gives the rows in the same order in every epoch: DataLoader shuffles only "
            "when it is asked to."
        )
        fix = f"{ast.unparse(makers[0])[:-1]}, shuffle=True)"
        yield Remark(makers[0], Finding("MM304", message, fix))


def _iterated(source: Source, node: ast.AST) -> ast.AST:
    """What enumerate, tqdm and the like go through."""
    while isinstance(node, ast.Call) and node.args and not source.short(node).startswith("torch."):
        node = node.args[0]
    return node


def _is_plain(source: Source, call: ast.Call) -> bool:
    """A DataLoader that says nothing about the order, over rows that have one, in batches."""
    told = {keyword.arg for keyword in call.keywords}
    if source.short(call) != "torch.DataLoader" or len(call.args) > 2:
        return False
    if told & {"batch_sampler", "sampler", "shuffle", None}:
        return False
    size = argument(call, 1, "batch_size")
    if size is not None and re.search(r"len\(|shape|size\(", ast.unparse(size)):
        return False  # all rows at once
    data = argument(call, 0, "dataset")
    return bool(source.makers(data)) and all(_has_rows(source, c) for c in source.makers(data))


def _has_rows(source: Source, call: ast.Call) -> bool:
    """A data set with rows that were not drawn at random for the occasion."""
    owner = source.class_of(call)
    if owner is not None:
        methods = {part.name for part in owner.body if isinstance(part, FUNCTION)}
        return "__getitem__" in methods and "Iterable" not in ast.unparse(owner)
    if not source.short(call).startswith(SETS):
        return False
    drawn = [maker for given in call.args for maker in source.makers(given)]
    return not any(re.search(r"\.(rand|make_)", source.origin(maker.func)) for maker in drawn)


# --- preprocessing -------------------------------------------------------------------------------

LEARNS = re.compile(
    r"sklearn\.(preprocessing\.(\w*Scaler|QuantileTransformer|PowerTransformer|TargetEncoder|"
    r"KBinsDiscretizer)|(decomposition|feature_selection|impute)\.[A-Z]\w+)$"
)
TURNS = {  # the same rows in another shape
    *("DataFrame", "FloatTensor", "Tensor", "TensorDataset", "array", "as_tensor", "asarray"),
    *("astype", "copy", "float", "from_numpy", "reshape", "tensor", "to", "to_numpy", "toarray"),
}
SPLITS = {
    *("cross_val_predict", "cross_val_score", "cross_validate"),
    *("random_split", "train_test_split"),
}


def early_fits(source: Source) -> Iterator[Remark]:
    """MM403: something learned from all rows, which are split afterwards."""
    for scope in [source.tree, *source.of(*FUNCTION)]:
        yield from _Flow(source).read(scope)


class _Flow:
    """The lines of one function in their order, and which names hold what was fitted on all."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.touched: dict[str, tuple[ast.Call, str]] = {}  # name: where, by what
        self.fitted: dict[str, tuple[str, ast.Call]] = {}  # transformer: the rows, where
        self.parts: set[str] = set()  # what comes from a split

    def read(self, scope: ast.AST) -> Iterator[Remark]:
        """Go through the lines."""
        kinds = ast.Assign | ast.Expr | ast.For | ast.Return
        for line in sorted((n for n in own(scope) if isinstance(n, kinds)), key=ranks):
            value = line.iter if isinstance(line, ast.For) else line.value
            for call in ast.walk(value) if value is not None else ():
                if isinstance(call, ast.Call):
                    yield from self._split(call)
            if isinstance(line, ast.Assign):
                self._assign(line)
            if isinstance(value, ast.Call):
                self._fit(value, word(line.targets[0]) if isinstance(line, ast.Assign) else "")

    def _split(self, call: ast.Call) -> Iterator[Remark]:
        """A split of rows that something has seen already."""
        if not self._is_split(call):
            return
        for given in call.args:
            if place := self.touched.pop(word(given), None):
                where, by = place
                message = (
                    f"{by} learned from all rows of {word(given)} before they were split "
                    f"({self.source.place(call)}): the test rows are in it."
                )
                fix = f"model = make_pipeline({by}(), model)  # fitted on the training rows only"
                yield Remark(where, Finding("MM403", message, fix))

    def _is_split(self, call: ast.Call) -> bool:
        name = self.source.short(call).partition(".")[2]
        return name in SPLITS or is_split(self.source, call)

    def _assign(self, line: ast.Assign) -> None:
        target = line.targets[0]
        if isinstance(target, ast.Tuple):
            names = {word(part) for part in target.elts}
            split = isinstance(line.value, ast.Call) and self._is_split(line.value)
            self.parts = self.parts | names if split else self.parts - names
            return
        column = isinstance(target, ast.Subscript)
        name = word(target.value if isinstance(target, ast.Subscript) else target)
        found = self._touch(line.value)
        if name and found:
            self.touched[name] = found
        elif not column:
            self.touched.pop(name, None)

    def _touch(self, value: ast.AST) -> tuple[ast.Call, str] | None:
        """Where and by what a value was fitted on all rows."""
        if isinstance(value, ast.Name):
            return self.touched.get(value.id)
        if not isinstance(value, ast.Call):
            return None
        func, inner = value.func, [*value.args]
        name = getattr(func, "attr", getattr(func, "id", ""))
        if isinstance(func, ast.Attribute):
            if name in ("fit_transform", "transform") and value.args:
                return self._transformed(value, func.value)
            inner.append(func.value)
        return next(filter(None, map(self._touch, inner if name in TURNS else [])), None)

    def _transformed(self, call: ast.Call, transformer: ast.expr) -> tuple[ast.Call, str] | None:
        """``scaler.fit_transform(X)``, or transform of the rows that it was fitted on."""
        by, where, rows = self._learner(transformer), call, call.args[0]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "transform":
            seen, where = self.fitted.get(word(transformer), ("", call))
            return (where, by) if by and seen == word(rows) != "" else None
        return (where, by) if by and self._whole(rows) else None

    def _fit(self, call: ast.Call, name: str) -> None:
        """``scaler.fit(X)``, or ``name = StandardScaler().fit(X)``."""
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr != "fit" or not call.args:
            return
        if self._learner(func.value) and self._whole(call.args[0]):
            self.fitted[name or word(func.value)] = word(call.args[0]), call

    def _learner(self, node: ast.AST) -> str:
        """The class of a transformer that learns from rows, also inside a pipeline."""
        for maker in self.source.makers(node):
            for below in ast.walk(maker):
                origin = (
                    self.source.origin(below) if isinstance(below, ast.Attribute | ast.Name) else ""
                )
                if LEARNS.match(origin):
                    return origin.rpartition(".")[2]
        return ""

    def _whole(self, node: ast.AST) -> bool:
        """Whether these are all rows: no part of a split, no slice."""
        while isinstance(node, ast.Attribute | ast.Call) and not word(node):
            inner = node.func if isinstance(node, ast.Call) else node
            if not isinstance(inner, ast.Attribute):
                return False
            node = inner.value
        if isinstance(node, ast.Subscript):
            columns = isinstance(node.slice, ast.List | ast.Constant)
            names = re.search("col|feat|num|cat", ast.unparse(node.slice))
            return bool(columns or names) and self._whole(node.value)
        name = word(node)
        return bool(name) and name not in self.parts and not re.search("train|test|tr$", name)


# --- folds ---------------------------------------------------------------------------------------

SORTED = {"load_iris": (50, 50, 50), "load_wine": (59, 71, 48)}  # rows a class, in their order
MIXES = {"permutation", "randperm", "resample", "sample", "shuffle", "train_test_split"}


def sorted_folds(source: Source) -> Iterator[Remark]:
    """MM404: KFold without shuffle on scikit-learn's tables that are sorted by class."""
    tables = {
        name for name in source.calls if name.startswith(("fetch_", "load_", "make_", "read_"))
    }
    tables -= {"make_column_transformer", "make_pipeline", "make_scorer", "make_union"}
    if len(tables) != 1 or not tables <= {*SORTED} or MIXES & {*source.calls}:
        return
    [table] = tables
    for call in source.calls.get("KFold", []):
        known = source.short(call) == "sklearn.KFold" and len(call.args) < 2
        told = {keyword.arg: keyword.value for keyword in call.keywords}
        shuffle = told.get("shuffle")
        if not known or None in told or (shuffle and ast.unparse(shuffle) != "False"):
            continue
        message = (
            f"KFold takes the rows in their order, and {table} is sorted by class"
            f"{_first(call, table)}."
        )
        fix = "folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)"
        yield Remark(call, Finding("MM404", message, fix))


def _first(call: ast.Call, table: str) -> str:
    """What that means for the first fold."""
    given = argument(call, 0, "n_splits")
    number = given.value if isinstance(given, ast.Constant) else 5 if given is None else 0
    if not isinstance(number, int) or number < 2:
        return ""
    rows = -(-sum(SORTED[table]) // number)
    if rows > SORTED[table][0]:
        return ""
    return f": the first {rows} rows it tests on are of one class"
