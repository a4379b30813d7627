"""Check that the instrument is known, tradable and not restricted."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an unknown, not tradable or restricted instrument."""
    instrument, symbol = risk.instrument, risk.order.symbol
    if instrument is None:
        return Denial(
            "UNKNOWN_INSTRUMENT",
            f"There is no instrument {symbol}; create it, or check the symbol.",
            None,
            symbol,
        )
    if not instrument.is_tradable:
        return Denial("NOT_TRADABLE", f"{symbol} cannot be traded at the moment.", None, symbol)
    if instrument.is_restricted:
        return Denial("RESTRICTED", f"{symbol} is on the restricted list.", None, symbol)
    return None
