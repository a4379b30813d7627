"""Errors of instruments."""

from app.errors import Conflict, FieldError, Invalid


class CurrencyInUse(Conflict):
    """Raised when the currency is to change while positions or open orders use it."""

    def __init__(self, symbol: str, before: str, after: str) -> None:
        super().__init__(
            f"{symbol} cannot change from {before} to {after} while it has positions or open orders. "
            "Close and cancel them first."
        )


class AliasTaken(Invalid):
    """Raised when the alias is the name of another instrument."""

    def __init__(self, field: str, alias: str, symbol: str) -> None:
        if alias == symbol:
            message = f"{alias} is an instrument itself; leave it out."
        else:
            message = f"{alias} is an alias of {symbol}; remove it there first."
        super().__init__(message, [FieldError(field, message, "alias_taken")])


class AliasInUse(Conflict):
    """Raised when positions, open orders or limits are recorded under the name that would become an alias."""

    def __init__(self, alias: str) -> None:
        super().__init__(
            f"{alias} cannot become an alias while positions, open orders or limits are recorded under it. "
            "Close the positions, cancel the orders and remove the limits first."
        )
