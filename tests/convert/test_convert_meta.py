"""Estimators in estimators: labels, thresholds, folds that lack a class, words as columns."""

import numpy as np
import pandas as pd
import pytest
from sklearn import calibration, datasets, ensemble, linear_model, naive_bayes
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, KFold, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.errors import ConvertError

X, Y = datasets.load_iris(return_X_y=True)
WORDS = np.array(["setosa", "versicolor", "virginica"])[Y]
TWO = X[Y > 0], WORDS[Y > 0]
BAYES = naive_bayes.GaussianNB(var_smoothing=0.1)
LOGISTIC, MARGIN = linear_model.LogisticRegression(max_iter=200), linear_model.RidgeClassifier()
pytestmark = pytest.mark.filterwarnings("ignore:Label .* is present in all")


def agree(fitted, rows=X):
    module = to_torch(fitted)
    with np.errstate(divide="ignore"):
        parity(fitted, module, rows).require()
    return module


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("inner", [BAYES, MARGIN])
def test_a_fold_that_lacks_a_class(method, inner):
    # without shuffling, each third of iris is one class: no classifier has seen all three
    folds = calibration.CalibratedClassifierCV(inner, method=method, cv=KFold(3))
    if inner is BAYES:
        folds.set_params(cv=KFold(5))
    agree(folds.fit(X, WORDS))


def test_a_calibrated_classifier_that_was_frozen():
    frozen = FrozenEstimator(BAYES.fit(X, WORDS))
    agree(calibration.CalibratedClassifierCV(frozen).fit(X, WORDS))


@pytest.mark.parametrize("label", ["versicolor", "virginica"])
@pytest.mark.parametrize("inner", [LOGISTIC, MARGIN])
@pytest.mark.parametrize("threshold", [0.3, "auto"])
def test_a_threshold_of_either_label(label, inner, threshold):
    fixed = FixedThresholdClassifier(inner, threshold=threshold, pos_label=label)
    fitted = fixed.fit(*TWO)
    agree(fitted, TWO[0])
    scores = fitted.estimator_.decision_function(TWO[0])
    assert 0 < (fitted.predict(TWO[0]) == label).sum() < len(scores)


def test_a_threshold_that_was_tuned():
    tuned = TunedThresholdClassifierCV(BAYES, scoring="accuracy", cv=3)
    agree(tuned.fit(*TWO), TWO[0])


def test_a_threshold_that_a_score_meets_says_yes():
    fitted = FixedThresholdClassifier(DummyClassifier(), threshold=0.5).fit(*TWO)
    assert (fitted.predict(TWO[0]) == "virginica").all()
    agree(fitted, TWO[0])


def test_self_training():
    some = np.where(np.arange(len(Y)) % 3 == 0, Y, -1)
    module = agree(SelfTrainingClassifier(LOGISTIC).fit(X, some))
    assert set(module.classes_) == {0, 1, 2}


def test_labels_that_go_on_as_numbers_are_their_values():
    # prefit: the members' own labels 10, 20, 30 are the columns, not 0, 1, 2
    tens = 10 * (Y + 1)
    members = [("bayes", BAYES.fit(X, tens)), ("logistic", LOGISTIC.fit(X, tens))]
    stack = ensemble.StackingClassifier(members, stack_method="predict", cv="prefit")
    module = agree(stack.fit(X, tens))
    assert set(np.unique(module.transform(X))) == {10.0, 20.0, 30.0}


def test_several_labels_through_a_stack_of_tables():
    labels = np.column_stack([Y == 0, Y > 0]).astype(int)
    stack = ensemble.StackingClassifier(
        [("dummy", DummyClassifier())], DummyClassifier(), cv=KFold(3, shuffle=True)
    )
    agree(stack.fit(X, labels))


def test_three_dimensions_are_refused():
    vote = ensemble.VotingClassifier([("bayes", BAYES)], voting="soft", flatten_transform=False)
    with pytest.raises(ConvertError, match="flatten_transform=False"):
        to_torch(vote.fit(X, Y))


def test_ties_of_votes_go_to_the_first_label():
    # three say three things
    members = [
        (str(k), DummyClassifier(strategy="constant", constant=k)) for k in reversed(range(3))
    ]
    fitted = ensemble.VotingClassifier(members).fit(X, Y)
    assert (fitted.predict(X) == 0).all()
    agree(fitted)


def test_boosted_votes_know_where_their_labels_stand():
    fitted = ensemble.AdaBoostClassifier(BAYES, n_estimators=4, random_state=0).fit(X, WORDS)
    swapped = fitted.estimators_[0]
    swapped.classes_ = swapped.classes_[[2, 0, 1]]
    agree(fitted)


def test_targets_with_labels_of_their_own():
    two = np.column_stack([WORDS, np.where(X[:, 0] > 5.8, "long", "short")]).astype(object)
    fitted = MultiOutputClassifier(LOGISTIC).fit(X, two)
    module = agree(fitted)
    assert [list(each) for each in module.classes_] == [list(each) for each in fitted.classes_]


def test_a_chain_of_many_labels_hands_their_values_on():
    three = np.column_stack([10 * Y + 5, Y, Y % 2])
    module = agree(ClassifierChain(BAYES, order=[2, 0, 1]).fit(X, three))
    assert not hasattr(module, "predict_proba")  # scikit-learn's stops at three classes
    assert set(module.predict(X)[:, 0]) <= {5.0, 15.0, 25.0}


def test_a_label_that_all_or_none_have():
    labels = np.column_stack([Y == 0, np.ones(len(Y)), np.zeros(len(Y)), Y == 2]).astype(int)
    agree(OneVsRestClassifier(LOGISTIC).fit(X, labels))
    agree(OneVsRestClassifier(LOGISTIC).fit(X, labels[:, [1, 0]]))  # the constant one first


def test_code_words_that_two_classes_share():
    fitted = OutputCodeClassifier(LOGISTIC, code_size=1, random_state=3).fit(X, WORDS)
    fitted.code_book_[1] = fitted.code_book_[0]
    agree(fitted)


def test_a_kernel_for_each_pair_is_refused():
    pairs = OneVsOneClassifier(SVC(kernel="precomputed")).fit(X @ X.T, Y)
    with pytest.raises(ConvertError, match="precomputed kernel"):
        to_torch(pairs)


def test_regressors_may_vote_on_duels():
    agree(OneVsOneClassifier(linear_model.LinearRegression()).fit(X, Y))


def _flats():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"town": rng.choice(["Bonn", "Kiel", "Ulm"], 90), "size": rng.normal(80, 20, 90)}
    )
    return rows, np.where(rows["size"] + 30 * (rows["town"] == "Bonn") > 90, "dear", "cheap")


PREPARED = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["town"]), (StandardScaler(), ["size"])), LOGISTIC
)


@pytest.mark.parametrize(
    "estimator",
    [
        calibration.CalibratedClassifierCV(PREPARED, cv=3),
        ensemble.VotingClassifier([("one", PREPARED), ("other", DummyClassifier())], voting="soft"),
        ensemble.StackingClassifier([("one", PREPARED)], cv=3),
        FixedThresholdClassifier(PREPARED, threshold=0.4),
        OneVsRestClassifier(PREPARED),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_words_as_columns(estimator):
    rows, prices = _flats()
    agree(estimator.fit(rows, prices), rows)


def test_words_cannot_pass_through():
    rows, prices = _flats()
    stack = ensemble.StackingClassifier([("one", PREPARED)], PREPARED, cv=3, passthrough=True)
    stack.final_estimator_ = stack.final_estimator
    stack.set_params(passthrough=False, final_estimator=None).fit(rows, prices)
    stack.passthrough = True
    with pytest.raises(
        ConvertError, match=r"passthrough=True\) takes the column 'town' as a number"
    ):
        to_torch(stack)
