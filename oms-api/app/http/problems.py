"""Problem details (RFC 9457), the only error format of this service."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails

from app.errors import FieldError, OmsError

PROBLEM_MEDIA_TYPE = "application/problem+json"
PROBLEM_TYPE_BASE = "urn:slackoms:problem"
_CUSTOM_PREFIX = "Value error, "
MAX_ERRORS = 100
UNKNOWN_FIELD = "extra_forbidden"
_MESSAGE_BY_ERROR_TYPE = {
    "model_type": "Must be a JSON object.",
    "missing": "This field is required.",
    "string_type": "Must be a string.",
    "bool_type": "Must be true or false, without quotes.",
}
_SUBJECT_PATTERN = re.compile(r"^(Input|String|List|Value) should ")


class FieldProblem(BaseModel):
    """An invalid field."""

    field: str = Field(examples=["quantity"], description="Path of the field; parts are joined by points")
    message: str = Field(examples=["Must be positive."])
    code: str = Field(examples=["too_small"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["urn:slackoms:problem/invalid"])
    title: str = Field(examples=["The request is not valid"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["1 field is not valid; see `errors`."])
    instance: str = Field(examples=["/api/v1/trade"])
    errors: list[FieldProblem] = Field(default=[])
    request_id: str = Field(examples=["3f2c8c7f6f0d4f1ab2c1"])


def build_problem(error: OmsError, instance: str, request_id: str) -> dict[str, Any]:
    """Build the problem details of `error`."""
    return {
        "type": f"{PROBLEM_TYPE_BASE}/{error.kind}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "errors": [{"field": bad.field, "message": bad.message, "code": bad.code} for bad in error.errors],
        "request_id": request_id,
        **error.extensions,
    }


def build_problem_body(error: OmsError, instance: str, request_id: str) -> bytes:
    """Serialize the problem details. Invalid characters of the request's path are replaced."""
    return orjson.dumps(build_problem(error, instance.encode(errors="replace").decode(), request_id))


def build_problem_headers(error: OmsError) -> dict[str, str]:
    """Return the headers that belong to the error's status."""
    headers = {"content-type": PROBLEM_MEDIA_TYPE, **error.headers}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if error.status == 401:
        headers["www-authenticate"] = 'ApiKey realm="oms-api", header="X-API-Key"'
    return headers


def build_field_errors(
    details: Iterable[ErrorDetails | Mapping[str, Any]], skip: Sequence[str] = ()
) -> list[FieldError]:
    """Convert pydantic's errors to field errors. Leading parts of the path that are in `skip` are removed."""
    return [_build_field_error(detail, skip) for detail in islice(details, MAX_ERRORS)]


def _build_field_error(detail: ErrorDetails | Mapping[str, Any], skip: Sequence[str]) -> FieldError:
    parts = [str(part) for part in detail["loc"]]
    if parts and parts[0] in skip:
        parts = parts[1:]
    context = detail.get("ctx", {})
    blamed = context.get("field")  # an error of several fields names the one to show it at
    field = ".".join([*parts, blamed] if blamed else parts)[:200]
    message = _MESSAGE_BY_ERROR_TYPE.get(detail["type"]) or _format_message(detail["msg"])
    if detail["type"] == UNKNOWN_FIELD:
        message = f"Unknown field `{(blamed or parts[-1])[:100]}`. {context.get('hint', '')}".rstrip()
    return FieldError(field or "body", message, detail["type"])


def _format_message(message: str) -> str:
    """Return pydantic's message in the form of the other messages: "Must be ….", with a full stop."""
    text = _SUBJECT_PATTERN.sub("Must ", message.removeprefix(_CUSTOM_PREFIX))
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
