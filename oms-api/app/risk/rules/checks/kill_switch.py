"""Check the strictest kill switch of the tenant, the portfolio and the strategy."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_reducible_quantity
from app.risk.rules.values import Denial, RiskInput, TradingState


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny every order while HALTED, and while REDUCING every order that does not reduce the position."""
    if risk.state is TradingState.ACTIVE:
        return None
    if risk.state is TradingState.HALTED:
        return Denial("HALTED", f"Trading is halted for this {risk.state_scope}.", "HALTED", risk.order.side)
    reducible_quantity = get_reducible_quantity(risk.symbol_exposure, risk.order.side)
    if quantity <= reducible_quantity:
        return None
    sentence = (
        f"Only orders that reduce a position pass for this {risk.state_scope}; "
        f"{format_grouped_amount(reducible_quantity)} can be reduced."
    )
    return Denial("REDUCING", sentence, reducible_quantity, quantity)
