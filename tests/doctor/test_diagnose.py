"""The doctor on request: plain PyTorch, estimators, the manual gear, scripts; all left alone."""

import copy
import random

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import manumatic as mm
from manumatic.doctor.case import examine
from manumatic.doctor.checks import FIRST
from manumatic.doctor.diagnose import case_of, diagnose
from manumatic.doctor.finding import ignore
from manumatic.doctor.stability import too_fast
from manumatic.errors import ComponentError, DataError

G = torch.Generator().manual_seed(0)
X = torch.randn(70, 4, generator=G)
CLASSES = (X[:, 0] > 0).long() + (X[:, 1] > 1).long()
NUMBERS = 66 + 2 * X[:, :1]
CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@pytest.fixture(autouse=True)
def same_weights():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def mlp(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, outputs))


def drawn_by_numpy() -> tuple[list[int], int]:
    """The state of the global generator: its numbers, and how many of them are used."""
    _, numbers, used, *_ = np.random.get_state()
    return numbers.tolist(), used


# --- plain PyTorch -------------------------------------------------------------------------------


def test_healthy_objects_of_plain_pytorch():
    assert diagnose(mlp(), X, CLASSES, loss=CE) == []
    assert diagnose(mlp(), X, CLASSES, loss="cross_entropy", optimizer=torch.optim.Adam) == []
    assert diagnose(mlp(1), X, NUMBERS, loss=nn.MSELoss) == []
    assert diagnose(mlp(), X) == []  # the model and the rows alone
    assert str(diagnose(mlp(), X)) == "no findings"


def test_several_mistakes_at_once():
    model = nn.Sequential(mlp(), nn.Softmax(dim=1))
    model.spare = [nn.Linear(2, 2)]
    found = diagnose(model, 1000 * X, CLASSES, loss=CE, optimizer=torch.optim.SGD)
    assert found.codes == ["MM101", "MM202", "MM203"]


def test_the_learning_rate_of_a_linear_model():
    hours, score = torch.tensor([[1.0], [2], [3], [4], [5]]), torch.tensor([52.0, 59, 66, 73, 80])
    model = nn.Linear(1, 1)

    def at(lr):
        sgd = torch.optim.SGD(model.parameters(), lr=lr)
        return diagnose(model, hours, score.view(-1, 1), loss=MSE, optimizer=sgd)

    assert "0.084" in at(0.1)[0].message
    assert at(0.1).codes == ["MM301"]
    assert at(0.01) == []  # the run of the tutorial is a healthy one


def test_arrays_and_tables():
    frame = pd.DataFrame(X.numpy(), columns=["age", "fare", "rooms", "year"])
    assert diagnose(mlp(), frame, CLASSES.numpy(), loss=CE) == []
    frame["year"] += 2000
    assert "'year' reaches 2003" in diagnose(mlp(), frame, CLASSES, loss=CE)[0].message
    [found] = diagnose(mlp(), X.numpy().astype(float), CLASSES.numpy(), loss=CE)
    assert found.code == "MM102"


def test_text_in_rows_or_labels():
    frame = pd.DataFrame(X.numpy()).assign(sex="f", town="Ulm")
    [found] = diagnose(mlp(), frame, CLASSES, loss=CE)
    assert found.code == "MM105"
    assert "2 columns of X hold text ('sex' and 'town')" in found.message
    [found] = diagnose(mlp(), X, np.array(["cat", "dog"])[CLASSES.clamp(max=1)], loss=CE)
    assert found.code == "MM103"
    assert "'cat' and 'dog'" in found.message


def test_what_cannot_run_has_a_code_or_an_error():
    assert diagnose(mlp(), X, CLASSES.int(), loss=CE).codes == ["MM102"]
    assert diagnose(mlp(), X, CLASSES + 1, loss=CE).codes == ["MM103"]
    assert diagnose(mlp(1), X, NUMBERS[:, 0] % 1, loss=nn.BCEWithLogitsLoss()).codes == ["MM201"]
    with pytest.raises(ComponentError, match=r"cannot take rows of shape \(3,\)"):
        diagnose(mlp(), X[:, :3], CLASSES, loss=CE)
    with pytest.raises(ComponentError, match="CosineEmbeddingLoss cannot compare outputs"):
        diagnose(mlp(), X, CLASSES, loss=nn.CosineEmbeddingLoss())
    with pytest.raises(ComponentError, match="70 rows and y has 3"):
        diagnose(mlp(), X, CLASSES[:3], loss=CE)
    with pytest.raises(ComponentError, match="X is None"):
        diagnose(mlp())
    with pytest.raises(ComponentError, match="no loss 'mce'"):
        diagnose(mlp(), X, CLASSES, loss="mce")
    with pytest.raises(ComponentError, match="got 3"):
        diagnose(3, X)


class Drawn(nn.Module):
    def __init__(self, in_features: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(np.random.randn(in_features, 3)).float())
        self.noise = random.random()

    def forward(self, x):
        return x @ self.weight


def test_a_class_or_function_is_built():
    assert diagnose(mlp, X, CLASSES, loss=CE) == []
    found = diagnose(Drawn, X, CLASSES, loss=CE)
    assert found.codes == ["MM104"]
    assert "'weight' differs" in found[0].message
    with pytest.raises(ComponentError, match="missing 2 required positional arguments"):
        diagnose(nn.Linear, X, CLASSES, loss=CE)
    assert diagnose(mm.Model(nn.Linear, in_features=4, out_features=3), X, CLASSES, loss=CE) == []


def test_lazy_layers_stay_lazy():
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
    assert diagnose(model, X, CLASSES, loss=CE, optimizer=torch.optim.Adam) == []
    assert isinstance(model[0].weight, nn.UninitializedParameter)


def test_a_loader_says_how_many_rows_a_step_has():
    model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    rows = TensorDataset(X, CLASSES)
    assert diagnose(model, DataLoader(rows, 32), loss=CE) == []  # 6 are left
    assert "4 rows of a step" in diagnose(model, DataLoader(rows, 4), loss=CE)[0].message
    assert "last batch of each epoch leaves BatchNorm1d 1 rows" in (
        diagnose(model, DataLoader(rows, 23), loss=CE)[0].message  # 70 = 3 · 23 + 1
    )


def test_codes_that_nobody_wants_to_hear():
    model = nn.Sequential(mlp(), nn.Softmax(dim=1))
    assert diagnose(model, X, CLASSES, loss=CE).codes == ["MM202"]
    assert diagnose(model, X, CLASSES, loss=CE, ignore=["MM202"]) == []
    with ignore("MM202"):
        assert diagnose(model, X, CLASSES, loss=CE) == []
    with pytest.raises(ComponentError, match="MM2O2"):
        diagnose(model, X, CLASSES, loss=CE, ignore=["MM2O2"])


# --- estimators and the manual gear --------------------------------------------------------------


def test_an_estimator_and_its_manual_gear():
    rows, y = load_iris(return_X_y=True)
    net = mm.Classifier("mlp", random_state=0)
    assert diagnose(net, rows, y) == []
    assert not hasattr(net, "model_")
    assert diagnose(net.manual(rows, y)) == []
    with pytest.raises(ComponentError, match="leave out loss="):
        diagnose(net, rows, y, loss=CE)


def test_columns_by_their_names():
    wine = load_wine(as_frame=True)
    net = mm.Classifier("mlp", data=mm.Data(preprocess=None), random_state=0)
    found = diagnose(net, wine.data, wine.target)
    assert found.codes[0] == "MM101"
    assert "'proline' spans 278 to 1680" in found[0].message
    assert found[0].fix == 'mm.Data(preprocess="auto")'
    assert diagnose(mm.Classifier("mlp", random_state=0), wine.data, wine.target) == []


def test_a_model_that_draws_elsewhere():
    net = mm.Classifier(Drawn, random_state=0)
    assert diagnose(net, X.numpy(), CLASSES.numpy()).codes == ["MM104"]


def test_the_case_of_a_training():
    rows, y = np.tile(X.numpy(), (10, 1)), np.tile(CLASSES.numpy(), 10)  # 700
    training = mm.Classifier("mlp", data=mm.Data(batch_size=32), random_state=0).manual(rows, y)
    case = case_of(training)
    assert (len(case.X), case.batch_size, case.prepared) == (256, 32, True)
    assert case.X.data_ptr() == training.data.X.data_ptr()  # a view costs nothing
    assert case.model is training.model
    assert case.task.kind == "multiclass"
    assert examine(case, (*FIRST, too_fast)) == []
    weighted = mm.Classifier("mlp", loss=mm.Loss(class_weight="balanced")).manual(rows, y)
    assert len(case_of(weighted).weight) == 256
    assert diagnose(weighted) == []


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "seen", "short"),
    [(200, 32, 200, 8), (700, 32, 256, 0), (706, 32, 258, 2), (1002, 500, 502, 2), (9, 9, 9, 0)],
)
def test_the_last_batch_is_as_short_as_it_will_be(n_rows, batch_size, seen, short):
    rows, y = np.random.default_rng(0).normal(size=(n_rows, 4)), np.arange(n_rows) % 2
    data = mm.Data(batch_size=batch_size, preprocess=None)
    case = case_of(mm.Classifier("mlp", data=data, loop=mm.Loop(1)).manual(rows, y))
    assert (len(case.X), len(case.X) % batch_size) == (seen, short)


class Counting(IterableDataset):
    def __iter__(self):
        return iter(zip(X, CLASSES.tolist(), strict=True))


class Images(Dataset):
    """Reads a row when asked, and shifts it by chance, as augmentations do."""

    def __init__(self) -> None:
        self.asked = []

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, number):
        self.asked.append(number)
        return X[number % 70] + 0.01 * np.random.randn() + 0.01 * torch.randn(4), number % 3


def test_streams_are_looked_at_without_a_trace():
    own = torch.Generator().manual_seed(3)
    loader = DataLoader(Counting(), 16, generator=own)
    training = mm.Classifier("mlp", random_state=0).manual(loader)
    before = own.get_state()
    case = case_of(training)
    assert torch.equal(case.X, X[:16])
    assert case.batch_size == 16
    assert diagnose(training) == []
    assert torch.equal(own.get_state(), before)
    images = Images()
    training = mm.Classifier("mlp", random_state=0).manual(DataLoader(images, 16, shuffle=True))
    images.asked.clear()
    drawn = drawn_by_numpy()
    case = case_of(training)
    assert images.asked == [number * 1000 // 32 for number in range(32)]  # from all over
    assert drawn == drawn_by_numpy()
    assert len(case.X) == len(case.y) == 32


def test_a_fit_after_a_diagnosis_is_the_fit_without():
    loaders = [
        DataLoader(TensorDataset(X, CLASSES), 16, shuffle=True, generator=g)
        for g in (torch.Generator().manual_seed(1), torch.Generator().manual_seed(1))
    ]
    weights = []
    for loader, looks in zip(loaders, (False, True), strict=True):
        training = mm.Classifier("mlp", loop=mm.Loop(2), random_state=0).manual(loader)
        for _ in training:
            if looks:
                diagnose(training)
        weights.append(training.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# --- nothing changes -----------------------------------------------------------------------------


def test_looking_changes_nothing():
    model = nn.Sequential(mlp(8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)).train()
    model[1].eval()
    CE(model(X), CLASSES).backward()
    weights = copy.deepcopy(model.state_dict())
    slopes = [weight.grad.clone() for weight in model.parameters()]
    modes = [layer.training for layer in model.modules()]
    optimizer = torch.optim.Adam(model.parameters())
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = drawn_by_numpy()
    diagnose(model, X, CLASSES, loss=CE, optimizer=optimizer)
    diagnose(Drawn, X, CLASSES, loss=CE)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert python_state == random.getstate()
    assert numpy_state == drawn_by_numpy()
    assert modes == [layer.training for layer in model.modules()]
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert all(map(torch.equal, slopes, (weight.grad for weight in model.parameters())))
    assert not optimizer.state


# --- scripts -------------------------------------------------------------------------------------

SCRIPT = """import torch
from sklearn.datasets import load_boston

X, y = load_boston(return_X_y=True)
"""


def test_a_script_by_its_path_or_its_text(tmp_path):
    pytest.importorskip("manumatic.doctor.script")
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    assert diagnose(path).codes == diagnose(str(path)).codes == diagnose(SCRIPT).codes == ["MM001"]
    with pytest.raises(DataError, match=r"no file 'nowhere\.py'"):
        diagnose("nowhere.py")
