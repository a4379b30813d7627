"""What instruments refuse."""

from app.errors import Conflict


class CurrencyInUse(Conflict):
    """Positions and open orders are in a currency; theirs cannot become another one."""

    def __init__(self, symbol: str, before: str, after: str) -> None:
        super().__init__(
            f"{symbol} cannot change from {before} to {after} while positions or open orders stand in it."
        )
