"""Errors of signals."""

from app.errors import Conflict, FieldError, Invalid, NotFound


class SignalIdReused(Conflict):
    """Raised when the id identifies another signal."""

    kind, title = "signal-id-reused", "The id was used for another signal"

    def __init__(self, signal_id: str) -> None:
        super().__init__(f"The ID {signal_id!r} was used for another signal; send a new ID for a new signal.")


class NoSuchSignal(NotFound):
    """Raised when the tenant has no such signal, or the caller may not see its portfolio."""

    def __init__(self, signal_id: str) -> None:
        super().__init__(f"There is no signal {signal_id!r}; list them with `GET /signals`.")


class NoSuchStrategyRules(NotFound):
    """Raised when the tenant has no rules for the signals of the strategy."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The strategy {name!r} has no rules for signals; list the rules with `GET /signals/strategies`."
        )


def build_field_error(field: str, message: str, code: str) -> Invalid:
    """Return the error of a field of a signal."""
    return Invalid("1 field is not valid; see `errors`.", [FieldError(field, message, code)])


class NoSuchHook(NotFound):
    """Raised when the tenant has no such hook. For a token, no detail is given."""

    def __init__(self, hook_id: str | None = None) -> None:
        super().__init__(
            "Not found."
            if hook_id is None
            else f"There is no hook {hook_id!r}; list them with `GET /signals/hooks`."
        )


class TooManyHooks(Conflict):
    """Raised when the tenant has the maximum number of hooks."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant has at most {limit} hooks; delete one first.")
