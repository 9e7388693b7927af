"""Which gear, which model, and why: paired statistics first, then one named rule.

A difference counts when the corrected resampled t-test says so. What is left is a tie, and a tie
goes to the simpler gear. Every sentence carries the numbers that it rests on.
"""

__all__ = ["Paired", "Verdict", "decide", "judge", "paired_test"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import NamedTuple

from scipy import stats

from manumatic.compare.candidates import AUTOMATIC, MANUAL
from manumatic.compare.metric import Metric
from manumatic.compare.race import Row
from manumatic.show.text import decimals, duration

LEVEL = 0.05
AID = "Automatic (scikit-learn) where the road is known; manual (PyTorch) where you build it."
CLOSING = {
    "one-gear-only": "Only one gear finished, so the other is not judged.",
    "tie-goes-to-simpler": "A tie goes to the simpler gear: nothing pays for the extra control.",
    "trees-win": "Trees cut columns at thresholds; a target with steps suits them.",
    "scikit-learn-wins": "Nothing here pays for the extra control.",
    "network-wins": "The columns act together in a way that only a network found.",
    "foundation-wins": "What it learned from other tables helps here, and nothing is trained.",
    "images": "Neighbouring pixels belong together, and a network can use that.",
}


@dataclass(frozen=True)
class Verdict:
    """The advice.

    Attributes
    ----------
    gear : "scikit-learn", "PyTorch" or "neither"
    model : str
        The model to use; the baseline where nothing beats it, empty where nothing finished.
    rule : str
        "noise", "tie-goes-to-simpler", "trees-win", "scikit-learn-wins", "network-wins",
        "foundation-wins", "images", "one-gear-only" or "nothing-finished".
    sentences : tuple of str
        The reasons, with numbers.
    """

    gear: str
    model: str
    rule: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        lever = {AUTOMATIC: "AUTOMATIC (scikit-learn)", MANUAL: "MANUAL (PyTorch)"}
        lines = (f"gear: {lever.get(self.gear, 'NEITHER')}  [{self.rule}]", *self.sentences, AID)
        return "\n      ".join(lines)


class Paired(NamedTuple):
    """Mean difference, its t value and the two-sided p value."""

    difference: float
    t: float
    p: float


def paired_test(ours: Sequence[float], theirs: Sequence[float], ratio: float) -> Paired:
    """The corrected resampled t-test of ours - theirs, fold by fold.

    Folds share training rows, so the plain t-test finds differences that are not there. Nadeau and
    Bengio (2003, Inference for the generalization error, Machine Learning 52) put the overlap into
    the variance: ``t = mean(d) / sqrt((1/J + n_test/n_train) * var(d))`` with J - 1 degrees of
    freedom.

    Parameters
    ----------
    ours, theirs : sequence of float
        Scores on the same J folds.
    ratio : float
        Test rows for each training row.

    Examples
    --------
    >>> paired_test([3.0, 5.0, 6.0, 4.0, 3.0], [2.0, 3.0, 3.0, 2.0, 1.0], ratio=0.25).p
    0.0135
    """
    differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    mean, spread, folds = fmean(differences), variance(differences), len(differences)
    if spread == 0:
        return Paired(mean, math.copysign(math.inf, mean) if mean else 0.0, 0.0 if mean else 1.0)
    t = mean / math.sqrt((1 / folds + ratio) * spread)
    return Paired(mean, t, float(2 * stats.t.sf(abs(t), folds - 1)))


def judge(rows: Sequence[Row], metric: Metric, ratio: float) -> list[Row]:
    """Rank rows, best first, and set difference, p and verdict of each; what failed comes last."""
    done = [row for row in rows if row.ok]
    done.sort(key=lambda row: (-metric.sign * row.mean, row.candidate.rank))
    for row in done:
        row.difference, _, row.p = paired_test(row.scores, done[0].scores, ratio)
        row.verdict = "tie" if row.p >= LEVEL else "worse"
    if done:
        done[0].verdict = "best"
    failed = [row for row in rows if not row.ok]
    for row in failed:
        row.verdict = "failed"
    return done + failed


def decide(rows: Sequence[Row], metric: Metric, ratio: float, images: bool = False) -> Verdict:
    """The advice for judged rows.

    Parameters
    ----------
    rows : sequence of Row
        As :func:`judge` returns them.
    metric : Metric
    ratio : float
        Test rows for each training row.
    images : bool
        The rows of X are images.
    """
    done = [row for row in rows if row.ok]
    models = [row for row in done if row.candidate.family != "baseline"]
    if not models:
        why = next((f"{row.name}: {row.error}" for row in rows if row.error), "None had its turn.")
        return Verdict("neither", "", "nothing-finished", (f"No model finished. {why}",))
    words = _Words(metric, ratio, decimals(done[0].sd))
    guess = next((row for row in done if row.candidate.family == "baseline"), None)
    if guess is not None and guess.verdict != "worse":
        return Verdict("neither", guess.name, "noise", words.noise(guess, models[0]))
    automatic = [row for row in models if row.gear == AUTOMATIC]
    manual = [row for row in models if row.gear == MANUAL]
    # a network is never the simpler model: it is advised where all of scikit-learn is worse
    stay = bool(automatic) and automatic[0].verdict != "worse"
    gear, others = (automatic, manual) if stay else (manual, automatic)
    pick = _simplest(gear, ratio)
    rule = _rule(pick, others, images)
    return Verdict(pick.gear, pick.name, rule, words.reasons(rule, pick, gear[0], others, guess))


def _simplest(rows: Sequence[Row], ratio: float) -> Row:
    """The simplest and fastest within one standard error of the first (Breiman et al. 1984)."""
    near = [
        row
        for row in rows
        if row.verdict != "worse" and abs(paired_test(row.scores, rows[0].scores, ratio).t) <= 1
    ]
    return min(near, key=lambda row: (row.candidate.rank, row.seconds))


def _rule(pick: Row, others: Sequence[Row], images: bool) -> str:
    if not others:
        return "one-gear-only"
    if pick.gear == MANUAL:
        wins = "foundation-wins" if pick.candidate.family == "foundation" else "network-wins"
        return "images" if images else wins
    if others[0].verdict != "worse":
        return "tie-goes-to-simpler"
    return "trees-win" if pick.candidate.family == "trees" else "scikit-learn-wins"


@dataclass(frozen=True)
class _Words:
    """Sentences with numbers in the digits of the leaderboard."""

    metric: Metric
    ratio: float
    digits: int

    def noise(self, guess: Row, best: Row) -> tuple[str, ...]:
        return (
            f"Nothing beats guessing by more than noise: {self._score(guess)} ({guess.name}).",
            f"The best model, {best.name}, {self._against(best, guess)}.",
            "Better columns, more rows or more folds can tell; a bigger model hardly.",
        )

    def reasons(
        self, rule: str, pick: Row, lead: Row, others: Sequence[Row], guess: Row | None
    ) -> tuple[str, ...]:
        guessing = f"; guessing gets {guess.mean:,.{self.digits}f}" if guess else ""
        said = [f"{pick.name}: {self._score(pick)}{guessing}."]
        if pick is not lead:
            said.append(
                f"{lead.name} {self._against(lead, pick)}: "
                "within one standard error, so the simpler one."
            )
        if others:
            kind = "network" if others[0].gear == MANUAL else "scikit-learn model"
            tie = "" if "worse" in (others[0].verdict, lead.verdict) else ": a statistical tie"
            said.append(
                f"The best {kind}, {others[0].name}, {self._against(others[0], lead)}{tie}."
            )
            said.append(_pace(others[0], pick))
        return (*said, CLOSING[rule])

    def _against(self, row: Row, other: Row) -> str:
        """Who is ahead, by how much, and how sure that is."""
        difference, _, p = paired_test(row.scores, other.scores, self.ratio)
        verb = "leads" if self.metric.sign * difference > 0 else "trails"
        chance = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
        gap = f"{abs(difference):,.{self.digits}f} {self.metric.label}"
        return f"{verb} {other.name} by {gap} on the same {len(row.scores)} folds ({chance})"

    def _score(self, row: Row) -> str:
        return f"{self.metric.label} {row.mean:,.{self.digits}f} ± {row.sd:,.{self.digits}f}"


def _pace(row: Row, pick: Row) -> str:
    times = row.seconds / pick.seconds
    said = f"takes {times:.0f} times longer to fit" if times >= 2 else "fits about as fast"
    if times <= 0.5:
        said = f"fits {1 / times:.0f} times faster"
    return f"It {said}: {duration(row.seconds)}, {pick.name} {duration(pick.seconds)}."
