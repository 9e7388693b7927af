"""Reviews of tea: words counted, and words read, on the same texts."""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import manumatic as mm

GOOD, BAD = ["good", "fresh", "lovely", "sweet"], ["bad", "stale", "bitter", "awful"]
PLAIN = ["the", "tea", "box", "was", "very", "price", "again", "leaves"]


def review(rng: np.random.Generator) -> tuple[str, str]:
    """A made-up review; in every other one a "not" turns the word behind it around."""
    great, turned = rng.integers(2, size=2).astype(bool)
    said = str(rng.choice(GOOD if great != turned else BAD))
    words = [str(word) for word in rng.choice(PLAIN, rng.integers(3, 12))]
    place = rng.integers(len(words))
    words[place:place] = ["not", said] if turned else [said]
    return " ".join(words), "great" if great else "other"


rng = np.random.default_rng(0)
texts, labels = zip(*(review(rng) for _ in range(1000)), strict=True)
texts, labels = list(texts), np.array(labels)
train, test = slice(0, 700), slice(700, None)

counted = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts[train], labels[train])
print(f"words counted (scikit-learn):  {counted.score(texts[test], labels[test]):.2f}")
net = mm.Classifier("bag", random_state=0).fit(texts[train], labels[train])
print(f"words and pairs read (bag):    {net.score(texts[test], labels[test]):.2f}")
print(net.logbook_)

# Which words speak for "great", alone and behind a "not"
for before in ("", "not "):
    great = net.predict_proba([before + word for word in GOOD + BAD])[:, 0]
    plt.barh(GOOD + BAD, great - 0.5, left=0.5, height=0.8 - 0.1 * len(before), label=before + "…")
plt.xlabel("chance that the review is great")
plt.legend()
plt.savefig("reviews.png")
