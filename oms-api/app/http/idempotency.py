"""The idempotency key of a request."""

from typing import Annotated

from fastapi import Depends, Header

from app.errors import FieldError, Invalid

KEY_LENGTH = 200


def check_key(key: str | None) -> str | None:
    """Return the idempotency key as sent. Raises Invalid unless it is 1 to 200 printable ASCII characters."""
    if key is None or (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        return key
    message = f"Must be 1 to {KEY_LENGTH} printable ASCII characters."
    raise Invalid(
        "The Idempotency-Key is not valid; see `errors`.",
        [FieldError("Idempotency-Key", message, "idempotency_key")],
    )


async def _parse_idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Your key for the request. A repeat with it and the same body returns the same "
            "response",
        ),
    ] = None,
) -> str | None:
    return check_key(key)


IdempotencyKey = Annotated[str | None, Depends(_parse_idempotency_key)]
