"""The papers of the desk: a draft is what is typed so far, a ticket can be traded, a trade has happened."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from app.forms.numbers import per_share, plain

MAX_QUANTITY = Decimal(1_000_000)
MAX_GMV = Decimal(100_000_000)
MAX_PRICE = Decimal(1_000_000)
MIN_AMOUNT = Decimal("0.00000001")
MAX_SYMBOL_CHARACTERS = 40
MAX_PORTFOLIO_CHARACTERS = 100
MAX_NOTE_CHARACTERS = 500


class Side(StrEnum):
    """Which way a trade goes."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True)
class Draft:
    """Entries of a form as texts; an empty one is not filled in. `new_portfolio`: it was chosen as a new one.

    `price` is per share; either it or the GMV is filled in, or both where they agree.

    `read_as` is no entry: it says how numbers were read that could be read in two ways.
    """

    symbol: str = ""
    quantity: str = ""
    gmv: str = ""
    side: str = ""
    portfolio: str = ""
    note: str = ""
    new_portfolio: bool = False
    price: str = ""
    read_as: str = field(default="", compare=False)


@dataclass(frozen=True)
class Ticket:
    """A trade to be recorded. Quantity in units of the instrument; GMV is their gross market value.

    `typed_price` is the price per share where one was typed; `is_gmv_typed` says whether the GMV was.
    """

    symbol: str
    quantity: Decimal
    gmv: Decimal
    side: Side
    portfolio: str
    note: str = ""
    new_portfolio: bool = False
    typed_price: Decimal | None = field(default=None, compare=False)
    is_gmv_typed: bool = field(default=True, compare=False)

    @property
    def price(self) -> Decimal:
        """GMV per unit, to 8 places."""
        return per_share(self.gmv, self.quantity)

    def draft(self) -> Draft:
        """Return the entries that would make this ticket again."""
        return Draft(
            symbol=self.symbol,
            quantity=plain(self.quantity),
            price="" if self.typed_price is None else plain(self.typed_price),
            gmv=plain(self.gmv) if self.is_gmv_typed else "",
            side=self.side.value,
            portfolio=self.portfolio,
            note=self.note,
            new_portfolio=self.new_portfolio,
        )


@dataclass(frozen=True)
class Holding:
    """What a portfolio holds of a symbol: signed units, their average cost in the portfolio's currency.

    `rate`: what one unit of the instrument's currency is worth in the portfolio's.
    """

    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    rate: Decimal = Decimal(1)


@dataclass(frozen=True)
class Trade:
    """A trade as the ledger has it, and the position after it. `timestamp` is ISO 8601 text, UTC."""

    trade_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    gmv: Decimal
    portfolio: str
    timestamp: str
    position_quantity: Decimal
    position_average_cost: Decimal
