"""Changes that administrators request: built from an HTTP request, and executed once per idempotency key."""

from http import HTTPStatus
from typing import Annotated, ClassVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.http.app_state import Component, get_request_info
from app.http.idempotency import IdempotencyKey
from app.http.responses import REPLAYED_HEADER, REPLAYED_NAME, describe_headers
from app.identity.rules.access import Caller
from app.identity.service.change_executor import (
    Arguments,
    ChangeExecutor,
    ChangeFunction,
    ChangeRequest,
    ChangeResponse,
)

CHANGE_EXECUTOR = Component[ChangeExecutor]("change_executor")
ChangeExecutorDep = Annotated[ChangeExecutor, Depends(CHANGE_EXECUTOR)]


class ChangeRequests:
    """Builds a `ChangeRequest` of an HTTP request, and executes it once per idempotency key."""

    describes: ClassVar = {"success_headers": describe_headers(REPLAYED_HEADER)}  # for OpenAPI

    def __init__(self, request: Request, key: IdempotencyKey, executor: ChangeExecutorDep) -> None:
        self._request, self._key, self.executor = request, key, executor

    def build(self, caller: Caller, body: BaseModel | None) -> ChangeRequest:
        """Build the request as services take it. Its subject is the object that the path names."""
        request_info = get_request_info(self._request)
        return ChangeRequest(
            caller=caller,
            route=f"{self._request.method} {self._request.scope['route'].path_format}",
            subject=" ".join(map(str, self._request.path_params.values())),
            body=b"{}" if body is None else body.model_dump_json(exclude_unset=True).encode(),
            idempotency_key=self._key,
            address=request_info.address or None,
            request_id=request_info.request_id,
        )

    async def execute(
        self, caller: Caller, body: BaseModel | None, change: ChangeFunction[*Arguments],
        *arguments: *Arguments,
    ) -> Response:  # fmt: skip
        """Execute the requested change, and build its HTTP response."""
        return await self.execute_request(self.build(caller, body), change, *arguments)

    async def execute_request(
        self, request: ChangeRequest, change: ChangeFunction[*Arguments], *arguments: *Arguments
    ) -> Response:
        """Execute a change like `ChangeExecutor.execute`, and build its HTTP response."""
        return build_response(await self.executor.execute(request, change, *arguments))


def build_response(result: ChangeResponse) -> Response:
    """Build the response of an executed request."""
    if result.status == HTTPStatus.NO_CONTENT:
        return Response(status_code=result.status)
    headers = {REPLAYED_NAME: "true"} if result.replayed else {}
    return Response(result.body, result.status, headers, media_type="application/json")


ChangeRequestsDep = Annotated[ChangeRequests, Depends()]
