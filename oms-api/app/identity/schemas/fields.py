"""Field types that administrators' requests share."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.http.fields import SearchText, check_length, clean_name, to_lower_case
from app.http.lists import parse_instant
from app.http.request_models import RequestModel
from app.identity.rules.access import Role, Scope
from app.identity.rules.administration import MAX_PORTFOLIOS, PageCursor
from app.identity.rules.keys import NAME_LENGTH
from app.identity.rules.people import parse_slack_person
from app.text import label_key, name_key

KEY_ID = "^[0-9a-z]{12}$"
SLUG = "^[a-z0-9](-?[a-z0-9]){0,59}$"
_MAX_NAME = 100
_SLUG = re.compile(r"[a-z0-9](?:-?[a-z0-9])*", re.ASCII)
_USER_ID = re.compile(r"[0-9]{1,18}", re.ASCII)
_GRANTABLE_SCOPES = frozenset(Scope) - {Scope.TENANTS}


class Patch(RequestModel):
    """Base of PATCH bodies. Fields that are left out keep their value."""

    @model_validator(mode="after")
    def _require_change(self) -> "Patch":
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "Send at least one field to change.")
        return self


def omit_field(*, is_visible: bool = True) -> Any:  # Pydantic's `Field` returns Any
    """Return the default of a field that may be left out but may not be null. Nothing reads the value."""
    return Field(default_factory=lambda: None, repr=is_visible)


WrittenRole = Annotated[Role, BeforeValidator(to_lower_case)]


def _require_text(value: str) -> str:
    if not value:
        raise PydanticCustomError("string_too_short", "Must not be empty.")
    return value


def _validate_slug(value: str) -> str:
    slug = value.strip().lower()
    if len(slug) > NAME_LENGTH or not _SLUG.fullmatch(slug):
        message = "Must be at most 60 letters a-z and digits, in groups separated by single hyphens."
        raise PydanticCustomError("slug", message)
    return slug


def _validate_key_name(value: str) -> str:
    name = label_key(value) if value.isprintable() else value
    if not (0 < len(name) <= NAME_LENGTH and name.isascii() and name.isprintable()):
        raise PydanticCustomError("key_name", "Must be 1 to 60 printable ASCII characters.")
    if name.lower() in RESERVED or "~" in name:
        raise PydanticCustomError("key_name", "This name is reserved; choose another.")
    return name


def _validate_person(value: str) -> str:
    if parse_slack_person(value) is None:
        raise PydanticCustomError("person", "Must be slack:<team>:<user>, both as Slack writes them.")
    return value


def _validate_scopes(written: list[str]) -> list[Scope]:
    scopes = list(map(str.lower, written))
    unknown = [word for word in scopes if word not in _GRANTABLE_SCOPES]
    if unknown:
        allowed_scopes = " ".join(scope for scope in Scope if scope in _GRANTABLE_SCOPES)
        raise PydanticCustomError("scope", "Each must be one of: {known}.", {"known": allowed_scopes})
    return sorted(map(Scope, set(scopes)))


def _require_distinct(names: list[str]) -> list[str]:
    if len({name_key(name) for name in names}) != len(names):
        raise PydanticCustomError("twice", "Each portfolio may be listed only once.")
    return names


def _parse_instant(value: Any) -> Any:  # any JSON value
    try:
        return parse_instant(value)
    except (TypeError, AttributeError, ValueError):
        message = "Must be an instant with its offset, such as 2026-12-31T16:00:00Z."
        raise PydanticCustomError("instant", message) from None


def _parse_user_id(value: Any) -> Any:  # from the path
    if isinstance(value, str) and not _USER_ID.fullmatch(value):
        raise PydanticCustomError("user_id", "Must be written with the digits 0-9 alone.")
    return value


# `source` and the audit log use these names for callers without a key
RESERVED = frozenset({"bootstrap", "session", "shell"})
DisplayName = Annotated[
    str, Field(max_length=400), AfterValidator(clean_name), AfterValidator(_require_text),
    AfterValidator(check_length(_MAX_NAME)),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": _MAX_NAME}),
]  # fmt: skip
Slug = Annotated[
    str, Field(max_length=200), AfterValidator(_validate_slug),
    WithJsonSchema({"type": "string", "pattern": SLUG, "maxLength": 60}),
]  # fmt: skip
KeyName = Annotated[
    str, Field(max_length=200), AfterValidator(_validate_key_name),
    WithJsonSchema({"type": "string", "pattern": "^[!-}]([ -}]{0,58}[!-}])?$"}),
]  # fmt: skip
SlackPersonText = Annotated[
    str, AfterValidator(_validate_person),
    WithJsonSchema({"type": "string", "pattern": "^slack:[A-Z0-9]{1,20}:[A-Z0-9]{1,20}$"}),
]  # fmt: skip
Scopes = Annotated[
    list[str], Field(min_length=1, max_length=20), AfterValidator(_validate_scopes),
    WithJsonSchema(
        {"type": "array", "minItems": 1, "maxItems": 20, "items": {"enum": sorted(_GRANTABLE_SCOPES)}}
    ),
]  # fmt: skip
PortfolioNames = Annotated[
    list[SearchText], Field(max_length=MAX_PORTFOLIOS), AfterValidator(_require_distinct)
]
Expiry = Annotated[
    Any, BeforeValidator(_parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]  # fmt: skip
UserId = Annotated[int, BeforeValidator(_parse_user_id), Field(ge=1)]


def format_cursor(created_at: str, row_id: object) -> str:
    """Return the cursor text of the row with that creation time and id."""
    return f"{created_at} {row_id}"


def parse_cursor(text: str) -> PageCursor:
    """Parse a text of `format_cursor`."""
    created_at, row_id = text.split(" ")
    return PageCursor(parse_instant(created_at), row_id)
