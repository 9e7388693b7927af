"""Question 1: what does fit() hide?  Not the same for every estimator."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeRegressor

import manumatic as mm

for estimator in (LinearRegression(), SGDRegressor(), MLPRegressor(), DecisionTreeRegressor()):
    print(mm.explain(estimator), end="\n\n")

# Of an estimator of ours, fit keeps a book: each decision, in the words of the five components.
net = mm.Classifier(random_state=0).fit(*load_iris(return_X_y=True))
print(mm.explain(net))
