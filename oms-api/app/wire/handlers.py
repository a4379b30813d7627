"""The framework's exceptions, told as problem documents."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.errors import NotFound, OmsError, Unexpected
from app.wire.body import invalid
from app.wire.problems import problem_body, problem_headers

_PARTS_OF_A_REQUEST = ("query", "path", "header", "body")


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem document; what is none of these reaches the edge, and is logged
    there.
    """
    app.add_exception_handler(OmsError, _tell)  # type: ignore[arg-type]  # typed for Exception alone
    app.add_exception_handler(RequestValidationError, _tell_invalid)  # type: ignore[arg-type]  # as above
    app.add_exception_handler(HTTPException, _tell_framework)  # type: ignore[arg-type]  # as above
    app.add_exception_handler(Exception, _tell_unexpected)


async def _tell_unexpected(request: Request, _: Exception) -> Response:
    return await _tell(request, Unexpected())


async def _tell(request: Request, error: OmsError) -> Response:
    body = problem_body(error, request.url.path, request.state.edge.request_id)
    return Response(body, error.status, problem_headers(error))


async def _tell_invalid(request: Request, error: RequestValidationError) -> Response:
    return await _tell(request, invalid(list(error.errors()), skip=_PARTS_OF_A_REQUEST))


async def _tell_framework(request: Request, error: HTTPException) -> Response:
    told: OmsError = NotFound("There is nothing at this address.")
    if error.status_code != NotFound.status:
        allowed = (error.headers or {}).get("Allow")
        sentence = f"{request.method} is not taken here, but {allowed}."
        told = OmsError(sentence if allowed else str(error.detail))
        told.status, told.kind, told.title = error.status_code, "http", str(error.detail)
    answer = await _tell(request, told)
    answer.headers.update(error.headers or {})
    return answer
