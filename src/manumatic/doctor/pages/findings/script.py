"""Findings about scripts (MM0xx) and about keeping what was learned (MM5xx)."""

__all__ = ["SCRIPT"]

from manumatic.doctor.pages.findings.page import FindingPage

SCRIPT: dict[str, FindingPage] = {
    "MM001": FindingPage(
        meaning="""
Tutorials live longer than the names they use. load_boston left scikit-learn in 1.2, and importing
it is an ImportError; plot_learning_curve was never in scikit-learn, only in one of its examples;
torch.jit.script and torch.jit.trace still work and say in a DeprecationWarning that torch.export
is where to go. Nothing is computed wrongly, but the next version may not run the script at all.
""",
        seen="""
`manumatic doctor FILE` and `mm.diagnose("train.py")` read the syntax tree of a script or notebook,
without running it, and look its imports, names and parameters up in a table of names that are
gone or deprecated, of scikit-learn, PyTorch, NumPy and pandas. A use inside `try ... except
ImportError`, or behind a question about the version, is on purpose and passes.
""",
        automatic="Nothing: it never meets your script.",
        fix="""
X, y = mm.datasets.load_houses(return_X_y=True)  # 506 rows, 13 columns, as Boston had
""",
        ignoring="When the script is pinned to the old version on purpose.",
        code="""
import warnings

import torch

import manumatic as mm

try:
    from sklearn.datasets import load_boston
except ImportError as error:
    print(str(error).split("since ")[1].splitlines()[0])  # version 1.2.: gone
X, y = mm.datasets.load_houses(return_X_y=True)
print(X.shape)  # (506, 13)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.jit.script(torch.nn.Linear(2, 1))
print(any("deprecated" in str(warning.message) for warning in caught))  # True
""",
    ),
    "MM501": FindingPage(
        meaning="""
A pickle of a model holds the name of its class, not the class: whoever loads it has to find that
class under the same name. A class from a notebook or from the script that ran is `__main__.Net`,
which no server has; a class made inside a function cannot be pickled at all. torch.load has
refused whole models since 2.6, because unpickling runs code. It costs nothing until the day of
deployment.
""",
        seen="""
When `mm.diagnose` is asked: the class of the model, or of a layer in it, was defined inside a
function or in `__main__`.
""",
        automatic="Nothing yet: the model is what you gave it.",
        fix="""
from my_nets import Net                       # the class in a file of its own, and
torch.save(model.state_dict(), "weights.pt")  # the weights alone
""",
        ignoring="When the model never leaves this process.",
        code="""
import io
import pickle

import torch
from torch import nn


def make_net():
    class Net(nn.Linear):
        pass

    return Net(2, 1)


try:
    pickle.dumps(make_net())
except (AttributeError, pickle.PicklingError):
    print("its class cannot be found by name")  # its class cannot be found by name

file = io.BytesIO()
torch.save(nn.Sequential(nn.Linear(2, 1)), file)
file.seek(0)
try:
    torch.load(file)
except pickle.UnpicklingError as error:
    print(str(error).split(".")[0])  # Weights only load failed

model, same = make_net(), make_net()
file = io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
same.load_state_dict(torch.load(file))
print(torch.equal(model.weight, same.weight))  # True
""",
    ),
}
