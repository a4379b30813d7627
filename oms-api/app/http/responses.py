"""JSON responses with headers, and the OpenAPI description of errors."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Response

from app.http.direct_routes import JsonResponse
from app.http.problems import PROBLEM_MEDIA_TYPE, Problem

REPLAYED_NAME = "Idempotent-Replayed"
REPLAYED_FIELD = ((REPLAYED_NAME.lower().encode(), b"true"),)
REPLAYED_HEADER = {
    REPLAYED_NAME: "`true` if this is the stored response of an earlier request with the same key"
}
RATE_HEADERS = {
    "RateLimit-Policy": '`"default";q=600;w=60`: '
    "the limit is 600 requests in 60 seconds; absent without a limit",
    "RateLimit": '`"default";r=599;t=1`: 599 requests remain; more are available in 1 second',
}
NEXT_HEADER = {"Link": '`<…>; rel="next"`: the next page'}
_REASON_BY_STATUS = {
    401: "No valid API key",
    403: "The caller lacks the permission",
    404: "Not found",
    408: "The body did not arrive in time",
    409: "The request conflicts with stored data",
    413: "The body exceeds 1 MB",
    415: "The content type is not JSON",
    422: "The request is invalid; `errors` lists each invalid field",
    429: "The rate limit is exceeded; see `Retry-After`",
    501: "The installation lacks an optional package",
    503: "Unavailable. `type` says whether the request may have been recorded",
}


# any JSON value
def build_json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `content` as a JSON response."""
    return Response(orjson.dumps(content), status, dict(headers or {}), media_type="application/json")


def convert_response(response: JsonResponse) -> Response:
    """Return a fast response as one of the framework."""
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return Response(response.body, response.status, headers, media_type="application/json")


def document_responses(
    status: int, success: Any, *refusals: int, other: Mapping[int, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a route's `status_code=` and `responses=`: the successful response and the possible problems.

    `success` is the model of the response, its description, or a mapping that describes it. `other` maps
    other successful statuses to the same. 401, 403, 422, 429 and 503 are always included; `refusals` are
    the others. Dependencies add what they can answer by their attribute `describes`.
    """
    documented_headers = {"headers": describe_headers({**RATE_HEADERS, **(headers or {})})}
    successes = {status: success, **(other or {})}
    responses = {
        str(code): _describe_success(value) | documented_headers for code, value in sorted(successes.items())
    }
    return {
        "status_code": status,
        "responses": responses | document_problems(*refusals, 401, 403, 422, 429, 503),
    }


def document_problems(*statuses: int) -> dict[str, dict[str, Any]]:
    """Return the problems of a request as `responses` of the OpenAPI document, 408 together with 413."""
    too_slow = {408} if 413 in statuses else set()
    return {str(status): _describe_failure(status) for status in sorted({*statuses, *too_slow})}


def describe_headers(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the headers of a response, with their texts, as the OpenAPI document describes them."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}


def _describe_success(success: Any) -> dict[str, Any]:
    if isinstance(success, Mapping):
        return dict(success)
    return {"description": success} if isinstance(success, str) else {"model": success}


def _describe_failure(status: int) -> dict[str, Any]:
    example = {
        "type": "urn:slackoms:problem/…",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _REASON_BY_STATUS[status],
        "instance": "/api/v1/…",
        "errors": [],
        "request_id": "3f2c8c7f6f0d4f1ab2c1",
    }
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    response: dict[str, Any] = {
        "description": _REASON_BY_STATUS[status],
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status in {429, 503}:
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}
        }
    if status == 429:
        response["headers"] |= describe_headers(RATE_HEADERS)
    return response
