"""The charges of a ledger row in percent of its value."""

from decimal import Decimal

from app.ledger.rules.chain import TradeRow
from app.money import ZERO, compute_share, format_fixed, multiply

_HUNDRED = Decimal(100)
_NONE = format_fixed(ZERO)


def compute_charges_percentage(row: TradeRow) -> str:
    """Return the charges in percent of the value, to 8 decimals, as canonical text.

    Both are in the portfolio's currency. A reversal has the negative percentage of its trade, a row without
    charges or without a value zero.
    """
    if row.charges == _NONE:  # most rows
        return _NONE
    value = Decimal(row.gmv)
    if row.fx_rate is not None:
        value = multiply(value, Decimal(row.fx_rate))
    return format_fixed(compute_share(Decimal(row.charges), _HUNDRED, value)) if value else _NONE
