"""A forecast: windows of the past, folds in the order of time, and the last value to beat."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.model_selection import TimeSeriesSplit

import manumatic as mm
from manumatic.model_selection import windows

# Three years of weeks: a trend, a season, noise, and a summer when nobody wrote anything down.
rng = np.random.default_rng(0)
weeks = pd.date_range("2021-01-03", periods=156, freq="W")
season = 10 * np.sin(2 * np.pi * np.arange(156) / 13)
sold = pd.Series(50 + 0.05 * np.arange(156) + season + rng.normal(size=156), index=weeks)
sold = sold.drop(weeks[80:84])

X, y = windows(sold, length=13)
print(f"{len(X)} windows of 13 weeks; the first forecast is for {y.index[0]:%d %B %Y}")

for train, test in TimeSeriesSplit(2).split(X):
    net = mm.Regressor(
        mm.Model("gru", hidden=32),
        data=mm.Data(shuffle=False, batch_size=32),
        loop=mm.Loop(epochs=60),
        random_state=0,
    ).fit(X[train], y.iloc[train])
    truth = y.iloc[test].to_numpy()
    last_known = pd.DataFrame(X[test, :, 0]).ffill(axis=1).iloc[:, -1].to_numpy()
    ours, naive = (np.abs(guess - truth).mean() for guess in (net.predict(X[test]), last_known))
    print(f"trained on {len(train)} windows: mean error {ours:.2f}; last week again {naive:.2f}")

plt.plot(sold.asfreq("W"), label="sold")
plt.plot(y.index[test], net.predict(X[test]), label="forecast a week ahead")
plt.gcf().autofmt_xdate()
plt.legend()
plt.savefig("forecast.png")
