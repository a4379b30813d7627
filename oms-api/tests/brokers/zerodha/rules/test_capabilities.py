"""Orders that Kite cannot execute are refused before they are sent."""

import pytest

from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.zerodha.rules.capabilities import (
    PRODUCTS,
    ZerodhaSegment,
    choose_exchange,
    choose_product,
    find_refusal,
    find_replacement_refusal,
    get_oco_support,
    needs_holding,
)
from tests.brokers.market import parse_order_text


def build_order(text, **fields):
    return parse_order_text(text, symbol="RELIANCE")._replace(**fields)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("BUY 10 MARKET", {}),
        ("BUY 10 LIMIT limit 95 IOC", {"product": "MIS"}),
        ("SELL 10 STOP stop 95", {"product": "MIS", "exchange": "XNSE"}),
        ("SELL 10 STOP_LIMIT limit 94 stop 95", {"exchange": "BSE"}),
        ("BUY 75 MARKET", {"exchange": "NFO", "product": "NRML"}),
        ("SELL 75 MARKET", {"exchange": "NFO"}),
    ],
)
def test_possible_orders_are_not_refused(text, fields):
    assert find_refusal(build_order(text, **fields)) is None


@pytest.mark.parametrize(
    ("text", "fields", "messages"),
    [
        ("BUY 10 TRAILING_STOP trail 1", {}, "TRAILING_STOP"),
        ("BUY 10 LIMIT limit 95 GTC", {}, "use DAY or IOC"),
        ("BUY 10 STOP stop 95 IOC", {}, "IOC orders must be LIMIT or MARKET"),
        ("BUY 1.5 MARKET", {}, "whole quantities"),
        ("BUY 10 MARKET", {"product": "NRML"}, "use CNC or MIS"),
        ("BUY 10 MARKET", {"exchange": "NFO", "product": "CNC"}, "use MIS or NRML"),
        ("BUY 10 MARKET", {"exchange": "NASDAQ"}, "no exchange NASDAQ"),
        ("BUY 10 LIMIT limit 95", {"extended_hours": True}, "no extended hours"),
    ],
)
def test_impossible_orders_are_refused_with_a_remedy(text, fields, messages):
    refusal = find_refusal(build_order(text, **fields))
    assert refusal is not None
    assert messages in refusal


def test_product_without_one_is_carried_overnight():
    assert choose_product(build_order("BUY 10 MARKET")) == "CNC"
    assert choose_product(build_order("BUY 10 MARKET", exchange="MCX")) == "NRML"
    assert choose_product(build_order("BUY 10 MARKET", product="MIS")) == "MIS"
    assert choose_exchange(build_order("BUY 10 MARKET", exchange="XBOM")) == "BSE"


def test_only_deliveries_are_sold_out_of_a_holding():
    assert needs_holding(build_order("SELL 10 MARKET"))
    assert not needs_holding(build_order("BUY 10 MARKET"))
    assert not needs_holding(build_order("SELL 10 MARKET", product="MIS"))


def test_replacement_keeps_symbol_and_side():
    resting = build_order("BUY 10 LIMIT limit 95")
    assert find_replacement_refusal(resting, resting._replace(quantity=resting.quantity * 2)) is None
    assert "side" in (find_replacement_refusal(resting, build_order("SELL 10 LIMIT limit 95")) or "")
    assert "whole" in (find_replacement_refusal(resting, build_order("BUY 1.5 LIMIT limit 95")) or "")


def test_each_segment_has_products_and_emulated_pairs():
    assert set(PRODUCTS) == set(ZerodhaSegment)
    assert get_oco_support(build_order("SELL 10 LIMIT limit 95")) is OcoSupport.EMULATED
