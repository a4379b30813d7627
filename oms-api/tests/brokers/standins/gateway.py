"""Faults and the authentication of every request to a stand-in."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.brokers.standins.faults import Faults, RequestFault


class Gateway(ABC):
    """Counts and authenticates requests, and applies faults. A stand-in adds its errors."""

    prefixes: tuple[str, ...] = ("/",)

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app, self._faults = app, faults
        self.requests: list[tuple[str, str]] = []
        self.requests_left: int | None = None

    @abstractmethod
    def find_refusal(self, headers: dict[str, str], path: str) -> Response | None:
        """Return the answer to a request that is not authenticated."""

    @abstractmethod
    def build_fault_response(self, fault: RequestFault) -> Response:
        """Return an error in the broker's format."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._is_of_broker(scope["path"]):
            await self._app(scope, receive, send)
            return
        self.requests.append((scope["method"], scope["path"]))
        fault = self._faults.take(scope["method"], scope["path"])
        if fault is not None and await self._fail_before(fault, scope, receive, send):
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        refusal = self.find_refusal(headers, scope["path"])
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        respond = self._app if fault is None else _Late(self._app, fault, self.build_fault_response)
        await respond(scope, receive, self._add_limit(send))

    def _is_of_broker(self, path: str) -> bool:
        return path.startswith(self.prefixes) and not path.startswith(("/control", "/health"))

    async def _fail_before(self, fault: RequestFault, scope: Scope, receive: Receive, send: Send) -> bool:
        """Return whether the request ends here."""
        if fault.kind == "cut_before":
            _cut(receive)
            return True
        if fault.kind == "status":
            await self._respond(fault)(scope, receive, send)
            return True
        if fault.kind == "latency":
            await asyncio.sleep(fault.seconds)
        return False

    def _respond(self, fault: RequestFault) -> Response:
        return build_fault_response(fault, self.build_fault_response)

    def _add_limit(self, send: Send) -> Send:
        """Tell the rate limit in the headers, if one is set."""

        async def add(message: Any) -> None:
            if message["type"] == "http.response.start" and self.requests_left is not None:
                remaining = str(self.requests_left).encode()
                message["headers"] = [*message["headers"], (b"x-ratelimit-remaining", remaining)]
            await send(message)

        return add


class _Late:
    """Carries the request out, then does not answer as it should."""

    def __init__(self, app: ASGIApp, fault: RequestFault, build: Callable[[RequestFault], Response]) -> None:
        self._app, self._fault, self._build = app, fault, build

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        responses: list[Any] = []

        async def keep(message: Any) -> None:  # the interface of ASGI
            responses.append(message)

        await self._app(scope, receive, keep)
        if self._fault.kind == "cut_after":
            _cut(receive)
            return
        if self._fault.kind == "status_after":
            await build_fault_response(self._fault, self._build)(scope, receive, send)
            return
        if self._fault.kind == "hang":
            await asyncio.sleep(self._fault.seconds)
        for message in responses:
            await send(message)


def _cut(receive: Receive) -> None:
    receive.__self__.transport.abort()  # type: ignore[attr-defined]  # the cycle of uvicorn's protocol


def build_fault_response(fault: RequestFault, build: Callable[[RequestFault], Response]) -> Response:
    """Return the error of a fault, with the seconds to wait if the fault has them."""
    response = build(fault) if fault.body is None else Response(fault.body, fault.status)
    if fault.retry_after is not None:
        response.headers["retry-after"] = fault.retry_after
    return response
