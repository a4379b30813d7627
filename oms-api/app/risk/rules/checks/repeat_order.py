"""The same order again, a moment later: a finger that slipped."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny a person's repeat within the limit's seconds unless it is confirmed; plain keys may repeat."""
    seconds, age = risk.limits.repeat_order_seconds, risk.same_order_seconds
    if not risk.is_person or risk.confirms_repeat or age is None or age >= seconds:
        return None
    sentence = f"You sent the same order {age:.1f} s ago. Send it with confirm_repeat if you mean it."
    return Denial("REPEAT_ORDER", sentence, seconds, age)
