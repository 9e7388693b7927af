"""A bundle with all that runs it: a folder for a container, or a small app to read and change."""

__all__ = ["write_docker", "write_fastapi", "write_flask"]

import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from manumatic.deliver.bundle import MANIFEST, write_bundle
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.serve.describe import example_row
from manumatic.deliver.wheel import make_wheel, pins
from manumatic.errors import ComponentError
from manumatic.files import write_whole

CORE = ("msgspec", "numpy", "onnxruntime")
SERVER = (*CORE, "fastapi", "httptools", "jinja2", "prometheus_client", "uvicorn", "uvloop")


def write_docker(path: str | Path, folder: str | Path, *, force: bool = False) -> Path:
    """Write a folder that ``docker build`` makes a server of.

    In it: the bundle, a Dockerfile, the pinned versions of this machine, the serving part of
    manumatic as a wheel, a request that works, and a page for SageMaker, Vertex AI, Azure ML and
    Kubernetes each. Nothing that the bundle says of itself gets into any file but the bundle and
    the requests, which are JSON.

    Parameters
    ----------
    path : path
        A bundle of ``mm.save`` with a graph (tier 1).
    folder : path
        New or empty.
    force : bool
        Overwrite files of the same names.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError
        The bundle is damaged, or cannot be served without the estimator.
    ComponentError
        The folder holds files already.
    MissingExtra
        onnxruntime is not there.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import Ridge
    >>> import manumatic as mm
    >>> with tempfile.TemporaryDirectory() as top:
    ...     saved = mm.save(Ridge().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]), f"{top}/ridge.mm")
    ...     folder = write_docker(saved.path, f"{top}/app")
    ...     (folder / "Dockerfile").read_text().splitlines()[-1]
    'CMD ["serve"]'
    """
    return _write(path, Path(folder), "docker", SERVER, force)


def write_flask(path: str | Path, folder: str | Path, *, force: bool = False) -> Path:
    """Write a small Flask app around a bundle: app.py, requirements.txt, README.md.

    Parameters
    ----------
    path, folder, force
        As for :func:`write_docker`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError, ComponentError, MissingExtra
        As :func:`write_docker`.

    Examples
    --------
    >>> write_flask("model.mm", "app")  # doctest: +SKIP
    """
    return _write(path, Path(folder), "flask", (*CORE, "flask"), force)


def write_fastapi(path: str | Path, folder: str | Path, *, force: bool = False) -> Path:
    """Write a small FastAPI app around a bundle: app.py, requirements.txt, README.md.

    Parameters
    ----------
    path, folder, force
        As for :func:`write_docker`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    DataError, ComponentError, MissingExtra
        As :func:`write_docker`.

    Examples
    --------
    >>> write_fastapi("model.mm", "app")  # doctest: +SKIP
    """
    return _write(path, Path(folder), "fastapi", (*CORE, "fastapi", "uvicorn"), force)


def _write(path: str | Path, folder: Path, kind: str, packages: Sequence[str], force: bool) -> Path:
    if folder.exists() and not (folder.is_dir() and (force or not any(folder.iterdir()))):
        raise ComponentError(f"{folder} is not an empty folder; name another one, or force it")
    runtime = Runtime(path)  # checks the bundle, and that it can be served
    name, wheel = make_wheel()
    values = {"python": "{}.{}".format(*sys.version_info), "wheel": name}
    row = example_row(runtime.schema)
    content: dict[str, str | bytes] = {
        name: wheel,
        "requirements.txt": "\n".join([f"./{name}", *pins(packages), ""]),
        "request.json": json.dumps({"rows": [row]}) + "\n",
        **_rendered(kind, values),
    }
    if kind == "docker":
        content["instances.json"] = json.dumps({"instances": [row]}) + "\n"
    for title, text in content.items():
        write_whole(folder / title, text)
    bundle = runtime.bundle
    members = {title: bytes(raw) for title, raw in bundle.members.items() if title != MANIFEST}
    write_bundle(folder / "model.mm", members, bundle.manifest["about"])  # also of a folder
    return folder


def _rendered(kind: str, values: dict[str, str]) -> dict[str, str]:
    """The templates of a folder; the values are ours, so nothing needs to be escaped."""
    engine = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    folder = files("manumatic.deliver") / "templates" / kind
    return {
        template.name.removesuffix(".jinja"): engine.from_string(
            template.read_text(encoding="utf-8")
        ).render(values)
        for template in sorted(folder.iterdir(), key=lambda entry: entry.name)
    }
