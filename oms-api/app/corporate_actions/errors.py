"""Errors of corporate actions."""

from collections.abc import Sequence

from app.errors import Conflict, FieldError, Invalid, NotFound


class NoSuchCorporateAction(NotFound):
    """Raised when the tenant has no corporate action with that id."""

    def __init__(self, action_id: str) -> None:
        super().__init__(f"There is no corporate action {action_id}; see `GET /corporate-actions`.")


class CorporateActionReversed(Conflict):
    """Raised when a reversed corporate action is to be reversed again."""

    def __init__(self, action_id: str) -> None:
        super().__init__(f"The corporate action {action_id} was reversed already; record a new one instead.")


class InvalidCorporateAction(Invalid):
    """Raised when the terms do not fit the kind of the action."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors[0].message, list(errors))
