"""What the market does not have."""

from app.errors import NotFound


class NoQuote(NotFound):
    """Nobody said what the symbol costs."""

    def __init__(self, symbol: str) -> None:
        super().__init__(f"There is no quote for {symbol}; PUT one.")
