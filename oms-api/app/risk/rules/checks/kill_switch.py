"""The kill switch of the tenant, the portfolio or the strategy, whichever is strictest."""

from decimal import Decimal

from app.risk.rules.exposure import reducible
from app.risk.rules.values import Denial, RiskInput, TradingState
from app.risk.rules.words import format_amount


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Let nothing pass while HALTED, and while REDUCING only what makes the position smaller."""
    if risk.state is TradingState.ACTIVE:
        return None
    if risk.state is TradingState.HALTED:
        return Denial("HALTED", f"Trading is halted for this {risk.state_scope}.", "HALTED", risk.order.side)
    room = reducible(risk.book, risk.order.side)
    if quantity <= room:
        return None
    sentence = (
        f"Only orders that reduce a position pass for this {risk.state_scope}; "
        f"{format_amount(room)} can be reduced."
    )
    return Denial("REDUCING", sentence, room, quantity)
