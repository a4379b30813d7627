"""What can stand against an order."""

from collections.abc import Mapping

from app.errors import Conflict, FieldError, Invalid, NotFound, OmsError


class NoSuchOrder(NotFound):
    """No order of that id, or not the caller's."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"There is no order {order_id!r}.")


class IllegalMove(Conflict):
    """The table of states has no such move."""

    kind, title = "illegal-move", "The order cannot go there"

    def __init__(self, order_id: str, start: str, end: str) -> None:
        super().__init__(f"Order {order_id} cannot go from {start} to {end}.")


class OrderIsFinal(Conflict):
    """What is over is neither cancelled nor changed."""

    kind, title = "order-is-final", "The order is over"

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"Order {order_id} is {status}; nothing of it is left to change or cancel.")


class OrderIsPending(Conflict):
    """One request at a time: the order waits for the broker's answer to another."""

    kind, title = "order-is-pending", "The order waits for its broker"

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"Order {order_id} is {status}; wait for the broker's answer.")


class ClientOrderIdReused(Conflict):
    """A client order id names one order."""

    kind, title = "client-order-id-reused", "The client order id names another order"

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"client_order_id {client_order_id!r} was used for another ticket; use a new one.")


class OrderKeyReused(Conflict):
    """An idempotency key is bound to the first body that was recorded under it."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used with another body; nothing was done. Use a new key."
        )


class OrderDenied(OmsError):
    """Our own checks said no. The order is kept as DENIED."""

    status, kind, title = 422, "order-denied", "The order was denied"

    def __init__(
        self, sentence: str, order_id: str, denial: Mapping[str, object], headers: Mapping[str, str]
    ) -> None:
        super().__init__(sentence)
        self.headers = headers
        self.extensions = {"order_id": order_id, "denial": denial}


class NothingToClose(Invalid):
    """The position is flat."""

    kind, title = "nothing-to-close", "There is no position to close"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"Nothing is held of {symbol} here.")


class MoreThanHeld(Invalid):
    """What is closed never goes through zero."""

    kind, title = "more-than-held", "There is less to close"

    def __init__(self, symbol: str, held: str) -> None:
        message = f"Only {held} {symbol} can be closed here."
        super().__init__(message, [FieldError("quantity", message, "more_than_held")])
