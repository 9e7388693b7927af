"""uvicorn's protocol with a clock: who sends a request too slowly is disconnected.

uvicorn waits for ever for a head or a body, so a few hundred half-open sockets (a slow loris) hold
a server still. Its own keep-alive clock covers only the time between two requests. It also sends
the head and the body of an answer one by one, and a packet costs more than a small model.
"""

__all__ = ["Deadlines", "Joined", "protocol"]

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class Joined:
    """A transport that sends at once what is written in one turn of the event loop.

    Parameters
    ----------
    transport : asyncio.Transport
    loop : asyncio.AbstractEventLoop
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it with what else comes now."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send it now."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """After all that was written."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Deadlines:
    """Mixed in before uvicorn's protocol, whichever of the two it is."""

    head_seconds = 5.0  # from the first byte, or from the connection, to the end of the head
    body_seconds = 10.0  # from there to the last byte
    loop: asyncio.AbstractEventLoop
    transport: Any
    cycle: Any
    _stage = ""
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Somebody has connected, and is to say something."""
        super().connection_made(Joined(transport, self.loop))  # type: ignore[misc] # uvicorn's, mixed in later
        self._start("head", self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Some bytes: of a head, of a body, or the last that were missing."""
        super().data_received(data)  # type: ignore[misc] # as above
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._start("head", self.head_seconds)
        elif cycle.more_body:
            self._start("body", self.body_seconds)
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._stop()
        super().connection_lost(exc)  # type: ignore[misc] # as above

    def _start(self, stage: str, seconds: float) -> None:
        if stage != self._stage:  # a byte now and then does not turn the clock back
            self._stop()
            self._stage, self._clock = stage, self.loop.call_later(seconds, self._late)

    def _stop(self) -> None:
        self._stage = ""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


def protocol(head_seconds: float = 5.0, body_seconds: float = 10.0) -> type:
    """A protocol class for ``uvicorn.Config(http=…)``: httptools where it is installed, else h11.

    Parameters
    ----------
    head_seconds : float
        Seconds for the head of a request.
    body_seconds : float
        Seconds for its body.

    Examples
    --------
    >>> protocol(2.0).head_seconds
    2.0
    """
    clocks = {"head_seconds": head_seconds, "body_seconds": body_seconds}
    return type("DeadlineProtocol", (Deadlines, AutoHTTPProtocol), clocks)
