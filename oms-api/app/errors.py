"""The facts that can stand against a request; the kind of a fact gives its HTTP status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: its path ("trades.3.quantity"), a sentence, and a stable code."""

    field: str
    message: str
    code: str


class OmsError(Exception):
    """An expected failure that the caller is told about.

    `kind` is the last part of the problem's `type` URI, `status` its HTTP status; `headers` go with it.
    """

    status = 500
    kind = "internal"
    title = "Something went wrong here"
    retry_after_seconds: int | None = None
    extensions: Mapping[str, object] = MappingProxyType({})  # members of the problem beyond the usual ones
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class Unexpected(OmsError):
    """A defect of ours, of which the caller learns nothing but the request id."""

    def __init__(self) -> None:
        super().__init__("The error was logged under this request id.")


class Malformed(OmsError):
    """The body is not what it says it is (not JSON, duplicate names, text that is not Unicode)."""

    status, kind, title = 422, "malformed", "The request cannot be read"


class Unauthenticated(OmsError):
    """No key, or none that counts."""

    status, kind, title = 401, "unauthenticated", "A valid API key is needed"


class Forbidden(OmsError):
    """The caller is known, and may not do this."""

    status, kind, title = 403, "forbidden", "Not allowed"


class NotFound(OmsError):
    """There is no such thing, or it is not the caller's to see."""

    status, kind, title = 404, "not-found", "Not found"


class Conflict(OmsError):
    """The request contradicts what is recorded."""

    status, kind, title = 409, "conflict", "Conflicts with what is recorded"


class TooSlow(OmsError):
    """The body did not arrive in time."""

    status, kind, title = 408, "too-slow", "The body took too long"


class TooLarge(OmsError):
    """The body is over the cap."""

    status, kind, title = 413, "too-large", "The body is too large"


class UnsupportedMediaType(OmsError):
    """The body is not JSON by its own account."""

    status, kind, title = 415, "unsupported-media-type", "Send application/json"


class Invalid(OmsError):
    """The request is understood, and some of it is not acceptable; `errors` names each field."""

    status, kind, title = 422, "invalid", "The request is not valid"


class TooMany(OmsError):
    """The caller is over its rate."""

    status, kind, title = 429, "rate-limited", "Too many requests"

    def __init__(self, detail: str, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(OmsError):
    """The service cannot answer now, and nothing was recorded."""

    status, kind, title = 503, "unavailable", "Not available at the moment"
    retry_after_seconds = 1


class NotPlaced(Unavailable):
    """The write was not recorded, for certain; it may be sent again."""

    kind, title = "not-placed", "Not recorded"


class OutcomeUnknown(Unavailable):
    """Whether the write was recorded cannot be told now; the same idempotency key will tell."""

    kind, title = "outcome-unknown", "Not known whether it was recorded"
