"""Exits and closing orders: which reduces which, and how much each may still close."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.contingency import (
    can_only_close,
    compute_part_size,
    find_reduction,
    list_latest_exits,
    list_orders_to_reduce,
    plan_reductions,
    select_opening_orders,
)
from app.orders.rules.order_factory import OrderLinks, Placement, build_order_from_ticket
from app.orders.rules.values import GroupKind, OrderType, Role, Status, Ticket
from app.timestamps import Timestamp

HOME = Placement(1, 1, "key", None, Timestamp("2026-11-20T12:00:00.000000Z"))


def build_order(name, quantity, role=Role.TAKE_PROFIT, group=None, side="SELL", product=""):
    ticket = Ticket("AAPL", side, OrderType.MARKET, Decimal(quantity), product=product)
    return build_order_from_ticket(
        name, HOME, ticket, Decimal(quantity), OrderLinks(None, group, GroupKind.BRACKET, role)
    )


def list_reductions(reductions):
    return [(order.id, keeps) for order, keeps in reductions]


def test_orders_within_the_position_are_not_reduced():
    assert (
        plan_reductions([build_order("a", 6, group="A"), build_order("b", 4, group="B")], Decimal(10)) == []
    )
    assert plan_reductions([], Decimal(0)) == []


def test_latest_exits_are_found_without_denied_replacements():
    orders = [
        build_order("d", 6)._replace(status=Status.DENIED),
        build_order("c", 6),
        build_order("b", 6, Role.STOP_LOSS),
        build_order("a", 6)._replace(status=Status.REPLACED),
        build_order("0", 6, Role.ENTRY),
    ]
    assert sorted(order.id for order in list_latest_exits(orders)) == ["b", "c"]


def test_sibling_orders_with_a_shared_quantity_count_once():
    pair_orders = [build_order("a", 6, group="A"), build_order("b", 6, Role.STOP_LOSS, group="A")]
    assert plan_reductions(pair_orders, Decimal(6)) == []
    assert list_reductions(plan_reductions(pair_orders, Decimal(4))) == [("a", 4), ("b", 4)]


def test_only_the_oversized_sibling_is_reduced():
    pair_orders = [build_order("a", 6, group="A"), build_order("b", 3, Role.STOP_LOSS, group="A")]
    assert list_reductions(plan_reductions(pair_orders, Decimal(4))) == [("a", 4)]


def test_orders_are_reduced_in_the_given_sequence():
    three = [build_order(name, 5, group=name) for name in "abc"]
    assert list_reductions(plan_reductions(three, Decimal(8))) == [("a", 0), ("b", 3)]


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 30))
def test_reduced_orders_cover_exactly_the_remaining_position(sizes, remaining):
    orders = [build_order(str(number), size, group=str(number)) for number, size in enumerate(sizes)]
    kept_quantities = {str(number): Decimal(size) for number, size in enumerate(sizes)}
    kept_quantities |= {order.id: keeps for order, keeps in plan_reductions(orders, Decimal(remaining))}
    assert sum(kept_quantities.values()) == min(sum(sizes), remaining)


@pytest.mark.parametrize(
    ("of", "other", "yields"),
    [
        (Role.CLOSING, Role.TAKE_PROFIT, True),
        (Role.CLOSING, Role.STOP_LOSS, True),
        (Role.CLOSING, Role.EITHER, True),
        (Role.CLOSING, Role.CLOSING, False),
        (Role.CLOSING, Role.ENTRY, False),
        (Role.CLOSING, None, False),
        (Role.STOP_LOSS, Role.CLOSING, True),
        (Role.EITHER, Role.CLOSING, True),
        (Role.STOP_LOSS, Role.TAKE_PROFIT, False),
    ],
)
def test_exits_and_closing_orders_reduce_each_other(of, other, yields):
    order = build_order("other", 5, other)
    assert list_orders_to_reduce(build_order("a", 5, of), [order]) == ([order] if yields else [])


def test_orders_of_other_side_product_or_same_order_are_not_reduced():
    close = build_order("a", 5, Role.CLOSING)
    other_orders = [build_order("b", 5, side="BUY"), build_order("c", 5, product="MIS"), build_order("a", 5)]
    assert list_orders_to_reduce(close, other_orders) == []


@pytest.mark.parametrize(
    ("role", "side", "quantity", "position", "is_exit"),
    [
        (Role.STOP_LOSS, "SELL", 20, 10, True),
        (Role.EITHER, "SELL", 10, 10, True),
        (Role.EITHER, "SELL", 11, 10, False),
        (Role.FOLLOWER, "BUY", 10, -10, True),
        (Role.FOLLOWER, "BUY", 10, 10, False),
        (Role.ENTRY, "SELL", 1, 10, False),
        (None, "SELL", 1, 10, False),
    ],
)
def test_order_is_recognized_as_closing_only(role, side, quantity, position, is_exit):
    assert can_only_close(build_order("a", quantity, role, side=side), Decimal(position)) is is_exit


@pytest.mark.parametrize(
    ("quantity", "delta", "expected"),
    [
        (6, -4, ("SELL", 10, 6)),
        (-5, -15, ("SELL", 10, 0)),
        (-6, 4, ("BUY", 10, 6)),
        (0, 10, ("BUY", 10, 0)),
        (10, 4, None),
        (4, 4, None),
        (-4, -4, None),
        (0, 0, None),
    ],
)
def test_quantity_closed_by_a_trade_is_computed(quantity, delta, expected):
    assert find_reduction(Decimal(quantity), Decimal(delta)) == expected


def test_halt_cancels_orders_that_could_open_or_increase_a_position():
    working = [
        build_order("more", 1, None, side="BUY"),
        build_order("exit", 10, Role.STOP_LOSS),
        build_order("close", 10, Role.CLOSING),
        build_order("pair", 10, Role.EITHER, group="P"),
        build_order("reduces", 6, None),
        build_order("beyond", 5, None),
        build_order("rest", 4, None),
        build_order("held", 4, Role.FOLLOWER, side="BUY")._replace(status=Status.HELD),
    ]
    assert [order.id for order in select_opening_orders(working, Decimal(10))] == ["more", "beyond"]
    assert [order.id for order in select_opening_orders(working, Decimal(-1))] == [
        "pair",
        "reduces",
        "beyond",
        "rest",
    ]


@pytest.mark.parametrize(
    ("quantity", "most", "lot", "size"),
    [
        (25, None, 1, 25),
        (10, 10, 1, 10),
        (25, 10, 1, 10),
        (235, 100, 75, 75),
        (235, 10, 75, 75),
        (50, 10, 75, 50),
        (1_000, 1, 1, 10),
    ],
)
def test_close_is_split_into_parts_of_the_maximum_order_quantity(quantity, most, lot, size):
    limit = None if most is None else Decimal(most)
    assert compute_part_size(Decimal(quantity), limit, Decimal(lot)) == size
