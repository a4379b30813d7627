"""Types of query parameters, and the link to a list's next page."""

import re
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BeforeValidator, Field

from app.wire.pages import MOST_LIMIT

_DIGITS = re.compile(r"[0-9]{1,15}", re.ASCII)


def _plain_integer(value: object) -> object:
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise ValueError("must be written with the digits 0-9 alone")
    return value


def _said_instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a string with an instant and its offset")  # noqa: TRY004  # pydantic takes this
    return instant(value)


def instant(text: str) -> datetime:
    """Return the instant, in UTC, that RFC 3339 text with an offset names. Raises ValueError."""
    try:
        named = datetime.fromisoformat(text.replace(" ", "+"))  # a plus sign in a query reads as a blank
        if named.tzinfo is not None:
            return named.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an instant with its offset, such as 2026-11-20T16:00:00Z")


Count = Annotated[int, BeforeValidator(_plain_integer)]
Limit = Annotated[Count, Field(ge=1, le=MOST_LIMIT)]
Cursor = Annotated[str, Field(max_length=2000, description="From the `Link` header of the page before")]
When = Annotated[datetime, BeforeValidator(_said_instant)]


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the header that leads to the next page: the same question from `cursor` on; none without."""
    if cursor is None:
        return {}
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name not in {"cursor", "skip"}
    ]
    query = urlencode([*kept, ("cursor", cursor)])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
