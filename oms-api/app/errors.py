"""Expected errors of requests. The base class of an error determines its HTTP status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FieldError:
    """An invalid field: its path ("trades.3.quantity"), a sentence, and a stable code."""

    field: str
    message: str
    code: str


class OmsError(Exception):
    """An expected error that is reported to the caller.

    `kind` is the last part of the problem's `type` URI, `status` its HTTP status. `headers` are added to the
    response.
    """

    status = 500
    kind = "internal"
    title = "Internal server error"
    sentence: str  # the detail of a class whose errors all have the same; others have it as an argument
    retry_after_seconds: int | None = None
    extensions: Mapping[str, object] = MappingProxyType({})  # additional members of the problem details
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        self.detail = self.sentence if detail is None else detail
        super().__init__(self.detail)
        self.errors = tuple(errors)


class Unexpected(OmsError):
    """An internal error. The caller only receives the request id."""

    sentence = "The error was logged under this request ID."


class Malformed(OmsError):
    """Raised when the body is malformed: not JSON, duplicate names, or text that is not Unicode."""

    status, kind, title = 422, "malformed", "The request cannot be read"


class Unauthenticated(OmsError):
    """Raised when the credentials are missing or invalid."""

    status, kind, title = 401, "unauthenticated", "A valid API key is required"


class Forbidden(OmsError):
    """Raised when the caller is authenticated but may not do this."""

    status, kind, title = 403, "forbidden", "Not allowed"


class NotFound(OmsError):
    """Raised when the object does not exist, or the caller may not see it."""

    status, kind, title = 404, "not-found", "Not found"


class Conflict(OmsError):
    """Raised when the request contradicts stored data."""

    status, kind, title = 409, "conflict", "The request conflicts with stored data"


class TooSlow(OmsError):
    """Raised when the body did not arrive in time."""

    status, kind, title = 408, "too-slow", "The body did not arrive in time"


class TooLarge(OmsError):
    """Raised when the body exceeds the maximum size."""

    status, kind, title = 413, "too-large", "The body is too large"


class UnsupportedMediaType(OmsError):
    """Raised when the content type of the body is not JSON."""

    status, kind, title = 415, "unsupported-media-type", "Send application/json"


class Invalid(OmsError):
    """Raised when the request is well-formed but invalid. `errors` names each field."""

    status, kind, title = 422, "invalid", "The request is not valid"


class NotInstalled(OmsError):
    """Raised when the installation lacks an optional package that the request needs."""

    status, kind, title = 501, "not-installed", "Not available in this installation"


class TooMany(OmsError):
    """Raised when the caller exceeded its rate limit."""

    status, kind, title = 429, "rate-limited", "Too many requests"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(OmsError):
    """Raised when the service cannot respond now. Nothing was recorded."""

    status, kind, title = 503, "unavailable", "Not available at the moment"
    retry_after_seconds = 1


class NotPlaced(Unavailable):
    """Raised when the write was certainly not recorded. It may be sent again.

    This says nothing about an earlier request with the same idempotency key.
    """

    kind, title = "not-placed", "The request was not recorded"


class WriteRefused(NotPlaced):
    """Raised when the database refused the statements of this write alone. A repeat may be refused too."""


class OutcomeUnknown(Unavailable):
    """Raised when it is unknown whether the write was recorded.

    A repeat with the same idempotency key finds out.
    """

    kind, title = "outcome-unknown", "Unknown whether it was recorded"
