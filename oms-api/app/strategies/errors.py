"""Errors of strategies."""

from app.errors import Conflict, FieldError, Invalid, NotFound


class NoSuchStrategy(NotFound):
    """Raised when the caller sees no such strategy."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no strategy {name!r}; list them with `GET /strategies`.")


class StrategyExists(Conflict):
    """Raised when a strategy of that name exists."""

    kind, title = "strategy-exists", "A strategy of this name exists"


class StrategyIsRunning(Conflict):
    """Raised when a field of the request cannot be changed while the strategy is active."""

    kind, title = "strategy-is-active", "The strategy is active"


class StrategyStatusConflict(Conflict):
    """Raised when the status of the strategy does not allow the request."""

    kind, title = "strategy-status", "Invalid status of the strategy"


class StrategyHasNoCode(Conflict):
    """Raised when the strategy has signals instead of code."""

    kind, title = "strategy-has-no-code", "The strategy has no code"
    sentence = "Its signals follow rules; set them with `PUT /signals/strategies/{strategy_name}`."


class TooManyStrategies(Conflict):
    """Raised when the tenant has the maximum number of strategies."""

    kind, title = "too-many-strategies", "Too many strategies"


class CodeChanged(Exception):
    """Raised when the code differs from the code of the strategy's version."""

    def __init__(self) -> None:
        super().__init__(
            "The code changed since its version was made; send `entry_point` with `PATCH` to take it over."
        )


class MessageLimitExceeded(Exception):
    """Raised when the strategy sent more messages than its limit allows, or a latch stopped it.

    It must be paused.
    """


def build_field_error(field: str, message: str, code: str) -> Invalid:
    """Return the error of one field."""
    return Invalid("1 field is not valid; see `errors`.", [FieldError(field, message, code)])
