"""Every route answers as its contract says, and what HTTP says is what the estimator says."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from serving import DEAR, FLATS, ROW, ask, metric, pipeline, rng, rows_of, save_flats, serving
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.middleware.base import BaseHTTPMiddleware

import manumatic as mm
from manumatic.deliver.runtime import Runtime
from manumatic.deliver.schema import Column, Output, Schema, profile_of
from manumatic.deliver.serve.app import make_app
from manumatic.deliver.serve.decode import answer_of
from manumatic.deliver.serve.inference_protocol import encode_tensors, metadata
from manumatic.deliver.serve.metrics import Watch
from manumatic.deliver.serve.service import Service

TENSORS = [
    {"name": "size", "datatype": "FP64", "shape": [2, 1], "data": [80.5, None]},
    {"name": "rooms", "datatype": "INT64", "shape": [2], "data": [3, 4]},
    {"name": "city", "datatype": "BYTES", "shape": [2, 1], "data": [["Ulm"], ["Mars"]]},
]
TWO = pd.DataFrame({"size": [80.5, np.nan], "rooms": [3, 4], "city": ["Ulm", "Mars"]})


@pytest.fixture(scope="module")
def model() -> Any:
    return pipeline()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flats(tmp_path_factory.mktemp("serve") / "flats.mm")


@pytest.fixture(scope="module")
def port(path: Path) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIP_PREDICT_ROUTE", "/vertex/predict")
        patch.setenv("AIP_HEALTH_ROUTE", "/vertex/health")
        app = make_app(Service(path))
    with serving(path, app=app) as (port, _):
        yield port


# --- the same answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["/predict", "/score", "/invocations"])
def test_http_says_what_the_estimator_says(port: int, path: Path, model: Any, route: str) -> None:
    code, answer, _ = ask(port, "POST", route, {"rows": rows_of(FLATS)})
    assert code == 200
    assert answer["predictions"] == model.predict(FLATS).tolist()
    assert answer["classes"] == model.classes_.tolist()
    assert np.abs(answer["probabilities"] - model.predict_proba(FLATS)).max() < 1e-6
    runtime = Runtime(path)
    assert np.array_equal(answer["probabilities"], runtime.predict_proba(FLATS))
    assert answer["model"] == runtime.version


def test_keys_and_rows_in_any_order(port: int, model: Any) -> None:
    some = FLATS.sample(frac=1, random_state=1)[["city", "size", "rooms"]]
    answer = ask(port, "POST", "/predict", {"rows": rows_of(some)})[1]
    assert answer["predictions"] == model.predict(some[FLATS.columns]).tolist()


def test_numbers_answer_as_numbers(tmp_path: Path) -> None:
    X = rng.normal(size=(40, 3))
    several = Ridge().fit(X, np.c_[X @ [1.0, 2.0, 3.0], X[:, 0]])
    mm.save(several, tmp_path / "two.mm", X)
    with serving(tmp_path / "two.mm") as (port, _):
        found = ask(port, "POST", "/predict", {"rows": X.tolist()})[1]["predictions"]
        assert np.allclose(found, several.predict(X))
        flat = {"name": "X", "datatype": "FP32", "shape": [2, 3], "data": X[:2].ravel().tolist()}
        code, answer, _ = ask(port, "POST", "/v2/models/two/infer", {"inputs": [flat]})
        assert code == 200
        (output,) = answer["outputs"]
        assert (output["shape"], output["datatype"]) == ([2, 2], "FP64")
        assert np.allclose(np.reshape(output["data"], (2, 2)), several.predict(X[:2]))
        # Vertex sets its routes before the container starts: there are none here
        assert ask(port, "POST", "/vertex/predict", {"instances": X.tolist()})[0] == 404


def test_scores_of_a_model_without_probabilities() -> None:
    outputs = [
        Output("label", "predict", "int64", [], classes=[0, 1]),
        Output("score", "decision_function", "float64", []),
    ]
    schema = Schema("array", False, [], outputs, [1])
    found = answer_of(schema, {"label": np.array([1]), "score": np.array([2.5])})
    assert found == {"predictions": [1], "scores": [2.5]}


# --- the Open Inference Protocol ------------------------------------------------------------------


def test_metadata(port: int) -> None:
    server = ask(port, "GET", "/v2")[1]
    assert server["name"] == "manumatic"
    assert server["version"] == mm.__version__
    told = ask(port, "GET", "/v2/models/flats")[1]
    assert told["inputs"] == [
        {"name": "size", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "rooms", "datatype": "INT64", "shape": [-1, 1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
    ]
    assert {"name": "label", "datatype": "BYTES", "shape": [-1]} in told["outputs"]
    assert {"name": "probability", "datatype": "FP64", "shape": [-1, 2]} in told["outputs"]
    (version,) = told["versions"]
    assert ask(port, "GET", f"/v2/models/flats/versions/{version}")[1] == told
    for probe in ("/v2/health/live", "/v2/health/ready", "/v2/models/flats/ready"):
        assert ask(port, "GET", probe)[0] == 200
    assert ask(port, "GET", f"/v2/models/flats/versions/{version}/ready")[0] == 200


def test_metadata_of_text_and_arrays() -> None:
    text = metadata("m", "1", Schema("text", False, [], []))
    assert text["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    array = metadata("m", "1", Schema("array", False, [], [], [2, 3]))
    assert array["inputs"] == [{"name": "X", "datatype": "FP64", "shape": [-1, 2, 3]}]


def test_infer(port: int, model: Any) -> None:
    asked = {"id": "7", "parameters": {}, "inputs": TENSORS}
    code, answer, _ = ask(port, "POST", "/v2/models/flats/infer", asked)
    assert (code, answer["id"], answer["model_name"]) == (200, "7", "flats")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["label"]["data"] == model.predict(TWO).tolist()
    assert outputs["label"]["datatype"] == "BYTES"
    shares = np.reshape(outputs["probability"]["data"], outputs["probability"]["shape"])
    assert np.abs(shares - model.predict_proba(TWO)).max() < 1e-6
    version = answer["model_version"]
    again = ask(port, "POST", f"/v2/models/flats/versions/{version}/infer", asked)
    assert again[1] == answer


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"datatype": "FP16X"}),
        (0, {"datatype": ["FP64"]}),
        (0, {"datatype": "BOOL"}),
        (0, {"datatype": "BYTES", "data": [1.5, 2.5]}),
        (0, {"data": ["80", "90"]}),
        (0, {"data": [80.5]}),
        (0, {"data": [True, False]}),
        (0, {"data": None}),
        (0, {"data": [[[[[[[[[[[1, 2]]]]]]]]]]]}),
        (0, {"data": [10**400, 1]}),
        (0, {"shape": [3, 1]}),
        (0, {"shape": []}),
        (0, {"shape": [2, -1]}),
        (0, {"shape": [2.0, 1]}),
        (0, {"shape": [1, 2]}),
        (0, {"shape": [0, 1], "data": []}),
        (0, {"name": "rooms"}),
        (0, {"name": "colour"}),
        (0, {"name": None}),
        (1, {"data": [1.5, 2], "datatype": "FP64"}),
        (2, {"data": [["Ulm"], [5]]}),
        (2, {"datatype": "FP64", "data": [1, 2]}),
    ],
)
def test_infer_refuses(port: int, place: int, change: dict[str, Any]) -> None:
    inputs = [tensor | change if i == place else tensor for i, tensor in enumerate(TENSORS)]
    code, answer, _ = ask(port, "POST", "/v2/models/flats/infer", {"inputs": inputs})
    assert code == 422, answer
    assert set(answer) == {"error"}


def test_infer_gives_the_outputs_that_are_asked_for(port: int) -> None:
    def ask_for(outputs: Any) -> tuple[int, Any]:
        asked = {"inputs": TENSORS, "outputs": outputs}
        return ask(port, "POST", "/v2/models/flats/infer", asked)[:2]

    code, answer = ask_for([{"name": "probability"}])
    assert (code, [one["name"] for one in answer["outputs"]]) == (200, ["probability"])
    for wrong in ({}, [5], [{"name": "more"}], [{}]):
        assert ask_for(wrong)[0] == 422
    assert ask(port, "POST", "/v2/models/flats/infer", {"inputs": TENSORS, "id": 5})[0] == 422


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b'{"inputs":[5]}', b'{"inputs":[]}', b"{"])
def test_infer_refuses_what_is_no_request(port: int, body: bytes) -> None:
    code, answer, _ = ask(port, "POST", "/v2/models/flats/infer", body)
    assert (code, set(answer)) == (422, {"error"})


def test_infer_refuses_strangers_and_crowds(port: int) -> None:
    code, answer, _ = ask(port, "POST", "/v2/models/other/infer", {"inputs": TENSORS})
    assert (code, answer) == (404, {"error": "no model of this name"})
    many = [t | {"shape": [20_000], "data": [t["data"][0]] * 20_000} for t in TENSORS]
    many[2]["data"] = ["Ulm"] * 20_000
    assert ask(port, "POST", "/v2/models/flats/infer", {"inputs": many})[0] == 422
    twice = b'{"inputs":[],"inputs":' + json.dumps(TENSORS).encode() + b"}"
    assert ask(port, "POST", "/v2/models/flats/infer", twice)[0] == 422


def test_whole_outputs_have_a_type() -> None:
    schema = Schema("array", False, [], [Output("label", "predict", "int64", [], [0, 1])], [1])
    (output,) = encode_tensors(schema.outputs, {"label": np.array([0, 1])}, {})["outputs"]
    assert output == {"name": "label", "shape": [2], "datatype": "INT64", "data": [0, 1]}


# --- the clouds -----------------------------------------------------------------------------------


def test_vertex(port: int, model: Any) -> None:
    assert ask(port, "GET", "/vertex/health")[0] == 200
    asked = {"instances": rows_of(TWO), "parameters": {"any": [1]}}
    code, answer, _ = ask(port, "POST", "/vertex/predict", asked)
    assert (code, set(answer)) == (200, {"predictions"})
    assert [one["prediction"] for one in answer["predictions"]] == model.predict(TWO).tolist()
    shares = [one["probabilities"] for one in answer["predictions"]]
    assert np.abs(shares - model.predict_proba(TWO)).max() < 1e-6
    assert ask(port, "POST", "/vertex/predict", {"rows": rows_of(TWO)})[0] == 422


def test_sagemaker_and_azure(port: int) -> None:
    for probe in ("/ping", "/livez", "/readyz", "/health", "/ready"):
        assert ask(port, "GET", probe)[0] == 200
    for route in ("/invocations", "/score"):
        assert ask(port, "POST", route, {"rows": [ROW]})[0] == 200


def test_draining_is_not_ready(path: Path) -> None:
    with serving(path) as (port, service):
        service.draining = True
        assert ask(port, "GET", "/readyz")[0] == 503
        assert ask(port, "GET", "/ping")[0] == 503
        assert ask(port, "GET", "/livez")[0] == 200
        assert ask(port, "POST", "/predict", {"rows": [ROW]})[0] == 200


def test_the_token(path: Path) -> None:
    probes = ["/livez", "/readyz", "/health", "/ready", "/ping", "/v2/health/live"]
    with serving(path, token="s3cret") as (port, _):
        for probe in (*probes, "/v2/health/ready", "/v2/models/flats/ready"):
            assert ask(port, "GET", probe)[0] == 200
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            shut = ("/metrics", "/schema", "/openapi.json", "/", "/docs", "/v2/models/flats")
            for method, route in (("POST", "/predict"), *(("GET", path) for path in shut)):
                code, answer, headers = ask(port, method, route, None, given)
                assert (code, headers["www-authenticate"]) == (401, "Bearer")
                assert answer == {"error": "a bearer token is needed"}
        right = {"Authorization": "bearer s3cret"}
        assert ask(port, "POST", "/predict", {"rows": [ROW]}, right)[0] == 200
        assert ask(port, "GET", "/openapi.json", None, right)[1]["security"] == [{"token": []}]


# --- what is counted ------------------------------------------------------------------------------


def test_metrics(path: Path) -> None:
    with serving(path) as (port, service):
        rows = rows_of(FLATS) + [ROW | {"city": "Mars"}] * 70 + [ROW | {"city": None}]
        assert ask(port, "POST", "/predict", {"rows": rows})[0] == 200
        assert ask(port, "POST", "/predict", {"rows": []})[0] == 422
        assert ask(port, "POST", "/predict", {"rows": [ROW | {"rooms": 0.5}]})[0] == 422
        count = 'manumatic_requests_total{code="%s",route="/predict"}'
        assert metric(port, count % 200) == 1
        assert metric(port, count % 422) == 2
        assert metric(port, 'manumatic_validation_errors_total{reason="malformed"}') == 1
        assert metric(port, 'manumatic_validation_errors_total{reason="value"}') == 1
        missing = FLATS["size"].isna().sum()
        assert metric(port, 'manumatic_null_values_total{column="size"}') == missing
        assert metric(port, 'manumatic_null_values_total{column="city"}') == 1
        assert metric(port, 'manumatic_unseen_words_total{column="city"}') == 70
        assert metric(port, "manumatic_batch_rows_sum") == len(rows)
        assert metric(port, "manumatic_inference_seconds_count") == 1
        told = f'manumatic_model_info{{digest="{service.model.digest}",model="flats"}}'
        assert metric(port, told) == 1
        assert metric(port, 'manumatic_drift_psi{column="size"}') > 0.25  # 70 rows are all the same
        assert metric(port, 'manumatic_drift_psi{column="city"}') > 0.25


def test_drift_is_the_index_of_the_books() -> None:
    before, after = rng.normal(size=5000), rng.normal(0.5, 1.3, 4000)
    column = Column("x", "number", profile=profile_of(before.tolist()))
    watch = Watch(Schema("table", True, [column], []))
    for part in np.array_split(after, 30):
        watch.saw({"x": part[:, None]}, len(part))
    watch.count()
    edges = [-np.inf, *np.quantile(before, np.linspace(0.1, 0.9, 9)), np.inf]
    p, q = (np.histogram(one, edges)[0] / len(one) for one in (after, before))
    assert watch.drift()["x"] == pytest.approx(((p - q) * np.log(p / q)).sum(), abs=1e-3)


def test_the_same_rows_have_not_drifted_and_few_say_nothing() -> None:
    words = ["a"] * 60 + ["b"] * 30 + [None] * 10
    known = Column("w", "word", nullable=True, categories=["a", "b"], profile=profile_of(words))
    spoken = Column("n", "word", categories=["a", None], profile=profile_of(words))
    bare = Column("bare", "number")
    watch = Watch(Schema("table", True, [known, spoken, bare], []))
    cells = np.array([[word or ""] for word in words], dtype=object)
    named = np.array([[word or "None"] for word in words], dtype=object)
    feeds = {"w": cells, "n": named, "bare": np.full((100, 1), np.nan)}
    watch.saw(feeds, 100)
    watch.count()
    assert watch.drift() == {}  # 90 words are too few
    assert watch.odd == {"w": (10, 0), "n": (10, 0), "bare": (100, 0)}
    watch.saw(feeds, 100)
    watch.count()
    assert watch.drift() == {"w": pytest.approx(0, abs=1e-9), "n": pytest.approx(0, abs=1e-9)}


def test_unseen_words_are_a_part_of_their_own() -> None:
    words = ["a"] * 60 + ["b"] * 40
    watch = Watch(Schema("table", True, [Column("w", "word", profile=profile_of(words))], []))
    now = ["a"] * 50 + ["b"] * 30 + ["\x00new"] * 20
    watch.saw({"w": np.array(now, dtype=object)[:, None]}, 100)
    watch.count()
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4, 1e-4])
    assert watch.drift()["w"] == pytest.approx(((p - q) * np.log(p / q)).sum())
    assert watch.odd == {"w": (0, 20)}


# --- pages ----------------------------------------------------------------------------------------


class Fields(HTMLParser):
    """Names of inputs, and every address that the page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag in ("input", "select"):
            self.names.append(str(found.get("name")))
        self.loads += [str(found[key]) for key in ("src",) if key in found]


def test_pages(port: int) -> None:
    for route in ("/", "/docs"):
        code, page, headers = ask(port, "GET", route)
        assert code == 200
        assert headers["content-type"].startswith("text/html")
        fields = Fields()
        fields.feed(page.decode())
        assert fields.loads == []
        if route == "/":
            assert fields.names == ["0", "1", "2"]
        for name in FLATS:
            assert name in page.decode()
    assert ask(port, "GET", "/schema")[1]["columns"][0]["name"] == "size"


def test_names_of_columns_are_text_in_the_page(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    frame = FLATS[["city"]].rename(columns={"city": bad})
    model = make_pipeline(OneHotEncoder(), Ridge()).fit(frame, DEAR == "dear")
    mm.save(model, tmp_path / "bad.mm", frame)
    with serving(tmp_path / "bad.mm") as (port, _):
        for route in ("/", "/docs"):
            assert bad.encode() not in ask(port, "GET", route)[1]
        assert ask(port, "POST", "/predict", {"rows": [{bad: "Ulm"}]})[0] == 200


def test_the_example_of_the_description_works(port: int) -> None:
    told = ask(port, "GET", "/openapi.json")[1]
    content = told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    code, _, _ = ask(port, "POST", "/predict", content["schema"]["example"])
    assert code == 200


def test_middleware_of_others_is_around_all_routes(path: Path) -> None:
    app = make_app(Service(path))
    seen = []

    async def note(request: Any, following: Any) -> Any:
        seen.append(request.url.path)
        return await following(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=note)
    app.get("/more")(lambda: {"more": True})
    with serving(path, app=app) as (port, _):
        assert ask(port, "POST", "/predict", {"rows": [ROW]})[0] == 200
        assert ask(port, "GET", "/more")[1] == {"more": True}
    assert seen == ["/predict", "/more"]
