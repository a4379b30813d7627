"""Rules of approvals: which orders need one, who may decide, and when a decision needs new prices."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from app.ledger.rules.keys import PortfolioKey
from app.money import format_fixed, shorten_amount, shorten_quantity
from app.orders.rules.values import Order, OrderKey, Status
from app.risk.rules.values import Denial
from app.timestamps import Timestamp

# The types of the events of an approval.
REQUESTED = "approval.requested"
GRANTED = "approval.granted"
REJECTED = "approval.rejected"
EXPIRED = "approval.expired"
REJECTION_CODE = "APPROVAL_REJECTED"  # the code of the denial of an order that an approver rejected
OVERRIDE_RULE = "override"  # the rule of an order that waits because it exceeds a limit
SYSTEM_ACTOR = "calendar"  # the actor who expires orders
DEFAULT_APPROVERS = ("role:approver", "role:admin")
OVERRIDE_APPROVERS = ("role:risk", "role:admin")
OVERRIDE_MINUTES = 30
# Caps of one portfolio. Kill switches, permissions, prices and firm-wide limits cannot be overridden.
OVERRIDABLE_LIMITS = frozenset(
    {
        "MAX_ORDER_QUANTITY",
        "MAX_ORDER_VALUE",
        "MAX_POSITION_VALUE",
        "MAX_GROSS_EXPOSURE",
        "MAX_NET_EXPOSURE",
        "MAX_OPEN_ORDERS",
        "MAX_DAILY_LOSS",
        "MAX_DRAWDOWN",
    }
)
_PERCENT = Decimal(100)
_ROLE_PREFIX = "role:"
_TRAIL_FIELDS = ("trail_amount", "trail_percent")


class ApprovalMode(StrEnum):
    """The orders of a portfolio that need an approval."""

    ALWAYS = "always"
    ABOVE_VALUE = "above_value"
    ABOVE_EQUITY_SHARE = "above_equity_share"
    INSTRUMENTS = "instruments"


class ApprovalPolicy(NamedTuple):
    """The approval policy of a portfolio.

    `value` is in the portfolio's currency, or the share of its equity in percent. `approvers` are roles
    ("role:risk") and names of people. If the reference price moves by more than `max_move_percent`, the
    approver must confirm the new price.
    """

    mode: ApprovalMode
    value: Decimal | None = None
    instruments: frozenset[str] = frozenset()
    approvers: tuple[str, ...] = DEFAULT_APPROVERS
    expires_minutes: int = 30
    max_move_percent: Decimal = Decimal(1)


class ApprovalRequest(NamedTuple):
    """A row of `approval_requests`: the reason why an order waits, the approvers, and the expiry.

    `rule` is the policy's mode, or "override". `approvers` and `estimate` are JSON text; the estimate is
    at the prices of the request. For an override, `override_of` is the denied order, `waived` the code of the
    limit, and `reason` the reason of the requester.
    """

    tenant_id: int
    order_id: str
    portfolio_id: int
    rule: str
    requested_by: str
    requested_at: Timestamp
    expires_at: Timestamp
    price_seen: Decimal | None
    max_move_percent: Decimal
    approvers: str
    estimate: str
    override_of: str | None = None
    waived: str | None = None
    reason: str | None = None

    @property
    def order_key(self) -> OrderKey:
        """The key of the order."""
        return OrderKey(self.tenant_id, self.order_id)

    @property
    def portfolio_key(self) -> PortfolioKey:
        """The key of the order's portfolio."""
        return PortfolioKey(self.tenant_id, self.portfolio_id)


class Decider(NamedTuple):
    """A caller who decides: all names of the person, and the role."""

    names: frozenset[str]
    role: str | None


@lru_cache(maxsize=1_000)
def parse_policy(policy_json: str) -> ApprovalPolicy:
    """Return the policy of the JSON text. Raises ValueError or KeyError if it is invalid."""
    fields = orjson.loads(policy_json)
    value, move = fields.get("value"), fields.get("max_move_percent")
    return ApprovalPolicy(
        mode=ApprovalMode(fields["mode"]),
        value=None if value is None else Decimal(str(value)),
        instruments=frozenset(fields.get("instruments") or ()),
        approvers=tuple(fields.get("approvers") or DEFAULT_APPROVERS),
        expires_minutes=int(fields.get("expires_minutes") or 30),
        max_move_percent=Decimal(1) if move is None else Decimal(str(move)),
    )


def find_policy(policy_json: str | None, *, is_forced: bool) -> ApprovalPolicy | None:
    """Return the policy of a portfolio from its JSON text, None if it has none.

    With `is_forced`, it covers every order, and a portfolio without a policy has the default approvers.
    """
    if policy_json is None:
        return ApprovalPolicy(ApprovalMode.ALWAYS) if is_forced else None
    policy = parse_policy(policy_json)
    return policy._replace(mode=ApprovalMode.ALWAYS) if is_forced else policy


def is_covered(policy: ApprovalPolicy, symbol: str, value: Decimal | None, equity: Decimal | None) -> bool:
    """Return whether the policy covers an order of that value in a portfolio of that equity.

    Value and equity are in the portfolio's currency. An order whose value or share is unknown is covered.
    """
    if policy.mode is ApprovalMode.ALWAYS:
        return True
    if policy.mode is ApprovalMode.INSTRUMENTS:
        return symbol in policy.instruments
    if value is None or policy.value is None:
        return True
    if policy.mode is ApprovalMode.ABOVE_VALUE:
        return value > policy.value
    return equity is None or equity <= 0 or value * _PERCENT > equity * policy.value


def needs_new_approval(order: Order, successor: Order) -> bool:
    """Return whether the successor raises the quantity or worsens a price, so that it needs a new approval.

    A higher price is worse for a buyer, a lower one for a seller, a wider trail for both.
    """
    if successor.quantity > order.quantity:
        return True
    sign = 1 if order.side == "BUY" else -1
    for name in ("limit_price", "stop_price"):
        before, after = getattr(order, name), getattr(successor, name)
        if before is not None and after is not None and (after - before) * sign > 0:
            return True
    return any(_is_wider_trail(getattr(order, name), getattr(successor, name)) for name in _TRAIL_FIELDS)


def _is_wider_trail(before: Decimal | None, after: Decimal | None) -> bool:
    """Return whether a trail is wider, or became a trail that cannot be compared."""
    return after is not None and (before is None or after > before)


def is_approver(request: ApprovalRequest, decider: Decider) -> bool:
    """Return whether the request lists the person or the role."""
    approvers: list[str] = orjson.loads(request.approvers)
    roles = {
        approver.removeprefix(_ROLE_PREFIX) for approver in approvers if approver.startswith(_ROLE_PREFIX)
    }
    return decider.role in roles or not decider.names.isdisjoint(approvers)


def is_own_order(order: Order, request: ApprovalRequest, decider: Decider, key_creator: str | None) -> bool:
    """Return whether the person placed the order: directly, by one of their keys, or as its `user_id`.

    `key_creator` is the person who created the API key that placed the order, if the key acted for no person.
    """
    placers: Iterable[str | None] = (order.actor, order.user_id, request.requested_by, key_creator)
    return any(placer is not None and placer in decider.names for placer in placers)


def has_price_moved(price_seen: Decimal | None, price: Decimal | None, max_percent: Decimal) -> bool:
    """Return whether the reference price is too far from the price that the approver saw."""
    if price is None:
        return False
    return price_seen is None or abs(price - price_seen) * _PERCENT > price_seen * max_percent


def loses_fills(order: Order, statuses: Iterable[str]) -> bool:
    """Return whether an order is a denied successor that does not keep the fills of its predecessor.

    A successor that waited for approval had already replaced its predecessor and keeps them. `statuses` are
    the statuses in the order's history.
    """
    is_denied = order.denial is not None and order.replaces is not None
    return is_denied and Status.AWAITING_APPROVAL not in statuses


def build_rejection(actor: str, reason: str | None) -> Denial:
    """Return the denial of an order that an approver rejected."""
    return Denial(REJECTION_CODE, f"{actor} rejected it: {reason}", largest_passing=None)


def is_rejection(denial: object) -> bool:
    """Return whether a stored denial is exactly the denial of an approver's rejection."""
    if not isinstance(denial, dict) or denial.get("code") != REJECTION_CODE:
        return False
    return denial == Denial(REJECTION_CODE, denial.get("message", ""), largest_passing=None)._asdict()


def find_approval_event_type(from_status: str | None, to_status: str, actor: str) -> str | None:
    """Return the type of the approval event that a change of status publishes, None if it publishes none.

    Cancellations, replacements and denials by the risk checks publish none.
    """
    if to_status == Status.AWAITING_APPROVAL != from_status:
        return REQUESTED
    if from_status != Status.AWAITING_APPROVAL:
        return None
    decided = {Status.SUBMITTED: GRANTED, Status.HELD: GRANTED}
    if to_status == Status.DENIED:
        return None if actor == "risk" else REJECTED
    if to_status == Status.EXPIRED:
        return EXPIRED
    return decided.get(Status(to_status))


def build_request_payload(request: ApprovalRequest) -> dict[str, Any]:
    """Return the payload of the approval.requested event."""
    return {
        "order_id": request.order_id,
        "portfolio_id": request.portfolio_id,
        "rule": request.rule,
        "requested_by": request.requested_by,
        "expires_at": request.expires_at,
        "price_seen": None
        if request.price_seen is None
        else shorten_amount(format_fixed(request.price_seen)),
        "max_move_percent": shorten_quantity(format_fixed(request.max_move_percent)),
        "approvers": orjson.loads(request.approvers),
        "estimate": orjson.loads(request.estimate),
        "override_of": request.override_of,
        "waived": request.waived,
        "reason": request.reason,
    }
