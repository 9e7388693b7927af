"""``explain(LinearRegression)``: what its ``fit`` hides; ``explain("MM201")``: what is found."""

__all__ = ["Explanation", "explain"]

import html
import inspect
import re
import textwrap
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator

from manumatic.doctor.finding import CODES
from manumatic.doctor.handbook import FINDINGS, contents, page_as_text
from manumatic.doctor.pages.linear import CHOICES, LINEAR, Page
from manumatic.doctor.pages.predictors import PREDICTORS
from manumatic.doctor.pages.topics import TOPICS
from manumatic.doctor.pages.transformers import AROUND, TRANSFORMERS
from manumatic.errors import ComponentError, nearest
from manumatic.logbook import PARTS

WIDTH = 92
OWN = ("Classifier", "Regressor")
AUTOMATIC = "manumatic.gears.automatic"  # stands behind this page and is known by name only
PAGES = {
    name: page
    for pages in (LINEAR, PREDICTORS, TRANSFORMERS)
    for names, page in pages.items()
    for name in names.split()
}
WRAPPERS = {name: text for names, text in AROUND.items() for name in names.split()}


class Explanation(str):
    """A text that shows itself as it is, in a session and in a notebook.

    Attributes
    ----------
    code : str
        A program that shows what the text says; empty for estimators.
    """

    code: str

    def __new__(cls, text: str, code: str = "") -> "Explanation":
        self = super().__new__(cls, text)
        self.code = code
        return self

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{html.escape(str(self))}</pre>'


def explain(subject: Any) -> Explanation:
    """Say what ``fit`` hides, what a topic is about, or what a finding of the doctor means.

    Parameters
    ----------
    subject : str, class or estimator
        A scikit-learn class, its name, or an instance, whose own parameters then count; manumatic's
        ``Classifier`` or ``Regressor``, fitted or not; a topic: "fit", "tensors", "autograd",
        "module", "data", "debug", "stability"; or the code of a finding, "MM201". "findings" lists
        the codes.

    Returns
    -------
    Explanation
        A str. For a topic or a finding, ``.code`` is a program that runs.

    Raises
    ------
    ComponentError
        Nothing is known by that name.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> print(explain(LinearRegression).splitlines()[0])
    LinearRegression: what fit hides
    >>> print(explain("LinearRegression").splitlines()[2])
    Least squares, solved exactly in one go: no gradients, no epochs.
    >>> print(explain("MM201").splitlines()[0])
    MM201 issue: target (n,) beside output (n, 1)
    """
    if isinstance(subject, str):
        subject = _by_name(subject)
        if isinstance(subject, Explanation):
            return subject
    kind = subject if isinstance(subject, type) else type(subject)
    if not (issubclass(kind, BaseEstimator) and hasattr(kind, "fit")):
        raise ComponentError(
            f"explain knows scikit-learn's estimators, manumatic's, {', '.join(TOPICS)} and "
            f"findings; got {subject!r}"
        )
    if any(base.__module__ == AUTOMATIC for base in kind.__mro__):
        instance = None if isinstance(subject, type) else subject
        if instance is not None and hasattr(instance, "logbook_"):
            return _logbook(kind.__name__, instance.logbook_)
        return _own(kind.__name__, _parameters(instance, kind))
    return _estimator(subject, kind)


# --- names -------------------------------------------------------------------------------------


def _by_name(name: str) -> Any:
    """The explanation of a topic, finding or own estimator; or a class of scikit-learn's."""
    word = name.strip()
    if word.lower() in TOPICS:
        topic = TOPICS[word.lower()]
        code = topic.code.strip() + "\n"
        parts = [topic.title, _paragraphs(topic.text), textwrap.indent(code, "    ")]
        return Explanation("\n\n".join(parts).rstrip(), code)
    if word.lower() in ("doctor", "findings"):
        return Explanation(contents())
    if re.fullmatch(r"mm\d+", word, re.IGNORECASE):
        return _finding(word.upper())
    if word.capitalize() in OWN:
        return _own(word.capitalize(), dict.fromkeys(PARTS, "auto"))
    known = _scikit_learn()
    same = {known_name.lower(): known_name for known_name in known}
    if word.lower() in same:
        return known[same[word.lower()]]
    near = nearest(word, [*TOPICS, *OWN, *known]) or nearest(word.capitalize(), known)
    raise ComponentError(
        f"nothing is known about {name!r}; give a topic ({', '.join(TOPICS)}, findings) or the "
        f"name of a scikit-learn estimator.{near}"
    )


def _finding(code: str) -> Explanation:
    if code not in CODES:
        raise ComponentError(
            f'no finding has the code {code!r}; explain("findings") lists them.'
            f"{nearest(code, CODES)}"
        )
    return Explanation(page_as_text(code), FINDINGS[code].code.strip() + "\n")


def _scikit_learn() -> dict[str, type]:
    """Its public estimators by name; sklearn.utils.all_estimators takes six times as long."""
    names = [name for name in sklearn.__all__ if find_spec(f"sklearn.{name}")]
    places = [*names, "feature_extraction.image", "feature_extraction.text"]
    modules = [import_module(f"sklearn.{place}") for place in places]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
        if issubclass(value, BaseEstimator) and not name.startswith(("_", "Base"))
    }


# --- scikit-learn ------------------------------------------------------------------------------


def _estimator(subject: Any, kind: type) -> Explanation:
    instance = None if isinstance(subject, type) else subject
    parameters = _parameters(instance, kind)
    known = next((base for base in kind.__mro__ if _has_page(base)), None)
    if known is None or kind.fit is not known.fit:  # type: ignore[attr-defined]  # it has fit
        return _unknown(subject, kind, parameters)
    if known.__name__ in WRAPPERS:
        return _wrapper(subject, kind, WRAPPERS[known.__name__], parameters)
    page = _page(known.__name__, parameters)
    lines = [f"{_title(subject)}: what fit hides", "", _wrap(page.summary), ""]
    return Explanation("\n".join(lines + [_row(part, getattr(page, part)) for part in PARTS]))


def _has_page(kind: type) -> bool:
    ours = kind.__module__.startswith("sklearn.")
    return ours and (kind.__name__ in PAGES or kind.__name__ in WRAPPERS)


def _parameters(instance: Any, kind: type) -> dict[str, Any]:
    """The instance's parameters, or the defaults of its class."""
    if instance is not None:
        return dict(instance.get_params(deep=False))
    signature = inspect.signature(kind.__init__).parameters  # type: ignore[misc]  # a class's own
    return {name: p.default for name, p in signature.items() if p.default is not p.empty}


def _page(name: str, parameters: Mapping[str, Any]) -> Page:
    page = PAGES[name]
    if name in CHOICES:
        parameter, choices = CHOICES[name]
        page = page._replace(**choices.get(parameters.get(parameter), {}))
    values = {**parameters, **_derived(name, parameters)}
    return Page(*(_fill(text, values) for text in page))


def _fill(text: str, values: Mapping[str, Any]) -> str:
    """Put values in; ``name={name}`` of a parameter that this version lacks loses its value."""

    def value(match: re.Match[str]) -> str:
        label, name = match[1] or "", match[2]
        if name not in values:
            return name
        shown = values[name]
        if not isinstance(shown, str | int | float | tuple | type(None)):
            shown = f"{type(shown).__name__}(...)" if not isinstance(shown, np.ndarray) else "..."
        return f"{label}{shown if not label or not isinstance(shown, str) else repr(shown)}"

    return re.sub(r"(\w+=)?\{(\w+)\}", value, text)


def _derived(name: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Words that several parameters decide together."""
    if name == "LogisticRegression":
        return {"regularisation": _regularisation(parameters)}
    if name == "MLPClassifier":
        return {
            "data_loss": "log loss (cross entropy)",
            "outputs": "probabilities (softmax; a sigmoid for two classes)",
        }
    if name == "MLPRegressor":
        poisson = parameters.get("loss") == "poisson"
        return {
            "data_loss": "Poisson loss" if poisson else "half the mean squared error",
            "outputs": "positive numbers (exp)" if poisson else "numbers, as they are",
        }
    return {}


def _regularisation(parameters: Mapping[str, Any]) -> str:
    penalty = parameters.get("penalty", "deprecated")
    if penalty == "deprecated":  # since 1.8 l1_ratio and C say it
        share = parameters.get("l1_ratio") or 0.0
        penalty = {0.0: "l2", 1.0: "l1"}.get(float(share), "elasticnet")
    if penalty is None or parameters.get("C") == np.inf:
        return "no penalty"
    return {
        "l2": "half the sum of squared weights (L2 penalty)",
        "l1": "the sum of absolute weights (L1 penalty)",
    }.get(str(penalty), "a mixture of absolute and squared weights (elastic net)")


def _wrapper(subject: Any, kind: type, text: str, parameters: Mapping[str, Any]) -> Explanation:
    """An estimator around others: what it does with them, then each of them."""
    title = f"{kind.__name__}: what fit hides"
    lines = [title, "", _wrap("It has no loss of its own; it fits others: " + text + ".")]
    for name, inner in _inside(parameters):
        told = explain(inner).splitlines()
        lines += ["", f"{name}: {told[0]}", *(f"  {line}".rstrip() for line in told[2:])]
    return Explanation("\n".join(lines))


def _inside(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The estimators among the parameters, by name."""
    found: list[tuple[str, Any]] = []
    for parameter, value in parameters.items():
        several = value if isinstance(value, list | tuple) else [(parameter, value)]
        for entry in several:
            inner = entry[1] if isinstance(entry, tuple) and len(entry) > 1 else None
            if hasattr(inner, "fit") and not isinstance(inner, type):
                found.append((str(entry[0]), inner))
    return found


def _unknown(subject: Any, kind: type, parameters: Mapping[str, Any]) -> Explanation:
    """What can be said truthfully from the parameters alone."""
    signs = {
        "solver": "solver={} chooses the algorithm",
        "loss": "loss={} is what it minimises, or takes gradients of",
        "n_estimators": "n_estimators={}: it fits several models",
        "learning_rate": "learning_rate={}: it takes steps",
        "batch_size": "batch_size={}: it looks at the rows in batches",
        "max_iter": "max_iter={}: it iterates, at most so often",
        "tol": "tol={}: it stops when little changes",
        "random_state": "random_state={}: it draws random numbers",
    }
    told = [
        text.format(repr(parameters[name])) for name, text in signs.items() if name in parameters
    ]
    lines = [f"{_title(subject)}: no page of its own", ""]
    lines.append(_wrap(f"{kind.__name__} comes from {kind.__module__}, and its fit is its own."))
    if told:
        lines += ["What its parameters say:", "", *(f"  {line}" for line in told)]
    else:
        lines.append("Its parameters name no solver, loss or number of iterations.")
    return Explanation("\n".join(lines))


# --- manumatic ---------------------------------------------------------------------------------


def _logbook(name: str, logbook: Any) -> Explanation:
    """What a fitted estimator decided."""
    lines = [f"{name}: what this fit did", ""]
    book = sorted(logbook, key=lambda entry: PARTS.index(entry.part))
    lines += [_row(part, f"{did} ({why})") for part, did, why in book]
    if not logbook:
        lines.append("Nothing was left for it to decide: all components were given.")
    return Explanation("\n".join(lines))


def _own(name: str, parameters: Mapping[str, Any]) -> Explanation:
    """The five components as given."""
    decides = {
        "data": "how the columns are encoded and scaled, rows held out, rows a batch",
        "model": "a network that fits the columns, images or texts",
        "loss": "cross entropy for classes, squared error for numbers",
        "optimizer": "the rule and learning rate that turn gradients into new weights",
        "loop": "how many epochs, and when to stop",
    }
    lines = [f"{name}: what fit hides", ""]
    lines.append(_wrap("A training loop in PyTorch, with gradients by autograd and minibatches."))
    lines.append("")
    for part in PARTS:
        given = parameters[part]
        own = isinstance(given, str) and given == "auto"
        lines.append(_row(part, f'"auto": {decides[part]}' if own else repr(given)))
    closing = "After fit, logbook_ says what was decided and why; manual(X, y) hands you all five."
    return Explanation("\n".join([*lines, "", closing]))


# --- lines -------------------------------------------------------------------------------------


def _title(subject: Any) -> str:
    return subject.__name__ if isinstance(subject, type) else " ".join(repr(subject).split())


def _wrap(text: str) -> str:
    return textwrap.fill(text, WIDTH)


def _paragraphs(text: str) -> str:
    return "\n\n".join(_wrap(" ".join(part.split())) for part in text.strip().split("\n\n"))


def _row(part: str, text: str) -> str:
    begin = f"  {part:<10} "
    return textwrap.fill(text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))
