"""Partial evaluation of the loop's own source: constants put in, branches never taken cut away."""

__all__ = ["PRESENT", "specialise", "text_of"]

import inspect
import operator
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, cast

import libcst as cst
from libcst import matchers as m

PRESENT = object()  # known to be there, but not a constant: its name stays


def specialise(
    function: Callable[..., Any],
    known: dict[str, Any],
    rename: dict[str, str],
    *,
    drop: Sequence[str] = (),
    inline: Sequence[Callable[..., Any]] = (),
    batches: dict[str, str] | None = None,
    targets: Sequence[str] | None = ("y",),
) -> list[Any]:
    """The body of a function for one run.

    Parameters
    ----------
    function : callable
        Read from its own source file; comments are kept.
    known : dict
        Name → constant (or ``PRESENT``).  Dotted names (``"step.last"``) count, too.
    rename : dict
        Source text of an expression → source text to put in its place.
    drop : sequence of str
        Statements to leave out, by the beginning of their text.
    inline : sequence of callable
        Functions whose bodies take the place of a statement that calls them; their parameters have
        the names of the arguments.
    batches : dict
        For each source of batches (``"data.batches(epoch)"``) what to loop over in its place; an
        empty string where there is one batch and no loop is needed.
    targets : sequence of str or None
        What ``*target`` stands for; None leaves it as it is.
    """
    module = cst.parse_module(textwrap.dedent(inspect.getsource(function)))
    definition = module.body[0]
    assert isinstance(definition, cst.FunctionDef)
    body = [s for s in definition.body.body if not _is_docstring(s)]
    cut = _Specialise(known, rename, tuple(drop), inline, batches or {}, targets)
    block = cst.IndentedBlock(cast(Any, body)).visit(cut)
    assert isinstance(block, cst.IndentedBlock)
    return list(block.body)


def _is_docstring(statement: Any) -> bool:
    return m.matches(statement, m.SimpleStatementLine([m.Expr(m.SimpleString())]))


def text_of(node: cst.CSTNode) -> str:
    """The source of a node."""
    return cst.Module([]).code_for_node(node)


class _Known:
    """What is known of a run, and what follows for the tests of its branches."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def is_constant(self, text: str) -> bool:
        return text in self.values and self.values[text] is not PRESENT

    def decide(self, test: cst.BaseExpression) -> Any:
        """True, False, or what is left of the test."""
        if isinstance(test, cst.BooleanOperation):
            return self._decide_both(test)
        value = self._value(test)
        if value is not _OPEN:
            return bool(value)
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            inside = self.decide(test.expression)
            return (not inside) if isinstance(inside, bool) else test
        return test

    def _decide_both(self, test: cst.BooleanOperation) -> Any:
        left, right = self.decide(test.left), self.decide(test.right)
        absorbing = isinstance(test.operator, cst.Or)  # True or x; False and x
        if left is absorbing or right is absorbing:
            return absorbing
        if isinstance(left, bool):
            return right
        if isinstance(right, bool):
            return left
        return test.with_changes(left=left, right=right)

    def _value(self, test: cst.BaseExpression) -> Any:
        text = text_of(test.with_changes(lpar=[], rpar=[]))
        if text in self.values:
            return self.values[text]
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            return _OPEN
        left, comparison = text_of(test.left), test.comparisons[0]
        if left not in self.values:
            return _OPEN
        value, right = self.values[left], text_of(comparison.comparator)
        if right == "None":
            return (value is None) is isinstance(comparison.operator, cst.Is)
        if value is PRESENT or not right.lstrip("-").isdigit():
            return _OPEN
        compare = COMPARISONS.get(type(comparison.operator))
        return _OPEN if compare is None else compare(value, int(right))


class _Specialise(cst.CSTTransformer):
    def __init__(
        self,
        known: dict[str, Any],
        rename: dict[str, str],
        drop: tuple[str, ...],
        inline: Sequence[Callable[..., Any]],
        batches: dict[str, str],
        targets: Sequence[str] | None,
    ) -> None:
        self.known, self.rename, self.drop = _Known(known), rename, drop
        self.inline = {function.__name__: function for function in inline}
        self.batches, self.targets = batches, targets

    def visit_Param(self, node: cst.Param) -> bool:
        return False  # names of parameters are not values

    def leave_Arg(self, original: cst.Arg, updated: cst.Arg) -> cst.Arg:
        return updated.with_changes(keyword=original.keyword)  # nor are those of keywords

    def leave_Attribute(self, original: cst.Attribute, updated: cst.Attribute) -> Any:
        return updated.with_changes(attr=original.attr)

    def on_leave(self, original: Any, updated: Any) -> Any:
        if isinstance(original, cst.BaseExpression):
            text = text_of(original.with_changes(lpar=[], rpar=[]))
            if text in self.rename:
                return cst.parse_expression(self.rename[text])
            if self.known.is_constant(text):
                return cst.parse_expression(repr(self.known.values[text]))
        return super().on_leave(original, updated)

    # --- branches ---

    def leave_If(self, original: cst.If, updated: cst.If) -> Any:
        verdict = self.known.decide(original.test)
        if verdict is True:
            return _spliced(updated.body.body, updated.leading_lines)
        if verdict is False:
            if updated.orelse is None:
                return cst.RemoveFromParent()
            if isinstance(updated.orelse, cst.If):
                return updated.orelse
            return _spliced(updated.orelse.body.body, updated.leading_lines)
        return (
            updated.with_changes(test=verdict.visit(self))
            if verdict is not original.test
            else updated
        )

    def leave_IfExp(self, original: cst.IfExp, updated: cst.IfExp) -> Any:
        verdict = self.known.decide(original.test)
        if not isinstance(verdict, bool):
            return updated
        chosen = updated.body if verdict else updated.orelse
        if isinstance(chosen, cst.Name | cst.Call | cst.Attribute):
            return chosen
        return chosen.with_changes(lpar=updated.lpar, rpar=updated.rpar)

    def leave_With(self, original: cst.With, updated: cst.With) -> Any:
        """``with autocast or contextlib.nullcontext():`` is no context without autocast."""
        item = original.items[0].item
        if (
            not isinstance(item, cst.BooleanOperation)
            or text_of(item.left) not in self.known.values
        ):
            return updated
        if self.known.values[text_of(item.left)] is None:
            return _spliced(updated.body.body, updated.leading_lines)
        return updated.with_changes(items=[cst.WithItem(item.left)])

    # --- statements and calls ---

    def leave_SimpleStatementLine(self, original: Any, updated: Any) -> Any:
        text = text_of(original.with_changes(leading_lines=[])).strip()
        if any(text.startswith(beginning) for beginning in self.drop):
            return cst.RemoveFromParent()
        name = text.partition("(")[0]
        if name in self.inline:
            body = specialise(self.inline[name], self.known.values, self.rename, drop=self.drop)
            return _spliced(body, updated.leading_lines)
        return updated

    def leave_FunctionDef(self, original: cst.FunctionDef, updated: cst.FunctionDef) -> Any:
        return updated.with_changes(returns=None)

    def leave_For(self, original: cst.For, updated: cst.For) -> Any:
        """``for batch, X, *target in data.batches(epoch)`` with this run's names."""
        source = text_of(original.iter)
        if self.known.values.get(source, _OPEN) == ():
            return cst.RemoveFromParent()
        if source not in self.batches or self.targets is None:
            return updated
        if not self.batches[source]:
            return _spliced(updated.body.body, updated.leading_lines)
        names = ", ".join(["X", *self.targets])
        found = self.batches[source]
        if m.findall(updated.body, m.Name("batch")):
            names, found = f"batch, ({names})", f"enumerate({found})"
        target = cst.parse_statement(f"for {names} in x: pass")
        assert isinstance(target, cst.For)
        return updated.with_changes(target=target.target, iter=cst.parse_expression(found))

    def leave_Call(self, original: cst.Call, updated: cst.Call) -> Any:
        """``range(0, n)`` is written ``range(n)``, and ``*target`` by its names."""
        if m.matches(updated, m.Call(m.Name("range"), [m.Arg(m.Integer("0")), m.Arg()])):
            return updated.with_changes(args=updated.args[1:])
        starred = m.Arg(m.Name("target"), star="*")
        if updated.args and self.targets is not None and m.matches(updated.args[-1], starred):
            names = [cst.Arg(cst.Name(name)) for name in self.targets]
            return updated.with_changes(args=[*updated.args[:-1], *names])
        return updated


_OPEN = object()
COMPARISONS = {cst.Equal: operator.eq, cst.GreaterThan: operator.gt, cst.LessThan: operator.lt}


def _spliced(statements: Sequence[Any], leading_lines: Sequence[Any]) -> Any:
    """The statements in place of the one that held them, with its comments above."""
    first, *rest = statements
    first = first.with_changes(leading_lines=[*leading_lines, *first.leading_lines])
    return cst.FlattenSentinel([first, *rest])
