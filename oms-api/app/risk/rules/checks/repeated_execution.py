"""Check that no latch stops the strategy or API key in the symbol."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny every order of a latched strategy or API key until a person releases the latch."""
    latch = risk.latch
    if latch is None:
        return None
    scope, name, symbol = latch.subject
    sentence = (
        f"The {scope} {name!r} executed {latch.executions} orders in {symbol} within a minute; "
        f"the limit is {latch.max_executions}, and a person must release latch {latch.id}."
    )
    return Denial("REPEATED_EXECUTION", sentence, Decimal(latch.max_executions), Decimal(latch.executions))
