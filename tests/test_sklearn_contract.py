"""scikit-learn's own checks, all of them, for auto and for networks of users: none may fail.

``pytest -s tests/test_sklearn_contract.py -m "slow or not slow"`` prints the table.
"""

import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from sklearn.utils.estimator_checks import check_estimator

import manumatic as mm

sys.path.insert(0, str(Path(__file__).parent / "gears"))
from nets_of_users import Coder, Normed, NormedCoder, Plain

CASES = [
    pytest.param(kind, model, id=f"{kind.__name__}-{name}", marks=marks)
    for name, model, marks in (
        ("plain", Plain, pytest.mark.slow),
        ("with batch norm and dropout", Normed, pytest.mark.slow),
        ("auto", "auto", pytest.mark.slow),
    )
    for kind in (mm.Classifier, mm.Regressor)
] + [
    pytest.param(mm.Autoencoder, model, id=f"Autoencoder-{name}", marks=pytest.mark.slow)
    for name, model in (
        ("plain", Coder),
        ("with batch norm and dropout", NormedCoder),
        ("auto", "auto"),
    )
]
FEW = {"loop": mm.Loop(epochs=5), "random_state": 0}  # of an Embedder no check asks how good it is
CASES += [
    pytest.param(mm.Embedder, net, id=f"Embedder-{name}", marks=pytest.mark.slow)
    for name, net in (
        ("classifier", mm.Classifier(Normed, **FEW)),
        ("regressor", mm.Regressor(**FEW)),
        ("autoencoder", mm.Autoencoder(Coder, **FEW)),
    )
]


@pytest.mark.parametrize(("kind", "model"), CASES)
def test_no_check_fails(kind, model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks provoke many: columns as y, skips
        records = check_estimator(kind(model), on_fail=None, on_skip=None)
    counts = Counter(record["status"] for record in records)
    name = getattr(model, "__name__", model)
    print(f"\n{kind.__name__}({name}): " + ", ".join(f"{n} {s}" for s, n in sorted(counts.items())))
    failed = {r["check_name"]: repr(r["exception"]) for r in records if r["status"] == "failed"}
    skipped = {r["check_name"]: repr(r["exception"]) for r in records if r["status"] == "skipped"}
    print("\n".join(f"  {check}: {why}" for check, why in (failed | skipped).items()))
    assert failed == {}
    assert not any(record["expected_to_fail"] for record in records), "nothing is excused"
    assert counts["passed"] >= (53 if kind in (mm.Autoencoder, mm.Embedder) else 55)


def test_a_wrong_estimator_is_noticed():
    """The claim above can fail: an estimator that forgets its rows' order of columns, say."""

    class Wrong(mm.Regressor):
        def predict(self, X):
            return super().predict(X)[::-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sklearn.utils.estimator_checks import check_methods_subset_invariance

        with pytest.raises(AssertionError):
            check_methods_subset_invariance("Wrong", Wrong("linear", loop=mm.Loop(1)))
