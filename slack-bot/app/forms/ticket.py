"""Drafts (entries of a form), tickets (trades to record) and recorded trades."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from app.forms.numbers import compute_price, format_plain

MAX_QUANTITY = Decimal(1_000_000)
MAX_GMV = Decimal(100_000_000)
MAX_PRICE = Decimal(1_000_000)
MIN_AMOUNT = Decimal("0.00000001")
MAX_SYMBOL_CHARACTERS = 40
MAX_PORTFOLIO_CHARACTERS = 100
MAX_NOTE_CHARACTERS = 500


class Side(StrEnum):
    """The side of a trade."""

    BUY = "BUY"
    SELL = "SELL"


@dataclass(frozen=True)
class Draft:
    """Entries of a form as texts. Empty texts are entries that are not filled in.

    `price` is per share. A complete draft has a price, a GMV, or both if they agree.
    `is_new_portfolio`: the portfolio was chosen as a new one.
    `read_as` is not an entry: it states how ambiguous numbers were parsed.
    """

    symbol: str = ""
    quantity: str = ""
    gmv: str = ""
    side: str = ""
    portfolio: str = ""
    note: str = ""
    is_new_portfolio: bool = False
    price: str = ""
    read_as: str = field(default="", compare=False)


@dataclass(frozen=True)
class Ticket:
    """A trade to record. `quantity` is in units of the instrument; `gmv` is their gross market value.

    `typed_price` is the price per share if one was typed. `is_gmv_typed` is true if the GMV was typed.
    """

    symbol: str
    quantity: Decimal
    gmv: Decimal
    side: Side
    portfolio: str
    note: str = ""
    is_new_portfolio: bool = False
    typed_price: Decimal | None = field(default=None, compare=False)
    is_gmv_typed: bool = field(default=True, compare=False)

    @property
    def price(self) -> Decimal:
        """GMV per unit, rounded to 8 decimals."""
        return compute_price(self.gmv, self.quantity)

    def draft(self) -> Draft:
        """Return the entries of this ticket."""
        return Draft(
            symbol=self.symbol,
            quantity=format_plain(self.quantity),
            price="" if self.typed_price is None else format_plain(self.typed_price),
            gmv=format_plain(self.gmv) if self.is_gmv_typed else "",
            side=self.side.value,
            portfolio=self.portfolio,
            note=self.note,
            is_new_portfolio=self.is_new_portfolio,
        )


@dataclass(frozen=True)
class Holding:
    """A position: signed units, and their average cost in the portfolio's currency.

    `rate` converts the instrument's currency into the portfolio's.
    """

    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    rate: Decimal = Decimal(1)


@dataclass(frozen=True)
class Trade:
    """A recorded trade and the resulting position. `timestamp` is ISO 8601 text in UTC."""

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
