"""The functions: scikit-learn's results and signatures, the nets of all fits trained as one."""

import inspect

import numpy as np
import pytest
from nets import XR, YR, X, Y, assert_same_table, classifier, regressor
from sklearn import config_context, model_selection
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import manumatic as mm
from manumatic.model_selection import meeting

FUNCTIONS = (
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "validation_curve",
)


@pytest.fixture
def sizes(monkeypatch):
    """How many trainings came together, time after time."""
    found, train = [], meeting.train_together

    def noted(trainings):
        found.append(len(trainings))
        return train(trainings)

    monkeypatch.setattr(meeting, "train_together", noted)
    return found


def both(name, *args, **options):
    """What our function returns, and scikit-learn's."""
    return [
        getattr(where, name)(*args, **options) for where in (mm.model_selection, model_selection)
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_scikit_learns(name):
    ours, theirs = (getattr(where, name) for where in (mm.model_selection, model_selection))
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert "trained as one" in ours.__doc__
    assert theirs.__doc__ in ours.__doc__


def test_cross_validate(sizes):
    options = {"return_estimator": True, "return_indices": True, "return_train_score": True}
    pipe = make_pipeline(PCA(3), classifier())
    ours, theirs = both("cross_validate", pipe, X, Y, scoring=["accuracy", "f1_macro"], **options)
    assert sizes == [5]
    nets = [found.pop("estimator") for found in (ours, theirs)]
    splits = [found.pop("indices") for found in (ours, theirs)]
    assert_same_table(ours, theirs)
    np.testing.assert_equal(*splits)
    for mine, other in zip(*nets, strict=True):
        losses = [net[-1].history_.curve("loss", "train") for net in (mine, other)]
        np.testing.assert_allclose(*losses, rtol=1e-4)
        assert mine[-1].n_iter_ == other[-1].n_iter_


def test_scores_with_groups_weights_and_routing():
    groups, weight = np.arange(len(Y)) % 4, np.linspace(0.5, 2, len(Y))
    plain = both("cross_val_score", classifier(), X, Y, groups=groups, cv=GroupKFold(4))
    np.testing.assert_allclose(*plain)
    weights = {"params": {"sample_weight": weight}}
    np.testing.assert_allclose(*both("cross_val_score", regressor(), XR, YR, params={}), rtol=1e-4)
    np.testing.assert_allclose(*both("cross_val_score", classifier(), X, Y, **weights))
    with config_context(enable_metadata_routing=True):
        net = (
            classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        )
        routed = {"params": {"sample_weight": weight, "groups": groups}, "cv": GroupKFold(4)}
        np.testing.assert_allclose(*both("cross_val_score", net, X, Y, **routed))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_predictions(method):
    np.testing.assert_allclose(
        *both("cross_val_predict", classifier(), X, Y, method=method), rtol=1e-4, atol=1e-6
    )


def test_learning_curve(sizes):
    ours, theirs = both(
        "learning_curve", classifier(), X, Y, train_sizes=[20, 40], cv=3, shuffle=True,
        random_state=0, return_times=True,
    )  # fmt: skip
    assert sizes == [6]
    for mine, other in zip(ours[:3], theirs[:3], strict=True):
        np.testing.assert_allclose(mine, other)
    grown = both(
        "learning_curve", classifier(), X, Y, train_sizes=[20, 40], cv=3,
        exploit_incremental_learning=True,
    )  # fmt: skip
    for mine, other in zip(*grown, strict=True):
        np.testing.assert_allclose(mine, other)
    assert sizes == [6]  # steps of partial_fit are its own


def test_validation_curve(sizes):
    curves = both(
        "validation_curve",
        make_pipeline(StandardScaler(), classifier()),
        X,
        Y,
        param_name="classifier__model__hidden",
        param_range=[2, 8],
        cv=3,
    )
    assert sizes == [6]
    np.testing.assert_allclose(*curves)
    kinds = {"param_name": "svc", "param_range": [SVC(), classifier()], "cv": 3}
    np.testing.assert_allclose(*both("validation_curve", make_pipeline(SVC()), X, Y, **kinds))
    assert sizes == [6, 3]


def test_scikit_learns_estimators_go_to_scikit_learn(sizes, monkeypatch):
    monkeypatch.setattr(mm.model_selection.validation, "as_one", None)
    np.testing.assert_array_equal(*both("cross_val_score", SVC(), X, Y))
    assert sizes == []


def test_errors_are_scikit_learns():
    with pytest.raises(TypeError, match="unexpected keyword argument 'folds'"):
        mm.model_selection.cross_validate(classifier(), X, Y, folds=3)
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        mm.model_selection.cross_val_predict(classifier(data=mm.Data(batch_size=0)), X, Y)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        mm.model_selection.cross_validate(classifier(), X, Y, n_jobs=0)


def test_joblib_is_left_as_it_was():
    from joblib import effective_n_jobs, parallel_config

    with parallel_config("threading", n_jobs=3):
        mm.model_selection.cross_val_score(classifier(), X, Y)
        with pytest.raises(ValueError, match="Cannot have number of splits"):
            mm.model_selection.cross_val_score(classifier(), X, Y, cv=1000)
        assert effective_n_jobs(None) == 3
    assert effective_n_jobs(None) == 1
