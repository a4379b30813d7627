"""What risk refuses."""

from app.errors import Conflict, TooMany


class SwitchKeyReused(Conflict):
    """An idempotency key is bound to the first turn of a kill switch that was recorded under it."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was used with another body; nothing was changed.")


class TooManyMessages(TooMany):
    """Orders, changes and cancels come faster than the limit allows; no order was made."""

    title = "Too many orders, changes and cancels"
