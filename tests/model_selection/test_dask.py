"""A search over a Dask cluster of two processes: each of them trains its share as one stack."""

import os
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from nets import classifier
from sklearn import model_selection
from sklearn.datasets import make_classification
from torch import nn

import manumatic as mm
from manumatic.model_selection import GridSearchCV

X, Y = make_classification(90, 5, random_state=0)
RATES = {"optimizer__lr": [1e-3, 1e-2, 0.1, 0.3]}
EPOCHS, STEPS = 10, 40  # 60 rows in batches of 16
CALLS = []  # forwards of this process in training


class Noted(nn.Linear):
    """Notes each call of it."""

    def __init__(self, in_features, out_features):
        super().__init__(in_features, out_features)

    def forward(self, x):
        CALLS.extend([True] * self.training)
        return super().forward(x)


def told(net, X, y):
    """The score, and which process found it after how many calls."""
    return {"score": net.score(X, y), "process": os.getpid(), "calls": len(CALLS)}


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")  # what Dask says of itself
        yield client


@pytest.mark.slow
def test_each_process_of_a_dask_cluster_trains_a_stack(cluster):
    net = classifier(model=Noted, loop=mm.Loop(epochs=EPOCHS))
    options = {"cv": 3, "scoring": told, "refit": False}
    alone = model_selection.GridSearchCV(net, RATES, **options).fit(X, Y)
    with parallel_config(backend="dask"):
        found = GridSearchCV(net, RATES, **options).fit(X, Y)
    folds = range(3)
    processes = np.array([found.cv_results_[f"split{i}_test_process"] for i in folds])
    assert len(np.unique(processes)) == 2
    assert os.getpid() not in processes
    for i in folds:  # six fits each: one after another they would be six times as many
        assert max(found.cv_results_[f"split{i}_test_calls"]) < 2 * STEPS
        name = f"split{i}_test_score"
        assert found.cv_results_[name] == pytest.approx(alone.cv_results_[name])
    assert min(alone.cv_results_["split2_test_calls"]) > 2 * STEPS  # so it counts
