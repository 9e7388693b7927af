"""Checks of rows and targets: each with a case that it names and a near-miss that it lets pass."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from manumatic.doctor.case import Case, examine
from manumatic.doctor.data import missing, unscaled, wrong_labels, wrong_types
from manumatic.task import Task

G = torch.Generator().manual_seed(0)
X = torch.randn(60, 3, generator=G)
CLASSES = torch.arange(60) % 3
NUMBERS = torch.randn(60, 1, generator=G)
CE, MSE, BCE = nn.CrossEntropyLoss(), nn.MSELoss(), nn.BCEWithLogitsLoss()
THREE = Task("multiclass", np.arange(3), 1, True)


def net(inputs: int = 3, outputs: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, outputs))


def found(check, rows=X, y=CLASSES, loss=CE, model=None, **more):
    """The finding of one check, or None."""
    said = examine(Case(model or net(), rows, y, loss, **more), [check])
    assert len(said) <= 1
    return said[0] if said else None


# --- MM101 ---------------------------------------------------------------------------------------


def spread(*scales: float) -> torch.Tensor:
    """Columns with exactly these standard deviations, mean 0, none above 100."""
    rows = torch.linspace(-1, 1, 60).unsqueeze(1).repeat(1, len(scales))
    return rows / rows.std(0, correction=0) * torch.tensor(scales)


def test_columns_of_very_different_size_are_named():
    rows = spread(1.0, 50.0, 0.1)
    said = found(unscaled, rows, columns=["RM", "TAX", "NOX"])
    low, high = rows[:, 1].min(), rows[:, 1].max()
    assert said.code == "MM101"
    assert f"'TAX' spans {low:.4g} to {high:.4g}" in said.message
    assert "'NOX'" in said.message
    assert "RM" not in said.message
    assert "500 times" in said.message
    assert said.fix == "X = (X - X.mean(0)) / X.std(0)"
    assert found(unscaled, rows, task=THREE).fix == 'mm.Data(preprocess="auto")'


def test_columns_up_to_a_factor_of_100_are_no_matter():
    assert found(unscaled, spread(1.0, 50.0, 0.51)) is None
    assert found(unscaled, spread(1.0, 50.0, 0.49)).code == "MM101"


def test_large_numbers_are_named():
    assert "column 1 reaches 101" in found(unscaled, torch.cat([X, X * 0 + 101], 1)[:, 2:4]).message
    assert found(unscaled, torch.cat([X, X * 0 + 99], 1)[:, 2:4]) is None


def test_two_values_constants_and_sparse_counts_are_not_compared():
    two = torch.where(torch.arange(60) == 3, 1.0, 0.0) * 0.001
    constant = torch.full((60,), 3.0) + 1e-7 * X[:, 0]
    counts = torch.tensor([0.0] * 58 + [0.001, 0.002])
    rows = torch.stack([50 * X[:, 0] / X.abs().max(), two, constant, counts], 1)
    assert found(unscaled, rows, model=net(4)) is None


@pytest.mark.parametrize("first", [nn.BatchNorm1d(3), nn.InstanceNorm1d(3)])
def test_a_net_that_scales_its_rows_itself_is_let_be(first):
    assert found(unscaled, X * 1000, model=nn.Sequential(first, nn.Linear(3, 3))) is None


def test_rows_that_manumatic_prepared_are_settled():
    assert found(unscaled, X * 1000, prepared=True) is None


def test_pixels():
    images = torch.linspace(0, 255, 64).reshape(1, 1, 8, 8).repeat(60, 1, 1, 1)
    said = found(unscaled, images, model=nn.Flatten())
    assert "pixels of X reach 255" in said.message
    assert said.fix == "X = X / 255"
    assert found(unscaled, images / 255, model=nn.Flatten()) is None
    waves = found(unscaled, images.reshape(60, 8, 8) * 10, model=nn.Flatten())
    assert "values of X reach 2550" in waves.message


def test_a_target_that_is_spread_widely():
    y = spread(85.7)
    said = found(unscaled, y=y + 200, loss=MSE)
    assert "standard deviation of 85.7" in said.message
    assert f"from {y.min() + 200:.4g} to {y.max() + 200:.4g}" in said.message
    assert said.fix == "y = (y - y.mean()) / y.std()"
    assert found(unscaled, y=spread(9.9) + 66, loss=MSE) is None  # the study hours' 9.9
    assert found(unscaled, y=y, loss=nn.PoissonNLLLoss()) is None  # counts stay counts
    assert found(unscaled, y=y, loss=lambda p, t: (p - t).abs().mean()) is None  # whose units?


def test_rows_and_target_are_one_finding():
    said = found(unscaled, X * 1000, spread(85.7), MSE)
    assert "column" in said.message
    assert "y goes from" in said.message


# --- MM102 ---------------------------------------------------------------------------------------


def test_rows_of_numpys_type():
    said = found(wrong_types, X.double())
    assert said.code == "MM102"
    assert "X is float64 (NumPy's default) and the weights are float32" in said.message
    assert "6e-8" in said.message
    assert said.fix == "X = X.float()"
    with pytest.raises(RuntimeError, match="Double"):
        net()(X.double())
    assert found(wrong_types, X) is None
    assert found(wrong_types, X.long()).fix == "X = X.float()"
    assert found(wrong_types, X, model=net().double()).fix == "X = X.double()"


class Casting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x.float())


class Scaling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x * self.scale


def test_a_model_that_casts_its_rows_is_let_be():
    assert found(wrong_types, X.double(), model=Casting()) is None
    assert found(wrong_types, X.double(), model=Scaling()).fix == "X = X.float()"  # and so is y


def test_embeddings_take_whole_numbers():
    lookup = nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(4, 3))
    tokens = CLASSES.unsqueeze(1)
    assert found(wrong_types, tokens, model=lookup) is None
    said = found(wrong_types, tokens.float(), model=lookup)
    assert "embedding looks its rows up by whole numbers" in said.message
    assert said.fix == "X = X.long()"


@pytest.mark.parametrize(
    ("y", "loss", "fix"),
    [
        (CLASSES.int(), CE, "y = y.long()"),
        (CLASSES.float(), CE, "y = y.long()"),
        (CLASSES.float(), F.cross_entropy, "y = y.long()"),
        (NUMBERS.double(), MSE, "y = y.float()"),
        (NUMBERS.long(), nn.HuberLoss(), "y = y.float()"),
        (NUMBERS.long(), BCE, "y = y.float()"),
        (CLASSES, CE, None),
        (F.one_hot(CLASSES).float(), CE, None),  # shares of each class
        (NUMBERS, MSE, None),
        (NUMBERS.long(), lambda p, t: (p - t).abs().mean(), None),
    ],
)
def test_targets_have_the_type_that_the_loss_takes(y, loss, fix):
    said = found(wrong_types, y=y, loss=loss)
    assert (said and said.fix) == fix
    if fix:
        assert str(y.dtype).removeprefix("torch.") in said.message


# --- MM103 ---------------------------------------------------------------------------------------


def test_labels_count_from_0():
    said = found(wrong_labels, y=CLASSES + 1)
    assert said.code == "MM103"
    assert "labels 1, 2 and 3; with 3 outputs CrossEntropyLoss takes 0 to 2" in said.message
    scope = {"torch": torch, "y": CLASSES + 1}
    exec(said.fix, scope)
    assert torch.equal(scope["y"], CLASSES)
    assert found(wrong_labels, y=CLASSES) is None
    assert found(wrong_labels, y=CLASSES, loss=nn.NLLLoss()) is None


def test_ignored_labels_are_none():
    y = torch.where(CLASSES == 2, -100, CLASSES)
    assert found(wrong_labels, y=y) is None
    assert found(wrong_labels, y=y - 1).code == "MM103"


def test_too_few_outputs():
    said = found(wrong_labels, y=torch.arange(60) % 5)
    assert "0, 1, 2, 3 and 1 more" in said.message
    assert said.fix.startswith("nn.Linear(..., 5)")


def test_one_output_has_no_cross_entropy():
    model = net(3, 1)
    assert CE(model(X), CLASSES * 0).item() == 0.0
    said = found(wrong_labels, y=CLASSES.clamp(max=1), model=model)
    assert "1 output, so CrossEntropyLoss is 0 whatever it returns; y has 2 classes" in said.message
    assert "BCEWithLogitsLoss" in said.fix
    assert found(wrong_labels, y=CLASSES, model=model).fix.startswith("nn.Linear(..., 3)")


def test_labels_as_columns():
    assert found(wrong_labels, y=CLASSES.unsqueeze(1)).fix == "y = y.view(-1)"
    assert found(wrong_labels, y=F.one_hot(CLASSES)).fix == "y = y.argmax(dim=1)"


def test_yes_and_no_are_1_and_0():
    y = torch.where(NUMBERS > 0, 1.0, -1.0)
    said = found(wrong_labels, y=y, loss=BCE, model=net(3, 1))
    assert "y goes from -1 to 1" in said.message
    assert found(wrong_labels, y=(y == y.max()).float(), loss=BCE, model=net(3, 1)) is None
    assert "CrossEntropyLoss" in found(wrong_labels, y=CLASSES.float(), loss=BCE).fix


# --- MM105 ---------------------------------------------------------------------------------------


def test_gaps_are_counted_and_named():
    rows = X.clone()
    rows[3, 1] = rows[7, 1] = float("nan")
    rows[3, 2] = float("inf")
    said = found(missing, rows, columns=["age", "fare", "cabin"])
    assert said.code == "MM105"
    assert "2 missing (NaN) and 1 infinite values" in said.message
    assert "in 'fare' and 'cabin', in 2 of 60 rows (the first is 3)" in said.message
    scope = {"torch": torch, "X": rows}
    exec(said.fix, scope)
    assert scope["X"].isfinite().all()
    assert found(missing, X) is None
    assert found(missing, CLASSES.unsqueeze(1)) is None


def test_gaps_in_images_and_targets():
    images = torch.zeros(5, 1, 4, 4)
    images[2, 0, 1, 1] = float("nan")
    assert "1 missing (NaN) values in 1 of 5 rows" in found(missing, images).message
    y = NUMBERS.clone()
    y[4] = float("nan")
    assert "y has 1 missing (NaN) values in 1 of 60 rows (the first is 4)" in (
        found(missing, y=y, loss=MSE).message
    )
