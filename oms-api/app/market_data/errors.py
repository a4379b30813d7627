"""Errors of market data."""

from app.errors import Conflict, FieldError, Invalid, NotFound


class NoQuote(NotFound):
    """Raised when there is no quote of the symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"There is no quote of {symbol}; publish one with `PUT /quotes/{{symbol}}`.")


class NoOverride(NotFound):
    """Raised when the mark of the symbol is not set."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"The mark of {symbol} was not set by hand; nothing is left to delete.")


class PairNotMarkable(Invalid):
    """Raised when the symbol is a currency pair, whose price is an exchange rate."""

    def __init__(self, symbol: str) -> None:
        super().__init__(
            "The mark of a currency pair cannot be set: publish a quote with `PUT /quotes/{symbol}`.",
            [FieldError("symbol", f"{symbol} is a currency pair.", "symbol")],
        )


class ExpiryPassed(Invalid):
    """Raised when the mark would expire before it is set."""

    def __init__(self) -> None:
        super().__init__(
            "`expires_at` must be in the future.",
            [FieldError("expires_at", "Must be in the future.", "expires_at")],
        )


class NoSubscription(NotFound):
    """Raised when the tenant has not subscribed to the symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(
            f"There is no subscription of {symbol}; list them with `GET /market-data/subscriptions`."
        )


class TooManySubscriptions(Conflict):
    """Raised when the tenant would have more subscriptions than a tenant may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant subscribes to at most {limit:,} symbols; delete one first.")
