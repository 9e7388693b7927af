"""FunctionTransformer: numpy's elementwise functions by name, others through the registry."""

__all__ = ["Elementwise", "OneWay"]

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

from manumatic.convert.pieces import Piece, Transformer
from manumatic.convert.registry import Build, converter_of, converts
from manumatic.errors import ConvertError


def _cube_root(x: Tensor) -> Tensor:
    third = torch.ones_like(x) / 3  # an ONNX graph would hold the number 1/3 as float32
    return x.sign() * x.abs().pow(third)


def _sign(x: Tensor) -> Tensor:
    return torch.where(x.isnan(), x, x.sign())  # torch's of NaN is 0


SAME_NAME = (
    "absolute arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh deg2rad exp exp2 expm1 "
    "floor log log10 log1p log2 negative rad2deg reciprocal sin sinh sqrt square tan tanh "
    "trunc"
)
TORCH: dict[Any, Callable[[Tensor], Tensor]] = {
    np.rint: torch.round,
    np.cbrt: _cube_root,
    np.sign: _sign,
}
TORCH |= {getattr(np, name): getattr(torch, name) for name in SAME_NAME.split()}


class Elementwise(Transformer):
    """A function of each number, and the one that undoes it."""

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        inverse: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.function, self.inverse = function, inverse
        if inverse is not None:
            self.methods = ("transform", "inverse_transform")

    def forward(self, x: Tensor) -> Tensor:
        """The function of each number, (n, features)."""
        return self.function(x)

    def inverse_transform(self, x: Tensor) -> Tensor:
        """Back again."""
        assert self.inverse is not None
        return self.inverse(x)


class OneWay(Transformer):
    """A function whose way back does nothing."""

    methods = ("transform", "inverse_transform")

    def inverse_transform(self, x: Tensor) -> Tensor:
        """The same numbers."""
        return x


@converts(FunctionTransformer, strings=True)
def function_transformer(estimator: FunctionTransformer, build: Build) -> Piece:
    """Identity, a function of numpy, one of torch, a module, or one that is registered."""
    if estimator.func is None and estimator.inverse_func is None:
        same = Elementwise(_same, _same)
        same.columns = build.columns
        return same
    known = converter_of(estimator.func)
    if known is not None:
        return _both_ways(build.piece(known(estimator, build), estimator), estimator)
    for column in build.columns or ():
        column.read_as_number("FunctionTransformer")
    if isinstance(estimator.func, nn.Module):
        return _both_ways(Transformer(estimator.func), estimator)
    forth = _in_torch(estimator.func, estimator.kw_args)
    return Elementwise(forth, _in_torch(estimator.inverse_func, estimator.inv_kw_args))


def _both_ways(piece: Piece, estimator: FunctionTransformer) -> Piece:
    """Without a function for the way back, scikit-learn takes the numbers as they are."""
    words = piece.columns is not None
    if words or estimator.inverse_func is not None or "inverse_transform" in piece.methods:
        return piece
    return OneWay(piece)


def _same(x: Tensor) -> Tensor:
    return x


def _in_torch(function: Any, arguments: Any) -> Callable[[Tensor], Tensor]:
    if function is None:
        return _same
    if function in TORCH and not arguments:
        return TORCH[function]
    name = getattr(function, "__name__", repr(function))
    raise ConvertError(
        f"FunctionTransformer calls {name}{f' with {arguments}' if arguments else ''}, and nothing "
        f"says what that is in torch; register it: @mm.converts({name}) over a function "
        "(transformer, build) that returns an nn.Module"
    )
