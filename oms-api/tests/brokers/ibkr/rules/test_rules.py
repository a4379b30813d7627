"""Contracts, the table of what IBKR can execute, messages, and orders in the words of the TWS API."""

from decimal import Decimal

import pytest

from app.brokers.ibkr.rules.capabilities import find_refusal, find_replacement_refusal
from app.brokers.ibkr.rules.contracts import ContractTerms, build_symbol, find_contract
from app.brokers.ibkr.rules.messages import MessageEffect, find_effect, format_reason
from app.brokers.ibkr.rules.reports import (
    Attachment,
    IbkrFillReport,
    build_account,
    build_terms,
    get_attachment,
    parse_end,
    parse_fill,
    parse_optional,
    parse_order_type,
    parse_time_in_force,
)
from app.brokers.rules.connections import is_live_gateway
from app.brokers.rules.values import Account, OrderType, TimeInForce
from tests.brokers.ibkr.messages import report_open_order
from tests.brokers.market import NOON, parse_order_text

PAIR = {"symbol": "EURUSD", "asset_class": "fx"}


@pytest.mark.parametrize(
    ("instrument", "contract"),
    [
        (("AAPL", "equity", "USD", "NASDAQ"), ("AAPL", "STK", "SMART", "USD", "NASDAQ")),
        (("BRK.B", "equity", "USD", "NYSE"), ("BRK B", "STK", "SMART", "USD", "NYSE")),
        (("SAP", "equity", "EUR", "XETRA"), ("SAP", "STK", "SMART", "EUR", "")),
        (("EURUSD", "fx", "USD", ""), ("EUR", "CASH", "IDEALPRO", "USD", "")),
        (("EUR/USD", "fx", "USD", ""), ("EUR", "CASH", "IDEALPRO", "USD", "")),
    ],
)
def test_instrument_has_a_contract(instrument, contract):
    assert find_contract(*instrument) == ContractTerms(*contract)


@pytest.mark.parametrize("instrument", [("BTC/USD", "crypto", "USD", ""), ("EUR", "fx", "USD", "")])
def test_other_instruments_have_none(instrument):
    assert find_contract(*instrument) is None


def test_symbol_of_a_contract_is_ours():
    assert build_symbol(ContractTerms("BRK B", "STK", "SMART", "USD")) == "BRK.B"
    assert build_symbol(ContractTerms("EUR", "CASH", "IDEALPRO", "USD")) == "EURUSD"


@pytest.mark.parametrize(
    ("order_text", "changes", "reason"),
    [
        ("BUY 10 MARKET", {"asset_class": "crypto"}, "asset class"),
        ("BUY 10 LIMIT limit 5", {"extended_hours": True, "time_in_force": TimeInForce.FOK}, "regular hours"),
        ("BUY 10 MARKET", {"extended_hours": True}, "LIMIT orders that are DAY, GTC or GTD"),
        ("BUY 10 LIMIT limit 5 FOK", PAIR, "DAY, GTC, GTD or IOC"),
        ("BUY 10 STOP stop 5 OPG", {}, "must be LIMIT or MARKET"),
        ("BUY 1.5 MARKET GTC", {}, "LIMIT or MARKET orders that are DAY only"),
        ("BUY 1.5 STOP stop 5", {}, "whole quantity"),
        ("BUY 1.5 MARKET", PAIR, "no fractions"),
    ],
)
def test_order_that_ibkr_cannot_execute_is_refused(order_text, changes, reason):
    refusal = find_refusal(parse_order_text(order_text, **changes))
    assert refusal is not None
    assert reason in refusal


@pytest.mark.parametrize(
    "order_text",
    ["SELL 10 TRAILING_STOP trail 1 GTC", "BUY 10 MARKET CLS", "BUY 1.5 MARKET", "BUY 10 LIMIT limit 5 GTD"],
)
def test_other_orders_are_sent(order_text):
    assert find_refusal(parse_order_text(order_text)) is None


def test_end_and_extended_hours_are_fields_of_the_order():
    sent = parse_order_text("BUY 10 LIMIT limit 5 GTD", expires_at=NOON, extended_hours=True)
    assert find_refusal(sent) is None
    terms = build_terms(sent, "DU1", "A")
    assert (terms["tif"], terms["goodTillDate"], terms["outsideRth"]) == ("GTD", "20261120-12:00:00", True)
    assert parse_end("20261120-12:00:00") == NOON
    assert parse_end("20261120 07:00:00 US/Eastern") is None
    assert "goodTillDate" not in build_terms(parse_order_text("BUY 10 LIMIT limit 5"), "DU1", "A")


def test_replacement_keeps_symbol_side_and_type():
    resting = parse_order_text("BUY 10 LIMIT limit 5")
    assert find_replacement_refusal(resting, parse_order_text("BUY 20 LIMIT limit 6")) is None
    assert "type" in (find_replacement_refusal(resting, parse_order_text("BUY 10 MARKET")) or "")


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        (100, MessageEffect.IS_UNKNOWN),
        (201, MessageEffect.REFUSES_LAST_REQUEST),
        (202, MessageEffect.CANCELS),
        (399, MessageEffect.NONE),
        (2109, MessageEffect.NONE),
        (10148, MessageEffect.REFUSES_CANCEL),
    ],
)
def test_message_has_an_effect(code, effect):
    assert find_effect(code) is effect


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Order rejected - reason:no margin", "no margin"),
        ("Too late", "Too late"),
        (" ", "IBKR rejected the order."),
    ],
)
def test_reason_is_the_text_of_ibkr(text, reason):
    assert format_reason(text) == reason


@pytest.mark.parametrize(
    ("order_text", "terms"),
    [
        ("BUY 10 LIMIT limit 95.50 GTC", {"orderType": "LMT", "tif": "GTC", "lmtPrice": "95.5"}),
        ("SELL 10 STOP_LIMIT stop 90 limit 89", {"orderType": "STP LMT", "auxPrice": "90", "lmtPrice": "89"}),
        ("SELL 10 TRAILING_STOP percent 2 level 97", {"trailingPercent": "2", "trailStopPrice": "97"}),
        ("SELL 10 TRAILING_STOP trail 1.5", {"orderType": "TRAIL", "auxPrice": "1.5"}),
        ("BUY 10 MARKET CLS", {"orderType": "MOC", "tif": "DAY"}),
        ("BUY 10 LIMIT limit 5 CLS", {"orderType": "LOC", "tif": "DAY"}),
        ("BUY 10 MARKET OPG", {"orderType": "MKT", "tif": "OPG"}),
    ],
)
def test_order_is_sent_in_the_terms_of_the_api(order_text, terms):
    built = build_terms(parse_order_text(order_text), "DU1", "A")
    assert built == built | terms | {"account": "DU1", "orderRef": "A", "totalQuantity": "10"}


def test_terms_of_the_api_are_parsed_to_ours():
    assert (parse_order_type("LOC"), parse_order_type("PEG MID")) == (OrderType.LIMIT, None)
    assert parse_time_in_force("DAY", "MOC") is TimeInForce.CLS
    assert parse_time_in_force("GTC", "LMT") is TimeInForce.GTC
    assert parse_time_in_force("DTC", "LMT") is TimeInForce.DAY


@pytest.mark.parametrize("amount", [None, "", 0.0, 1.7976931348623157e308, float("inf")])
def test_absent_amount_is_none(amount):
    assert parse_optional(amount) is None


def test_amount_is_the_decimal_that_was_sent():
    assert parse_optional(1.08505) == Decimal("1.08505")


@pytest.mark.parametrize(
    ("quantity", "price"),
    [(-5.0, 1.0), (float("nan"), 1.0), (1e300, 1.0), (5.0, 0.0), (5.0, -1.0), (5.0, float("inf"))],
)
def test_execution_that_cannot_be_is_refused(quantity, price):
    with pytest.raises(ValueError, match=r"not an amount|zero"):
        parse_fill(quantity, price)


def test_quantity_and_price_of_a_fill_are_parsed():
    assert parse_fill(0.0, 0.0) == (Decimal(0), Decimal(0))
    assert parse_fill(5.0, 1.08505) == (Decimal(5), Decimal("1.08505"))


@pytest.mark.parametrize("value", ["NaN", "1e400", "much"])
def test_account_figure_that_is_not_an_amount_is_rejected(value):
    with pytest.raises(ValueError, match="not an amount"):
        build_account("DU1", [("DU1", "TotalCashValue", value, "USD")])


@pytest.mark.parametrize(
    ("execution_id", "parts"),
    [("0000e0d5.6566.01.02", ("0000e0d5.6566.01", 2)), ("odd", ("odd", 1)), ("a.b", ("a.b", 1))],
)
def test_execution_id_ends_with_the_number_of_its_correction(execution_id, parts):
    fill = IbkrFillReport(execution_id, 1, 1, 1, "A", Decimal(1), Decimal(1), NOON)
    assert (fill.base_id, fill.number) == parts


def test_account_has_the_cash_of_its_currency():
    rows = [
        ("DU1", "AccountType", "INDIVIDUAL", ""),
        ("DU1", "TotalCashValue", "1500", "USD"),
        ("DU1", "CashBalance", "1000", "USD"),
        ("DU1", "CashBalance", "450", "EUR"),
        ("DU1", "BuyingPower", "4000", "USD"),
        ("DU2", "BuyingPower", "1", "USD"),
    ]
    assert build_account("DU1", rows) == Account("USD", Decimal(1000), Decimal(4000), "DU1", is_paper=True)
    assert build_account("U1", []) == Account("USD", Decimal(0), number="U1", is_paper=False)


@pytest.mark.parametrize(
    ("address", "account", "is_live"),
    [
        ("127.0.0.1:4002", "DU1", False),
        ("127.0.0.1:4001", None, True),
        ("127.0.0.1:5000", "U1", True),
        ("127.0.0.1:5000", None, False),
    ],
)
def test_gateway_is_live_by_its_port_or_account(address, account, is_live):
    assert is_live_gateway(address, account) is is_live


def test_exit_is_attached_to_its_entry_and_the_last_order_transmits_all():
    exit_order = parse_order_text("SELL 10 STOP stop 80 GTC", group_id="G")
    first = build_terms(parse_order_text("BUY 10 LIMIT limit 95"), "DU1", "A", Attachment(is_last=False))
    last = build_terms(exit_order, "DU1", "B", Attachment(41))
    assert ("parentId" in first, first["transmit"]) == (False, False)
    assert (last["parentId"], last["transmit"], last["ocaGroup"]) == (41, True, "G")


def test_change_of_an_exit_names_the_group_that_tws_gave_it_and_not_its_entry():
    exit_order = parse_order_text("SELL 10 STOP stop 85 GTC", group_id="G")
    reported = report_open_order(parent_venue_id=41, oca_group="900000001", oca_type="3")
    terms = build_terms(exit_order, "DU1", "B", get_attachment(reported))
    assert (terms["ocaGroup"], terms["ocaType"], "parentId" in terms) == ("900000001", "3", False)
    own = build_terms(exit_order, "DU1", "B", get_attachment(report_open_order()))
    assert (own["ocaGroup"], own["ocaType"]) == ("G", "2")
