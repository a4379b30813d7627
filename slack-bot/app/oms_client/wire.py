"""The OMS's JSON, read and written. Amounts travel as strings and become `Decimal`."""

import json
from decimal import Decimal
from typing import Any

from app.errors import FieldProblem, KeyTaken, NotAllowed, NotPlaced, OmsError, OutcomeUnknown, Refused
from app.forms.numbers import plain
from app.forms.ticket import Ticket, Trade

Json = dict[str, Any]
NOTHING_RECORDED = ("/not-placed", "/unavailable")  # kinds of 503 that say so
KEY_TAKEN = "/idempotency-key-reused"


def ticket_to_json(ticket: Ticket, user: str) -> Json:
    """Return the body of `POST /trade`; `user` is a label, the Slack user id."""
    body = {
        "symbol": ticket.symbol,
        "quantity": plain(ticket.quantity),
        "gmv": plain(ticket.gmv),
        "side": ticket.side.value,
        "portfolio_name": ticket.portfolio,
        "user_id": user,
    }
    return body | ({"note": ticket.note} if ticket.note else {})


def trade_from_json(values: Json) -> Trade:
    """Read a trade as the ledger tells it; raises KeyError, ValueError or TypeError when it is none."""
    position = values["position"]
    return Trade(
        trade_id=str(values["trade_id"]),
        symbol=str(values["symbol"]),
        side=str(values["side"]),
        quantity=amount(values["quantity"]),
        price=amount(values["price"]),
        gmv=amount(values["gmv"]),
        portfolio=str(values["portfolio_name"]),
        timestamp=str(values["timestamp"]),
        position_quantity=amount(position["quantity"]),
        position_average_cost=amount(position["avg_cost"]),
    )


def amount(value: Any) -> Decimal:
    """Return an amount of the OMS's answer exactly; raises ValueError or TypeError for what is none."""
    if not isinstance(value, str):
        raise TypeError("The OMS sends amounts as strings.")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError("The OMS sent an amount that is no number.") from None
    if not number.is_finite():
        raise ValueError("The OMS sent an amount that is not finite.")
    return number


def error_from(status: int, body: bytes) -> OmsError:
    """Return what an answer other than 2xx to a write means for the trade."""
    problem = _problem(body)
    detail = str(problem.get("detail") or problem.get("title") or "The trading system refused it.")
    if status in (401, 403):
        return NotAllowed(status)
    if status == 429:
        return NotPlaced("The trading system is taking no more requests for the moment.")
    kind = str(problem.get("type", ""))
    if status == 503 and kind.endswith(NOTHING_RECORDED):
        return NotPlaced("The trading system cannot record anything at the moment.")
    if status == 409 and kind.endswith(KEY_TAKEN):
        return KeyTaken(detail)
    if 400 <= status < 500:
        return Refused(detail, _field_problems(problem), status)
    return OutcomeUnknown(f"The OMS answered {status}.")


def _problem(body: bytes) -> Json:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _field_problems(problem: Json) -> tuple[FieldProblem, ...]:
    entries = problem.get("errors")
    if not isinstance(entries, list):
        return ()
    return tuple(
        FieldProblem(str(entry.get("field", "")), str(entry.get("message", "")))
        for entry in entries
        if isinstance(entry, dict)
    )
