"""scikit-learn's neural networks: ordinary layers, whose weights go on learning."""

__all__ = ["Labels", "Perceptrons", "layers"]

from typing import Any

from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from torch import Tensor, nn

from manumatic.convert.linear import Exp, YesOrNo, linear_layer
from manumatic.convert.pieces import Piece, Regressor, Transformer
from manumatic.convert.probabilities import Logistic
from manumatic.convert.registry import Build, converts
from manumatic.errors import ConvertError

ACTIVATIONS = {"identity": nn.Identity, "logistic": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}
ODDS = ("predict", "predict_proba", "predict_log_proba")


def layers(fitted: Any, build: Build) -> nn.Sequential:
    """The layers of a multi-layer perceptron, up to the scores of the last.

    Parameters
    ----------
    fitted : MLPClassifier or MLPRegressor
    build : Build

    Returns
    -------
    torch.nn.Sequential
        ``nn.Linear`` and activations in turn.

    Examples
    --------
    >>> fitted = MLPRegressor(hidden_layer_sizes=3, solver="lbfgs").fit([[0.0, 1.0]], [0.0])
    >>> layers(fitted, Build())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """
    made: list[nn.Module] = []
    for weight, bias in zip(fitted.coefs_, fitted.intercepts_, strict=True):
        made += [linear_layer(weight.T, bias, build), ACTIVATIONS[fitted.activation]()]
    return nn.Sequential(*made[:-1])


class Perceptrons(Logistic):
    """One class a row: the likeliest, as the rounded probabilities say."""

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n,), int64."""
        return self.predict_proba(x).argmax(1)


class Labels(YesOrNo):
    """Several labels a row: those with more than a half, as the rounded probabilities say."""

    def predict(self, x: Tensor) -> Tensor:
        """1 where the label is there, (n, labels)."""
        return (self.predict_proba(x) > 0.5).long()


@converts(MLPClassifier)
def classifier(estimator: MLPClassifier, build: Build) -> Piece:
    """Scores of the last layer, before softmax or sigmoid."""
    if len(estimator.classes_) == 1:
        raise ConvertError(f"MLPClassifier has seen one class only: {estimator.classes_.tolist()}")
    body = layers(estimator, build)
    if estimator._label_binarizer.y_type_.startswith("multilabel"):
        return Labels(body, estimator.n_outputs_, ODDS)
    return Perceptrons(estimator.classes_, body, ODDS)


@converts(MLPRegressor)
def regressor(estimator: MLPRegressor, build: Build) -> Piece:
    """Numbers; of the Poisson loss, rates."""
    body = layers(estimator, build)
    if estimator.out_activation_ == "exp":
        body.append(Exp())
    return Regressor(body, flat=estimator.n_outputs_ == 1)


@converts(BernoulliRBM)
def machine(estimator: BernoulliRBM, build: Build) -> Piece:
    """The probabilities of the hidden units; ``score_samples`` is drawn by chance."""
    layer = linear_layer(estimator.components_, estimator.intercept_hidden_, build)
    piece = Transformer(nn.Sequential(layer, nn.Sigmoid()))
    piece.without = ("score_samples",)
    return piece
