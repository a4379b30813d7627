"""Define the errors that an order request can raise."""

from collections.abc import Mapping

from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, NotPlaced, OmsError


class NoSuchOrder(NotFound):
    """Raised when no order has that id, or when its portfolio is not visible to the caller."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"There is no order {order_id!r}; list the orders with `GET /orders`.")


class NoSuchExecution(NotFound):
    """Raised when the order has no execution with that id."""

    def __init__(self, order_id: str, execution_id: str) -> None:
        super().__init__(
            f"Order {order_id} has no execution {execution_id!r}; see `fills` of `GET /orders/{{order_id}}`."
        )


class AlreadyBusted(Conflict):
    """Raised when an execution is to be busted again."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"The execution {execution_id!r} was busted already; read the order again.")


class InvalidTransition(Conflict):
    """Raised when the table of states does not allow the transition."""

    kind, title = "illegal-move", "Invalid status transition"

    def __init__(self, order_id: str, start: str, end: str) -> None:
        super().__init__(f"Order {order_id} cannot change from {start} to {end}; read the order again.")


class OrderIsFinal(Conflict):
    """Raised when a final order is to be canceled or changed."""

    kind, title = "order-is-final", "The order is final"

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(
            f"Order {order_id} is {status} and cannot be changed or canceled; place a new order."
        )


class NotReplaceable(Conflict):
    """Raised when an order at a broker cannot be replaced as requested."""

    def __init__(self, order_id: str, reason: str) -> None:
        super().__init__(
            f"Order {order_id} cannot be replaced at its broker. {reason} Cancel it and place a new one."
        )


class NotAtBroker(Conflict):
    """Raised when an order of a broker is to be adopted by a portfolio of the paper market."""

    def __init__(self, portfolio_name: str) -> None:
        super().__init__(
            f"The portfolio {portfolio_name!r} does not trade at a broker; assign its connection again first."
        )


class OrderIsPending(Conflict):
    """Raised when the order already waits for its broker's answer to another request.

    Only one request to the broker may be pending at a time.
    """

    kind, title = "order-is-pending", "The order is pending"

    def __init__(self, order_id: str, status: str) -> None:
        super().__init__(f"Order {order_id} is {status}; wait for the broker's answer and try again.")


class ClientOrderIdReused(Conflict):
    """Raised when the client order id already identifies another order."""

    kind, title = "client-order-id-reused", "The client order id names another order"

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"client_order_id {client_order_id!r} was used for another ticket; use a new one.")


class OrderKeyReused(Conflict):
    """Raised when the idempotency key was used before with another request body."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used with another body, and nothing was done; use a new key."
        )


class OrderDenied(OmsError):
    """Raised when a risk check denies the order, which is stored with the status DENIED."""

    status, kind, title = 422, "order-denied", "The order was denied"

    def __init__(
        self, sentence: str, order_id: str, denial: Mapping[str, object], headers: Mapping[str, str]
    ) -> None:
        super().__init__(sentence)
        self.headers = headers
        self.extensions = {"order_id": order_id, "denial": denial}


class ExitsOfEntry(Conflict):
    """Raised when the exits of a position grow with an entry that can still fill."""

    kind, title = "exits-of-an-entry", "The exits belong to an order that can still fill"

    def __init__(self, order_id: str, symbol: str) -> None:
        super().__init__(
            f"The exits of {symbol} grow with the fills of order {order_id}. Cancel that order first, or "
            "replace its exits one by one."
        )


class NothingToClose(Invalid):
    """Raised when the position to close is flat."""

    kind, title = "nothing-to-close", "There is no position to close"

    def __init__(self, symbol: str) -> None:
        super().__init__(f"The portfolio has no position in {symbol} to close; check the symbol and product.")


class MoreThanHeld(Invalid):
    """Raised when the quantity to close is larger than the position."""

    kind, title = "more-than-held", "Quantity exceeds the position"

    def __init__(self, symbol: str, position_quantity: str) -> None:
        message = f"Only {position_quantity} {symbol} can be closed; send at most this quantity."
        super().__init__(message, [FieldError("quantity", message, "more_than_held")])


class NotAwaitingApproval(Conflict):
    """Raised when the order does not wait for approval, or another person decided first."""

    kind, title = "not-awaiting-approval", "The order does not wait for approval"

    def __init__(self, order_id: str, status: str, decision: Mapping[str, object] | None = None) -> None:
        if decision is None:
            super().__init__(
                f"Order {order_id} does not wait for approval, because it is {status}; read the order again."
            )
            return
        super().__init__(
            f"Order {order_id} was already {decision['decision']} by {decision['decided_by']} "
            f"at {decision['decided_at']} and is {status}; nothing is left to decide."
        )
        self.extensions = dict(decision)


class PriceMoved(Conflict):
    """Raised when the reference price is too far from the price that the approver saw."""

    kind, title = "price-moved", "The price has moved"

    def __init__(self, order_id: str, price_seen: str | None, price: str, max_move_percent: str) -> None:
        super().__init__(
            f"The price was {price_seen or 'unknown'} and is {price}, moved by over {max_move_percent}%. "
            f'Approve order {order_id} again with "price_seen": "{price}" if you agree to it.'
        )
        self.extensions = {
            "price_seen": price_seen, "price": price, "max_move_percent": max_move_percent
        }  # fmt: skip


class OwnOrder(Forbidden):
    """Raised when people decide on their own order, in whatever way it was placed."""

    kind, title = "own-order", "You cannot approve your own order"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"You placed order {order_id} yourself: another person must decide on it.")


class NotAnApprover(Forbidden):
    """Raised when the caller is not among the approvers of the order."""

    kind, title = "not-an-approver", "Not an approver of this order"

    def __init__(self, order_id: str, approvers: str) -> None:
        super().__init__(f"You cannot decide on order {order_id}; ask one of its approvers: {approvers}.")


class NotOverridable(Conflict):
    """Raised when the order cannot be placed again beyond a limit."""

    kind, title = "not-overridable", "The denial cannot be overridden"


class PreviousQuoteUnmatched(NotPlaced):
    """Raised when the previous quote of the symbol is not yet matched with all orders."""

    def __init__(self) -> None:
        super().__init__("The symbol's previous quote is being matched. Send this one again in a moment.")
