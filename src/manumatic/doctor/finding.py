"""Findings: what the doctor has to say, in one sentence with the user's own numbers."""

__all__ = ["CODES", "Finding", "Findings", "facts_of", "ignore", "is_ignored"]

from collections.abc import Iterable
from typing import Any, NamedTuple

from manumatic.errors import ComponentError, nearest
from manumatic.show.net import render_findings

# The first digit is the part of the work: 0 the script, 1 data, 2 model and loss, 3 optimizer and
# loop, 4 evaluation, 5 keeping.  A code keeps its meaning for ever.
CODES: dict[str, tuple[str, str]] = {
    "MM001": ("tip", "a name that is gone or deprecated"),
    "MM101": ("issue", "features or target of very different size"),
    "MM102": ("issue", "numbers of the wrong type"),
    "MM103": ("issue", "labels that are not 0 to K-1"),
    "MM104": ("issue", "the seed does not decide everything"),
    "MM105": ("issue", "missing values, text or infinities in X"),
    "MM201": ("issue", "target (n,) beside output (n, 1)"),
    "MM202": ("issue", "softmax before cross entropy"),
    "MM203": ("issue", "weights that are never trained"),
    "MM204": ("issue", "rows of a batch that see each other"),
    "MM205": ("issue", "a first loss far above chance"),
    "MM206": ("issue", "one batch cannot be learned by heart"),
    "MM301": ("issue", "learning rate too high"),
    "MM302": ("tip", "training stopped too early"),
    "MM303": ("issue", "zero_grad is missing"),
    "MM304": ("issue", "batches in the order of sorted rows"),
    "MM305": ("issue", "overfitting, and the last weights kept"),
    "MM306": ("issue", "tensors made on the wrong device"),
    "MM307": ("issue", "dead units"),
    "MM308": ("tip", "steps far too short or too long for the weights"),
    "MM309": ("issue", "batch norm with tiny batches"),
    "MM310": ("issue", "the model has learned the mean and nothing else"),
    "MM311": ("tip", "the best epoch was chosen on few rows"),
    "MM401": ("issue", "the model has seen these rows before"),
    "MM402": ("issue", "dropout or batch norm at work while predicting"),
    "MM403": ("tip", "preprocessing fitted before the split"),
    "MM404": ("issue", "folds of sorted rows"),
    "MM405": ("issue", "no better than a baseline"),
    "MM501": ("tip", "a class that another process cannot find"),
}


class Finding(NamedTuple):
    """One thing that the doctor found.

    Attributes
    ----------
    code : str
        Stable, as in ``manumatic explain MM201``.
    message : str
        One sentence with the numbers of this run.
    fix : str
        One line of code.
    """

    code: str
    message: str
    fix: str

    @property
    def severity(self) -> str:
        """ "issue" for what spoils results, "tip" for what may be meant."""
        return CODES[self.code][0]

    def __str__(self) -> str:
        return f"{self.code} {self.severity}: {self.message}\n    {self.fix}"


class Findings(list[Finding]):
    """The findings of a run, one a code, the first that was made.

    Parameters
    ----------
    muted : iterable of str
        Codes to leave out.

    Examples
    --------
    >>> found = Findings()
    >>> found.add(Finding("MM303", "the gradient of step 2 was added to step 1's", "..."))
    >>> found.codes
    ['MM303']
    """

    def __init__(self, found: Iterable[Finding] = (), muted: Iterable[str] = ()) -> None:
        super().__init__(found)
        self.muted = _known(muted)

    def add(self, *found: Finding) -> None:
        """Take findings whose codes are new here and not ignored."""
        for finding in found:
            if finding.code not in self.codes and not is_ignored(finding.code, self.muted):
                self.append(finding)

    @property
    def codes(self) -> list[str]:
        """The codes in the order in which they were found."""
        return [finding.code for finding in self]

    @property
    def issues(self) -> list[Finding]:
        """Without the tips."""
        return [finding for finding in self if finding.severity == "issue"]

    @property
    def frame(self) -> Any:
        """A pandas DataFrame with the columns code, severity, message, fix."""
        import pandas as pd

        return pd.DataFrame(facts_of(self), columns=["code", "severity", "message", "fix"])

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no findings"

    def _repr_html_(self) -> str:
        return render_findings(facts_of(self))


def facts_of(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Findings as plain dicts, for JSON and pages."""
    return [
        {"code": f.code, "severity": f.severity, "message": f.message, "fix": f.fix}
        for f in findings
    ]


# --- codes that nobody wants to hear -------------------------------------------------------------

_ignored: list[str] = []


class ignore:  # noqa: N801 (reads as a verb, like torch.no_grad)
    """Leave findings out, for all runs from now on or inside a ``with`` block.

    Parameters
    ----------
    *codes : str
        Such as "MM101".

    Raises
    ------
    ComponentError
        There is no such code.

    Examples
    --------
    >>> with ignore("MM101"):
    ...     pass  # fits in here never mention scales
    """

    def __init__(self, *codes: str) -> None:
        self.codes = _known(codes)
        _ignored.extend(self.codes)

    def __enter__(self) -> "ignore":
        return self

    def __exit__(self, *error: object) -> None:
        for code in self.codes:
            _ignored.remove(code)


def is_ignored(code: str, muted: Iterable[str] = ()) -> bool:
    """Whether a code is ignored everywhere or by this run."""
    return code in _ignored or code in muted


def _known(codes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(codes, str):
        codes = (codes,)
    codes = tuple(codes)
    for code in codes:
        if code not in CODES:
            raise ComponentError(f"no finding has the code {code!r}.{nearest(str(code), CODES)}")
    return codes
