"""Errors of market data."""

from app.errors import NotFound


class NoQuote(NotFound):
    """There is no quote of the symbol."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"There is no quote of {symbol}; publish one with `PUT /quotes/{{symbol}}`.")
