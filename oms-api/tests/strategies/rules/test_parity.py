"""Differences of orders and fills from those of a replay."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.strategies.rules.parity import ComparedFill, ComparedOrder, compare_fill, compare_orders

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)
ORDER = ComparedOrder("AAPL", "BUY", Decimal(1), None, None, AT)


def list_kinds(recorded, replayed):
    return [difference.kind for difference in compare_orders(recorded, replayed, "because")]


def test_same_orders_have_no_differences():
    assert compare_orders({"a": ORDER}, {"a": ORDER}, "because") == []


def test_each_kind_of_difference_is_named():
    assert list_kinds({}, {"a": ORDER}) == ["missing"]
    assert list_kinds({"a": ORDER._replace(quantity=None)}, {}) == ["extra"]
    assert list_kinds({"a": ORDER._replace(quantity=Decimal(2))}, {"a": ORDER}) == ["quantity"]
    priced = ORDER._replace(limit_price=Decimal(1), stop_price=Decimal(2))
    assert list_kinds({"a": priced}, {"a": ORDER}) == ["price", "price"]
    (late,) = compare_orders({"a": ORDER._replace(at=AT + timedelta(seconds=30))}, {"a": ORDER}, "because")
    assert (late.kind, late.cause) == ("time", "The order was placed 30 s after its input.")


def test_replaced_order_differs_once():
    first = {"a": ORDER, "b": ORDER._replace(limit_price=Decimal(9), replaces="a")}
    assert compare_orders(first, first, "because") == []
    doubled = {name: order._replace(quantity=Decimal(2)) for name, order in first.items()}
    assert [
        (difference.order_id, difference.kind) for difference in compare_orders(doubled, first, "because")
    ] == [("a", "quantity")]
    lower = first | {"b": first["b"]._replace(limit_price=Decimal(8))}
    assert [
        (difference.order_id, difference.kind) for difference in compare_orders(lower, first, "because")
    ] == [("b", "price")]
    assert list_kinds(first, {"a": ORDER}) == ["extra"]


def test_fill_must_be_one_that_matching_gives():
    compared_fill = ComparedFill(Decimal(10), Decimal(1))
    other = ComparedFill(Decimal(11), Decimal(2))
    assert compare_fill("a", compared_fill, [other, compared_fill]) == []
    assert [difference.kind for difference in compare_fill("a", compared_fill, [])] == ["extra"]
    assert [difference.kind for difference in compare_fill("a", compared_fill, [other])] == [
        "price",
        "quantity",
    ]
    assert [
        difference.kind
        for difference in compare_fill("a", compared_fill, [compared_fill._replace(price=Decimal(9))])
    ] == ["price"]
