"""Serialize requests to the OMS and parse its JSON. Amounts are strings in JSON and `Decimal` here."""

import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from app.errors import (
    DenialReason,
    FieldProblem,
    IdempotencyKeyTaken,
    NotPlaced,
    OmsError,
    OmsForbidden,
    OmsRejected,
    OutcomeUnknown,
    TooManyRequests,
    UnreadableResponse,
)
from app.forms.day_change import DayBar
from app.forms.instruments import Instrument
from app.forms.numbers import format_plain
from app.forms.price import Quote
from app.forms.ticket import Holding, Ticket, Trade

Json = dict[str, Any]
NOTHING_RECORDED = ("/not-placed", "/unavailable")  # problem types of a 503 after which nothing was recorded
NEXT_CURSOR = re.compile(r'[?&]cursor=([^&>]+)[^>]*>; *rel="next"')
KEY_TAKEN = "/idempotency-key-reused"
MAX_WAIT_SECONDS = 3600

# Problem types of a 403. Any other 403 is a problem of the bot's API key.
DENIAL_REASONS = {
    "forbidden": DenialReason.ROLE,  # every call names a person, whose role decides
    "may-not-act-as": DenialReason.ACTING,
    "person-refused": DenialReason.NOT_A_MEMBER,
    "workspace-elsewhere": DenialReason.WORKSPACE,
    "tenant-suspended": DenialReason.SUSPENDED,
}
PORTFOLIO_NOT_GRANTED = "not-your-portfolio"
DECISION_REFUSALS = ("own-order", "not-an-approver")  # of approvals: the person may not decide on this order


def serialize_ticket(ticket: Ticket, user: str) -> Json:
    """Return the body of `POST /trade`. `user` is a label, the Slack user id."""
    body = {
        "symbol": ticket.symbol,
        "quantity": format_plain(ticket.quantity),
        "gmv": format_plain(ticket.gmv),
        "side": ticket.side.value,
        "portfolio_name": ticket.portfolio,
        "user_id": user,
    }
    return body | ({"note": ticket.note} if ticket.note else {})


def parse_trade(values: Json) -> Trade:
    """Parse a trade of the ledger. Raises KeyError, ValueError or TypeError if it is invalid."""
    position = values["position"]
    return Trade(
        trade_id=str(values["trade_id"]),
        symbol=str(values["symbol"]),
        side=str(values["side"]),
        quantity=parse_exact_amount(values["quantity"]),
        price=parse_exact_amount(values["price"]),
        gmv=parse_exact_amount(values["gmv"]),
        portfolio=str(values["portfolio_name"]),
        timestamp=str(values["timestamp"]),
        position_quantity=parse_exact_amount(position["quantity"]),
        position_average_cost=parse_exact_amount(position["avg_cost"]),
    )


def parse_holding(values: Json) -> Holding:
    """Parse a position. Raises KeyError, ValueError or TypeError if it is invalid."""
    rate = values.get("fx_rate")
    amounts = (parse_exact_amount(values["quantity"]), parse_exact_amount(values["avg_cost"]))
    return Holding(*amounts, Decimal(1) if rate is None else parse_exact_amount(rate))


def parse_instruments(rows: Any) -> list[Instrument]:
    """Parse a list of instruments. Raises OmsError if it is invalid."""
    try:
        return [Instrument(str(row["symbol"]), str(row.get("name") or "")) for row in rows]
    except (AttributeError, KeyError, TypeError):
        raise UnreadableResponse("The OMS returned instruments that cannot be read.") from None


def parse_day_bars(rows: Any) -> list[DayBar]:
    """Parse a list of bars. Raises OmsError if it is invalid."""
    try:
        return [
            DayBar(str(row["start"]), parse_exact_amount(row["open"]), parse_exact_amount(row["close"]))
            for row in rows
        ]
    except (KeyError, TypeError, ValueError):
        raise UnreadableResponse("The OMS returned bars that cannot be read.") from None


def parse_own_trades(rows: Any, actor: str) -> list[Trade]:
    """Parse a list of trades. Return the trades of this person, without reversals and reversed trades.

    Raises OmsError if the list is invalid.
    """
    try:
        return [
            parse_trade(row)
            for row in rows
            if row["actor"] == actor and not row.get("reversed_by") and not row.get("reverses")
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UnreadableResponse("The OMS returned trades that cannot be read.") from None


def parse_exact_amount(value: Any) -> Decimal:
    """Parse an amount exactly. Raises ValueError or TypeError if it is invalid."""
    if not isinstance(value, str):
        raise TypeError("The OMS sends amounts as strings.")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError("The OMS sent an amount that is no number.") from None
    if not number.is_finite():
        raise ValueError("The OMS sent an amount that is not finite.")
    return number


def parse_quote(body: bytes) -> Quote | None:
    """Parse a quote with its mid, else its last price. None if it has neither or is invalid."""
    try:
        values = json.loads(body)
        price = parse_exact_amount(values["mid"] or values["last"])
        return Quote(price, float(values["age_seconds"]), str(values["source"])) if price > 0 else None
    except (KeyError, TypeError, ValueError):
        return None


def has_trade_scope(person_json: Any) -> bool:
    """Return whether the response about a person includes the scope `trade`.

    Without scopes in the response, the bot allows it, and the OMS decides when the trade is sent.
    """
    scopes = person_json.get("scopes") if isinstance(person_json, dict) else None
    return "trade" in scopes if isinstance(scopes, list) else True


def parse_refusal(status: int, body: bytes, retry_after: str) -> OmsError | None:
    """Return why a person was refused (401, 403, 429), None for any other response."""
    if status == 401:
        return OmsForbidden(DenialReason.KEY)
    if status == 403:
        return _parse_forbidden(_parse_problem(body))
    return TooManyRequests(_parse_seconds(retry_after)) if status == 429 else None


def _parse_forbidden(problem: Json) -> OmsError:
    kind = str(problem.get("type", "")).rpartition("/")[2]
    if kind == PORTFOLIO_NOT_GRANTED:
        detail = str(problem.get("detail", ""))
        return OmsRejected(detail, (FieldProblem("portfolio_name", detail),), 403)
    if kind in DECISION_REFUSALS:
        return OmsRejected(str(problem.get("detail", "")), (), 403, kind, problem)
    return OmsForbidden(DENIAL_REASONS.get(kind, DenialReason.KEY))


def parse_placed_trade(content: bytes) -> Trade:
    """Return the trade of a response to `POST /trade`. Raises `OutcomeUnknown`."""
    try:
        return parse_trade(json.loads(content)["trade"])
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("The OMS responded with 201 and a body that cannot be read.") from None


def parse_first_trade(trades: Any) -> Trade | None:
    """Parse the first trade of a list, None if it is empty. Raises `OmsError`."""
    if not isinstance(trades, list):
        raise UnreadableResponse("The OMS returned a value that is not a list.")
    if not trades:
        return None
    try:
        return parse_trade(trades[0])
    except (KeyError, TypeError, ValueError):
        raise UnreadableResponse("The OMS returned a trade that cannot be read.") from None


def parse_next_cursor(link: str) -> str:
    """Return the cursor in a Link header with the relation `next`, empty if there is none."""
    match = NEXT_CURSOR.search(link)
    return unquote(match[1]) if match else ""


def parse_error(status: int, body: bytes, retry_after: str = "") -> OmsError:
    """Return the error for a response to a write that is not 2xx."""
    problem = _parse_problem(body)
    detail = str(problem.get("detail") or problem.get("title") or "The trading system refused it.")
    if refusal := parse_refusal(status, body, retry_after):
        return refusal
    kind = str(problem.get("type", ""))
    if status == 503 and kind.endswith(NOTHING_RECORDED):
        return NotPlaced("The trading system cannot record anything at the moment.")
    if status == 409 and kind.endswith(KEY_TAKEN):
        return IdempotencyKeyTaken(detail)
    if 400 <= status < 500:
        return OmsRejected(detail, _parse_field_problems(problem), status, kind.rpartition("/")[2], problem)
    return OutcomeUnknown(f"The OMS returned {status}.")


def _parse_seconds(retry_after: str) -> int | None:
    """Return the seconds of a Retry-After header. None if it is a date."""
    if not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(max(int(retry_after[:9]), 1), MAX_WAIT_SECONDS)


def _parse_problem(body: bytes) -> Json:
    try:
        values = json.loads(body)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _parse_field_problems(problem: Json) -> tuple[FieldProblem, ...]:
    entries = problem.get("errors")
    if not isinstance(entries, list):
        return ()
    return tuple(
        FieldProblem(str(entry.get("field", "")), str(entry.get("message", "")))
        for entry in entries
        if isinstance(entry, dict)
    )
