"""What stands around every answer: a token, limits, errors as JSON, and the counting."""

__all__ = ["Door", "Gate", "Limits", "Refused"]

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from manumatic.deliver.serve.batching import Busy
from manumatic.deliver.serve.decode import Invalid
from manumatic.deliver.serve.metrics import Metrics

log = logging.getLogger("manumatic.serve")
Handler = Callable[[Request], Awaitable[Any]]
SWALLOWED = 4  # times the bytes allowed: how much of a request that is too large is read


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

    def around(self, name: str, handler: Handler, probe: bool = False) -> "Door":
        """A handler of a route as an ASGI application, whose every end is a response.

        Parameters
        ----------
        name : str
            The route, for the metrics.
        handler : callable
            A request → a response, or what becomes JSON.
        probe : bool
            Whoever looks whether the server lives has no token.
        """
        return Door(self, name, handler, probe)

    async def attempt(
        self, handler: Handler, request: Request, probe: bool
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, content and further headers: what the handler gives, or its error as JSON.

        Parameters
        ----------
        handler : callable
        request : Request
        probe : bool
            It needs no token.
        """
        headers: dict[str, str] = {}
        try:
            if self.token is not None and not probe:
                self._admit(request, self.token)
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
        except Exception:
            log.exception("a request failed")
            code, said = 500, "the server failed; its log says why"
        return code, {"error": said}, headers

    def _admit(self, request: Request, token: bytes) -> None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.encode(), token):
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
        if "expect" in request.headers and told.isdecimal() and int(told) > most:
            raise self._too_large()  # the client waits for a word before it sends
        parts, total, more = [], 0, True
        while more and total <= SWALLOWED * most:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part, more = message.get("body", b""), message.get("more_body", False)
            total += len(part)
            if total <= most:  # what is too much is read, lest a client sees a broken pipe
                parts.append(part)
        if total > most:
            raise self._too_large()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> Refused:
        most = self.limits.body
        return Refused(413, f"a request may have {most} bytes at most", Connection="close")


class Door:
    """A route: an ASGI application around a handler, with a clock and a counter.

    Parameters
    ----------
    gate : Gate
    name : str
        The route, for the metrics.
    handler : callable
        A request → a response, or what becomes JSON.
    probe : bool
        It needs no token.
    """

    def __init__(self, gate: Gate, name: str, handler: Handler, probe: bool = False) -> None:
        self.gate, self.name, self.handler, self.probe = gate, name, handler, probe
        self._seconds = gate.metrics.seconds.labels(name)
        self._fine = gate.metrics.requests.labels(name, "200")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start = time.perf_counter()
        code, content, more = await self.gate.attempt(
            self.handler, Request(scope, receive), self.probe
        )
        self._seconds.observe(time.perf_counter() - start)
        if code == 200:
            self._fine.inc()
        else:
            self.gate.metrics.requests.labels(self.name, str(code)).inc()
        if isinstance(content, Response):
            await content(scope, receive, send)
            return
        body = self.gate.encode(content)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.lower().encode(), value.encode()) for name, value in more.items()),
        ]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})
