"""Allow only reducing orders after too large a loss."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_reducible_quantity
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that does not reduce a position once the daily loss or the drawdown reaches its limit."""
    limits = risk.limits
    day = None if risk.pnl_of_day is None else -risk.pnl_of_day
    firm_day = None if risk.firm_pnl_of_day is None else -risk.firm_pnl_of_day
    for code, description, limit, loss in (
        ("MAX_DAILY_LOSS", "The loss of the day", limits.max_daily_loss, day),
        ("MAX_DRAWDOWN", "The drawdown", limits.max_drawdown, risk.drawdown),
        ("FIRM_DAILY_LOSS", "The loss of the day of all portfolios", limits.firm_daily_loss, firm_day),
    ):
        if limit is None or loss is None or loss < limit:
            continue
        if quantity > get_reducible_quantity(risk.symbol_exposure, risk.order.side):
            reached = f"{description} has reached {format_grouped_amount(limit)}"
            sentence = f"{reached}: only orders that reduce a position pass."
            return Denial(code, sentence, limit, loss)
    return None
