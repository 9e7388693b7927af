"""The application: FastAPI for its pages and documentation, plain routes for the work."""

__all__ = ["make_app"]

from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from manumatic.deliver.serve.describe import openapi
from manumatic.deliver.serve.gate import Gate, Limits
from manumatic.deliver.serve.page import render_docs, render_page
from manumatic.deliver.serve.routes import routes
from manumatic.deliver.serve.service import Service


class _App(FastAPI):
    """FastAPI with a straight way to the routes that work: their answers need none of its layers.

    Whoever adds middleware wants it around everything; then there is no straight way.
    """

    straight: dict[str, Any]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and not self.user_middleware:
            door = self.straight.get(scope["path"], super().__call__)
        else:
            door = super().__call__
        await door(scope, receive, send)


def make_app(service: Service, limits: Limits | None = None, token: str | None = None) -> FastAPI:
    """An ASGI application that serves one bundle.

    Parameters
    ----------
    service : Service
    limits : Limits, optional
    token : str, optional
        What clients must send as ``Authorization: Bearer …``; probes need none.

    Returns
    -------
    fastapi.FastAPI
        To be extended: ``app.get("/more")``.
    """
    limits = limits or Limits()
    gate = Gate(service.metrics, limits, token)
    # FastAPI's own pages load scripts from elsewhere; ours work without a network
    own: dict[str, Any] = {"openapi_url": None, "redirect_slashes": False}  # and so no docs
    app = _App(title=service.name, lifespan=service.watching, **own)
    describe = partial(openapi, service, limits, token is not None)
    app.openapi = describe  # type: ignore[method-assign] # FastAPI's way to a schema of one's own
    found = routes(service, gate)
    app.router.routes.extend(found)
    app.straight = {
        one.path: one.endpoint for one in found if one.methods == {"POST"} and "{" not in one.path
    }

    async def form(request: Request) -> Response:
        model = service.model
        return HTMLResponse(render_page(service.name, model.digest, model.schema))

    async def docs(request: Request) -> Response:
        return HTMLResponse(render_docs(service.name, describe(), service.model.schema))

    async def described(request: Request) -> Any:
        return describe()

    for path, page in (("/", form), ("/docs", docs), ("/openapi.json", described)):
        app.router.routes.append(Route(path, gate.around(path, page), methods=["GET"]))
    app.add_exception_handler(404, _no_such)
    app.add_exception_handler(405, _no_such)
    return app


async def _no_such(request: Request, error: Any) -> Response:
    headers = getattr(error, "headers", None)
    return JSONResponse({"error": error.detail}, error.status_code, headers)
