"""Booked charges: in the portfolio's currency, with the fee totals of the day after them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.costs.rules.booked_charges import (
    NO_CHARGES,
    ChargedTrade,
    InvalidCharges,
    compute_booked_charges,
    format_components,
    has_components,
    parse_components,
    serialize_charges,
)
from app.costs.rules.values import ChargedExecution, OrderTotals
from app.costs.service import load_rates

TABLE = load_rates()
NOTHING_FILLED = OrderTotals()
NOON = datetime(2026, 11, 20, 15, tzinfo=UTC)
EVENING = datetime(2026, 11, 21, 3, tzinfo=UTC)  # still 2026-11-20 in New York


def build_trade(quantity="3", price="100", **changes):
    fields = {
        "schedule": "us_equity",
        "exchange": "NASDAQ",
        "product": "",
        "side": "SELL",
        "execution": ChargedExecution.from_price(Decimal(quantity), Decimal(price)),
        "currency": "USD",
        "rate": None,
        "at": NOON,
    }
    return ChargedTrade(**(fields | changes))


def book_charges(fill, fee_totals=None, filled=NOTHING_FILLED):
    return compute_booked_charges(fill, filled, fee_totals, TABLE)


def test_us_fees_accumulate_over_the_day_of_a_portfolio():
    totals, charged = None, []
    for quantity, at in (("3", NOON), ("3", NOON), ("4", EVENING)):
        charges = book_charges(build_trade(quantity, at=at), totals)
        totals = charges.fee_totals
        charged.append(charges.total)
    assert charged == [Decimal("0.02"), Decimal("0.01"), Decimal("0.01")]
    assert totals == '["2026-11-20","10","1000.00000000","0"]'
    next_day = datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert book_charges(build_trade("3", at=next_day), totals).total == Decimal("0.02")


def test_trade_of_an_earlier_day_keeps_the_totals_of_the_latest_day():
    totals = book_charges(build_trade()).fee_totals
    late = book_charges(build_trade(at=datetime(2026, 11, 19, 15, tzinfo=UTC)), totals)
    assert (late.total, late.fee_totals) == (Decimal("0.02"), None)


def test_components_are_converted_separately_and_the_total_is_their_sum():
    charges = book_charges(build_trade("100", "25", schedule="ibkr_fixed", side="BUY", rate=Decimal("83.50")))
    assert dict(charges.components) == {"commission": Decimal("83.5"), "regulatory": Decimal("0.835")}
    assert charges.total == Decimal("84.335")


def test_indian_trade_keeps_the_us_fee_totals():
    trade = build_trade("40", "1100", schedule="zerodha", exchange="NSE", product="MIS", currency="INR")
    charges = book_charges(trade, book_charges(build_trade()).fee_totals)
    assert (charges.total, charges.fee_totals) == (Decimal("28.22"), None)
    more = book_charges(
        build_trade("160", "1100", schedule="zerodha", exchange="NSE", product="MIS", currency="INR"),
        filled=OrderTotals(Decimal(40), Decimal(44000)),
    )
    assert more.total == Decimal("58.60")


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "none"},
        {"exchange": ""},
        {"exchange": "NSE", "currency": "INR"},
        {"currency": "EUR"},
        {"product": "NRML"},
    ],
)
def test_market_not_covered_by_the_schedule_has_no_charges(changes):
    assert book_charges(build_trade(**changes)) == NO_CHARGES


def test_charge_components_round_trip_through_text():
    charges = book_charges(build_trade("100", "25", schedule="ibkr_fixed", side="BUY"))
    text = format_components(charges)
    assert text == '{"commission":"1.00000000","regulatory":"0.01000000"}'
    assert parse_components(text) == charges.components
    assert serialize_charges(text) == {"total": "1.01", "commission": "1.00", "regulatory": "0.01"}
    assert (format_components(NO_CHARGES), parse_components(None)) == (None, {})
    assert serialize_charges(None) == {"total": "0.00"}


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"stt":1}', '{"stt":null}', '{"stt":"1e3"}'])
def test_invalid_charge_text_is_rejected(text):
    assert not has_components(text)
    with pytest.raises(InvalidCharges):
        parse_components(text)
    assert has_components('{"stt":"1.00000000"}')
