"""What risk refuses."""

from app.errors import Conflict, NotFound, TooMany


class SwitchKeyReused(Conflict):
    """An idempotency key is bound to the first turn of a kill switch that was recorded under it."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was used with another body; nothing was changed.")


class TooManySet(Conflict):
    """All limits and kill switches of a tenant are read again and again while it trades: they have an end."""

    kind, title = "too-many-set", "Too much is set already"


class TooManyMessages(TooMany):
    """Orders, changes and cancels come faster than the limit allows; no order was made."""

    title = "Too many orders, changes and cancels"


class NoSuchLatch(NotFound):
    """No latch of that id, or another tenant's."""

    def __init__(self, latch_id: str) -> None:
        super().__init__(f"There is no latch {latch_id!r}.")


class LatchIsReleased(Conflict):
    """A latch is released once; what stands now, if anything, is another one."""

    def __init__(self, latch_id: str, at: str, by: str) -> None:
        super().__init__(f"The latch {latch_id!r} was released at {at} by {by}.")
