"""What the ledger's routes are given: the desk, readers, cursors, and the idempotency key of the request."""

from typing import Annotated

from fastapi import Depends, Header, Request

from app.errors import FieldError, Invalid
from app.ledger.service.desk import Desk

KEY_LENGTH = 200


def check_key(key: str | None) -> str | None:
    """Return the idempotency key as sent. Raises Invalid unless it is 1 to 200 printable ASCII characters."""
    if key is None or (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        return key
    message = f"Must be 1 to {KEY_LENGTH} printable ASCII characters."
    raise Invalid(
        "The Idempotency-Key is not valid.", [FieldError("Idempotency-Key", message, "idempotency_key")]
    )


async def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="The same key and body give the same answer, however often sent",
        ),
    ] = None,
) -> str | None:
    return check_key(key)


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
TheDesk = Annotated[Desk, Depends(_desk)]
