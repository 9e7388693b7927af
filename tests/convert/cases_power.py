"""Powers, quantiles, products, splines and bins."""

__all__ = ["CASES"]

from sklearn import preprocessing
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from suite import Case

X, HOLES = ("regression", "counts"), ("missing numbers",)
FAR = 1e-1  # single: steep where training values lie close together
SPLINES = ("constant", "linear", "continue", "periodic")
CASES = [
    Case(preprocessing.PowerTransformer(), ("regression",), single=FAR),
    Case(preprocessing.PowerTransformer(standardize=False), HOLES, "plain", single=FAR),
    Case(
        make_pipeline(
            preprocessing.MinMaxScaler((1, 2)), preprocessing.PowerTransformer("box-cox")
        ),
        ("missing numbers",),
        "box-cox",
        single=FAR,
    ),
    Case(preprocessing.QuantileTransformer(n_quantiles=40), X + HOLES, single=1.0),
    Case(
        preprocessing.QuantileTransformer(n_quantiles=100, output_distribution="normal"),
        X + HOLES,
        "normal",
        single=20.0,  # float32 has no 1 - 1e-7
    ),
    Case(preprocessing.PolynomialFeatures(3, interaction_only=True), ("targets",), "interactions"),
    Case(preprocessing.PolynomialFeatures((2, 3), include_bias=False), ("regression",)),
    *(
        Case(
            preprocessing.SplineTransformer(5, degree=2, extrapolation=way, include_bias=False),
            ("regression",),
            way,
            single=FAR,
        )
        for way in SPLINES
    ),
    Case(
        preprocessing.SplineTransformer(knots="quantile", handle_missing="zeros"),
        HOLES,
        "zeros",
        single=FAR,
    ),
    *(
        Case(
            preprocessing.KBinsDiscretizer(
                4, encode=encode, strategy=strategy, quantile_method="averaged_inverted_cdf"
            ),
            ("regression",),
            f"{encode}, {strategy}",
            single=40.0,  # a number on an edge falls on either side in float32
        )
        for encode in ("onehot", "onehot-dense", "ordinal")
        for strategy in ("uniform", "quantile", "kmeans")
    ),
    Case(
        make_pipeline(preprocessing.SplineTransformer(), preprocessing.StandardScaler(), Ridge()),
        ("regression", "targets"),
        "splines and ridge",
        single=FAR,
    ),
]
