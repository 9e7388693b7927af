"""Findings about how a model is judged (MM4xx)."""

__all__ = ["EVALUATION"]

from manumatic.doctor.pages.findings.page import FindingPage

EVALUATION: dict[str, FindingPage] = {
    "MM401": FindingPage(
        meaning="""
Cross-validation asks how a model does on rows that it has never seen. A loop that splits anew but
goes on training the same model has seen, from the second fold on, every row it is tested on. The
scores get better from fold to fold and their mean is too good: on the houses table 5.05, 3.03,
2.71, 2.36, 2.33, on average 3.09, where a fresh model for each fold gives 5.00. Nothing in either
library can notice.
""",
        seen="""
A fit starts from weights that an earlier fit has left, and between 10% and 95% of its rows were in
that fit, which had others too. The same rows again, or new rows alone, are going on and pass.
`manumatic doctor` sees a model made before the loop over the folds and trained in it.
""",
        automatic="""
Each fit starts from fresh weights; scikit-learn's cross_validate clones the net for each fold.
""",
        fix="""
model = make_model()  # inside the loop over the folds, and a new optimizer with it
""",
        ignoring="When you go on training on new data on purpose (warm_start=True).",
        code="""
import torch
from sklearn.model_selection import KFold
from torch import nn

import manumatic as mm

X, y = mm.datasets.load_houses(return_X_y=True)
X, y = torch.tensor(X).float(), torch.tensor(y).float()[:, None]


def make():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(13, 50), nn.ReLU(), nn.Linear(50, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def validate(fresh):
    (model, optimizer), scores = make(), []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        if fresh:
            model, optimizer = make()
        rows = (X - X[train].mean(0)) / X[train].std(0)
        for epoch in range(100):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(rows[train]), y[train]).backward()
            optimizer.step()
        scores.append(nn.functional.mse_loss(model(rows[test]), y[test]).sqrt().item())
    return " ".join(f"{score:.2f}" for score in scores) + f" mean {sum(scores) / 5:.2f}"


print(validate(fresh=False))  # 5.05 3.03 2.71 2.36 2.33 mean 3.09
print(validate(fresh=True))  # 5.05 5.41 5.15 4.67 4.73 mean 5.00
""",
    ),
    "MM402": FindingPage(
        meaning="""
Dropout and batch norm do one thing while training and another when predicting, and a model is in
training mode until eval() says otherwise. Without it dropout goes on to drop units, so that two
identical calls differ (by up to 0.62 in the program below), and batch norm scales by the batch,
so that a prediction depends on its neighbours, and learns from the test rows on top. Shapes and
types are right, and scores are a little worse than they should be.
""",
        seen="""
Before the first step: in eval mode two identical calls differ, so that forward is random whatever
the mode says. With `mm.listen` around your loop: the model is called without gradients while a
dropout or batch norm in it is in training mode. `manumatic doctor` sees predictions without
eval(), and F.dropout without training=self.training.
""",
        automatic="predict calls eval() and inference_mode(), and puts the mode back.",
        fix="""
model.eval()  # before predicting; in forward, F.dropout(X, 0.5, training=self.training)
""",
        ignoring="When the draws are wanted: Monte Carlo dropout.",
        code="""
import torch
from torch import nn


class Dropout(nn.Module):
    def forward(self, X):
        return nn.functional.dropout(X, 0.5)  # training=self.training is missing


def look(dropout):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), dropout, nn.Linear(32, 1))
    X = torch.randn(8, 4)
    with torch.no_grad():
        training = (model(X) - model(X)).abs().max()  # two identical calls
        model.eval()
        return f"{training:.2f} {(model(X) - model(X)).abs().max():.2f}"


print(look(nn.Dropout(0.5)))  # 0.62 0.00: before eval() and after
print(look(Dropout()))  # 0.62 0.51
""",
    ),
    "MM403": FindingPage(
        meaning="""
Preprocessing that was fitted on all rows has seen the rows that judge the model. What that costs
depends on what it learned. For a scaler it is almost nothing: nearest neighbours on diabetes score
0.3824 with the scaler outside the folds and 0.3816 inside. For a choice of columns by y it is
everything: the 20 best of 5,000 columns of pure noise predict a coin toss 85% right, and 48% when
they are chosen inside the folds.
""",
        seen="""
Every column of X has mean 0 and standard deviation 1 over all rows, before any are held out.
`manumatic doctor` sees something fitted on all rows, which are split afterwards.
""",
        automatic="It fits its preprocessing on the training rows of each fit, in each fold anew.",
        fix="""
pipe = make_pipeline(StandardScaler(), net)  # cross_validate(pipe, X, y) fits it in each fold
""",
        ignoring="When only a scaler was fitted on all rows and you know it, or there is no test.",
        code="""
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

draw = np.random.default_rng(0)
X, y = draw.normal(size=(100, 5000)), draw.integers(0, 2, 100)  # nothing to learn in here
best, model = SelectKBest(k=20), LogisticRegression()
print(f"{cross_val_score(model, best.fit_transform(X, y), y).mean():.0%}")  # 85%
print(f"{cross_val_score(make_pipeline(best, model), X, y).mean():.0%}")  # 48%

X, y = load_diabetes(return_X_y=True)
model, folds = KNeighborsRegressor(), KFold(5, shuffle=True, random_state=0)
scaled = StandardScaler().fit_transform(X)
print(f"{cross_val_score(model, scaled, y, cv=folds).mean():.4f}")  # 0.3824
pipe = make_pipeline(StandardScaler(), model)
print(f"{cross_val_score(pipe, X, y, cv=folds).mean():.4f}")  # 0.3816
""",
    ),
    "MM404": FindingPage(
        meaning="""
KFold cuts the rows as they stand. In a table sorted by class each fold holds classes that the
others lack, so that a model is tested on what it never saw: three folds of iris score 0, 0 and 0,
shuffled ones 0.96, 0.98 and 0.94. With a sorted number as target the model has to
extrapolate. If the order is time, it is the other way round: then shuffling would be the mistake.
""",
        seen="""
A class of five rows or more is missing from a training fold, or the means of y in the test folds
are more than 1.5 standard deviations (and six standard errors) apart. Folds in which all test
rows come after the training rows follow time, and pass. `manumatic doctor` sees KFold without
shuffle on those of scikit-learn's tables that are sorted by class.
""",
        automatic="""
The rows that it holds out are drawn at random, by class where there are classes.
mm.compare shuffles, stratifies, and keeps to time or groups when told.
""",
        fix="""
cv = StratifiedKFold(5, shuffle=True, random_state=0)  # KFold(...) for numbers
""",
        ignoring="When the order is time and your folds respect it (TimeSeriesSplit).",
        code="""
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

X, y = load_iris(return_X_y=True)  # 50 rows of each class, one class after the other
model = LogisticRegression(max_iter=1000)
print(cross_val_score(model, X, y, cv=KFold(3)))  # [0. 0. 0.]
folds = StratifiedKFold(3, shuffle=True, random_state=0)
print(cross_val_score(model, X, y, cv=folds).round(2))  # [0.96 0.98 0.94]
""",
    ),
    "MM405": FindingPage(
        meaning="""
A loss that fell says that something was learned, not that it is worth having. Measured against
the mean and a straight line, a network may turn out to be neither. On five folds of diabetes the
mean has an RMSE of 76.9 and LinearRegression 54.5. The network of the program below is level with
it after 20 epochs (54.5), and after 500 it has learned the noise so well that it is worse than
the mean (78.5).
""",
        seen="""
After the last step: the loss of the weights that are kept, on the validation rows where there are
some, is not 1% below that of the best constant. Across folds: a corrected resampled t-test
(Nadeau and Bengio 2003) against the baseline on the same folds.
""",
        automatic="It holds rows out from 200 rows on, stops early, and tells all the same.",
        fix="""
mm.compare(X, y)  # the same folds for networks and scikit-learn's models
""",
        ignoring="When the network is needed for something else, such as its features.",
        code="""
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import scale
from torch import nn

X, y = load_diabetes(return_X_y=True)
X = scale(X)
folds = list(KFold(5, shuffle=True, random_state=0).split(X))


def rmse(predict):
    errors = [np.mean((predict(X[a], y[a], X[b]) - y[b]) ** 2) ** 0.5 for a, b in folds]
    return f"{np.mean(errors):.1f}"


def network(X, y, X_test, epochs):
    torch.manual_seed(0)
    rows, target = torch.tensor(X).float(), torch.tensor((y - y.mean()) / y.std()).float()
    model = nn.Sequential(nn.Linear(10, 50), nn.ReLU(), nn.Linear(50, 1), nn.Flatten(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(rows), target).backward()
        optimizer.step()
    with torch.no_grad():
        return model(torch.tensor(X_test).float()).numpy() * y.std() + y.mean()


print(rmse(lambda X, y, test: DummyRegressor().fit(X, y).predict(test)))  # 76.9: the mean
print(rmse(lambda X, y, test: LinearRegression().fit(X, y).predict(test)))  # 54.5
print(rmse(lambda *rows: network(*rows, epochs=20)))  # 54.5
print(rmse(lambda *rows: network(*rows, epochs=500)))  # 78.5: worse than the mean
""",
    ),
}
