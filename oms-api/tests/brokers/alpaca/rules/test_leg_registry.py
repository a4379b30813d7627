"""Legs are recognized by the order that they were sent with, by their type, and by Alpaca's ids."""

import pytest

from app.brokers.alpaca.rules.leg_registry import LegRegistry, build_leg_links
from app.brokers.alpaca.rules.responses import parse_order
from app.brokers.rules.linked_orders import LegLink
from tests.brokers.alpaca.messages import ALPACA_ORDER
from tests.brokers.market import NOON, parse_order_text

_SALE = ALPACA_ORDER | {"side": "sell", "filled_qty": "0", "stop_price": None, "trail_price": None}
TARGET = _SALE | {"id": "b1", "client_order_id": f"{1:032x}", "type": "limit", "limit_price": "120"}
STOP = _SALE | {"id": "b2", "client_order_id": f"{2:032x}", "type": "stop", "stop_price": "80"}


def build_order(order_class="bracket", legs=(), **changes):
    terms = {"id": "b0", "client_order_id": "E", "type": "limit", "status": "new", "order_class": order_class}
    return parse_order(_SALE | terms | {"legs": list(legs)} | changes)


def build_leg(terms, status="held", **changes):
    return terms | {"status": status, "order_class": "bracket"} | changes


def describe_orders(reports):
    return [(report.order_id, report.status) for report in reports]


@pytest.fixture
def links():
    links = LegRegistry()
    exits = (parse_order_text("SELL 10 LIMIT limit 120", "T"), parse_order_text("SELL 10 STOP stop 80", "S"))
    links.add(build_leg_links(parse_order_text("BUY 10 LIMIT limit 95", "E", linked_orders=exits)))
    return links


def test_legs_wait_until_the_entry_has_filled_and_a_held_stop_works_then(links):
    assert [link.leg_id for link in links.list_unreported()] == ["T", "S"]
    legs = [build_leg(TARGET), build_leg(STOP)]
    assert describe_orders(links.assign_order_ids(build_order(legs=legs))) == [
        ("E", "new"),
        ("T", "held"),
        ("S", "held"),
    ]
    assert links.list_unreported() == []
    assert sorted(describe_orders(links.list_held(["E"]))) == [("S", "held"), ("T", "held")]
    links.assign_order_ids(build_order(status="filled"))
    assert describe_orders(links.assign_order_ids(parse_order(build_leg(TARGET, "new")))) == [("T", "new")]
    assert describe_orders(links.assign_order_ids(parse_order(build_leg(STOP)))) == [("S", "new")]
    assert describe_orders(links.list_held(["T"])) == [("S", "new")]
    links.assign_order_ids(parse_order(build_leg(STOP, "canceled")))
    assert links.list_held(["T"]) == []


def test_legs_of_a_filled_entry_and_of_a_pair_do_not_wait(links):
    legs = [build_leg(TARGET, "new"), build_leg(STOP)]
    assert describe_orders(links.assign_order_ids(build_order(legs=legs, status="filled")))[1:] == [
        ("T", "new"),
        ("S", "new"),
    ]
    pair_links = LegRegistry()
    pair_links.add([LegLink("E", "S", is_stop=True, created_at=NOON)])
    assert describe_orders(pair_links.assign_order_ids(build_order("oco", [build_leg(STOP)]))) == [
        ("E", "new"),
        ("S", "new"),
    ]
    assert pair_links.list_group("S") == ["E", "S"]
    assert describe_orders(pair_links.list_held(["E"])) == [("S", "new")]


@pytest.mark.parametrize(
    ("replaced_by", "status"), [(None, "canceled"), ("b2", "canceled"), ("x", "replaced")]
)
def test_target_that_its_stop_replaced_is_canceled(links, replaced_by, status):
    links.assign_order_ids(build_order(legs=[build_leg(TARGET), build_leg(STOP)]))
    replaced = parse_order(build_leg(TARGET, "replaced", replaced_by=replaced_by))
    assert describe_orders(links.assign_order_ids(replaced)) == [("T", status)]
    first = build_order("oco", status="replaced", replaced_by=replaced_by)
    assert describe_orders(links.assign_order_ids(first)) == [("E", status)]


def test_replaced_leg_is_known_by_our_id_and_its_predecessor_is_not_taken_for_it(links):
    successor = build_leg(STOP, "new", id="b3", client_order_id="S2")
    legs = [build_leg(TARGET, "new"), build_leg(STOP, "replaced"), successor]
    reports = dict(zip(("b0", "b1", "b2", "b3"), links.assign_order_ids(build_order(legs=legs)), strict=True))
    assert (reports["b1"].order_id, reports["b3"].order_id) == ("T", "S2")
    assert reports["b2"].order_id == STOP["client_order_id"]
    assert links.find_broker_id("S2") == "b3"


def test_leg_that_has_ended_here_is_known_beside_its_replacement(links):
    links.add([LegLink("E", "S1", is_stop=True, created_at=NOON, has_ended=True)])
    assert [link.leg_id for link in links.list_unreported()] == ["T", "S", "S1"]
    successor = build_leg(STOP, "new", id="b3", client_order_id="S")
    legs = [build_leg(TARGET, "new"), build_leg(STOP, "replaced"), successor]
    reports = links.assign_order_ids(build_order(legs=legs))
    assert [report.order_id for report in reports] == ["E", "T", "S1", "S"]
    assert (links.find_broker_id("S1"), links.find_broker_id("S")) == ("b2", "b3")
    assert links.list_group("S1") == ["E", "T", "S", "S1"]
    links.remove_unreported_ended_legs()
    assert links.find_primary("S1") == "E"


def test_ended_leg_that_was_read_in_vain_is_not_read_again(links):
    links.add([LegLink("E", "S1", is_stop=True, created_at=NOON, has_ended=True)])
    links.remove_unreported_ended_legs()
    assert [link.leg_id for link in links.list_unreported()] == ["T", "S"]
    assert links.find_primary("S1") is None


def test_order_from_another_program_keeps_its_id(links):
    foreign = build_order(legs=[build_leg(TARGET | {"type": "limit"})], client_order_id="X", id="b9")
    assert describe_orders(links.assign_order_ids(foreign)) == [
        ("X", "new"),
        (TARGET["client_order_id"], "held"),
    ]
    assert links.is_unknown_leg(parse_order(build_leg(STOP)))
    assert not links.is_unknown_leg(foreign)
    assert not links.is_unknown_leg(parse_order(STOP))  # it is linked to no order


def test_links_follow_the_successor_of_their_order(links):
    links.move_legs("E", "E2")
    assert (links.list_legs("E"), links.find_primary("S")) == ([], "E2")
    links.remove("E2")
    assert (links.list_group("E2"), links.find_primary("S")) == (["E2"], None)


def test_held_stop_works_if_its_entry_filled_before_an_older_report_names_it(links):
    """The stream reported the fill before the response to the request, which was written earlier."""
    links.assign_order_ids(build_order(status="filled"))
    legs = [build_leg(TARGET, "new"), build_leg(STOP)]
    assert describe_orders(links.assign_order_ids(build_order(legs=legs)))[1:] == [("T", "new"), ("S", "new")]
    links.remove("E")
