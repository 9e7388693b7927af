"""The part of this package that serves a bundle, as a wheel that needs nothing but its pins."""

__all__ = ["make_wheel", "pins"]

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from importlib.resources.abc import Traversable

SHIPPED = ("__init__.py", "deliver", "errors.py", "files.py", "py.typed", "show")
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}


def make_wheel() -> tuple[str, bytes]:
    """A wheel of what serving imports, built from the files that run here.

    So a container gets the very code that wrote its folder, and pip need not look for a package of
    this name anywhere. It does without torch and scikit-learn, which the whole package asks for.

    Returns
    -------
    name : str
        Its version ends in ``+serve``, for it is not the whole package.
    content : bytes
        The same for the same files.

    Examples
    --------
    >>> name, content = make_wheel()
    >>> name.endswith("serve-py3-none-any.whl")
    True
    """
    plain = version("manumatic")
    told = f"{plain}{'.' if '+' in plain else '+'}serve"
    about = f"manumatic-{told}.dist-info"
    root = files("manumatic")
    content = dict(pair for part in SHIPPED for pair in _below(root / part, f"manumatic/{part}"))
    content[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: manumatic\nVersion: {told}\nRequires-Python: >=3.11\n"
        "Requires-Dist: numpy\nRequires-Dist: onnxruntime\n"
    ).encode()
    content[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: manumatic\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    lines = [f"{name},sha256={_hash(raw)},{len(raw)}" for name, raw in content.items()]
    content[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,", ""]).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, raw in content.items():
            wheel.writestr(zipfile.ZipInfo(name), raw, zipfile.ZIP_DEFLATED)  # dated 1980
    return f"manumatic-{told}-py3-none-any.whl", archive.getvalue()


def _below(place: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    """A file, or all files of a folder, by their names in the wheel."""
    if place.is_file():
        yield name, place.read_bytes()
        return
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.name != "__pycache__":
            yield from _below(entry, f"{name}/{entry.name}")


def _hash(raw: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()


def pins(names: Sequence[str]) -> list[str]:
    """``name==version`` of packages and of all that they need, as they are installed here.

    Parameters
    ----------
    names : sequence of str
        One that is not installed is left without a version.

    Returns
    -------
    list of str
        Sorted; for Linux. What is needed there and not installed here is left to pip.

    Examples
    --------
    >>> [pin.partition("==")[0] for pin in pins(["jinja2"])]
    ['Jinja2', 'MarkupSafe']
    """
    from packaging.requirements import Requirement  # onnxruntime brings it

    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            found[key] = name if name in names else ""
            continue
        found[key] = f"{package.metadata['Name']}=={package.version.partition('+')[0]}"
        needed = map(Requirement, package.requires or ())
        waiting += [n.name for n in needed if n.marker is None or n.marker.evaluate(LINUX)]
    return sorted(filter(None, found.values()), key=str.lower)
