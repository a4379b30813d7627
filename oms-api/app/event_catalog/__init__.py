"""The types of events with the schemas of their data. `scripts/event_reference.py` writes them to a document.

A test compares the events that the service publishes with this module.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.event_catalog.fields import JsonSchema, find_field


class EventType(NamedTuple):
    """A type of events: what happened, and the fields of its data.

    `fields` are in each event, `optional` where they apply.
    """

    name: str
    summary: str
    fields: tuple[str, ...]
    optional: tuple[str, ...] = ()


def _split_names(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_ORDER = _split_names(
    "order_id client_order_id portfolio_id portfolio_name sequence symbol side type status quantity "
    "filled_quantity leaves_quantity actor"
)
_ORDER_OPTIONAL = _split_names(
    "average_price limit_price stop_price trail_amount trail_percent trail_level strategy parent_id replaces "
    "replaced_by reason broker_reason broker_words product time_in_force notional expires_at ends_at "
    "extended_hours note user_id source broker cost_schedule group_id group_kind role"
)
_FILL = ("average_price", "execution_id", "trade_id", "last_quantity", "last_price")
_ORDER_STATES = {
    "initialized": "placed",
    "awaiting_approval": "waiting for an approval",
    "held": "held until its parent fills or its market opens",
    "submitted": "sent to the broker",
    "accepted": "working at the broker",
    "triggered": "triggered: the stop price was reached",
    "pending_cancel": "waiting for the broker's answer to a cancel",
    "pending_replace": "waiting for the broker's answer to a replacement",
    "canceled": "canceled",
    "expired": "expired",
    "replaced": "replaced by another order",
    "denied": "denied by a risk check or an approver",
    "rejected": "rejected by the broker",
}
_SIGNAL_STATUSES = {
    "filled": "became an order that is filled",
    "ordered": "became an order",
    "awaiting_approval": "became an order that waits for an approval",
    "recorded": "was stored only",
    "expired": "was too late to act on",
    "rejected": "was refused, or its order was",
}
_STRATEGY_STATUSES = {
    "started": "was started",
    "paused": "was paused",
    "stopped": "was stopped",
    "error": "failed and does not run any more",
}
_CASH_KINDS = (
    "deposit", "withdrawal", "transfer_in", "transfer_out", "charges", "dp_charges", "dividend",
    "withholding", "interest", "borrow", "adjustment",
)  # fmt: skip
_CASH = ("portfolio_id", "portfolio_name", "sequence", "kind", "amount", "currency", "balance")
_SIGNAL = _split_names(
    "signal_id channel strategy portfolio_id symbol side mode order_ids reason latency_ms received_at"
)
_BACKTEST = _split_names("backtest_id strategy status error result_hash actor")
_DRIFT = _split_names("name portfolio_name compared_orders compared_fills differences order_id reason")
_STRATEGY = _split_names("name portfolio_name status version run reason last_error actor")
_APPROVAL = ("order_id", "portfolio_id")
_SWITCH = ("scope", "name", "state", "reason", "set_by")
_LATCH = ("latch_id", "scope", "name", "symbol", "executions", "most")


def list_event_types() -> list[EventType]:
    """Return all types by name."""
    return sorted(_iterate_event_types())


def build_data_schema(event_type: EventType) -> JsonSchema:
    """Return the JSON schema of the event's data."""
    family = event_type.name.partition(".")[0]
    names = (*event_type.fields, *event_type.optional)
    return {
        "type": "object",
        "properties": {name: find_field(family, name) for name in names},
        "required": list(event_type.fields),
    }


def build_example(event_type: EventType) -> dict[str, Any]:
    """Return an example of the event's data, with the fields that it always has."""
    properties = build_data_schema(event_type)["properties"]
    return {name: properties[name]["examples"][0] for name in event_type.fields}


def _iterate_event_types() -> Iterator[EventType]:
    for status, description in _ORDER_STATES.items():
        yield EventType(f"order.{status}", f"An order is {description}.", _ORDER, _ORDER_OPTIONAL)
    yield EventType("order.changed", "An order changed without a new status.", _ORDER, _ORDER_OPTIONAL)
    for name, description in (("partially_filled", "filled in part"), ("filled", "filled completely")):
        optional = tuple(name for name in (*_ORDER_OPTIONAL, "charges") if name not in _FILL)
        yield EventType(f"order.{name}", f"A fill: the order is {description}.", (*_ORDER, *_FILL), optional)
    busted = tuple(name for name in _FILL if name != "average_price")
    optional_fields = (*(name for name in _ORDER_OPTIONAL if name not in busted), "charges")
    for name, description in (
        ("busted", "was canceled by its venue"),
        ("corrected", "replaces one that its venue canceled"),
    ):
        sentence = f"A fill {description}; the order's other fields are those after it."
        yield EventType(f"order.fill_{name}", sentence, (*_ORDER, *busted), optional_fields)
    for kind in _CASH_KINDS:
        optional = ("counterpart_id", "symbol", "day", "reason", "actor")
        yield EventType(f"cash.{kind}", "Cash moved without a trade.", _CASH, optional)
    for status, description in _SIGNAL_STATUSES.items():
        yield EventType(f"signal.{status}", f"A signal {description}.", _SIGNAL)
    for state in ("activated", "reducing", "halted"):
        yield EventType(f"kill_switch.{state}", f"A kill switch was set: {state}.", _SWITCH)
    yield EventType(
        "cancellation.unconfirmed",
        "Orders that a kill switch canceled, but that their brokers still have; they are tried again.",
        (*_SWITCH, "orders"),
    )
    yield from _iterate_strategy_types()
    yield from _OTHERS


def _iterate_strategy_types() -> Iterator[EventType]:
    for name, description in (("done", "is done"), ("failed", "failed")):
        yield EventType(f"backtest.{name}", f"A backtest {description}.", _BACKTEST)
    for name, description in _STRATEGY_STATUSES.items():
        yield EventType(f"strategy.{name}", f"A strategy {description}.", _STRATEGY)
    yield EventType(
        "strategy.drift", "The orders of a strategy differ from the replay of its journal.", _DRIFT
    )


_OTHERS = (
    EventType(
        "trade.recorded",
        "A trade or a reversal was booked in the ledger.",
        (
            "trade_id", "portfolio_id", "portfolio_name", "sequence", "kind", "symbol", "side", "quantity",
            "price", "gmv", "realized_pnl", "executed_at",
        ),
        ("charges", "order_id", "currency", "fx_rate"),
    ),
    EventType(
        "position.changed",
        "A position changed; one event per position and transaction.",
        _split_names("portfolio_id portfolio_name symbol product sequence quantity cost realized_pnl"),
    ),
    EventType("risk.denied", "A risk check denied an order.", (*_APPROVAL, "code", "denial")),
    EventType(
        "approval.requested",
        "An order waits for an approval.",
        (
            *_APPROVAL, "rule", "requested_by", "expires_at", "price_seen", "max_move_percent",
            "approvers", "estimate", "override_of", "waived", "reason",
        ),
    ),
    EventType(
        "approval.granted", "An approver granted the order.", (*_APPROVAL, "decided_by", "reason"),
        ("price_seen", "price"),
    ),
    EventType("approval.rejected", "An approver rejected the order.", (*_APPROVAL, "decided_by", "reason")),
    EventType("approval.expired", "Nobody decided in time.", (*_APPROVAL, "expires_at")),
    EventType(
        "limit.changed",
        "A limit was set or removed.",
        ("scope", "name", "code", "before", "after", "set_by"),
    ),
    EventType("latch.set", "A strategy or key was stopped: it executed too often in a symbol.", _LATCH),
    EventType("latch.released", "A person released a latch.", (*_LATCH, "reason", "released_by")),
    EventType(
        "reconciliation.issue", "A fill does not fit its order.", ("order_id", "execution_id", "kind")
    ),
    *(
        EventType(
            f"broker.{status}",
            f"A broker connection {description}.",
            ("connection", "broker", "status"),
            ("reason",),
        )
        for status, description in (
            ("connected", "is connected"),
            ("down", "does not answer; it is tried again"),
            ("refused", "was refused; a person must correct it"),
        )
    ),
    *(
        EventType(
            f"reconciliation.{state}",
            f"A difference from the books of a broker {description}.",
            (
                "issue_id", "issue_type", "severity", "portfolio_name", "connection", "status",
                "proposed_action",
            ),
            ("symbol", "order_id", "ours", "theirs", "owned_by", "action", "reason", "resolved_by"),
        )
        for state, description in (
            ("opened", "was found"),
            ("changed", "has an owner, or is watched"),
            ("resolved", "is resolved"),
        )
    ),
    EventType(
        "alert.fired",
        "The condition of an alert became true; once per `alert_id` and `firing`.",
        (
            "alert_id", "firing", "value", "at", "kind", "symbol", "portfolio_name", "above", "below",
            "repeat", "owner", "deliver_to",
        ),
    ),
    *(
        EventType(
            f"market_data.{state}",
            f"The price feed is {description}.",
            ("price_source", "last_heard_at", "max_silence_seconds"),
        )
        for state, description in (
            ("stale", "silent for too long"),
            ("fresh", "heard again after it was stale"),
        )
    ),
    *(
        EventType(f"signal_channel.{state}", f"{description} over Redis.", ("channel", "reason", "since"))
        for state, description in (("down", "Signals do not arrive"), ("up", "Signals arrive again"))
    ),
    EventType(
        "broker_connection.log_in_needed",
        "A person must log in at a broker before the market opens; once a day.",
        ("connection", "broker", "portfolio_name", "session_expires_at", "opens_at"),
    ),
    EventType(
        "webhook.disabled", "A webhook gets no more events.", ("webhook_id", "name", "reason")
    ),
    EventType("webhook.test", "The test of a webhook; only that webhook gets it.", ("webhook_id",)),
    EventType(
        "report.ready",
        "A daily report of the tenant can be downloaded; one event per report and run.",
        ("report", "date", "file_format", "period_start", "period_end"),
    ),
    EventType(
        "chain.broken",
        "A row of the audit log or of the ledger was changed or deleted outside of the service.",
        ("chain", "sequence", "reason"),
        ("portfolio_id",),
    ),
    EventType(
        "day.closed",
        "A day was signed off.",
        ("date", "portfolios", "breaks", "digest", "signed_by"),
    ),
    EventType(
        "portfolio.summary",
        "The P&L day of a portfolio ended.",
        (
            "portfolio_id", "portfolio_name", "currency", "closed_at", "trades", "volume", "charges",
            "realized_pnl", "day_pnl", "unrealized_pnl", "equity", "gross_exposure", "net_exposure",
        ),
    ),
)  # fmt: skip
