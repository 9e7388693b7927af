"""XGBoost, LightGBM and CatBoost, as their wrappers for scikit-learn give them."""

__all__ = ["Columned", "by_path", "nested"]

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logit
from torch import Tensor, nn

from manumatic.convert.boosting import Boosted, Codes, Sum, padded
from manumatic.convert.linear import Exp
from manumatic.convert.pieces import Piece, Regressor
from manumatic.convert.registry import Build, converts
from manumatic.convert.soft_trees import grow
from manumatic.convert.tree_op import CODE, HIGH, LOW, ZERO
from manumatic.convert.trees import Tree
from manumatic.errors import ConvertError

HAS = ("predict", "predict_proba")
RATES = ("count:poisson", "reg:gamma", "reg:tweedie", "poisson", "gamma", "tweedie")


def _refuse(estimator: Any, parameter: str, instead: str) -> ConvertError:
    return ConvertError(f"{type(estimator).__name__} was fitted with {parameter}; {instead}")


def _regressor(body: nn.Module, flat: bool, rates: bool) -> Piece:
    return Regressor(nn.Sequential(body, Exp()) if rates else body, flat=flat)


# --- XGBoost -----------------------------------------------------------------------------------

SAME = ("squarederror", "squaredlogerror", "absoluteerror", "pseudohubererror", "quantileerror")
XGB_KNOWN = (
    "binary:logistic",
    "multi:softprob",
    "multi:softmax",
    *(f"reg:{name}" for name in SAME),
    *RATES[:3],
)


@converts("xgboost.XGBClassifier")
def xgb_classifier(estimator: Any, build: Build) -> Piece:
    """Log-odds, summed in float64 where XGBoost sums in float32."""
    body, outputs, _ = _xgb(estimator, build)
    if outputs != (1 if estimator.n_classes_ == 2 else estimator.n_classes_):
        raise _refuse(estimator, "several targets", "convert one model for each target")
    return Boosted(estimator.classes_, body, HAS)


@converts("xgboost.XGBRegressor")
def xgb_regressor(estimator: Any, build: Build) -> Piece:
    """Means, quantiles or rates."""
    body, outputs, objective = _xgb(estimator, build)
    return _regressor(body, outputs == 1, objective in RATES)


def _xgb(estimator: Any, build: Build) -> tuple[Sum, int, str]:
    learner = json.loads(estimator.get_booster().save_raw("json"))["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise _refuse(estimator, f"booster={booster['name']!r}", "only 'gbtree' can be converted")
    if objective not in XGB_KNOWN:
        raise _refuse(estimator, f"objective={objective!r}", f"known are {', '.join(XGB_KNOWN)}")
    if not np.isnan(estimator.missing):
        raise _refuse(estimator, f"missing={estimator.missing!r}", "write NaN for missing values")
    model = booster["model"]
    until = model["iteration_indptr"][getattr(estimator, "best_iteration", -2) + 1]
    owners, trees = np.array(model["tree_info"][:until]), model["trees"][:until]
    if any(any(tree["split_type"]) for tree in trees):
        raise _refuse(estimator, "enable_categorical=True", "encode categories before it")
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise _refuse(estimator, "multi_strategy='multi_output_tree'", "take 'one_output_per_tree'")
    outputs = int(owners.max()) + 1
    order = np.stack([np.flatnonzero(owners == i) for i in range(outputs)], 1).ravel()
    grown = grow(
        [_xgb_tree(trees[i]) for i in order],
        estimator.n_features_in_,
        build,
        single=True,
        groups=outputs,
    )
    start = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float64).ravel()
    start = logit(start) if objective == "binary:logistic" else start
    start = np.log(start) if objective in RATES else start
    return Sum(grown, build.weight(np.broadcast_to(start, (outputs,)))), outputs, objective


def _xgb_tree(tree: dict[str, Any]) -> Tree:
    left = np.array(tree["left_children"])
    number = np.array(tree["split_conditions"], np.float32)
    return Tree(
        left=left,
        right=np.array(tree["right_children"]),
        feature=np.array(tree["split_indices"]),
        # x < t is x ≤ the float32 before t
        threshold=np.nextafter(number, np.float32(-np.inf)).astype(np.float64),
        missing=np.where(np.array(tree["default_left"], bool), LOW, HIGH),
        value=np.where(left < 0, number, 0).astype(np.float64)[:, None],
    )


# --- trees that are nested dicts ---------------------------------------------------------------


def nested(root: dict[str, Any], read: Callable[[dict[str, Any]], dict[str, Any]]) -> Tree:
    """A tree of dicts as arrays.

    Parameters
    ----------
    root : dict
    read : callable
        One node → ``value`` of a leaf, or ``feature``, ``threshold``, ``missing``, ``left``,
        ``right`` and maybe ``sets`` of a split.

    Returns
    -------
    Tree

    Examples
    --------
    >>> nested({"value": 3.0}, lambda node: node).value
    array([[3.]])
    """
    rows: list[dict[str, Any]] = [{"node": root}]
    for row in rows:  # grows while it is read
        row.update({"left": -1, "right": -1, **read(row.pop("node"))})
        for side in ("left", "right"):
            if row[side] != -1:
                rows.append({"node": row[side]})
                row[side] = len(rows) - 1
    blank = {"feature": 0, "threshold": 0.0, "missing": LOW, "sets": -1}
    arrays = {name: np.array([row.get(name, no) for row in rows]) for name, no in blank.items()}
    outputs = max(np.size(row.get("value", 0.0)) for row in rows)
    value = [np.broadcast_to(row.get("value", 0.0), (outputs,)) for row in rows]
    sides = {side: np.array([row[side] for row in rows]) for side in ("left", "right")}
    return Tree(**sides, **arrays, value=np.array(value, np.float64))


# --- LightGBM ----------------------------------------------------------------------------------

LGBM_HAS = ("predict", "predict_proba", "decision_function")
LGBM_SAME = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")


@converts("lightgbm.LGBMClassifier", strings=True)
def lgbm_classifier(estimator: Any, build: Build) -> Piece:
    """Log-odds, of classes against the rest or against each other."""
    body, words = _lgbm(estimator, build, ("binary", "multiclass"))
    slope = [float(word.partition(":")[2]) for word in words if word.startswith("sigmoid:")]
    return Boosted(estimator.classes_, body, LGBM_HAS, slope=slope[0] if slope else 1.0)


@converts("lightgbm.LGBMRegressor", strings=True)
def lgbm_regressor(estimator: Any, build: Build) -> Piece:
    """Means, quantiles or rates."""
    body, words = _lgbm(estimator, build, (*LGBM_SAME, *RATES[3:]))
    return _regressor(body, True, words[0] in RATES)


def _lgbm(estimator: Any, build: Build, known: tuple[str, ...]) -> tuple[Sum, list[str]]:
    model = estimator.booster_.dump_model()
    words = model.get("objective", "custom").split()
    if words[0] not in known or "sqrt" in words:
        objective = f"objective={' '.join(words)!r}"
        raise _refuse(estimator, objective, f"known are {', '.join(known)}")
    if model["average_output"]:
        raise _refuse(estimator, "boosting_type='rf'", "take 'gbdt' or scikit-learn's forests")
    roots = [tree["tree_structure"] for tree in model["tree_info"]]
    codes = _lgbm_codes(estimator, model, build)
    place = np.arange(estimator.n_features_in_) if codes is None else codes.order.argsort().numpy()
    rows: list[list[int]] = []

    def read(node: dict[str, Any]) -> dict[str, Any]:
        return _lgbm_node(node, place, rows, estimator)

    trees = [nested(root, read) for root in roots]
    table = None
    if rows:
        table = np.zeros((len(rows), max(map(max, rows)) + 2), bool)
        for row, left in zip(table, rows, strict=True):
            row[left] = True
    per_stage = model["num_tree_per_iteration"]
    features = estimator.n_features_in_
    grown = grow(trees, features, build, single=False, groups=per_stage, table=table)
    return Sum(grown, build.weight(np.zeros(per_stage)), codes), words


def _lgbm_node(
    node: dict[str, Any], place: np.ndarray, rows: list[list[int]], estimator: Any
) -> dict[str, Any]:
    if "leaf_coeff" in node:
        raise _refuse(estimator, "linear_tree=True", "leaves must be numbers")
    if "leaf_value" in node:
        return {"value": node["leaf_value"]}
    if node["missing_type"] == "Zero":
        raise _refuse(estimator, "zero_as_missing=True", "write NaN for missing values")
    split = {
        "feature": place[node["split_feature"]],
        "left": node["left_child"],
        "right": node["right_child"],
    }
    if node["decision_type"] == "==":
        rows.append([int(code) for code in node["threshold"].split("||")])
        return {**split, "missing": CODE, "sets": len(rows) - 1}
    # where training saw no missing values, they count as 0
    missing = (LOW if node["default_left"] else HIGH) if node["missing_type"] == "NaN" else ZERO
    return {**split, "threshold": node["threshold"], "missing": missing}


def _lgbm_codes(estimator: Any, model: dict[str, Any], build: Build) -> Codes | None:
    """What a DataFrame's categories were called; plain columns of codes need nothing."""
    who, words = type(estimator).__name__, model["pandas_categorical"] or []
    facts = [model["feature_infos"].get(name, {}) for name in model["feature_names"]]
    chosen = [i for i, fact in enumerate(facts) if words and fact.get("values")]
    if len(words) != len(chosen):
        raise _refuse(
            estimator, "a column of categories that no tree uses", "leave it out of the rows"
        )
    rest = [i for i in range(len(facts)) if i not in chosen]
    if build.columns is not None:
        texts = {i for i, values in zip(chosen, words, strict=True) if _has_text(values)}
        for i, column in enumerate(build.columns):
            if i not in texts:
                column.read_as_number(who)
        words = [
            build.columns[i].codes(values, who) if i in texts else values
            for i, values in zip(chosen, words, strict=True)
        ]
    return Codes(np.array(chosen + rest), build.tensor(padded(words))) if chosen else None


def _has_text(values: list[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


# --- CatBoost ----------------------------------------------------------------------------------

CAT_SAME = ("RMSE", "MAE", "MAPE", "Quantile", "Huber", "LogCosh", "Expectile", "MultiRMSE", "Lq")


class Columned(Boosted):
    """A classifier that gives labels as a column, as CatBoost does for more than two classes."""

    def predict(self, x: Tensor) -> Tensor:
        """Numbers of the labels (n, 1)."""
        return super().predict(x)[:, None]


@converts("catboost.CatBoostClassifier")
def cat_classifier(estimator: Any, build: Build) -> Piece:
    """Log-odds."""
    body, _ = _cat(estimator, build, ("Logloss", "CrossEntropy", "MultiClass"))
    kind = Columned if len(estimator.classes_) > 2 else Boosted
    return kind(estimator.classes_, body, (*HAS, "predict_log_proba"))


@converts("catboost.CatBoostRegressor")
def cat_regressor(estimator: Any, build: Build) -> Piece:
    """Means, quantiles or rates."""
    body, loss = _cat(estimator, build, (*CAT_SAME, "Poisson", "Tweedie"))
    flat = not loss.startswith("Multi")
    return _regressor(body, flat, loss in ("Poisson", "Tweedie"))


def _cat(estimator: Any, build: Build, known: tuple[str, ...]) -> tuple[Sum, str]:
    loss = estimator.get_all_params()["loss_function"].partition(":")[0]
    if loss not in known:
        raise _refuse(estimator, f"loss_function={loss!r}", f"known are {', '.join(known)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        estimator.save_model(str(path), format="json")
        model = json.loads(path.read_text(encoding="utf-8"))
    if set(model["features_info"]) - {"float_features"}:
        raise _refuse(estimator, "cat_features or text_features", "encode them before it")
    missing = {
        each["feature_index"]: HIGH if each["nan_value_treatment"] == "AsTrue" else LOW
        for each in model["features_info"]["float_features"]
    }
    place = {
        each["feature_index"]: each["flat_feature_index"]
        for each in model["features_info"]["float_features"]
    }

    def split(given: dict[str, Any]) -> dict[str, Any]:
        feature = given["float_feature_index"]
        found = {"feature": place[feature], "missing": missing[feature]}
        return {**found, "threshold": given["border"]}

    def read(node: dict[str, Any]) -> dict[str, Any]:
        if "split" not in node:
            return {"value": node["value"]}
        return {**split(node["split"]), "left": node["left"], "right": node["right"]}

    roots = model.get("trees") or [by_path(tree) for tree in model["oblivious_trees"]]
    trees = [nested(root, read) for root in roots]
    scale, start = model["scale_and_bias"]
    for tree in trees:
        np.multiply(tree.value, scale, out=tree.value)
    grown = grow(trees, estimator.n_features_in_, build, single=True)
    return Sum(grown, build.weight(start)), loss


def by_path(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree that asks one question a level, as nested dicts; the first is the lowest bit.

    Parameters
    ----------
    tree : dict
        ``splits`` and ``leaf_values``, as in CatBoost's JSON.

    Returns
    -------
    dict

    Examples
    --------
    >>> by_path({"splits": [{"border": 1}], "leaf_values": [10, 20]})
    {'split': {'border': 1}, 'left': {'value': [10]}, 'right': {'value': [20]}}
    """
    splits = tree["splits"] or []
    leaves = np.reshape(tree["leaf_values"], (2 ** len(splits), -1)).tolist()
    nodes: list[dict[str, Any]] = [{"value": value} for value in leaves]
    for split in splits:
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [{"split": split, "left": left, "right": right} for left, right in pairs]
    return nodes[0]
