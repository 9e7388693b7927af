"""Every model of a contest leaves it: fitted on all rows, as a bundle that serves."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import manumatic as mm
from manumatic.compare.candidates import FromLabels
from manumatic.compare.columns import Columns
from manumatic.compare.contest import compare, plan
from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.deliver.runtime import Runtime

rng = np.random.default_rng(0)
FLATS = pd.DataFrame(
    {
        "size": np.where(np.arange(90) % 9, rng.normal(80, 20, 90).round(1), np.nan),
        "rooms": rng.integers(1, 6, 90),
        "city": [["Ulm", "Bonn", "Kiel", None][i % 4] for i in range(90)],
        "built": pd.Timestamp("2001-01-01") + pd.to_timedelta(rng.integers(0, 6000, 90), "D"),
    }
)
RENT = 9 * FLATS["size"].fillna(80) + 50 * FLATS["rooms"] + 30 * (FLATS["city"] == "Ulm")
DEAR = np.where(RENT.median() < RENT, "dear", "fair")


def unseen() -> pd.DataFrame:
    """Rows that no fold has seen: a new town, and holes."""
    rows = FLATS.head(6).copy()
    rows["city"] = ["Oslo", None, "Ulm", "Bonn", "Oslo", "Kiel"]
    rows["size"] = [50.0, np.nan, 70.5, 200.0, np.nan, 10.0]
    return rows


def test_the_rows_of_the_contest_have_no_target_and_no_groups() -> None:
    frame = FLATS.assign(rent=RENT, house=np.arange(90) // 3)
    result = compare(frame, target="rent", groups="house", models=["RidgeCV"], folds=2)
    assert list(result.X) == list(FLATS)
    assert len(result.X) == 90
    assert result.model("RidgeCV").predict(result.X).shape == (90,)


def test_a_refit_is_a_fit_on_all_rows() -> None:
    result = compare(FLATS, DEAR, models=["LogisticRegression"], folds=2)
    alone = make_pipeline(
        Columns("scaled", True), LogisticRegression(max_iter=1000, random_state=0)
    )
    expected = alone.fit(FLATS, DEAR).predict_proba(FLATS)
    assert np.array_equal(result.model("LogisticRegression").predict_proba(FLATS), expected)


@pytest.mark.slow
def test_the_best_is_saved_and_serves_without_the_estimator(tmp_path) -> None:
    """The names of the rows, too, which the preprocessing drops: no number, and nobody reads it."""
    flats = FLATS.assign(key=[f"id{i:04d}x" for i in range(90)])
    result = compare(flats, DEAR, models=["LogisticRegression"], folds=2)
    best = result.model("LogisticRegression")
    saved = mm.save(best, tmp_path / "best.mm", result.X)
    assert saved.tiers == [1, 2]
    for rows in (flats, unseen().assign(key="id9999x")):
        assert np.allclose(Runtime(saved.path).predict_proba(rows), best.predict_proba(rows))
        assert np.array_equal(mm.load(saved.path).predict(rows), best.predict(rows))


def largest(model, rows, allowed: float) -> float:
    """How far PyTorch is off."""
    methods = tuple(name for name in ("predict", "predict_proba") if hasattr(model, name))
    return parity(model, to_torch(model), rows, allowed, methods).largest


MODELS = [
    *("LogisticRegression", "DecisionTree", "KNeighbors", "HistGradientBoosting"),
    *("RandomForest", "SVC"),
]


@pytest.mark.parametrize("name", MODELS)
def test_models_become_pytorch_with_their_preprocessing(name: str) -> None:
    """Before ONNX: words, dates, holes and unseen words go the same way."""
    contest = plan(FLATS, DEAR, models=[name], folds=2)
    model = contest.candidates[-1].build().fit(FLATS, DEAR)
    for rows in (FLATS, unseen()):
        assert largest(model, rows, 1e-9) < 1e-9


@pytest.mark.parametrize("name", ["LGBM", "XGB"])
def test_boosters_do_so_too(name: str) -> None:
    pytest.importorskip({"LGBM": "lightgbm", "XGB": "xgboost"}[name])
    contest = plan(FLATS, DEAR, models=[name], folds=2)
    model = contest.candidates[-1].build().fit(FLATS, DEAR)
    if name == "XGB":
        assert isinstance(model[-1], FromLabels)
    for rows in (FLATS, unseen()):
        assert largest(model, rows, 1e-5) < 1e-5  # XGBoost sums in float32


def test_labels_of_trees_alone(tmp_path) -> None:
    """A table of nothing but labels: no column of numbers stands before them."""
    rows = pd.DataFrame({"city": FLATS["city"], "heat": ["gas", "oil", "wood"] * 30})
    model = plan(rows, DEAR, models=["HistGradientBoosting"], folds=2).candidates[-1].build()
    model.fit(rows, DEAR)
    strange = rows.head(3).assign(heat=["sun", "gas", None])
    for some in (rows, strange):
        assert largest(model, some, 1e-9) < 1e-9
