"""Converts exceptions of the framework to problem details."""

from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.errors import NotFound, OmsError, Unexpected
from app.http.app_state import get_request_info
from app.http.body import build_invalid_error
from app.http.methods import METHOD_TABLE
from app.http.problems import build_problem_body, build_problem_headers

_REQUEST_PARTS = ("query", "path", "header", "body")


def add_error_handlers(app: FastAPI) -> None:
    """Respond to all errors of `app` with problem details.

    Unexpected ones reach the ASGI middleware, which logs them.
    """
    app.add_exception_handler(OmsError, _handle_error)  # type: ignore[arg-type]  # typed for Exception alone
    app.add_exception_handler(RequestValidationError, _handle_invalid)  # type: ignore[arg-type]  # as above
    app.add_exception_handler(HTTPException, _handle_framework)  # type: ignore[arg-type]  # as above
    app.add_exception_handler(Exception, _handle_unexpected)


async def _handle_unexpected(request: Request, _: Exception) -> Response:
    return await _handle_error(request, Unexpected())


async def _handle_error(request: Request, error: OmsError) -> Response:
    body = build_problem_body(error, request.url.path, get_request_info(request).request_id)
    return Response(body, error.status, build_problem_headers(error))


async def _handle_invalid(request: Request, error: RequestValidationError) -> Response:
    return await _handle_error(request, build_invalid_error(list(error.errors()), skip=_REQUEST_PARTS))


async def _handle_framework(request: Request, error: HTTPException) -> Response:
    problem: OmsError = NotFound("There is no resource at this address; check the path.")
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = METHOD_TABLE.get(request)
        # empty for an HTML page, whose only route states its methods
        allowed_methods = methods.list_methods(request.url.path)
        headers["Allow"] = ", ".join(allowed_methods) or headers.get("Allow", "")
        problem = _build_http_error(error, _describe_methods(request, headers["Allow"]))
    elif error.status_code != NotFound.status:
        problem = _build_http_error(error, str(error.detail))
    response = await _handle_error(request, problem)
    response.headers.update(headers)
    return response


def _describe_methods(request: Request, allowed_methods: str) -> str:
    methods = METHOD_TABLE.get(request)
    other_way = methods.suggest_other_method(request.method, request.url.path)
    return f"{request.method} is not supported at this address. {other_way or f'Use {allowed_methods}.'}"


def _build_http_error(error: HTTPException, sentence: str) -> OmsError:
    problem = OmsError(sentence)
    problem.status, problem.kind, problem.title = error.status_code, "http", str(error.detail)
    return problem
