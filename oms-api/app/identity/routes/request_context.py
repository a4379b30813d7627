"""Parameters and responses that administrators' routes share."""

from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from app.identity.rules.access import Caller
from app.identity.service.idempotent_operations import Administration, Answer, OperationContext
from app.wire.answers import REPLAYED
from app.wire.dependencies import part
from app.wire.idempotency import IdempotencyKey


class RequestContext:
    """The parts of a request beside the caller and the body."""

    def __init__(self, request: Request, key: IdempotencyKey) -> None:
        self._request, self._key = request, key

    def context(self, caller: Caller, body: BaseModel, subject: object = "") -> OperationContext:
        """Return the request as services take it. `subject` is the object that the path names."""
        request, path = self._request, self._request.scope["route"].path_format
        address = request.state.request_info.address or None
        operation = f"{request.method} {path}"
        request_id = request.state.request_info.request_id
        return OperationContext(
            caller,
            operation,
            str(subject),
            body.model_dump_json(exclude_unset=True).encode(),
            self._key,
            address,
            request_id,
        )


def build_response(result: Answer) -> Response:
    """Build the response of an executed request."""
    headers = {REPLAYED: "true"} if result.replayed else {}
    return Response(result.body, result.status, headers, media_type="application/json")


AdministrationDep = Annotated[Administration, part("administration")]
RequestContextDep = Annotated[RequestContext, Depends()]
