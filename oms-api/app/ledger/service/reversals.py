"""Build the ledger row that reverses another one."""

from decimal import Decimal

from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.corporate_actions import ACTION_ROWS
from app.ledger.service.books import Entry
from app.money import compute_share


def build_reversal_entry(original: TradeRow, reason: str, price: Decimal | None = None) -> Entry:
    """Return the entry of the row that reverses `original`.

    `price` replaces the price of the original, for a row of a corporate action.
    """
    side = Side(original.side)
    counted = 0 if original.kind in ACTION_ROWS else -1
    return Entry(
        kind="reversal",
        symbol=original.symbol,
        product=original.product,
        side=(Side.SELL if side is Side.BUY else Side.BUY).value,
        quantity=Decimal(original.quantity),
        price=Decimal(original.price) if price is None else price,
        gmv=Decimal(original.gmv),
        charges=-Decimal(original.charges),
        cash_delta=-Decimal(original.cash_delta),
        trades=counted,
        buys=counted if side is Side.BUY else 0,
        note=reason,
        reverses=original.trade_id,
        currency=original.currency,
        fx_rate=None if original.fx_rate is None else Decimal(original.fx_rate),
    )


def restate_price(price: Decimal, new_units: Decimal, old_units: Decimal) -> Decimal:
    """Return a price after a split, at least the smallest one."""
    return max(compute_share(price, old_units, new_units), Decimal("0.00000001"))
