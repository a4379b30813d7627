"""Orders are built from tickets; the orders of a group share a quantity."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from app.orders.rules.contingency import compute_exit_quantity, find_oco_group_id, list_siblings
from app.orders.rules.order_factory import (
    OrderLinks,
    Placement,
    build_exit_tickets,
    build_order_from_ticket,
    get_expiry,
)
from app.orders.rules.rows import COLUMNS, MUTABLE_COLUMNS, OrderEvent, parse_order_row, serialize_order_row
from app.orders.rules.values import GroupKind, Role, Status, StopLoss, TakeProfit, TimeInForce
from app.orders.rules.verification import FilledAmounts, check_fills, check_history, check_quantity
from app.timestamps import Timestamp
from tests.orders.writer_harness import build_ticket

AT = Timestamp("2026-11-20T12:00:00.000000Z")
HOME = Placement(1, 7, "key", None, AT)


def build_order(name="O1", family=None, **changes):
    ticket = build_ticket(**changes)
    return build_order_from_ticket(name, HOME, ticket, ticket.quantity or Decimal(0), family or OrderLinks())


@pytest.mark.parametrize(
    ("time_in_force", "ends"),
    [
        ("DAY", "2026-11-21T00:00:00.000000Z"),
        ("OPG", "2026-11-21T00:00:00.000000Z"),
        ("GTD", "2027-01-01T00:00:00.000000Z"),
        ("GTC", None),
        ("IOC", None),
        ("FOK", None),
    ],
)
def test_order_expiry_time_by_time_in_force(time_in_force, ends):
    assert get_expiry(TimeInForce(time_in_force), Timestamp("2027-01-01T00:00:00.000000Z"), AT) == ends


def test_order_round_trips_through_its_row():
    order = build_order(type="LIMIT", limit_price="1.5", reason="Why")
    row = serialize_order_row(order)
    assert (len(row), row[COLUMNS.index("limit_price")]) == (len(COLUMNS), "1.50000000")
    assert parse_order_row(row) == order
    assert len(serialize_order_row(order, MUTABLE_COLUMNS)) == len(MUTABLE_COLUMNS)


def test_bracket_exits_have_the_opposite_side_and_quantity_of_the_entry():
    ticket = build_ticket(
        side="SELL", take_profit=TakeProfit(Decimal(1)), stop_loss=StopLoss(Decimal(3), Decimal(4))
    )
    entry = build_order_from_ticket("O1", HOME, ticket, Decimal(10))
    (_, target), (_, stop) = build_exit_tickets(entry, ticket)
    assert [target.side, target.type, target.limit_price, target.quantity] == ["BUY", "LIMIT", 1, 10]
    assert [stop.type, stop.stop_price, stop.limit_price, stop.time_in_force] == ["STOP_LIMIT", 3, 4, "GTC"]
    assert build_exit_tickets(entry, build_ticket()) == []


@pytest.mark.parametrize(
    ("asked", "roles"),
    [
        ({"take_profit": TakeProfit(Decimal(9))}, [Role.TAKE_PROFIT]),
        ({"stop_loss": StopLoss(Decimal(3), None)}, [Role.STOP_LOSS]),
    ],
)
def test_bracket_may_have_a_single_exit(asked, roles):
    entry = build_order()
    assert [role for role, _ in build_exit_tickets(entry, build_ticket(**asked))] == roles


def test_order_groups_share_a_quantity():
    target = build_order("O2", OrderLinks("O1", "O1", GroupKind.BRACKET, Role.TAKE_PROFIT))
    stop = build_order("O3", OrderLinks("O1", "O1", GroupKind.BRACKET, Role.STOP_LOSS))
    entry = build_order("O1", OrderLinks(None, "O1", GroupKind.BRACKET, Role.ENTRY))
    assert list_siblings(target, [entry, target, stop]) == [stop]
    assert list_siblings(entry, [entry, target, stop]) == []
    assert (find_oco_group_id(entry), find_oco_group_id(stop)) == (None, "O1")


def test_exit_quantity_counts_carried_fills_once():
    entry = build_order()._replace(filled_quantity=Decimal(60))
    replaced = build_order("O2")._replace(filled_quantity=Decimal(25))
    successor = build_order("O3")._replace(filled_quantity=Decimal(30), carried_quantity=Decimal(25))
    assert compute_exit_quantity(entry, [replaced, successor]) == 30


def build_history(*statuses):
    starts = [None, *statuses]
    return [
        OrderEvent(1, "O1", number, start, end, AT, "key")
        for number, (start, end) in enumerate(zip(starts, statuses, strict=False), 1)
    ]


def list_fields(findings):
    return [finding.field for finding in findings]


def test_order_history_is_complete_and_follows_the_state_table():
    standing = build_order()._replace(status=Status.ACCEPTED, event_count=3, accepted_at=AT)
    whole = build_history("INITIALIZED", "SUBMITTED", "ACCEPTED")
    assert check_history(standing, whole) == []
    assert list_fields(check_history(standing, build_history("INITIALIZED", "ACCEPTED"))) == [
        "to_status",
        "event_count",
    ]
    gap = [*whole[:2], whole[2]._replace(sequence=4)]
    assert list_fields(check_history(standing, gap)) == ["sequence"]
    torn = [*whole[:2], whole[2]._replace(from_status="HELD")]
    assert list_fields(check_history(standing, torn)) == ["from_status"]
    assert list_fields(check_history(standing._replace(status=Status.FILLED), whole)) == ["status"]


def test_open_order_has_leaves_quantity():
    standing = build_order()._replace(status=Status.PARTIALLY_FILLED, filled_quantity=Decimal(10))
    assert list_fields(check_quantity(standing)) == ["filled_quantity"]
    assert check_quantity(standing._replace(filled_quantity=Decimal(9))) == []
    assert check_quantity(standing._replace(status=Status.FILLED)) == []


def test_filled_quantity_is_the_sum_of_executions():
    filled = FilledAmounts(Decimal(4), Decimal(400)).add(FilledAmounts(Decimal(6), Decimal(600)))
    standing = build_order()._replace(filled_quantity=Decimal(10), filled_value=Decimal(1000))
    assert check_fills(standing, filled) == []
    assert list_fields(check_fills(build_order(), filled)) == ["filled_quantity", "filled_value"]


def test_instants_are_parsed_from_both_databases():
    row: list[Any] = list(serialize_order_row(build_order()))
    row[COLUMNS.index("created_at")] = datetime.fromisoformat(AT)
    assert parse_order_row(row).created_at == AT


def test_order_is_placed_by_the_user_or_else_the_api_key():
    assert build_order().placed_by == "key"
    assert build_order()._replace(actor="ann@desk.example").placed_by == "ann@desk.example"


def test_closed_order_has_no_leaves_quantity():
    part = build_order()._replace(filled_quantity=Decimal(4), status=Status.PARTIALLY_FILLED)
    assert part.leaves_quantity == 6
    assert part._replace(status=Status.CANCELED).leaves_quantity == 0


def test_keys_of_an_order_name_its_instrument_and_its_portfolio():
    order = build_order_from_ticket("O1", Placement(1, 7, "algo", None, AT), build_ticket(), Decimal(1))
    assert (order.key, order.instrument_key) == ((1, "O1"), (1, order.symbol))
    assert order.portfolio_key == (1, 7)
