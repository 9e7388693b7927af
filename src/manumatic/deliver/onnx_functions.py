"""Functions that onnxruntime has for float32 alone, or that torch.onnx rounds to float32."""

__all__ = ["FORMULAS", "Value", "functions"]

from collections.abc import Callable
from math import log, pi, sqrt
from typing import Any

import numpy as np
import torch

from manumatic.errors import MissingExtra

# Gauss and Legendre's places and weights on [0, 1]: as many as leave 1e-15 of erf and arctan
PLACES, WEIGHTS = np.polynomial.legendre.leggauss(32)
PLACES, WEIGHTS = (PLACES + 1) / 2, WEIGHTS / 2


def functions() -> dict[Any, Callable[..., Any]]:
    """What functions become in ONNX: operations that onnxruntime has for float64.

    Returns
    -------
    dict
        For ``torch.onnx.export(..., custom_translation_table=...)``.

    Raises
    ------
    MissingExtra
        onnxscript is not there.

    Examples
    --------
    >>> torch.ops.aten.erf.default in functions()
    True
    """
    try:
        from onnxscript.values import Opset
    except ImportError:
        raise MissingExtra("onnxscript", "deliver") from None
    op: Any = Opset("", 20)

    def written(formula: Callable[[Value], Value]) -> Callable[[Any], Any]:
        return lambda x: formula(Value(op, x)).node

    return {getattr(torch.ops.aten, name).default: written(f) for name, f in FORMULAS.items()}


class Value:
    """A value of a graph that can be computed with; numbers keep their digits.

    Parameters
    ----------
    op : onnxscript.values.Opset
    node : Any
        The value in the graph.
    """

    def __init__(self, op: Any, node: Any) -> None:
        self.op, self.node = op, node

    def call(self, name: str, *others: Any, **given: Any) -> "Value":
        """The result of an operator on this value and others.

        Parameters
        ----------
        name : str
            Of the operator in ONNX.
        *others : Value, float or array
        **given : int
            Attributes of the operator.
        """
        nodes = [self._node(other) for other in others]
        return Value(self.op, getattr(self.op, name)(self.node, *nodes, **given))

    def _node(self, other: Any) -> Any:
        if isinstance(other, Value):
            return other.node
        import onnx_ir

        number = onnx_ir.tensor(np.asarray(other, np.float64))
        return self.op.CastLike(self.op.Constant(value=number), self.node)

    def __add__(self, other: Any) -> "Value":
        return self.call("Add", other)

    def __sub__(self, other: Any) -> "Value":
        return self.call("Sub", other)

    def __mul__(self, other: Any) -> "Value":
        return self.call("Mul", other)

    def __truediv__(self, other: Any) -> "Value":
        return self.call("Div", other)

    def exp(self) -> "Value":
        """e to this power."""
        return self.call("Exp")

    def log(self) -> "Value":
        """The natural logarithm."""
        return self.call("Log")

    def inverse(self) -> "Value":
        """1 / this."""
        return self.call("Reciprocal")

    def root(self) -> "Value":
        """The square root."""
        return self.call("Sqrt")

    def where(self, one: "Value", other: "Value") -> "Value":
        """One where this is true, the other where it is not."""
        return self.call("Where", one, other)

    def mean(self, of: Callable[["Value"], "Value"]) -> "Value":
        """∫ of(this · t) dt over [0, 1] (Gauss and Legendre)."""
        axis = self.op.Constant(value_ints=[-1])
        spread = Value(self.op, self.op.Unsqueeze(self.node, axis)) * PLACES
        total = of(spread).call("MatMul", WEIGHTS[:, None])
        return Value(self.op, self.op.Squeeze(total.node, axis))


def _asinh(x: Value) -> Value:
    size = x.call("Abs")
    return x.call("Sign") * _log1p(size + x * x / ((x * x + 1.0).root() + 1.0))


def _atan(x: Value) -> Value:
    large = x.call("Abs").call("Greater", 1.0)
    near = large.where(x.inverse(), x)
    found = near * near.mean(lambda part: (part * part + 1.0).inverse())
    return large.where(x.call("Sign") * (pi / 2) - found, found)


def _asin(x: Value) -> Value:
    return _atan(x / ((x * -1.0 + 1.0) * (x + 1.0)).root())


def _erf(x: Value) -> Value:
    near = x.call("Min", 6.0).call("Max", -6.0)  # erf(6) is 1
    return near * (2 / sqrt(pi)) * near.mean(lambda part: (part * part * -1.0).exp())


def _log1p(x: Value) -> Value:
    """Kahan's: the rounding of 1 + x is undone by the ratio."""
    more = x + 1.0
    near = more.call("Equal", 1.0).where(x, more.log() * x / (more - 1.0))
    return x.call("Abs").call("Less", 0.5).where(near, more.log())


def _expm1(x: Value) -> Value:
    """Kahan's, too."""
    more = x.exp()
    near = more.call("Equal", 1.0).where(x, (more - 1.0) * x / more.log())
    return x.call("Abs").call("Less", 0.5).where(near, more - 1.0)


def _sinh(x: Value) -> Value:
    return (_expm1(x) - _expm1(x * -1.0)) * 0.5


FORMULAS: dict[str, Callable[[Value], Value]] = {
    "acos": lambda x: _asin(x) * -1.0 + pi / 2,
    "acosh": lambda x: (x + (x * x - 1.0).root()).log(),
    "asin": _asin,
    "asinh": _asinh,
    "atan": _atan,
    "atanh": lambda x: _log1p(x * 2.0 / (x * -1.0 + 1.0)) * 0.5,
    "cosh": lambda x: (x.exp() + x.exp().inverse()) * 0.5,
    "deg2rad": lambda x: x * (pi / 180),
    "erf": _erf,
    "expm1": _expm1,
    "log10": lambda x: x.log() / log(10),
    "log1p": _log1p,
    "log2": lambda x: x.log() / log(2),
    "rad2deg": lambda x: x * (180 / pi),
    "sinh": _sinh,
    "tan": lambda x: x.call("Sin") / x.call("Cos"),
}
