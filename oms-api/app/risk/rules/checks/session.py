"""Check that the trading session is open, or that the order may wait for it."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order outside the hours of its session. `closed_until` is when the market opens."""
    if risk.session_denial_reason is None:
        return None
    return Denial("SESSION_CLOSED", risk.session_denial_reason, risk.closed_until)
