"""Query parameters and pagination that all lists share."""

import re
from datetime import UTC, datetime
from typing import Annotated, Self
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.http.pages import DEFAULT_LIMIT, MAX_LIMIT
from app.http.request_models import RequestModel

_DIGITS_PATTERN = re.compile(r"[0-9]{1,16}", re.ASCII)


def _require_plain_integer(value: object) -> object:
    if isinstance(value, str) and not is_plain_integer(value):
        raise ValueError("must be written with the digits 0-9 alone")
    return value


def is_plain_integer(text: str) -> bool:
    """Return whether the text is a whole number of at most 15 ASCII digits."""
    return _DIGITS_PATTERN.fullmatch(text) is not None


def _parse_instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a string with an instant and its offset")  # noqa: TRY004  # pydantic takes this
    return parse_instant(value)


def parse_instant(text: str) -> datetime:
    """Parse an instant of a query. Raises ValueError if it is malformed or has no offset."""
    try:
        # a plus sign in a query string decodes to a space
        instant = datetime.fromisoformat(text.replace(" ", "+"))
        if instant.tzinfo is not None:
            return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an instant with its offset, such as 2026-11-20T16:00:00Z")


Count = Annotated[int, BeforeValidator(_require_plain_integer)]
PageLimit = Annotated[Count, Field(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str, Field(max_length=2000, description="From the `Link` header of the page before")]
QueryTime = Annotated[datetime, BeforeValidator(_parse_instant)]


class PageQuery(RequestModel):
    """The page of a list without filters."""

    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class Period(RequestModel):
    """The instants `from` (inclusive) and `to` (exclusive) of a query."""

    since: QueryTime | None = Field(None, alias="from")
    until: QueryTime | None = Field(None, alias="to")

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise PydanticCustomError("period", "`from` must not be after `to`.", {"field": "from"})
        return self


def build_link_header(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the Link header of the next page: the same query with `cursor`. Empty without a cursor."""
    if cursor is None:
        return {}
    parameters = [
        (name, value) for name, value in request.query_params.multi_items() if name not in {"cursor", "skip"}
    ]
    query = urlencode([*parameters, ("cursor", cursor)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
