"""Reading scripts: each rule speaks, its near miss is silent, and correct scripts hear nothing."""

import json
import subprocess
import sys
import textwrap
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils._param_validation import InvalidParameterError

from manumatic.doctor.finding import CODES, ignore
from manumatic.doctor.reading.old import OLD
from manumatic.doctor.script import read_script
from manumatic.errors import DataError

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))

HEAD = """
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
"""
LOOP = """
for epoch in range(10):
    optimizer.zero_grad()
    loss = loss_fn(model(X), y)
    loss.backward()
    optimizer.step()
"""


def said(code, head=HEAD):
    """The codes of the findings in a piece of script, each as often as it was found."""
    return [finding.code for finding in read_script(head + textwrap.dedent(code))]


def sentence(code, head=HEAD):
    [finding] = read_script(head + textwrap.dedent(code))
    return str(finding)


# --- correct scripts -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_correct_scripts_hear_nothing(path):
    assert read_script(path.read_text(encoding="utf-8"), path.name) == []


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_correct_scripts_do_run(path):
    subprocess.run([sys.executable, "-W", "error", path], check=True, capture_output=True)


def test_the_package_itself_hears_nothing():
    """Names of libraries stand in it, and no loop that forgets something."""
    package = Path(__file__).parents[2] / "src" / "manumatic"
    found = {
        path.name: read_script(path.read_text(encoding="utf-8")) for path in package.rglob("*.py")
    }
    assert {name: findings for name, findings in found.items() if findings} == {}


# --- MM001 ---------------------------------------------------------------------------------------

# What is still there must warn when it is used so.
T = torch.ones(2, 2)
WARN = {
    "torch.jit.script": lambda f: f(torch.nn.Linear(1, 1)),
    "torch.jit.trace": lambda f: f(torch.nn.Linear(1, 1), torch.ones(1, 1)),
    "torch.cuda.amp.autocast": lambda f: f(enabled=False),
    "torch.cpu.amp.autocast": lambda f: f(),
    "torch.cuda.amp.GradScaler": lambda f: f(enabled=False),
    "torch.qr": lambda f: f(T),
    "torch.cholesky": lambda f: f(torch.eye(2)),
    "torch.range": lambda f: f(0, 3),
    "torch.set_default_tensor_type": lambda f: f(torch.FloatTensor),
    "torch.nn.utils.clip_grad_norm": lambda f: f([T], 1.0),
    "torch.nn.utils.weight_norm": lambda f: f(torch.nn.Linear(2, 2)),
    "torch.nn.init.constant": lambda f: f(torch.ones(2, 2), 0.0),
    "torch.nn.functional.upsample": lambda f: f(torch.ones(1, 1, 2, 2), scale_factor=2),
    "torch.testing.assert_allclose": lambda f: f(T, T),
    "numpy.random.random_integers": lambda f: f(3),
    "numpy.row_stack": lambda f: f([[1], [2]]),
}
# What raises when it is called, although the name is there.
RAISE = ("torch.symeig", "torch.eig", "torch.solve", "torch.lstsq", "torch.matrix_rank")


def look_up(name):
    """The object behind a dotted name, or None when it is not there."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:end]))
        except ImportError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy thinks aloud about its future
            try:
                for part in parts[end:]:
                    value = getattr(value, part)
            except (AttributeError, ImportError):
                return None
        return value
    return None


def warned(action):
    """Whether an action warns or is refused."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except (TypeError, InvalidParameterError, RuntimeError):
            return True
    return any("deprecated" in str(w.message) or "no effect" in str(w.message) for w in caught)


def is_old(row):
    target = look_up(row.name)
    if target is None:
        return True
    if row.parameter:
        return warned(lambda: use(target, row))
    if row.name == "torch.autograd.Variable":
        return type(target(T)) is torch.Tensor and target(T).requires_grad is T.requires_grad
    if row.name in RAISE:
        return warned(lambda: target(*[T] * (2 if row.name[6:] in ("solve", "lstsq") else 1)))
    if row.name.startswith("torch.nn.init."):
        return warned(lambda: WARN.get(row.name, lambda f: f(torch.ones(2, 2)))(target))
    return warned(lambda: WARN.get(row.name, lambda f: make(f))(target))


def make(target):
    """An estimator deprecated as a whole says so at the latest when it is fitted."""
    made = target()
    if hasattr(made, "fit"):
        made.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])


def use(target, row):
    """Call with the parameter; fit, because scikit-learn looks at parameters then."""
    X, y = np.arange(20.0).reshape(10, 2), np.array([0, 1] * 5)
    given = {row.parameter: row.value or VALUES.get(row.parameter, True)}
    if row.name.startswith("torch.nn.functional."):
        one = torch.full((3, 2), 0.5)
        index = row.name.endswith((".cross_entropy", ".nll_loss"))
        return target(one, torch.zeros(3, dtype=torch.long) if index else one, **given)
    if row.name.startswith("torch.optim."):
        optimizer = torch.optim.SGD([torch.nn.Parameter(T)], lr=0.1)
        more = {"LambdaLR": (abs,), "OneCycleLR": (0.1, 10), "CyclicLR": (0.1, 0.2)}
        return target(optimizer, *more.get(row.name.rpartition(".")[2], ([1],)), **given)
    if row.name.startswith("sklearn.metrics."):
        return target(y, y, **given)
    if "cross_val" in row.name or "SearchCV" in row.name:
        dummy = import_module("sklearn.dummy").DummyClassifier()
        return (
            target(dummy, X, y, **given) if "cross_val" in row.name else target(dummy, {}, **given)
        )
    if row.name.startswith("pandas."):
        data = Path(__file__) if row.name.endswith("read_csv") else ["2020-01-01"]
        return (
            target(look_up("pandas.DataFrame")(), **given)
            if "DataFrame" in row.name
            else (
                target(look_up("pandas.Series")([1.0]), **given)
                if "Series" in row.name
                else target(data, **given)
            )
        )
    made = target(**given)
    return made.fit(X, y) if hasattr(made, "fit") else made


VALUES = {"penalty": "l2", "n_jobs": 2, "method": "ffill"}


@pytest.mark.parametrize("row", OLD, ids=str)
def test_each_row_is_gone_or_deprecated_in_the_installed_library(row):
    assert is_old(row)


def test_the_check_of_the_table_tells_names_that_are_fine():
    fine = OLD[0]._replace(name="sklearn.datasets.load_iris")
    assert not is_old(fine)
    kept = fine._replace(name="sklearn.preprocessing.OneHotEncoder", parameter="handle_unknown")
    assert not is_old(kept._replace(value="ignore"))
    assert not is_old(fine._replace(name="torch.nn.MSELoss", parameter="reduction", value="sum"))


def test_a_name_is_reported_once_where_it_comes_in():
    code = "from sklearn.datasets import load_boston\nX = load_boston().data\nload_boston()\n"
    [finding] = read_script(code)
    assert finding.message == (
        "line 1: sklearn.datasets.load_boston is gone since scikit-learn 1.2."
    )
    assert "mm.datasets.load_houses()" in finding.fix


@pytest.mark.parametrize(
    "code",
    [
        "import sklearn.grid_search",
        "from sklearn.cross_validation import train_test_split",
        "from sklearn import datasets\ndatasets.load_boston()",
        "from sklearn.preprocessing import OneHotEncoder\nOneHotEncoder(sparse=False)",
        "from sklearn.linear_model import SGDClassifier as S\nS(loss='log')",
        "from torch.autograd import Variable",
        "import torch as t\nt.jit.trace(model, x)",
        "import torch.nn as nn\nnn.CrossEntropyLoss(size_average=False)",
        "from torch.optim import lr_scheduler\nlr_scheduler.StepLR(o, 1, verbose=True)",
        "import numpy as np\nx = x.astype(np.float)",
        "import pandas as pd\nd = pd.read_csv('a.csv')\nd = d.append(row, ignore_index=True)",
        "import pandas as pd\nd = pd.DataFrame()\nd.ix[0]",
        "import torch\nnet = torch.load('net.pt')\nnet.eval()",
    ],
)
def test_outdated_names_in_all_their_clothes(code):
    assert said(code, "") == ["MM001"]


@pytest.mark.parametrize(
    "code",
    [
        "rows = []\nrows.append(1)",
        "import pandas as pd\nrows = [pd.DataFrame()]\nrows.append(1)",
        "import numpy as np\nx = np.float64(1), np.bool, np.random.rand(3)",
        "def load_boston(): ...\nload_boston()",
        "from mine import load_boston, plot_confusion_matrix",
        "try:\n    from sklearn.externals import joblib\nexcept ImportError:\n    import joblib",
        "import numpy as np\nif np.__version__ < '1.24':\n    F = np.float",
        "import torch\nstate = torch.load('weights.pt')\nmodel.load_state_dict(state)",
        "import torch\nnet = torch.load('net.pt', weights_only=False)\nnet.eval()",
        "from sklearn.preprocessing import OneHotEncoder\nOneHotEncoder(sparse_output=False)",
        "from sklearn.linear_model import SGDClassifier\nSGDClassifier(loss='log_loss')",
        "import torch\nwith torch.amp.autocast('cuda'): ...",
    ],
)
def test_names_that_are_fine(code):
    assert said(code, "") == []


# --- MM201 ---------------------------------------------------------------------------------------

COLUMN = """
from sklearn.datasets import load_diabetes
data, target = load_diabetes(return_X_y=True)
X, y = torch.tensor(data).float(), torch.tensor(target).float()
model = nn.Sequential(nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters())
"""


def test_a_column_beside_a_matrix():
    text = sentence(COLUMN + LOOP)
    assert "MM201 issue: line 17: y has shape (n,) and model(X) has shape (n, 1)" in text
    assert text.endswith("y = y.view(-1, 1)")


def test_a_column_that_comes_in_batches():
    code = (
        COLUMN
        + """
    train_loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    for xb, yb in train_loader:
        optimizer.zero_grad()
        out = model(xb)
        loss = F.mse_loss(out, yb)
        loss.backward()
        optimizer.step()
    """.replace("\n    ", "\n")
    )
    assert said(code) == ["MM201"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.tensor(target).float()", "torch.tensor(target).float().view(-1, 1)"),
        ("torch.tensor(target).float()", "torch.tensor(target).float()[:, None]"),
        ("torch.tensor(target).float()", "prepare(target)"),
        ("model(X)", "model(X).squeeze(1)"),
        ("model(X)", "model(X)[:, 0]"),
        ("nn.Linear(8, 1)", "nn.Linear(8, 1), nn.Flatten(0)"),
        ("nn.Linear(8, 1)", "nn.Linear(8, outputs)"),
        ("loss_fn = nn.MSELoss()", "loss_fn = make_loss()"),
        ("load_diabetes", "load_linnerud"),
    ],
)
def test_a_column_beside_a_column_or_who_knows(old, new):
    code = (COLUMN + LOOP).replace(old, new)
    assert code != COLUMN + LOOP
    assert said(code) == []


# --- MM202 ---------------------------------------------------------------------------------------

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        x = self.fc(x)
        return {end}

model = Net()
loss_fn = nn.{loss}()
optimizer = torch.optim.Adam(model.parameters())
"""


def floor_of(classes):
    """The least cross entropy of softmax outputs: all on the right class."""
    best = torch.eye(classes)[:1]
    return torch.nn.functional.cross_entropy(best, torch.zeros(1, dtype=torch.long)).item()


@pytest.mark.parametrize("end", ["F.softmax(x, dim=1)", "torch.softmax(x, 1)", "x.softmax(dim=1)"])
def test_softmax_before_cross_entropy(end):
    text = sentence(NET.format(end=end, loss="CrossEntropyLoss") + LOOP)
    assert "MM202 issue: line 16: Net ends in softmax, and CrossEntropyLoss (line 24)" in text
    assert "with 3 classes the loss cannot go below 0.551" in text
    assert 0.551 <= floor_of(3) < 0.552


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        ("self.softmax(x)", "CrossEntropyLoss"),
        ("nn.Softmax(dim=1)(x)", "CrossEntropyLoss"),
        ("F.log_softmax(x, dim=1)", "CrossEntropyLoss"),
        ("torch.sigmoid(x)", "BCEWithLogitsLoss"),
    ],
)
def test_other_ways_to_apply_it_twice(end, loss):
    assert said(NET.format(end=end, loss=loss) + LOOP) == ["MM202"]


def test_what_the_sentences_about_log_softmax_and_sigmoid_say_is_so():
    scores, labels = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    entropy = torch.nn.functional.cross_entropy
    again = scores.log_softmax(dim=1)
    torch.testing.assert_close(entropy(again, labels % 3), entropy(scores, labels % 3))
    least = torch.nn.functional.binary_cross_entropy_with_logits(torch.zeros(1), torch.zeros(1))
    assert 0.693 <= least.item() < 0.694


def test_a_sequential_with_softmax_in_functions():
    code = """
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 5), nn.Softmax(dim=1))

    def train(net, loader, criterion, optimizer):
        for X, y in loader:
            optimizer.zero_grad()
            out = net(X)
            criterion(out, y).backward()
            optimizer.step()

    train(model, loader, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters()))
    """
    assert "model ends in softmax" in sentence(code)
    assert "with 5 classes the loss cannot go below 0.904" in sentence(code)
    assert 0.904 <= floor_of(5) < 0.905


@pytest.mark.parametrize(
    ("end", "loss"),
    [
        ("x", "CrossEntropyLoss"),
        ("F.log_softmax(x, dim=1)", "NLLLoss"),
        ("torch.sigmoid(x)", "BCELoss"),
        ("torch.sigmoid(x)", "CrossEntropyLoss"),
        ("(x, F.softmax(x, dim=1))", "CrossEntropyLoss"),
        ("x if self.training else F.softmax(x, dim=1)", "CrossEntropyLoss"),
    ],
)
def test_once_is_right(end, loss):
    assert said(NET.format(end=end, loss=loss) + LOOP) == []


def test_softmax_inside_a_model_or_beside_the_loss_is_fine():
    code = NET.format(end="self.fc(x) * F.softmax(x, dim=1)", loss="CrossEntropyLoss") + LOOP
    assert said(code + "probability = F.softmax(model(X), dim=1)\n") == []


# --- MM203 ---------------------------------------------------------------------------------------

HIDDEN = """
class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        {layers}

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""


@pytest.mark.parametrize(
    "layers",
    [
        "self.layers = [nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)]",
        "self.layers = [nn.Linear(4, 4) for _ in range(n)]",
        "self.layers = []; self.layers.append(nn.Linear(4, 4))",
        "self.layers = {'a': nn.Linear(4, 4)}",
        "layers = [nn.LSTM(4, 4)]; self.layers = layers",
        "self.layers = [nn.Sequential(nn.Conv1d(1, 1, 1), nn.ReLU())]",
        "self.layers = [nn.Parameter(torch.ones(1))]",
    ],
)
def test_layers_in_a_python_list(layers):
    text = sentence(HIDDEN.format(layers=layers))
    assert "MM203 issue: line 11: Net's self.layers is a Python" in text
    module = compile(HEAD + HIDDEN.format(layers=layers), "net", "exec")
    names = {}
    exec(module, names)
    assert list(names["Net"](2).parameters()) == []


@pytest.mark.parametrize(
    "layers",
    [
        "self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU()])",
        "self.layers = [nn.ReLU(), nn.Tanh()]",
        "self.layers = [nn.Linear(4, 4)]; self.net = nn.Sequential(*self.layers)",
        "layers = [nn.Linear(4, 4)]; self.layers = layers; self.net = nn.ModuleList(layers)",
        "layers = [nn.Linear(4, 4)]; self.layers = nn.Sequential(*layers)",
        "self.a = nn.Linear(4, 4); self.layers = [self.a]",
        "self.layers = [nn.Linear(4, 4)]; self.add_module('a', self.layers[0])",
        "self.layers = [4, 5]",
    ],
)
def test_layers_that_are_registered(layers):
    assert said(HIDDEN.format(layers=layers)) == []


def test_a_list_outside_of_a_model_is_a_list():
    assert (
        said(HIDDEN.format(layers="self.layers = [nn.Linear(4, 4)]").replace("nn.Module", "Base"))
        == []
    )


# --- MM303 ---------------------------------------------------------------------------------------

MODEL = """
model, loss_fn = nn.Linear(1, 1), nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
"""


def test_zero_grad_is_missing():
    text = sentence(MODEL + LOOP.replace("    optimizer.zero_grad()\n", ""))
    assert "MM303 issue: line 14: optimizer steps in a loop where nothing sets the" in text
    assert "each backward() (line 13)" in text
    assert text.endswith("optimizer.zero_grad()  # before loss.backward()")


@pytest.mark.parametrize(
    "code",
    [
        """
        def train(model, opt):
            for x, y in batches:
                loss_fn(model(x), y).backward()
                opt.step()
        """,
        """
        class Trainer:
            def step(self, x, y):
                self.loss_fn(self.model(x), y).backward()
                self.optimizer.step()

        trainer = Trainer()
        for x, y in batches:
            trainer.step(x, y)
        """,
        """
        for x in batches:
            scaler.scale(model(x)).backward()
            scaler.step(optimizer)
            scaler.update()
        """,
    ],
)
def test_zero_grad_is_missing_in_functions_and_classes(code):
    assert said(code) == ["MM303"]


@pytest.mark.parametrize(
    "line",
    [
        "optimizer.zero_grad()",
        "model.zero_grad()",
        "[p.grad.zero_() for p in model.parameters()]",
        "if epoch % 4 == 0: optimizer.zero_grad()",
        "model.weight.grad = None",
        "clear_gradients(optimizer)",
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
    ],
)
def test_gradients_are_set_back_somehow(line):
    assert said(MODEL + LOOP.replace("optimizer.zero_grad()", line)) == []


@pytest.mark.parametrize(
    "code",
    [
        MODEL + "loss_fn(model(X), y).backward()\noptimizer.step()\n",
        "sched = F.StepLR(o, 1)\nfor x in b:\n    f(x).backward()\n    sched.step()\n",
        "for x in b:\n    env.step(1)\n    loss.backward()\n",
        "import lightning\n" + MODEL + LOOP.replace("    optimizer.zero_grad()\n", ""),
        "class O:\n  def step(self): ...\nopt = O()\nfor x in b:\n  x.backward()\n  opt.step()\n",
    ],
)
def test_no_loop_or_no_optimizer(code):
    assert said(code) == []


# --- MM304 ---------------------------------------------------------------------------------------

BATCHES = """
train_loader = DataLoader(TensorDataset(X, y), batch_size=32)
for epoch in range(10):
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss_fn(model(xb), yb).backward()
        optimizer.step()
"""


def test_batches_in_the_same_order():
    text = sentence(MODEL + BATCHES)
    assert "MM304 issue: line 11: train_loader gives the rows in the same order" in text
    assert text.endswith("DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)")


def test_batches_of_a_function_and_of_a_data_set_of_ones_own():
    code = """
    class Rows:
        def __getitem__(self, i): ...

    def train(loader, model, optimizer):
        for i, (x, y) in enumerate(loader):
            optimizer.zero_grad()
            model(x).backward()
            optimizer.step()

    train(DataLoader(Rows(), 16), model, optimizer)
    """
    assert said(code) == ["MM304"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("batch_size=32", "batch_size=32, shuffle=True"),
        ("batch_size=32", "batch_size=32, shuffle=False"),
        ("batch_size=32", "batch_size=32, sampler=sampler"),
        ("batch_size=32", "batch_size=len(X)"),
        ("batch_size=32", "**options"),
        ("TensorDataset(X, y)", "dataset"),
        ("train_loader =", "X = torch.randn(9, 1)\ntrain_loader ="),
        ("loss_fn(model(xb), yb).backward()", "print(model(xb))"),
    ],
)
def test_batches_that_are_shuffled_or_who_knows(old, new):
    assert old in BATCHES
    assert said(MODEL + BATCHES.replace(old, new)) == []


def test_one_function_for_training_and_validation():
    code = """
    def run(loader, train):
        for x, y in loader:
            loss = loss_fn(model(x), y)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    run(DataLoader(TensorDataset(a, b), batch_size=8, shuffle=True), True)
    run(DataLoader(TensorDataset(c, d), batch_size=8), False)
    """
    assert said(code) == []


# --- MM401 ---------------------------------------------------------------------------------------

FOLDS = """
from sklearn.model_selection import KFold

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(13, 1)

    def forward(self, x):
        return self.fc(x)

def train(model, X, y):
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(100):
        optimizer.zero_grad()
        F.mse_loss(model(X), y).backward()
        optimizer.step()

model = Net()
kf = KFold(n_splits=5, shuffle=True, random_state=0)
for train_rows, test_rows in kf.split(X):
    train(model, X[train_rows], y[train_rows])
"""


def test_a_model_that_lives_through_all_folds():
    text = sentence(FOLDS)
    assert "MM401 issue: line 27: model (line 25) is made once, before the folds" in text
    assert text.endswith("model = Net()  # inside the loop, before its optimizer")


def test_a_model_that_lives_through_all_folds_trained_on_the_spot():
    code = (
        MODEL
        + """
from sklearn.model_selection import StratifiedKFold
for fold, (a, b) in enumerate(StratifiedKFold(5).split(X, y)):
    for epoch in range(9):
        optimizer.zero_grad()
        loss_fn(model(X[a]), y[a]).backward()
        optimizer.step()
"""
    )
    assert said(code) == ["MM401"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    train(model,", "    model = Net()\n    train(model,"),
        ("    train(model,", "    model.load_state_dict(start)\n    train(model,"),
        ("    train(model,", "    train(copy.deepcopy(model),"),
        ("    train(model,", "    model.apply(reset)\n    train(model,"),
        ("    train(model,", "    break\n    train(model,"),
        ("    optimizer = torch", "    model = Net()\n    optimizer = torch"),
        ("kf.split(X)", "batches"),
        ("KFold(n_splits=5, shuffle=True, random_state=0)", "TimeSeriesSplit()"),
        ("model = Net()\nkf", "model = load()\nkf"),
    ],
)
def test_a_model_that_is_fresh_or_who_knows(old, new):
    assert old in FOLDS
    assert said(FOLDS.replace(old, new)) == []


def test_scikit_learns_fit_starts_afresh():
    code = """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold
    model = Ridge()
    for a, b in KFold(5, shuffle=True).split(X):
        model.fit(X[a], y[a])
    """
    assert said(code) == []


# --- MM402 ---------------------------------------------------------------------------------------

DROPPED = """
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters())
"""
PREDICT = """
with torch.no_grad():
    predicted = model(X_test)
"""


def test_dropout_while_predicting():
    text = sentence(DROPPED + LOOP + PREDICT)
    assert "MM402 issue: line 19: model predicts here, and model.eval() is nowhere" in text
    assert "Dropout (line 8) is still at work.\n" in text


def test_a_model_that_moves_to_a_device_stays_the_same_model():
    moved = DROPPED.replace("loss_fn =", "model = model.to(device)\nloss_fn =", 1)
    assert said(moved + LOOP + PREDICT) == ["MM402"]
    assert said("class A:\n    def next(self): ...\nx = x.next()\nx(1)\n") == []


def test_dropout_while_predicting_with_gradients_too():
    text = sentence(DROPPED + LOOP + "predicted = model(X_test)\n")
    assert "torch.no_grad() is missing, too" in text


def test_batch_norm_in_a_function_that_evaluates():
    code = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, x):
            return self.norm(x)

    @torch.no_grad()
    def accuracy(net, loader):
        return sum((net(x).argmax(1) == y).sum() for x, y in loader)

    net = Net()
    net.load_state_dict(torch.load("weights.pt"))
    print(accuracy(net, loader))
    """
    assert "net predicts here" in sentence(code)
    assert "BatchNorm1d (line 11)" in sentence(code)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("with torch.no_grad():", "model.eval()\nwith torch.no_grad():"),
        ("with torch.no_grad():", "model.train(False)\nwith torch.no_grad():"),
        ("with torch.no_grad():", "set_eval_mode(model)\nwith torch.no_grad():"),
        ("nn.Dropout(0.5)", "nn.Dropout(0.0)"),
        ("nn.Dropout(0.5)", "nn.ReLU()"),
        ("nn.Dropout(0.5)", "nn.BatchNorm1d(8, track_running_stats=False)"),
        ("predicted = model(X_test)", "model(X_test)"),
        ("predicted = model(X_test)", "model[0].weight += 1"),
    ],
)
def test_modes_are_set_or_do_not_matter(old, new):
    code = DROPPED + LOOP + PREDICT
    assert old in code
    assert said(code.replace(old, new)) == []


def test_a_teacher_without_gradients_is_a_step_of_the_training():
    code = DROPPED + LOOP.replace(
        "    loss = ", "    with torch.no_grad():\n        t = model(X)\n    loss = "
    )
    assert said(code) == []


FUNCTIONAL = """
class Net(nn.Module):
    def forward(self, x):
        {lines}
        return x
"""


@pytest.mark.parametrize("call", ["F.dropout(x)", "F.dropout(x, 0.5)", "F.dropout2d(x, p=0.2)"])
def test_functional_dropout_that_is_never_off(call):
    text = sentence(FUNCTIONAL.format(lines=f"x = {call}"))
    assert "drops in eval mode, too: training= is missing" in text
    assert text.endswith(f"{call[:-1]}, training=self.training)")


@pytest.mark.parametrize(
    "lines",
    [
        "x = F.dropout(x, 0.5, self.training)",
        "x = F.dropout(x, training=self.training)",
        "x = F.dropout(x, 0.5, training=True)",
        "x = F.dropout(x) if self.training else x",
        "x = F.dropout(x, 0)",
        "x = F.alpha_dropout(x)",
    ],
)
def test_functional_dropout_that_knows_the_mode(lines):
    assert said(FUNCTIONAL.format(lines=lines)) == []


# --- MM403 ---------------------------------------------------------------------------------------

EARLY = """
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, PolynomialFeatures, StandardScaler
"""


@pytest.mark.parametrize(
    "code",
    [
        "X = StandardScaler().fit_transform(X)\nA, B, c, d = train_test_split(X, y)",
        "s = MinMaxScaler()\nZ = s.fit_transform(X)\nA, B = train_test_split(Z)",
        "s = StandardScaler()\ns.fit(X)\nZ = s.transform(X)\nA, B = train_test_split(Z)",
        "s = StandardScaler().fit(X)\nZ = torch.tensor(s.transform(X))\nA, B = train_test_split(Z)",
        "Z = SelectKBest(k=5).fit_transform(X, y)\ncross_val_score(model, Z, y)",
        "Z = StandardScaler().fit_transform(X)\nfor a, b in KFold(5, shuffle=True).split(Z): ...",
        "df[cols] = StandardScaler().fit_transform(df[cols])\na, b = train_test_split(df)",
        "def f(X):\n    X = StandardScaler().fit_transform(X)\n    return train_test_split(X)",
    ],
)
def test_fitted_before_the_split(code):
    assert said(code, HEAD + EARLY) == ["MM403"]


def test_fitted_before_the_split_says_what_where():
    code = "scaler = StandardScaler()\nX = scaler.fit_transform(X)\nA, B = train_test_split(X)\n"
    assert sentence(code, HEAD + EARLY) == (
        "MM403 tip: line 12: StandardScaler learned from all rows of X before they were split "
        "(line 13): the test rows are in it.\n"
        "    model = make_pipeline(StandardScaler(), model)  # fitted on the training rows only"
    )


@pytest.mark.parametrize(
    "code",
    [
        "A, B = train_test_split(X)\nA = StandardScaler().fit_transform(A)",
        "A, B = train_test_split(X)\nZ = MinMaxScaler().fit_transform(A)\nC = train_test_split(Z)",
        "Z = StandardScaler().fit_transform(X)\nA, B = train_test_split(X)",
        "X = PolynomialFeatures().fit_transform(X)\nA, B = train_test_split(X)",
        "X = OneHotEncoder().fit_transform(X)\nA, B = train_test_split(X)",
        "Z = StandardScaler().fit_transform(X[rows])\nA, B = train_test_split(Z)",
        "Z = StandardScaler().fit(A).transform(X)\nB, C = train_test_split(Z)",
        "X = StandardScaler().fit_transform(X)\nX = load()\nA, B = train_test_split(X)",
        "X = StandardScaler().fit_transform(X)\nwords = text.split(X)",
    ],
)
def test_fitted_after_the_split_or_never_split(code):
    assert said(code, HEAD + EARLY) == []


# --- MM404 ---------------------------------------------------------------------------------------

IRIS = """
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, cross_val_score
X, y = load_iris(return_X_y=True)
folds = KFold(n_splits=5)
print(cross_val_score(model, X, y, cv=folds))
"""


def test_folds_of_sorted_rows():
    text = sentence(IRIS, "")
    assert "MM404 issue: line 5: KFold takes the rows in their order, and load_iris is" in text
    assert "the first 30 rows it tests on are of one class" in text


@pytest.mark.parametrize("table", ["load_iris", "load_wine"])
def test_what_the_sentence_about_sorted_rows_says_is_so(table):
    from sklearn import datasets, model_selection

    X, y = getattr(datasets, table)(return_X_y=True)
    assert (np.diff(y) >= 0).all()
    for number in (3, 5, 10):
        text = sentence(IRIS.replace("5", str(number)).replace("load_iris", table), "")
        rows = next(iter(model_selection.KFold(number).split(X)))[1]
        if "the first" in text:
            assert f"the first {len(rows)} rows" in text
            assert len(set(y[rows])) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("KFold(n_splits=5)", "KFold(n_splits=5, shuffle=True)"),
        ("KFold(n_splits=5)", "KFold(n_splits=5, shuffle=mixed)"),
        ("KFold(n_splits=5)", "5"),
        ("load_iris", "load_diabetes"),
        ("folds =", "X, y = shuffle(X, y)\nfolds ="),
        ("folds =", "X = pd.read_csv('mine.csv')\nfolds ="),
    ],
)
def test_folds_of_shuffled_or_other_rows(old, new):
    assert said(IRIS.replace(old, new), "") == []


# --- the blog's snippets -------------------------------------------------------------------------


def test_a_tutorial_with_three_faults():
    code = """
from sklearn.datasets import load_boston
from sklearn.model_selection import KFold, train_test_split
from sklearn.preprocessing import StandardScaler
boston = load_boston()
X, y = boston.data, boston.target
X = StandardScaler().fit_transform(X)
X_train, X_test, y_train, y_test = train_test_split(X, y)
model = nn.Sequential(nn.Linear(13, 50), nn.ReLU(), nn.Linear(50, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for train_rows, test_rows in KFold(5).split(X):
    for epoch in range(100):
        optimizer.zero_grad()
        loss_fn(model(X[train_rows]), y[train_rows]).backward()
        optimizer.step()
"""
    assert said(code) == ["MM001", "MM403", "MM401"]


# --- files ---------------------------------------------------------------------------------------


def test_findings_come_in_the_order_of_the_lines_with_known_codes():
    code = "import numpy as np\nx = np.float(1)\nfrom sklearn.datasets import load_boston\n"
    found = read_script(code)
    assert [finding.message.split(":")[0] for finding in found] == ["line 2", "line 3"]
    assert all(finding.code in CODES for finding in found)


def test_a_finding_is_muted_on_its_line_or_everywhere():
    code = "from sklearn.datasets import load_boston  # manumatic: ignore[MM404, MM001]\n"
    assert read_script(code) == []
    assert len(read_script(code.replace("MM001", "MM002"))) == 1
    with ignore("MM001"):
        assert read_script(code.replace("MM001", "MM002")) == []


@pytest.mark.parametrize(
    ("text", "name", "place"),
    [
        ("x = 1\nprint 'two'\n", "old.py", r"old\.py, line 2 is no Python: Missing parentheses"),
        ("x = (", "a.py", "line 1 is no Python: '\\(' was never closed"),
        ("x = 1\0", "a.py", "is no Python"),
        ("{}", "a.ipynb", "a.ipynb is no notebook"),
        ("not json", "a.ipynb", "a.ipynb is no notebook"),
    ],
)
def test_a_script_that_cannot_be_read_names_the_line(text, name, place):
    with pytest.raises(DataError, match=place):
        read_script(text, name)


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "\ufeffx = 1\n", "x = '\\d'\n", "await f()"]
)
def test_odd_but_readable(text):
    assert read_script(text) == []


def notebook(*cells):
    kinds = [("markdown", ["# *Title*\n"]), *(("code", cell) for cell in cells)]
    return json.dumps({"cells": [{"cell_type": kind, "source": code} for kind, code in kinds]})


def test_a_notebook_with_magics():
    text = notebook(
        ["%matplotlib inline\n", "!pip install \\\n", "    torch\n", "import numpy as np"],
        "%%bash\nls *.csv\n",
        "%%time\nfiles = !ls\nfor i in range(2):\n    %timeit i\nnp.mean?\n?np.mean\n",
        "",
        "x = np.float(3)\nshare = ('%d'\n         % 3)",
        "    from sklearn.datasets import load_boston\n",
    )
    first, second = read_script(text, "work.ipynb")
    assert first.message == "cell 5, line 1: numpy.float is gone since NumPy 1.24."
    assert second.message.startswith("cell 6, line 1: sklearn.datasets.load_boston")
    assert read_script(text) == [first, second]


def test_a_notebook_with_a_mistake_names_cell_and_line():
    with pytest.raises(DataError, match=r"work\.ipynb, cell 2, line 2 is no Python"):
        read_script(notebook("x = 1", "y = 2\nz ="), "work.ipynb")
