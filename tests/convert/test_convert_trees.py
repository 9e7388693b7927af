"""Trees where other converters are silently wrong, soft trees, gradients, boosters, ONNX."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import ensemble, tree
from sklearn.datasets import make_classification
from torch import nn

from manumatic.convert.module import to_torch
from manumatic.convert.parity import parity
from manumatic.convert.tree_op import translations
from manumatic.convert.trees import floor32

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")
FEW = {"n_estimators": 8, "random_state": 0}


def _rows(n=300, holes=0.2, seed=0):
    """Prices, as a rule: two decimals, so that thresholds of float64 fall between float32."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0, 3, (n, 5)).round(2)
    X[rng.random(X.shape) < holes] = np.nan
    filled = np.nan_to_num(X)
    kinds = (filled[:, 0] > 0).astype(int) + (filled[:, 1] * filled[:, 2] > 2)
    return X, kinds, filled[:, 0] * 2 + filled[:, 1] ** 2


def _towns(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X, _, _ = _rows(n, seed=seed)
    frame = pd.DataFrame(X[:, :2], columns=["size", "age"])
    frame["town"] = pd.Categorical(rng.choice(["Bonn", "Ulm", "Kiel", "Jena"], n))
    frame.insert(0, "rooms", pd.Categorical(rng.choice([3, 5, 9], n)))
    frame.loc[rng.random(n) < 0.1, "town"] = np.nan
    shift = (frame["town"] == "Ulm") * 3.0 - (frame["rooms"] == 5) * 2.0
    return frame, (np.nan_to_num(X[:, 0]) + shift > 0).astype(int)


def _unseen(frame):
    frame = frame.copy()
    frame["town"] = frame["town"].cat.add_categories("Rome")
    frame.loc[:20, "town"] = "Rome"
    return frame


@pytest.mark.parametrize("depth", [3, None])
@pytest.mark.parametrize("kind", [tree.DecisionTreeClassifier, ensemble.RandomForestClassifier])
def test_missing_values_in_a_forest(kind, depth):
    X, y, _ = _rows()
    forest = kind(max_depth=depth, random_state=0).fit(X, y)
    parity(forest, to_torch(forest), _rows(seed=1)[0]).require()


def test_missing_values_that_training_did_not_have():
    X, y, _ = _rows(holes=0)
    forest = ensemble.RandomForestClassifier(**FEW).fit(X, y)
    parity(forest, to_torch(forest), _rows(seed=1)[0]).require()


def test_a_split_that_asks_only_whether_a_value_is_missing():
    X, _, _ = _rows()
    y = np.isnan(X[:, 0]) ^ np.isnan(X[:, 1])
    single = tree.DecisionTreeClassifier().fit(X, y)
    assert np.isposinf(single.tree_.threshold).any()
    module = to_torch(single, check=X)
    assert module.float().predict(X).tolist() == y.tolist()
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=5).fit(X, y)
    far = np.where(np.isnan(X), np.nan, np.inf)  # inf is a value, and it is there
    parity(boosted, to_torch(boosted), np.concatenate([X, far])).require()


def test_missing_values_in_hist_gradient_boosting():
    X, y, _ = _rows()
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=10).fit(X, y)
    parity(boosted, to_torch(boosted), _rows(seed=1)[0]).require()


def test_native_categories_with_unseen_and_missing_ones():
    frame, y = _towns()
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=20).fit(frame, y)
    assert sum(int(p[0].nodes["is_categorical"].sum()) for p in boosted._predictors) > 10
    parity(boosted, to_torch(boosted), _unseen(_towns(seed=1)[0])).require()


def test_categories_of_numbers_in_an_array():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice([2.0, 7.0, 40.0, 41.0], 300), rng.normal(size=300)])
    boosted = ensemble.HistGradientBoostingRegressor(max_iter=9, categorical_features=[0])
    boosted.fit(X, (X[:, 0] == 7) * 2.0 + X[:, 1])
    X[:3, 0] = [3.0, np.nan, -1.0]
    parity(boosted, to_torch(boosted), X).require()


def test_a_split_at_zero():
    X = np.array([[-1.0], [0.0], [0.5], [2.0]] * 30)
    boosted = ensemble.HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=2)
    boosted.fit(X, (X[:, 0] > 0) * 1.0)
    nodes = boosted._predictors[0][0].nodes
    assert 0 <= nodes["num_threshold"][0] < 0.5
    near = np.array([[-1e-300], [0.0], [-0.0], [1e-300], [0.25], [0.2500001], [1.0]])
    stump = tree.DecisionTreeRegressor().fit([[-1.0], [1.0]], [0.0, 1.0])
    assert stump.tree_.threshold[0] == 0
    for fitted in (boosted, stump):
        parity(fitted, to_torch(fitted), near).require()


@pytest.mark.parametrize("depth", [4, None])
def test_prices_in_float32_take_the_same_branches(depth):
    X, y, target = _rows(2000, holes=0)
    forest = ensemble.RandomForestClassifier(**FEW, max_depth=depth).fit(X, y)
    numbers = ensemble.GradientBoostingRegressor(**FEW).fit(X, target)
    for fitted in (forest, numbers):
        parity(fitted, to_torch(fitted).float(), X, 1e-6).require()
    # a row for each threshold, right on it and beside it
    t = np.concatenate([e.tree_.threshold[e.tree_.feature >= 0] for e in forest.estimators_])
    t = t.astype(np.float32)
    edge = np.concatenate([t, np.nextafter(t, np.float32(9e9)), np.nextafter(t, np.float32(-9e9))])
    rows = np.repeat(edge[:, None].astype(np.float64), 5, 1)
    parity(forest, to_torch(forest), rows).require()
    parity(forest, to_torch(forest).float(), rows, 1e-6).require()


def test_hist_gradient_boosting_in_float32_on_prices():
    X, _, target = _rows(2000, holes=0)
    boosted = ensemble.HistGradientBoostingRegressor(max_iter=10).fit(X, target)
    parity(boosted, to_torch(boosted).float(), X, 1e-5).require()


def test_floor32_is_below_and_nearest():
    t = np.random.default_rng(0).normal(size=1000)
    low = floor32(t)
    assert (low <= t).all()
    assert (np.nextafter(low.astype(np.float32), np.float32(9)) > t).all()
    assert floor32(np.array([np.inf, 0.5, -np.inf])).tolist() == [np.inf, 0.5, -np.inf]


def test_trees_without_splits():
    X, _, _ = _rows(50, holes=0)
    for fitted in (
        tree.DecisionTreeRegressor().fit(X, np.full(50, 7.0)),
        ensemble.HistGradientBoostingRegressor(max_iter=3).fit(X, np.full(50, 7.0)),
        ensemble.GradientBoostingRegressor(**FEW).fit(X, np.full(50, 7.0)),
    ):
        for soft in (None, 0.1):
            parity(fitted, to_torch(fitted, soft=soft), X).require()


def test_copies_and_pickles_are_the_same():
    X, y, _ = _rows()
    module = to_torch(ensemble.RandomForestClassifier(**FEW).fit(X, y))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):  # noqa: S301 own bytes
        np.testing.assert_array_equal(other.predict_proba(X), module.predict_proba(X))


def _soft_cases():
    X, y, target = _rows()
    frame, town = _towns()
    hist = ensemble.HistGradientBoostingClassifier
    return {
        "forest": (ensemble.RandomForestClassifier(**FEW), X, y),
        "several": (ensemble.RandomForestRegressor(**FEW), X, np.stack([target, y], 1)),
        "boosting": (ensemble.GradientBoostingClassifier(**FEW), np.nan_to_num(X), y),
        "hist": (hist(max_iter=5), X, y),
        "categories": (hist(max_iter=9), frame, town),
        "isolation": (ensemble.IsolationForest(**FEW), X, None),
        "codes": (ensemble.RandomTreesEmbedding(**FEW, max_depth=4), np.nan_to_num(X), None),
    }


@pytest.mark.parametrize("name", _soft_cases())
def test_soft_trees_tend_to_the_exact_ones(name):
    estimator, X, y = _soft_cases()[name]
    estimator.fit(X, y)
    exact = to_torch(estimator)
    X = exact.encode(X)
    X[:, 1:3] += 1e-3  # beside the thresholds, not on them
    if name != "categories":
        X += 1e-3
    off = [
        (to_torch(estimator, soft=soft)(X) - exact(X)).abs().mean().item()
        for soft in (3.0, 0.1, 1e-7)
    ]
    assert off[0] > off[1] > off[2]
    assert off[2] < 1e-9


def test_gradients_of_soft_trees_reach_all():
    X, y, _ = _rows()
    for estimator in (
        ensemble.RandomForestClassifier(**FEW, max_depth=4),
        ensemble.HistGradientBoostingClassifier(max_iter=4, max_depth=3),
    ):
        module = to_torch(estimator.fit(X, y), soft=0.5)
        x = torch.tensor(X, requires_grad=True)
        nn.functional.cross_entropy(module(x), torch.tensor(y)).backward()
        assert x.grad.isfinite().all()
        assert x.grad.abs().sum() > 0
        for name, weight in module.named_parameters():
            assert weight.grad.isfinite().all(), name
            assert weight.grad.abs().sum() > 0, name
        assert any(name.endswith("threshold") for name, _ in module.named_parameters())


def test_the_gradient_of_a_soft_threshold_is_the_slope():
    X, _, target = _rows(holes=0)
    module = to_torch(tree.DecisionTreeRegressor(max_depth=2).fit(X, target), soft=0.3)
    weights = dict(module.named_parameters())
    (name,) = (name for name in weights if name.endswith("threshold"))
    rows = torch.tensor(X)

    def output(threshold):
        return torch.func.functional_call(module, {**weights, name: threshold}, (rows,)).sum()

    assert torch.autograd.gradcheck(output, (weights[name],))


def test_leaf_values_can_be_trained():
    X, y, _ = _rows()
    for estimator in (
        ensemble.RandomForestClassifier(**FEW),
        ensemble.GradientBoostingClassifier(**FEW),
        ensemble.HistGradientBoostingClassifier(max_iter=5),
    ):
        rows = np.nan_to_num(X)
        module = to_torch(estimator.fit(rows, y)).train()
        leaves = sum(weight.numel() for weight in module.parameters())
        x, labels = torch.tensor(rows), torch.tensor((y + 1) % 3)
        optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
        losses = []
        for _ in range(20):
            loss = nn.functional.cross_entropy(module(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]
        shares = module.predict_proba(rows)
        np.testing.assert_allclose(shares.sum(1), 1)
        assert shares.min() >= 0
        assert leaves < 3 * 8 * len(X)


def test_a_tree_that_starts_from_another_estimator_has_its_gradient():
    X, _, target = _rows(holes=0)
    start = ensemble.RandomForestRegressor(**FEW)
    boosted = ensemble.GradientBoostingRegressor(**FEW, init=start).fit(X, target)
    module = to_torch(boosted)
    parity(boosted, module, X).require()
    module(torch.tensor(X)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in module.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler's own making
@pytest.mark.parametrize("depth", [5, None])
def test_compiled_forests_say_the_same(depth):
    X, y = make_classification(500, random_state=0)
    forest = ensemble.RandomForestClassifier(**FEW, max_depth=depth).fit(X, y)
    module = to_torch(forest)
    compiled = torch.compile(module.net, dynamic=True)
    for n in (500, 1, 33):
        rows = torch.tensor(X[:n])
        torch.testing.assert_close(compiled(rows), module(rows), rtol=1e-12, atol=1e-12)


class _Odds(nn.Module):
    """What a graph shall hold: probabilities or predictions."""

    def __init__(self, *modules):
        super().__init__()
        self.nets = nn.ModuleList(module.net for module in modules)

    def forward(self, x):
        found = []
        for net in self.nets:
            method = "predict_proba" if "predict_proba" in net.methods else "predict"
            given = net.call(method, x)
            found += given if isinstance(given, list) else [given]
        return tuple(found)


def _in_onnxruntime(tmp_path, modules, rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module, path = _Odds(*modules).eval(), tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (rows[:4],),
            dynamic_shapes=(({0: torch.export.Dim.DYNAMIC}),),
            dynamo=True,
            verbose=False,
            custom_translation_table=translations(module),
        ).save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in _nodes(path)]
    return session.run(None, {session.get_inputs()[0].name: rows.numpy()}), operators


def _nodes(path):
    onnx = pytest.importorskip("onnx")
    return onnx.load(path).graph.node


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_onnxruntime_says_what_scikit_learn_says(tmp_path, dtype):
    X, y, target = _rows(600)
    X, filled = X.astype(np.float32), np.nan_to_num(X).astype(np.float32)
    hist = ensemble.HistGradientBoostingClassifier
    fitted = [
        ensemble.RandomForestClassifier(**FEW).fit(X, y > 0),
        ensemble.RandomForestClassifier(**FEW).fit(X, y),
        ensemble.RandomForestClassifier(**FEW, max_depth=4).fit(X, y),
        ensemble.RandomForestRegressor(**FEW).fit(X, np.stack([target, y], 1)),
        tree.DecisionTreeClassifier().fit(X, np.isnan(X[:, 0])),
        hist(max_iter=9).fit(X, y),
        hist(max_iter=9).fit(X, y > 0),
        tree.DecisionTreeRegressor().fit(X, np.ones(len(X))),
    ]
    close = 1e-9 if dtype == torch.float64 else 1e-5
    modules = [to_torch(each, dtype=dtype) for each in fitted]
    rows = torch.tensor(X).to(dtype)
    found, operators = _in_onnxruntime(tmp_path, modules, rows)
    assert operators.count("TreeEnsemble") == 1 + 3 + 3 + 2 + 1 + 1 + 1 + 1
    for each, ours in zip(fitted, found, strict=True):
        theirs = each.predict_proba(X) if hasattr(each, "predict_proba") else each.predict(X)
        np.testing.assert_allclose(ours, theirs, rtol=close, atol=close)
    boosted = ensemble.GradientBoostingClassifier(**FEW).fit(filled, y)
    (ours,), _ = _in_onnxruntime(
        tmp_path, [to_torch(boosted, dtype=dtype)], torch.tensor(filled).to(dtype)
    )
    np.testing.assert_allclose(ours, boosted.predict_proba(filled), rtol=close, atol=close)


@pytest.mark.slow
def test_onnxruntime_knows_native_categories(tmp_path):
    frame, y = _towns()
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=20).fit(frame, y)
    module, new = to_torch(boosted), _unseen(_towns(seed=1)[0])
    (ours,), operators = _in_onnxruntime(tmp_path, [module], module.encode(new))
    assert operators.count("TreeEnsemble") == 1
    np.testing.assert_allclose(ours, boosted.predict_proba(new), rtol=1e-9)
