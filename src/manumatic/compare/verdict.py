"""Which gear, which model, and why: paired statistics first, then one named rule.

A difference counts when the corrected resampled t-test says so; what is left is a tie, and a tie goes to the
simpler model. Every sentence carries the numbers that it rests on.
"""

__all__ = ["Verdict", "decide", "decimals", "judge", "paired_test"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy import stats

from manumatic.compare.candidates import AUTOMATIC, MANUAL
from manumatic.compare.problem import Metric
from manumatic.compare.race import Row
from manumatic.show.text import duration

LEVEL = 0.05
AID = "Automatic (scikit-learn) where the road is known; manual (PyTorch) where you build it."


@dataclass(frozen=True)
class Verdict:
    """The advice.

    Attributes
    ----------
    gear : "scikit-learn", "PyTorch" or "neither"
    model : str
        Name of the model to use.
    rule : str
        "noise", "tie-goes-to-simpler", "trees-win", "scikit-learn-wins", "network-wins", "images",
        "one-gear-only" or "nothing-finished".
    sentences : tuple of str
        The reasons, with numbers.
    """

    gear: str
    model: str
    rule: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        lever = {AUTOMATIC: "AUTOMATIC (scikit-learn)", MANUAL: "MANUAL (PyTorch)"}.get(
            self.gear, "NEITHER"
        )
        indent = "\n      "
        return f"gear: {lever}  [{self.rule}]{indent}{indent.join((*self.sentences, AID))}"


def paired_test(differences: Sequence[float], ratio: float) -> float:
    """Two-sided p value of the corrected resampled t-test.

    The folds share training rows, so the plain t-test finds differences that are not there. Nadeau and
    Bengio (2003, *Inference for the generalization error*, Machine Learning 52) put the overlap into the
    variance: ``t = mean(d) / sqrt((1/J + n_test/n_train) * var(d))`` with J - 1 degrees of freedom.

    Parameters
    ----------
    differences : sequence of float
        One a fold, J in all.
    ratio : float
        Test rows for each training row.

    Examples
    --------
    >>> round(paired_test([1.0, 2.0, 3.0, 2.0, 2.0], ratio=0.25), 4)
    0.0137
    """
    spread, folds = variance(differences), len(differences)
    if spread == 0:
        return 1.0 if differences[0] == 0 else 0.0
    t = fmean(differences) / math.sqrt((1 / folds + ratio) * spread)
    return float(2 * stats.t.sf(abs(t), folds - 1))


def judge(rows: Sequence[Row], metric: Metric, ratio: float) -> list[Row]:
    """Rank rows, best first, and set difference, p and verdict of each; unfinished ones come last."""
    done = sorted(
        (row for row in rows if row.ok),
        key=lambda row: (-metric.sign * row.mean, row.candidate.rank),
    )
    for row in done:
        row.difference, row.p = _against(row, done[0], ratio)
        row.verdict = "best" if row is done[0] else "tie" if row.p >= LEVEL else "worse"
    failed = [row for row in rows if not row.ok]
    for row in failed:
        row.verdict = "failed"
    return done + failed


def _against(row: Row, other: Row, ratio: float) -> tuple[float, float]:
    """Mean of the paired differences row - other, and their p value."""
    differences = [mine - theirs for mine, theirs in zip(row.scores, other.scores, strict=True)]
    return fmean(differences), paired_test(differences, ratio)


def decide(rows: Sequence[Row], metric: Metric, images: bool = False) -> Verdict:
    """The advice for judged rows.

    Parameters
    ----------
    rows : sequence of Row
        As :func:`judge` returns them.
    metric : Metric
    images : bool
        The rows of X are images.

    Returns
    -------
    Verdict
    """
    done = [row for row in rows if row.ok]
    models = [row for row in done if row.candidate.family != "baseline"]
    if not models:
        why = next(
            (f"{row.name}: {row.error}" for row in rows if row.error), "no model had its turn"
        )
        return Verdict("neither", "", "nothing-finished", (f"No model finished. {why}",))
    say = _Words(metric, decimals(done), len(done[0].scores))
    guess = next((row for row in done if row not in models), None)
    if guess is not None and guess.verdict != "worse":
        return Verdict("neither", guess.name, "noise", say.noise(guess, models[0]))
    ties = [row for row in models if row.verdict != "worse"]
    pick = min(ties, key=lambda row: (row.candidate.rank, row.seconds))
    rival = next((row for row in models if row.gear != pick.gear), None)
    rule = _rule(pick, rival, images)
    return Verdict(pick.gear, pick.name, rule, say.reasons(rule, pick, done[0], rival, guess))


def _rule(pick: Row, rival: Row | None, images: bool) -> str:
    """A network is never the simpler model, so one is picked only where all of scikit-learn is worse."""
    if rival is None:
        return "one-gear-only"
    if pick.gear == MANUAL:
        return "images" if images else "network-wins"
    if rival.verdict != "worse":
        return "tie-goes-to-simpler"
    return "trees-win" if pick.candidate.family == "trees" else "scikit-learn-wins"


CLOSING = {
    "one-gear-only": "Only one gear took part.",
    "tie-goes-to-simpler": "A tie goes to the simpler model: nothing here pays for the extra control.",
    "trees-win": "Trees cut columns at thresholds; on a table with steps and categories that is hard to beat.",
    "scikit-learn-wins": "Nothing here pays for the extra control.",
    "network-wins": "The columns act together in a way that only a network found.",
    "images": "Neighbouring pixels belong together, and a network can use that.",
}


@dataclass(frozen=True)
class _Words:
    """Sentences with numbers in the digits of the leaderboard."""

    metric: Metric
    digits: int
    folds: int

    def noise(self, guess: Row, best: Row) -> tuple[str, ...]:
        assert guess.p is not None
        if guess.verdict == "best":
            ahead = f"The best model, {best.name}, is no better: {self._gap(best)}."
        else:
            ahead = f"The best model, {best.name}, is ahead of it by {self._plain(guess)}, within noise."
        return (
            f"Nothing beats guessing ({guess.name}: {self._score(guess)}).",
            ahead,
            "Better columns or more rows can help; a bigger model cannot.",
        )

    def reasons(
        self, rule: str, pick: Row, best: Row, rival: Row | None, guess: Row | None
    ) -> tuple[str, ...]:
        against = f"; guessing gets {self._number(guess.mean)}" if guess else ""
        said = [f"{pick.name}: {self._score(pick)}{against}."]
        if pick is not best:
            said.append(f"It ties with the leader, {best.name}: {self._gap(pick)}.")
            if all(
                self.metric.sign * (b - p) > 0
                for b, p in zip(best.scores, pick.scores, strict=True)
            ):
                said.append(f"{best.name} leads in every fold, though: more repeats may settle it.")
        if rival is not None:
            said.append(self._about(rival, pick, best))
        return (*said, CLOSING[rule])

    def _about(self, rival: Row, pick: Row, best: Row) -> str:
        kind = "network" if rival.gear == MANUAL else "scikit-learn model"
        subject = f"The best {kind}, {rival.name},"
        times = rival.seconds / max(pick.seconds, 1e-6)
        pace = (
            f"takes {times:.0f} times longer" if times >= 2 else f"takes {duration(rival.seconds)}"
        )
        pace = f"{pace} to fit ({duration(pick.seconds)} for {pick.name})"
        if rival is best:
            return f"{subject} {pace}."
        verdict = "is a statistical tie" if rival.verdict == "tie" else "is worse"
        return f"{subject} {verdict}: {self._gap(rival)}; it {pace}."

    def _gap(self, row: Row) -> str:
        """Difference to the leader with its p value."""
        assert row.difference is not None and row.p is not None
        chance = "p < 0.001" if row.p < 0.001 else f"p = {row.p:.2g}"
        gap = f"{row.difference:+.{self.digits}f} {self.metric.label}"
        return f"{gap} on the same {self.folds} folds ({chance})"

    def _plain(self, row: Row) -> str:
        assert row.difference is not None and row.p is not None
        return f"{abs(row.difference):.{self.digits}f} {self.metric.label} (p = {row.p:.2g})"

    def _score(self, row: Row) -> str:
        return f"{self.metric.label} {self._number(row.mean)} ± {self._number(row.sd)}"

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}"


def decimals(rows: Sequence[Row]) -> int:
    """Decimals that show three digits of the smallest spread among the leaders, 0 to 6."""
    spread = next((row.sd for row in rows if row.sd > 0), 1.0)
    return int(min(max(2 - math.floor(math.log10(spread)), 0), 6))
