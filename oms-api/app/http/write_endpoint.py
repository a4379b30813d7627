"""Endpoints of the writer's commands, which FastAPI routes and direct routes run alike."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from app.errors import OmsError
from app.http.direct_routes import DirectRoute, JsonResponse, PendingResponse, RequestInfo
from app.http.idempotency import check_key

OperationT = TypeVar("OperationT")
OperationT_contra = TypeVar("OperationT_contra", contravariant=True)
CallerT = TypeVar("CallerT")
CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")


class Authorizer(Protocol[OperationT_contra, CallerT]):
    """Authorizes the caller of a direct route."""

    def find_authorized_caller(self, request: RequestInfo, operation: OperationT_contra) -> CallerT | None:
        """Return the caller without a query, or None if that is not possible or the caller is refused."""

    def count(self, request: RequestInfo, caller: CallerT) -> None:
        """Count the request against the caller's rate limit. Raises OverLimit."""


@dataclass(frozen=True, slots=True)
class WriteEndpoint(Generic[OperationT, CallerT, CommandT, OutcomeT]):
    """An endpoint whose command the writer executes.

    `operation` is the permission that the caller needs. `parse` validates a request, `submit` queues its
    command, and `build` builds the response. `enrich_error` may replace an error of the writer by a more
    detailed one.
    """

    operation: OperationT
    parse: Callable[[CallerT, RequestInfo, str | None], CommandT]
    submit: Callable[[CommandT], "asyncio.Future[OutcomeT]"]
    build: Callable[[OutcomeT], JsonResponse]
    enrich_error: Callable[[CommandT, OmsError], Awaitable[OmsError]] | None = None

    def start(self, caller: CallerT, request: RequestInfo, key: str | None) -> PendingResponse:
        """Validate and queue an authorized request. Raises an OmsError if it is refused."""
        return self._queue_command(self.parse(caller, request, check_key(key)))

    def build_direct_route(self, authorizer: Authorizer[OperationT, CallerT]) -> DirectRoute:
        """Return the direct route of the endpoint: authorize, validate, count and queue."""

        def start(request: RequestInfo) -> PendingResponse | None:
            caller = authorizer.find_authorized_caller(request, self.operation)
            if caller is None:
                return None
            key = request.headers.get(b"idempotency-key")
            command = self.parse(caller, request, check_key(None if key is None else key.decode("latin-1")))
            # From here on, the ASGI application must not count the request again.
            authorizer.count(request, caller)
            try:
                return self._queue_command(command)
            except OmsError as error:
                refused: asyncio.Future[OutcomeT] = asyncio.get_running_loop().create_future()
                refused.set_exception(error)
                return PendingResponse(refused, self.build)

        return start

    def _queue_command(self, command: CommandT) -> PendingResponse:
        enrich_error = None if self.enrich_error is None else partial(self.enrich_error, command)
        return PendingResponse(self.submit(command), self.build, enrich_error)
