"""Define the errors that a risk request or a risk control can raise."""

from app.errors import Conflict, Forbidden, NotFound, TooMany
from app.timestamps import Timestamp


class SwitchKeyReused(Conflict):
    """Raised when the idempotency key was used before for another kill switch request."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used with another body, and nothing was changed; use a new key."
        )


class TooManyControls(Conflict):
    """Raised when a tenant has too many limits or kill switches. All of them are read while it trades."""

    kind, title = "too-many-set", "Too many limits or kill switches"


class OwnStop(Forbidden):
    """Raised when people resume trading that they stopped themselves. Nothing was changed."""

    kind, title = "own-stop", "You cannot resume trading that you stopped"

    def __init__(self, state: str) -> None:
        super().__init__(
            f"You set this kill switch to {state} yourself: another person with the role risk or admin, or a "
            "key that you did not create, must release it."
        )


class TooManyMessages(TooMany):
    """Raised when orders, changes and cancels exceed the message rate. No order was created."""

    title = "Too many orders, changes and cancels"


class NoSuchLatch(NotFound):
    """Raised when no latch has that id in the tenant."""

    def __init__(self, latch_id: str) -> None:
        super().__init__(f"There is no latch {latch_id!r}; list the latches with `GET /latches`.")


class LatchIsReleased(Conflict):
    """Raised when the latch is released already. A later latch has another id."""

    def __init__(self, latch_id: str, at: Timestamp, released_by: str) -> None:
        super().__init__(
            f"Latch {latch_id!r} was released already at {at} by {released_by}; nothing is left to do."
        )
