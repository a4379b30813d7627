"""Parameters and responses that administrators' routes share."""

from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.identity.rules.access import Caller
from app.identity.service.change_executor import ChangeExecutor, ChangeRequest, ChangeResponse
from app.wire.app_state import Component, get_request_info
from app.wire.idempotency import IdempotencyKey
from app.wire.responses import REPLAYED


class ChangeRequestBuilder:
    """Builds a `ChangeRequest` of an HTTP request."""

    def __init__(self, request: Request, key: IdempotencyKey) -> None:
        self._request, self._key = request, key

    def build(self, caller: Caller, body: BaseModel, subject: object = "") -> ChangeRequest:
        """Build the request as services take it. `subject` is the object that the path names."""
        request_info = get_request_info(self._request)
        return ChangeRequest(
            caller=caller,
            route=f"{self._request.method} {self._request.scope['route'].path_format}",
            subject=str(subject),
            body=body.model_dump_json(exclude_unset=True).encode(),
            idempotency_key=self._key,
            address=request_info.address or None,
            request_id=request_info.request_id,
        )


def build_response(result: ChangeResponse) -> Response:
    """Build the response of an executed request."""
    headers = {REPLAYED: "true"} if result.replayed else {}
    return Response(result.body, result.status, headers, media_type="application/json")


CHANGE_EXECUTOR = Component[ChangeExecutor]("change_executor")
ChangeExecutorDep = Annotated[ChangeExecutor, Depends(CHANGE_EXECUTOR)]
ChangeRequestsDep = Annotated[ChangeRequestBuilder, Depends()]
