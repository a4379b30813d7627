"""Errors of the reconciliation."""

from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound


class NoSuchIssue(NotFound):
    """Raised when the tenant has no such issue."""

    def __init__(self, issue_id: str) -> None:
        super().__init__(f"There is no issue {issue_id!r}; list them with `GET /reconciliation/issues`.")


class IssueResolved(Conflict):
    """Raised when the issue is resolved already."""

    def __init__(self, issue_id: str) -> None:
        super().__init__(f"The issue {issue_id!r} is resolved already; nothing is left to do.")


class ActionNotPossible(Invalid):
    """Raised when the action does not fit the type of the issue."""

    def __init__(self, action: str, type_: str) -> None:
        message = f"`{action}` cannot resolve an issue of the type {type_}; choose another action."
        super().__init__(message, [FieldError("action", message, "not_possible")])


class PersonNeeded(Forbidden):
    """Raised when an API key that acts for no person makes a decision that needs a person."""

    def __init__(self, action: str) -> None:
        super().__init__(f"A person must decide about `{action}`: send the request on behalf of one.")


class FiguresChanged(Conflict):
    """Raised when our figure differs from the figure that the issue shows."""

    def __init__(self, issue_id: str) -> None:
        super().__init__(
            f"The figures of the issue {issue_id!r} have changed: compare again with "
            "`POST /reconciliation:run`, and look at the issue again."
        )


class OrderNotAdoptable(Conflict):
    """Raised when the broker's id of an order is too long, or the terms of the order are not known."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"The order {order_id!r} cannot be adopted, because its ID at the broker is too long or its "
            "terms are not known: watch it, or cancel it at the broker."
        )


class SeveralProducts(Conflict):
    """Raised when a position has several products, and the broker does not name the product that differs."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"The position in {symbol} has several products: report the missing trades instead.")
