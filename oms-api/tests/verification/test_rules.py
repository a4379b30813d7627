"""The rows that verification expects from events and from audit entries: rare cases."""

from decimal import Decimal
from typing import Any

from app.audit.rules.actions import AuditedAction
from app.brokers.rules.values import OrderType
from app.identity.rules.verification import ExpectedRows, RowKey
from app.orders.queries.audit import ExecutionTrade
from app.orders.rules.event_payloads import (
    build_denial_payload,
    build_order_payload,
    build_terms,
    get_event_type,
)
from app.orders.rules.event_verification import (
    ISSUE_EVENT,
    PublishedEvent,
    find_event_differences,
    find_issue_differences,
)
from app.orders.rules.execution_verification import find_trade_differences
from app.orders.rules.order_factory import Placement, build_order_from_ticket
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import Order, Status, Ticket
from app.risk.rules.verification import RENAMED, RiskEvent, build_expected_limits, build_expected_switches
from app.timestamps import Timestamp

AT, LATER = Timestamp("2026-11-20T12:00:00.000000Z"), Timestamp("2026-11-20T13:00:00.000000Z")
FIRST = OrderEvent(1, "O1", 1, None, "INITIALIZED", AT, "key")


def build_order(**changes: Any) -> Order:
    ticket = Ticket("AAPL", "SELL", OrderType.TRAILING_STOP, Decimal(10), trail_amount=Decimal(5))
    order = build_order_from_ticket("O1", Placement(1, 7, "key", None, AT), ticket, Decimal(10))
    return order._replace(**changes)


def build_event(order: Order, order_event: OrderEvent = FIRST, **changes: Any) -> PublishedEvent:
    payload = build_order_payload(order, "Growth", order_event, None) | changes
    return PublishedEvent(1, 1, order.id, get_event_type(order_event), payload, order_event.at)


def list_fields(findings: Any) -> list[str]:
    return [finding.field for finding in findings]


def test_events_of_an_earlier_version_have_no_terms():
    order = build_order()
    event = build_event(order)
    for name in build_terms(order):
        del event.payload[name]
    assert find_event_differences(order, [FIRST], [event], {}) == []


def test_event_of_an_earlier_version_has_only_the_broker_reason():
    canceled = build_order(status=Status.CANCELED)
    second = OrderEvent(1, "O1", 2, "INITIALIZED", "CANCELED", AT, "paper", broker_reason="Expired.")
    events = [build_event(build_order()), build_event(canceled, second)]
    del events[1].payload["broker_reason"]
    assert find_event_differences(canceled, [FIRST, second], events, {}) == []
    events[1].payload["broker_words"] = "Filled."
    findings = find_event_differences(canceled, [FIRST, second], events, {})
    assert list_fields(findings) == ["broker_words of order.canceled 2"]


def test_denials_of_an_earlier_version_have_no_numbers():
    denied = build_order(status=Status.DENIED, denial='{"code":"HALTED","message":"No."}')
    first, order_event = build_order(), OrderEvent(1, "O1", 2, "INITIALIZED", "DENIED", AT, "risk", "No.")
    events = [build_event(first), build_event(denied, order_event)]
    for name in build_terms(first):
        del events[0].payload[name]
    assert denied.denial
    denial_payload = build_denial_payload(denied, denied.denial)
    del denial_payload["denial"]
    events.append(PublishedEvent(3, 1, "O1", "risk.denied", denial_payload, AT))
    assert find_event_differences(denied, [FIRST, order_event], events, {}) == []
    assert list_fields(find_event_differences(denied, [FIRST, order_event], events[:2], {})) == [
        "risk.denied"
    ]
    broken = denied._replace(denial="no JSON")
    assert list_fields(find_event_differences(broken, [FIRST, order_event], events, {})) == ["risk.denied"]


def test_trailing_stop_price_only_moves_closer():
    event = build_event(build_order(trail_level=Decimal(90)))
    assert find_event_differences(build_order(trail_level=Decimal(91)), [FIRST], [event], {}) == []
    for level in (Decimal(89), None):
        findings = find_event_differences(build_order(trail_level=level), [FIRST], [event], {})
        assert list_fields(findings) == ["trail_level"]
    buy = build_order(side="BUY", trail_level=Decimal(89))
    assert (
        find_event_differences(buy, [FIRST], [build_event(buy._replace(trail_level=Decimal(90)))], {}) == []
    )


def test_invalid_amount_is_reported():
    order = build_order(limit_price=Decimal(4))
    for value in ("many", "NaN", 4):
        event = build_event(order, limit_price=value)
        assert "limit_price" in list_fields(find_event_differences(order, [FIRST], [event], {}))


def build_execution(note: str | None = None) -> ExecutionRow:
    amounts = ("1.00000000", "2.00000000", "2.00000000")
    return ExecutionRow(1, "paper", "E1", "O1", 7, "AAPL", "SELL", *amounts, "T1", note, AT)


def test_execution_beyond_its_order_is_expected_as_an_issue():
    payload = {"order_id": "O1", "execution_id": "E1", "kind": "over"}
    event = PublishedEvent(1, 1, "O1", ISSUE_EVENT, payload, AT)
    assert list(find_issue_differences([build_execution("over")], [event])) == []
    assert list_fields(find_issue_differences([build_execution()], [event])) == [ISSUE_EVENT]


def test_execution_without_a_trade_is_reported():
    assert list_fields(find_trade_differences(build_order(), build_execution(), None)) == [
        "trade_id of execution E1"
    ]


def test_execution_must_match_the_terms_of_its_order():
    row = build_execution()
    amounts = (row.quantity, row.price, row.value, "0.00000000")
    booked = ExecutionTrade("O1", 7, "AAPL", "", "SELL", *amounts, AT, "key", None, None, None)
    assert list_fields(find_trade_differences(build_order(), row, booked)) == []
    charged = row._replace(charges='{"commission":"1.00000000","regulatory":"0.01000000"}')
    assert list_fields(find_trade_differences(build_order(), charged, booked)) == ["charges of execution E1"]
    assert (
        list_fields(find_trade_differences(build_order(), charged, booked._replace(charges="1.01000000")))
        == []
    )
    for text in ("{", "[]", '{"commission":1}', '{"commission":"much"}'):
        unreadable = row._replace(charges=text)
        assert list_fields(find_trade_differences(build_order(), unreadable, booked)) == [
            "charges of execution E1"
        ]
    other = build_order(product="MIS", portfolio_id=8)
    assert list_fields(find_trade_differences(other, row, booked)) == [
        "product", "portfolio_id of execution E1",
    ]  # fmt: skip
    assert list_fields(find_trade_differences(build_order(), row._replace(price="3.00000000"), booked)) == [
        "price of execution E1"
    ]


def test_bust_must_match_the_reversal_of_its_trade():
    row = build_execution("bust")._replace(
        execution_id="E1:bust", quantity="-1.00000000", value="-2.00000000"
    )
    amounts = ("1.00000000", "2.00000000", "2.00000000", "0.00000000")
    booked = ExecutionTrade(
        None, 7, "AAPL", "", "BUY", *amounts, AT, "admin", None, None, "Clearly erroneous"
    )
    assert list_fields(find_trade_differences(build_order(), row, booked)) == []
    bought = row._replace(side="BUY")
    assert list_fields(find_trade_differences(build_order(), bought, booked)) == ["side of execution E1:bust"]
    other = booked._replace(quantity="3.00000000", order_id="O1")
    assert list_fields(find_trade_differences(build_order(), row, other)) == [
        "quantity of execution E1:bust", "order_id of execution E1:bust",
    ]  # fmt: skip


def build_entry(
    action: str, target: str, before: Any = None, after: Any = None, at: Timestamp = LATER
) -> AuditedAction:
    return AuditedAction(1, 1, at, "alice@example.com", "session", action, target, before, after)


def replay_events(*acts: AuditedAction) -> ExpectedRows:
    expected = ExpectedRows({1: "default"})
    expected.apply(acts)
    return expected


CREATED = build_entry(
    "user.created",
    "user:alice@example.com",
    None,
    {"email": "alice@example.com", "person": "slack:T1:U1", "portfolios": None},
    AT,
)
LOGIN = build_entry("login.succeeded", "session:S1", at=AT)


def test_erased_user_is_expected_under_the_pseudonym():
    erased = build_entry("user.erased", "user:alice@example.com", {}, {"person": "erased:1"})
    rows = replay_events(CREATED, LOGIN, erased)
    assert (1, "alice@example.com") not in rows.users
    assert rows.users[RowKey(1, "erased:1")]["email"] is None
    session = rows.sessions[RowKey(1, "S1")]
    assert (session["user"], session["revoked_at"], session["revoked_because"]) == (
        *("erased:1", LATER, "user disabled"),
    )


def test_disabled_user_or_changed_password_requires_ended_sessions():
    disabled = build_entry("user.changed", "user:alice@example.com", {}, {"status": "disabled"})
    password = build_entry("user.password_changed", "user:alice@example.com")
    for entry, because in ((disabled, "user disabled"), (password, "password changed")):
        rows = replay_events(CREATED, LOGIN, entry)
        session = rows.sessions[RowKey(1, "S1")]
        assert (session["revoked_at"], session["revoked_because"]) == (LATER, because)
    other = build_entry("user.password_changed", "user:bob@example.com")
    assert replay_events(CREATED, LOGIN, other).sessions[RowKey(1, "S1")]["revoked_at"] is None


def test_changed_own_password_ends_the_other_sessions():
    second = build_entry("login.succeeded", "session:S2")
    sessions = replay_events(CREATED, LOGIN, second, build_entry("password.changed", "session:S2")).sessions
    assert sessions[RowKey(1, "S2")]["revoked_at"] is None
    assert sessions[RowKey(1, "S1")]["revoked_because"] == "password changed"


def test_unrelated_audit_entries_expect_no_rows():
    entry = build_entry("user.first_seen", "slack:T1:U1", None, {"person": "slack:T1:U1", "role": "viewer"})
    foreign = build_entry("tenant.created", "tenant:acme", None, {"slug": "acme"})
    odd = build_entry("user.changed", "user 7", {}, {"role": "trader"})
    rows = replay_events(
        CREATED, entry, foreign, odd, build_entry("user.created", "user:x"), build_entry("denied", "x")
    )
    assert set(rows.users) == {(1, "alice@example.com")}
    assert rows.tenants == {}


def test_workspace_belongs_to_the_tenant_that_audited_its_claim():
    payload = {"team_id": "T1", "tenant": "acme"}
    copies = [
        build_entry(f"workspace.{verb}", "workspace:T1", payload, payload) for verb in ("bound", "released")
    ]
    assert replay_events(*copies).workspaces == {}


def test_reclaimed_workspace_belongs_to_the_tenant_of_the_newest_entry():
    bound = build_entry("workspace.bound", "workspace:T1", None, {"team_id": "T1", "tenant": "default"})
    released = build_entry(
        "workspace.released", "workspace:T1", {"team_id": "T1", "tenant": "default"}, at=AT
    )
    assert replay_events(bound, released).workspaces == {"T1": {"tenant_id": 1, "bound_at": LATER}}


def build_switch(state: str, name: str) -> RiskEvent:
    entry = {"scope": "portfolio", "name": name, "state": state, "reason": None, "set_by": "key"}
    return RiskEvent(1, AT, "kill_switch.halted", entry)


def build_rename(before: str, after: str) -> RiskEvent:
    return RiskEvent(1, LATER, RENAMED, {"before": before, "after": after})


def test_renamed_portfolio_keeps_the_stricter_of_two_switches():
    halted, reducing = build_switch("HALTED", "Growth"), build_switch("REDUCING", "Income")
    for events in (
        [halted, reducing],
        [build_switch("REDUCING", "Growth"), build_switch("HALTED", "Income")],
    ):
        expected_switches = build_expected_switches([*events, build_rename("Growth", "Income")])
        assert {key: (row["state"], row["name"]) for key, row in expected_switches.items()} == {
            (1, "portfolio", "income"): ("HALTED", "Income")
        }
    assert build_expected_switches([build_rename("Growth", "Income")]) == {}


def test_limit_with_another_previous_value_than_its_event_is_reported():
    after = {"value": "5.00000000", "until": None}
    entry = {"scope": "tenant", "name": None, "code": "MAX_ORDER_VALUE", "set_by": "key"}
    event = RiskEvent(1, AT, "limit.changed", entry | {"before": after, "after": after})
    _, findings = build_expected_limits([event])
    assert list_fields(findings) == ["before of limit.changed"]
