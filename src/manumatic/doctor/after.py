"""The doctor after a run: did it end too early, too late, or no better than guessing?"""

__all__ = [
    "fluke",
    "no_better_than",
    "overfitted",
    "row_keys",
    "scaled_before_split",
    "seen_before",
    "sorted_batches",
    "sorted_folds",
    "unfinished",
    "worse_than_chance",
]

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, variance
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from manumatic.doctor.course import Course
from manumatic.doctor.driving import plateau
from manumatic.doctor.finding import Finding
from manumatic.show.frame import short

# --- the end of a run ----------------------------------------------------------------------------


def unfinished(course: Course) -> Iterator[Finding]:
    """MM302: the loss was still falling fast when the epochs were over.

    The validation loss is judged where there is one, else the training loss. That of a classifier
    creeps on for ever, so what counts is 10 % in the last tenth of the epochs while the loss is
    above 30 % of chance; in regression also 30 % while it is above 0.1 % of chance. A model with
    more weights than rows learns rows by heart at up to 17 % an epoch (measured on noise), so
    without validation rows it has to fall by 25 % in the last epoch alone.
    """
    losses = course.valid or course.train
    by_heart = not course.valid and course.n_weights > course.n_train
    window = 1 if by_heart else max(1, len(losses) // 10)
    schedule_is_over = course.final_lr < 0.01 * course.lr
    if course.ended != "epochs" or schedule_is_over or len(losses) < 2:
        return
    if min(losses[-2 * window :]) <= 0:  # a loss that may be negative has no shares
        return
    start, end = losses[-1 - window], losses[-1]
    means = 1 - fmean(losses[-window:]) / fmean(losses[-2 * window : -window])
    if not _learns(course, end, min(means, 1 - end / start), by_heart):
        return
    more = math.log(10) / math.log(start / end) * window
    part = "validation" if course.valid else "training"
    last = "epoch" if window == 1 else f"{window} epochs"
    yield Finding(
        "MM302",
        f"not finished: the {part} loss fell {100 * (1 - end / start):.0f} % over the last {last} "
        f"({short(start, 2)} → {short(end, 2)}); at this pace about "
        f"{float(f'{more:.2g}'):,.0f} more epochs bring "
        f"it to {short(end / 10, 2)}.",
        f"loop=mm.Loop(epochs={2 * course.epochs})" + ("" if course.prepared else "  # or scale X"),
    )


def _learns(course: Course, loss: float, fell: float, by_heart: bool) -> bool:
    """Whether it falls as fast as what is being learned, not as what is being polished."""
    share = loss / (course.chance or course.train[0])
    if share > 0.3:
        return fell > (0.25 if by_heart else 0.1)
    return course.kind == "regression" and not by_heart and share > 0.001 and fell > 0.3


def overfitted(course: Course) -> Iterator[Finding]:
    """MM305: the validation loss has risen by 10 % above its best, and the last weights are kept.

    Rows held out are few, so means over a tenth of the epochs (3 at least) are compared, and a rise
    of less than 5 % of chance is none.
    """
    train, valid = course.train, course.valid
    width = max(3, len(valid) // 10)
    if course.keep != "last" or not course.finished or len(valid) < 2 * width:
        return
    means = [fmean(valid[i : i + width]) for i in range(len(valid) - width + 1)]
    rise, best = means[-1] - min(means), valid.index(min(valid))
    floor = 0.05 * (course.chance or 0.0)
    if rise < 0.1 * min(means) or rise < floor or train[-1] >= train[best]:
        return
    yield Finding(
        "MM305",
        f"the validation loss was best in epoch {best} ({short(valid[best], 3)}) and is "
        f"{short(valid[-1], 3)} at the end, while the training loss fell on "
        f"({short(train[best], 3)} → {short(train[-1], 3)}); the last weights are kept.",
        f'loop=mm.Loop(epochs={course.epochs}, keep="best")',
    )


def fluke(course: Course) -> Iterator[Finding]:
    """MM311: the best epoch is one of the first, by few rows, and training went on for long."""
    train, valid, best = course.train, course.valid, course.best_epoch
    if course.keep != "best" or not course.finished or not 0 <= best < len(valid):
        return
    early = best <= max(1, 0.02 * len(train))
    if not early or not course.n_valid < 200 or train[-1] >= 0.8 * train[best]:
        return
    yield Finding(
        "MM311",
        f"the weights of epoch {best} are kept, the best of {len(valid)} by {course.n_valid} "
        f"validation rows ({short(valid[best], 3)}), although the training loss fell from "
        f"{short(train[best], 3)} to {short(train[-1], 3)} afterwards: on so few rows this may be "
        "luck.",
        "data=mm.Data(validation=0.2)  # or mm.Loop(epochs=...) without patience",
    )


def worse_than_chance(course: Course) -> Iterator[Finding]:
    """MM405: the weights that are kept do not beat the same answer for every row by 1 %.

    Validation rows are compared with chance on those rows; where that is not known, and without
    such rows, it is the training loss. Nothing is said where :func:`plateau` says it.
    """
    part, chance = "validation", course.valid_chance
    losses = course.valid
    if chance is None or not losses:
        part, chance, losses = "training", course.chance, course.train
    if not course.finished or not chance or not losses or any(plateau(course)):
        return
    kept = course.best_epoch if course.keep == "best" else -1
    loss = losses[kept] if kept < len(losses) else losses[-1]
    if loss <= 0.99 * chance:
        return
    answer = "mean" if course.kind == "regression" else "shares of the classes"
    yield Finding(
        "MM405",
        f"the {part} loss of {short(loss)} does not beat always answering the {answer}, which "
        f"gives {short(chance)}.",
        "mm.compare(X, y)  # is there anything to learn?",
    )


# --- the order of rows ---------------------------------------------------------------------------

ORDERED = 0.9  # of 1: how alike neighbours are
LONG_ENOUGH = 50  # rows


def sorted_batches(y: Any, batch_size: int, shuffle: bool) -> Iterator[Finding]:
    """MM304: rows in the order of the target, and batches that are not shuffled.

    Neighbouring rows are compared: whole numbers by how often two are equal, beyond what chance
    would make of it; other targets by the correlation of their ranks.

    Parameters
    ----------
    y : array-like (n,) or (n, 1)
    batch_size : int
    shuffle : bool
    """
    y = np.asarray(y)
    if shuffle or y.size != len(y) or len(y) < LONG_ENOUGH or batch_size >= len(y):
        return
    y = y.reshape(-1)
    classes, alike = _are_classes(y), _neighbours_alike(y)
    if alike <= ORDERED:
        return
    if classes:
        batches = [y[i : i + batch_size] for i in range(0, len(y), batch_size)]
        pure = sum(len(np.unique(batch)) == 1 for batch in batches)
        said = f"{pure} of {len(batches)} batches of {batch_size} rows hold one class only"
    else:
        said = f"neighbours have almost the same target (rank correlation {alike:.3f})"
    yield Finding(
        "MM304",
        f"rows come in the order of y and are not shuffled: {said}, so each step unlearns what the "
        "last one learned.",
        "data=mm.Data(shuffle=True)",
    )


def sorted_folds(y: Any, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[Finding]:
    """MM404: folds of a cross-validation that do not hold the same kind of rows.

    A class of five rows or more is missing from a training fold; or the means of y in the test
    folds are more than 1.5 standard deviations apart, and more than six standard errors. Folds in
    which all test rows come after the training rows follow time, and are meant so.

    Parameters
    ----------
    y : array-like (n,)
    folds : iterable of (train, test)
        Row numbers, as ``KFold(5).split(X)`` gives them.
    """
    y, folds = np.asarray(y).reshape(-1), list(folds)
    if len(folds) < 2 or all(train.max() < test.min() for train, test in folds):
        return
    classes = _are_classes(y)
    said = _missing_classes(y, folds) if classes else _means_apart(y, folds)
    if said:
        split = "StratifiedKFold" if classes else "KFold"
        yield Finding(
            "MM404",
            f"the rows are sorted and the {len(folds)} folds follow their order: {said}.",
            f"cv={split}({len(folds)}, shuffle=True, random_state=0)",
        )


def _missing_classes(y: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    classes, counts = np.unique(y, return_counts=True)
    common = classes[counts >= 5]
    if all(np.isin(common, y[train]).all() for train, _ in folds):
        return ""
    most = " ".join(f"{np.isin(y[test], y[train]).mean():.2f}" for train, test in folds)
    return f"classes are missing from the rows trained on, and accuracy can be {most} at most"


def _means_apart(y: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    means = [float(y[test].mean()) for _, test in folds]
    apart, spread = max(means) - min(means), float(y.std())
    if apart <= max(1.5, 6 / math.sqrt(min(len(test) for _, test in folds))) * spread:
        return ""
    listed = ", ".join(map(short, means))
    return f"the means of y, {listed}, are up to {apart / spread:.1f} standard deviations apart"


def _are_classes(y: np.ndarray) -> bool:
    """Texts, or at most 20 whole numbers."""
    if y.dtype.kind not in "iufb":
        return True
    return bool((y == np.round(y)).all()) and len(np.unique(y)) <= 20


def _neighbours_alike(y: np.ndarray) -> float:
    """1 for sorted rows, about 0 for shuffled ones."""
    _, ranks, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return 0.0
    if not _are_classes(y):
        return float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])
    equal, expected = (ranks[:-1] == ranks[1:]).mean(), ((counts / len(y)) ** 2).sum()
    return float((equal - expected) / (1 - expected))


# --- rows that were seen before ------------------------------------------------------------------


def scaled_before_split(X: Any) -> Iterator[Finding]:
    """MM403: every column has mean 0 and standard deviation 1 over all rows.

    Parameters
    ----------
    X : array-like (n, columns)
        All rows, before any of them are held out. Nothing is said of fewer than two columns that
        change, or of columns that are not floats.
    """
    X = np.asarray(X)
    if X.ndim != 2 or X.dtype.kind != "f" or len(X) < 3:
        return
    # float32 rounds the mean that is subtracted
    near = 1e-6 if X.dtype == np.float64 else 1e-4
    X = X[:, X.max(axis=0) > X.min(axis=0)].astype(np.float64, copy=False)
    if X.shape[1] < 2 or np.abs(X.mean(axis=0)).max() > near:
        return
    if all(np.abs(X.std(axis=0, ddof=ddof) - 1).max() > near for ddof in (0, 1)):
        return
    yield Finding(
        "MM403",
        f"all {X.shape[1]} columns of X have mean 0.000 and standard deviation 1.000 over all "
        f"{len(X)} rows: they were scaled before the split, with the rows that later test the "
        "model.",
        "make_pipeline(StandardScaler(), net)  # or leave it to preprocess='auto'",
    )


def row_keys(X: Tensor) -> np.ndarray:
    """One number a row, the same for the same row whatever stands beside it.

    Each is a random projection, rounded to 40 bits because sums of a matrix product may be taken
    in another order elsewhere.

    Parameters
    ----------
    X : Tensor (n, ...)

    Returns
    -------
    ndarray (n,) of float64
    """
    rows = X.detach().flatten(1)
    generator = torch.Generator().manual_seed(401)
    draw = torch.randn(rows.shape[1], generator=generator, dtype=torch.float64).to(X.device)
    keys = torch.cat([part.double() @ draw for part in rows.split(65536)])  # a copy a piece
    mantissa, exponent = np.frexp(keys.cpu().numpy())
    return np.ldexp(np.round(mantissa * 2**40), exponent - 40)


def seen_before(keys_before: np.ndarray, keys_now: np.ndarray) -> Iterator[Finding]:
    """MM401: a fit goes on from weights that have learned from part of these rows and from others.

    That is what happens when one model is taken through the folds of a cross-validation. The same
    rows again (training goes on) and new rows alone (a stream) are meant; so 10 to 95 % have to be
    shared, both ways. Rows that repeat within a fit would be shared by chance, so nothing is said
    where more than a tenth do.

    Parameters
    ----------
    keys_before, keys_now : ndarray
        Of :func:`row_keys`, for two fits with the same weights.
    """
    if any(len(np.unique(keys)) < 0.9 * len(keys) for keys in (keys_before, keys_now)):
        return
    known = np.isin(keys_now, keys_before)
    others = ~np.isin(keys_before, keys_now)
    if not (0.1 < known.mean() < 0.95 and 0.1 < 1 - others.mean() < 0.95):
        return
    yield Finding(
        "MM401",
        f"this fit starts from weights that have seen {known.sum()} of its {len(keys_now)} rows, "
        f"and {others.sum()} rows that it does not hold: were those held out to test it, the score "
        "is too good.",
        "model = make_model()  # inside the loop over the folds: fresh weights for each",
    )


def no_better_than(
    name: str,
    scores: Sequence[float],
    baseline_name: str,
    baseline_scores: Sequence[float],
    lower_is_better: bool,
) -> Iterator[Finding]:
    """MM405: on the same folds, a model is not better than a baseline.

    By the corrected resampled t-test, one-sided at 5 %: ``t = mean(d) / sqrt((1/J + n_test/n_train)
    var(d))`` with J - 1 degrees of freedom, as folds share training rows.

    Parameters
    ----------
    name, baseline_name : str
    scores, baseline_scores : sequence of float
        One a fold, J of them.
    lower_is_better : bool

    References
    ----------
    Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.
    """
    sign = -1 if lower_is_better else 1
    gains = [sign * (s - b) for s, b in zip(scores, baseline_scores, strict=True)]
    folds, gain = len(gains), fmean(gains)
    if folds < 2:
        return
    scale = math.sqrt((1 / folds + 1 / (folds - 1)) * variance(gains))
    p = float(stats.t.sf(gain / scale, folds - 1)) if scale else float(gain <= 0)
    if gain > 0 and p < 0.05:
        return
    ours, theirs = fmean(scores), fmean(baseline_scores)
    verdict = f"a tie, p = {p:.2g}" if gain > 0 else f"p = {p:.2g}"
    yield Finding(
        "MM405",
        f"{name} ({short(ours)}) does not beat {baseline_name} ({short(theirs)}) on the same "
        f"{folds} folds ({verdict}).",
        f"mm.compare(X, y)  # {baseline_name} is the simpler one",
    )
