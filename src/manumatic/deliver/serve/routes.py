"""The routes: our own, the Open Inference Protocol's, and those that the clouds ask for."""

__all__ = ["About", "Answers", "named", "routes"]

import asyncio
import os
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from manumatic.deliver.serve.decode import Invalid, answer_of
from manumatic.deliver.serve.gate import Gate, Handler, Refused
from manumatic.deliver.serve.inference_protocol import (
    decode_tensors,
    encode_tensors,
    metadata,
    told_back,
    wanted_of,
)
from manumatic.deliver.serve.service import Service

LARGE = 200_000  # bytes; to read more takes milliseconds, and others wait


class Answers:
    """Rows in, predictions out.

    Parameters
    ----------
    service : Service
    gate : Gate
    """

    def __init__(self, service: Service, gate: Gate) -> None:
        self.service, self.gate = service, gate

    async def predict(self, request: Request) -> Any:
        """``{"rows": [...]}`` → ``{"predictions": [...]}``."""
        return await self._rows(request, "rows")

    async def instances(self, request: Request) -> Any:
        """Vertex AI: ``{"instances": [...]}`` → one prediction an instance."""
        answer = await self._rows(request, "instances")
        beside = {name: answer[name] for name in ("probabilities", "scores") if name in answer}
        if beside:
            names = ["prediction", *beside]
            rows = zip(answer["predictions"], *beside.values(), strict=True)
            answer["predictions"] = [dict(zip(names, row, strict=True)) for row in rows]
        return {"predictions": answer["predictions"]}

    async def _rows(self, request: Request, key: str) -> dict[str, Any]:
        body = await self.gate.body(request)
        model = self.service.model
        if len(body) < LARGE:
            feeds, rows = model.decode(body, key)
        else:
            feeds, rows = await asyncio.to_thread(model.decode, body, key)
        return answer_of(model.schema, await model.answer(feeds, rows)) | {"model": model.digest}

    async def infer(self, request: Request) -> Any:
        """The Open Inference Protocol's tensors."""
        name = named(self.service, request)
        body, model = await self.gate.body(request), self.service.model
        asked = model.decode.tensors(body)
        feeds = model.decode.feeds(decode_tensors(model.schema, asked))
        about = {"model_name": name, "model_version": model.digest} | told_back(asked)
        wanted = wanted_of(model.schema, asked)
        rows = len(next(iter(feeds.values())))
        if rows > self.gate.limits.rows:
            told = f"a request may have {self.gate.limits.rows} rows at most"
            raise Invalid(told, "too_many_rows")
        return encode_tensors(wanted, await model.answer(feeds, rows), about)


class About:
    """What the server says about itself and its model.

    Parameters
    ----------
    service : Service
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    async def live(self, request: Request) -> Any:
        """The process answers."""
        return {"live": True}

    async def ready(self, request: Request) -> Any:
        """It also wants to."""
        if not self.service.ready:
            raise Refused(503, "draining")
        return {"ready": True, "model": self.service.model.digest}

    async def schema(self, request: Request) -> Any:
        """Columns and outputs."""
        return self.service.model.schema.to_json()

    async def server(self, request: Request) -> Any:
        """The Open Inference Protocol's words for the server."""
        from importlib.metadata import version

        return {"name": "manumatic", "version": version("manumatic"), "extensions": []}

    async def model(self, request: Request) -> Any:
        """The Open Inference Protocol's words for the model."""
        name, model = named(self.service, request), self.service.model
        return metadata(name, model.digest, model.schema)

    async def model_ready(self, request: Request) -> Any:
        """Whether the model of this name is ready."""
        named(self.service, request)
        return await self.ready(request)

    async def metrics(self, request: Request) -> Any:
        """Prometheus' text."""
        model = self.service.model
        self.service.metrics.refresh(model.watch, model.batcher.waiting_rows)
        return Response(self.service.metrics.text(), media_type="text/plain; version=0.0.4")


def named(service: Service, request: Request) -> str:
    """The name of the model in the path; there is only one.

    Parameters
    ----------
    service : Service
    request : Request

    Raises
    ------
    Refused
    """
    if request.path_params["name"] != service.name:
        raise Refused(404, "no model of this name")
    return service.name


def routes(service: Service, gate: Gate) -> list[Route]:
    """All routes of a service.

    Parameters
    ----------
    service : Service
    gate : Gate

    Returns
    -------
    list of Route
        Vertex AI's from ``AIP_PREDICT_ROUTE`` and ``AIP_HEALTH_ROUTE`` where these are set.
    """
    about, answers = About(service), Answers(service, gate)
    gets: dict[str, Handler] = {
        "/livez": about.live,
        "/health": about.live,
        "/readyz": about.ready,
        "/ready": about.ready,
        "/ping": about.ready,
        "/schema": about.schema,
        "/metrics": about.metrics,
        "/v2": about.server,
        "/v2/health/live": about.live,
        "/v2/health/ready": about.ready,
        "/v2/models/{name}": about.model,
        "/v2/models/{name}/ready": about.model_ready,
        "/v2/models/{name}/versions/{version}": about.model,
        "/v2/models/{name}/versions/{version}/ready": about.model_ready,
    }
    posts: dict[str, Handler] = {
        "/predict": answers.predict,
        "/score": answers.predict,
        "/invocations": answers.predict,
        "/v2/models/{name}/infer": answers.infer,
        "/v2/models/{name}/versions/{version}/infer": answers.infer,
    }
    if health := os.environ.get("AIP_HEALTH_ROUTE"):
        gets[health] = about.ready
    if predict := os.environ.get("AIP_PREDICT_ROUTE"):
        posts[predict] = answers.instances
    probes = (about.live, about.ready, about.model_ready)
    return [
        Route(path, gate.around(path, handler, handler in probes), methods=[method])
        for method, paths in (("GET", gets), ("POST", posts))
        for path, handler in paths.items()
    ]
