"""What stands around every answer: a token, limits, errors as JSON, and the counting."""

__all__ = ["Gate", "Limits", "Refused"]

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from manumatic.deliver.serve.batching import Busy
from manumatic.deliver.serve.decode import Invalid
from manumatic.deliver.serve.metrics import Metrics

Handler = Callable[[Request], Awaitable[Any]]
OPEN = ("/livez", "/readyz", "/health", "/ready", "/ping")  # probes carry no token


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes
    ----------
    body : int
        Bytes.
    rows : int
    seconds : float
        From its head to the answer.
    """

    body: int = 8 * 2**20
    rows: int = 10_000
    seconds: float = 30.0


class Refused(Exception):
    """An answer that is an error.

    Parameters
    ----------
    code : int
        Of HTTP.
    message : str
    **headers : str
    """

    def __init__(self, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.code, self.headers = code, headers


class Gate:
    """Lets requests in and answers out.

    Parameters
    ----------
    metrics : Metrics
    limits : Limits
    token : str, optional
        What a client must send as ``Authorization: Bearer …``.
    """

    def __init__(self, metrics: Metrics, limits: Limits, token: str | None = None) -> None:
        import msgspec

        self.metrics, self.limits = metrics, limits
        self.token = None if token is None else token.encode()
        self.encode = msgspec.json.Encoder().encode

    def around(self, name: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A handler of a route, whose every end is a response.

        Parameters
        ----------
        name : str
            The route, for the metrics.
        handler : callable
            A request → a response, or what becomes JSON.
        """
        metrics, seconds = self.metrics, self.metrics.seconds.labels(name)

        async def answered(request: Request) -> Response:
            start = time.perf_counter()
            code, content, headers = await self._try(handler, request)
            seconds.observe(time.perf_counter() - start)
            metrics.requests.labels(name, str(code)).inc()
            if isinstance(content, Response):
                return content
            return Response(self.encode(content), code, headers, "application/json")

        return answered

    async def _try(self, handler: Handler, request: Request) -> tuple[int, Any, dict[str, str]]:
        headers: dict[str, str] = {}
        try:
            self._admit(request)
            async with asyncio.timeout(self.limits.seconds):
                return 200, await handler(request), headers
        except Invalid as error:
            if error.reason == "nonfinite":
                self.metrics.nonfinite.inc()
            else:
                self.metrics.invalid.labels(error.reason).inc()
            code, said = 422, str(error)
        except Refused as error:
            code, said, headers = error.code, str(error), error.headers
        except Busy:
            code, said = 429, "too many rows are waiting; come back in a second"
            headers = {"Retry-After": "1"}
        except TimeoutError:
            code, said = 504, f"no answer within {self.limits.seconds:g} seconds"
        except ClientDisconnect:
            code, said = 400, "the body ended too early"
        return code, {"error": said}, headers

    def _admit(self, request: Request) -> None:
        if self.token is None or request.url.path in OPEN:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token):
            raise Refused(401, "a bearer token is needed", **{"WWW-Authenticate": "Bearer"})

    async def body(self, request: Request) -> bytes:
        """The whole body of a request.

        Parameters
        ----------
        request : Request

        Raises
        ------
        Refused
            It is longer than it may be.
        """
        most, told = self.limits.body, request.headers.get("content-length", "0")
        too_large = Refused(413, f"a request may have {most} bytes at most", Connection="close")
        if not told.isdecimal() or int(told) > most:
            raise too_large
        parts, total = [], 0
        async for part in request.stream():  # what a chunked body is in truth
            total += len(part)
            if total > most:
                raise too_large
            parts.append(part)
        return b"".join(parts)
