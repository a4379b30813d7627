"""Fills on a bar: tables of examples, and the worked examples of the trading rules."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.brokers.rules.matching import match_bar
from app.brokers.rules.settings import PaperSettings, Slippage
from tests.brokers.market import LATER, format_events, parse_bar_text, parse_order_text


@pytest.mark.parametrize(
    ("ticket", "prices", "events"),
    [
        # market orders: the next open
        ("BUY 10 MARKET", "100/105/95/102", ["A 10 @ 100"]),
        ("SELL 10 MARKET", "100/105/95/102", ["A 10 @ 100"]),
        # limits: crossed, not touched; a better open is taken
        ("BUY 10 LIMIT limit 95", "100/105/95/102", []),
        ("BUY 10 LIMIT limit 95.01", "100/105/95/102", ["A 10 @ 95.01"]),
        ("BUY 10 LIMIT limit 101", "100/105/95/102", ["A 10 @ 100"]),
        ("BUY 10 LIMIT limit 100", "100/105/100/102", []),
        ("SELL 10 LIMIT limit 105", "100/105/95/102", []),
        ("SELL 10 LIMIT limit 104.99", "100/105/95/102", ["A 10 @ 104.99"]),
        ("SELL 10 LIMIT limit 99", "100/105/95/102", ["A 10 @ 100"]),
        # stops: touched; a gap fills at the open
        ("BUY 10 STOP stop 105", "100/105/95/102", ["A triggered", "A 10 @ 105"]),
        ("BUY 10 STOP stop 105.01", "100/105/95/102", []),
        ("BUY 10 STOP stop 98", "100/105/95/102", ["A triggered", "A 10 @ 100"]),
        ("SELL 10 STOP stop 95", "100/105/95/102", ["A triggered", "A 10 @ 95"]),
        ("SELL 10 STOP stop 94.99", "100/105/95/102", []),
        ("SELL 10 STOP stop 103", "100/105/95/102", ["A triggered", "A 10 @ 100"]),
        ("SELL 10 STOP stop 103 triggered", "100/105/95/102", ["A 10 @ 100"]),
        # stop-limits: at the stop within the limit …
        ("BUY 10 STOP_LIMIT stop 103 limit 104", "100/105/95/102", ["A triggered", "A 10 @ 103"]),
        ("BUY 10 STOP_LIMIT stop 103 limit 103", "100/105/95/102", ["A triggered", "A 10 @ 103"]),
        ("SELL 10 STOP_LIMIT stop 97 limit 96", "100/105/95/102", ["A triggered", "A 10 @ 97"]),
        # … after a gapped open at the limit, if the bar comes back beyond it …
        ("BUY 10 STOP_LIMIT stop 98 limit 99", "100/105/95/102", ["A triggered", "A 10 @ 99"]),
        ("BUY 10 STOP_LIMIT stop 98 limit 99", "100/105/99/102", ["A triggered"]),
        ("BUY 10 STOP_LIMIT stop 98 limit 101", "100/105/95/102", ["A triggered", "A 10 @ 100"]),
        ("SELL 10 STOP_LIMIT stop 102 limit 101", "100/105/95/102", ["A triggered", "A 10 @ 101"]),
        ("SELL 10 STOP_LIMIT stop 102 limit 101", "100/101/95/98", ["A triggered"]),
        # … else it is a limit from the next bar on
        ("BUY 10 STOP_LIMIT stop 103 limit 102", "100/105/95/102", ["A triggered"]),
        ("BUY 10 STOP_LIMIT stop 103 limit 102 triggered", "103/105/101/104", ["A 10 @ 102"]),
        ("BUY 10 STOP_LIMIT stop 103 limit 102 triggered", "103/105/102/104", []),
        ("BUY 10 STOP_LIMIT stop 110 limit 111", "100/105/95/102", []),
    ],
)
def test_each_order_type_matches_on_one_bar(ticket, prices, events):
    assert format_events(match_bar([parse_order_text(ticket)], parse_bar_text(prices))) == events


@pytest.mark.parametrize(
    ("ticket", "prices", "events"),
    [
        ("SELL 10 TRAILING_STOP trail 2 level 102", "103/105/101.5/104", ["A triggered", "A 10 @ 102"]),
        ("SELL 10 TRAILING_STOP trail 2 level 102", "101/105/100/104", ["A triggered", "A 10 @ 101"]),
        ("SELL 10 TRAILING_STOP trail 2 level 102", "103/105/102.01/104", ["A trails at 103"]),
        ("SELL 10 TRAILING_STOP trail 2 level 102", "103/104/102.5/104", []),
        ("SELL 10 TRAILING_STOP trail 2", "103/105/101.5/104", ["A trails at 103"]),
        ("BUY 10 TRAILING_STOP trail 2 level 98", "97/98/95/96", ["A triggered", "A 10 @ 98"]),
        ("BUY 10 TRAILING_STOP trail 2 level 98", "99/99.5/95/96", ["A triggered", "A 10 @ 99"]),
        ("BUY 10 TRAILING_STOP trail 2 level 98", "97/97.5/95/96", ["A trails at 97"]),
        ("SELL 10 TRAILING_STOP trail 2 level 102 triggered", "103/105/101.5/104", ["A 10 @ 103"]),
    ],
)
def test_trailing_stop_is_tested_at_its_previous_level_then_moved(ticket, prices, events):
    assert format_events(match_bar([parse_order_text(ticket)], parse_bar_text(prices))) == events


def test_stop_fills_before_the_target_within_one_bar():
    legs = [
        parse_order_text("SELL 100 LIMIT limit 104", "target", group="G"),
        parse_order_text("SELL 100 STOP stop 96", "stop", group="G"),
    ]
    assert format_events(match_bar(legs, parse_bar_text("100/105/95/102"))) == [
        "stop triggered",
        "stop 100 @ 96",
    ]


def test_stop_partially_filled_by_volume_leaves_the_rest_to_the_target():
    settings = PaperSettings(participation=Decimal("0.1"))
    legs = [
        parse_order_text("SELL 100 LIMIT limit 104", "target", group="G"),
        parse_order_text("SELL 100 STOP stop 96", "stop", group="G"),
    ]
    events = match_bar(legs, parse_bar_text("100/105/95/102", volume="500"), settings)
    assert format_events(events) == ["stop triggered", "stop 50 @ 96"]


def test_both_sides_of_a_portfolio_share_one_volume_budget():
    settings = PaperSettings(participation=Decimal("0.1"))
    orders = [
        parse_order_text("BUY 40 MARKET", "A"),
        parse_order_text("SELL 40 MARKET", "B"),
        parse_order_text("SELL 40 MARKET", "C", portfolio_id=2),
    ]
    events = match_bar(orders, parse_bar_text("100/105/95/102", volume="505"), settings)
    assert format_events(events) == ["A 40 @ 100", "B 10 @ 100", "C 40 @ 100"]


def test_stops_fill_in_trigger_sequence_and_limits_best_price_first():
    settings = PaperSettings(participation=Decimal("0.1"))
    orders = [
        parse_order_text("BUY 10 LIMIT limit 97", "low"),
        parse_order_text("BUY 10 LIMIT limit 98", "high"),
        parse_order_text("BUY 10 STOP stop 104", "far"),
        parse_order_text("BUY 10 STOP stop 103", "near"),
    ]
    events = match_bar(orders, parse_bar_text("100/105/95/102", volume="350"), settings)
    assert format_events(events) == [
        "near triggered",
        "near 10 @ 103",
        "far triggered",
        "far 10 @ 104",
        "high 10 @ 98",
        "low 5 @ 97",
    ]


def test_participation_is_unlimited_without_a_volume():
    settings = PaperSettings(participation=Decimal("0.1"))
    assert format_events(
        match_bar([parse_order_text("BUY 40 MARKET")], parse_bar_text("100/105/95/102"), settings)
    ) == ["A 40 @ 100"]


def test_order_matches_from_the_next_bar():
    late = parse_order_text("BUY 10 MARKET", accepted_at=LATER + timedelta(microseconds=1))
    assert match_bar([late], parse_bar_text("100/105/95/102")) == []
    just = parse_order_text("BUY 10 MARKET", accepted_at=LATER)
    assert format_events(match_bar([just], parse_bar_text("100/105/95/102"))) == ["A 10 @ 100"]


def test_order_does_not_match_on_a_bar_begun_before_its_latency():
    settings = PaperSettings(latency=timedelta(minutes=1, microseconds=1))
    assert match_bar([parse_order_text("BUY 10 MARKET")], parse_bar_text("100/105/95/102"), settings) == []
    events = match_bar(
        [parse_order_text("BUY 10 MARKET")],
        parse_bar_text("100/105/95/102", start=LATER + timedelta(minutes=1)),
        settings,
    )
    assert format_events(events) == ["A 10 @ 100"]


@pytest.mark.parametrize(
    ("ticket", "events"),
    [
        ("BUY 10 MARKET IOC", ["A 10 @ 100"]),
        ("BUY 10 LIMIT limit 95 IOC", ["A unfilled canceled"]),
        ("BUY 10 LIMIT limit 95 FOK", ["A unfilled canceled"]),
        ("SELL 10 STOP stop 90 IOC", []),
        ("BUY 10 MARKET OPG", []),
    ],
)
def test_ioc_and_fok_last_for_one_bar(ticket, events):
    assert format_events(match_bar([parse_order_text(ticket)], parse_bar_text("100/105/95/102"))) == events


def test_market_order_pays_half_the_spread_rounded_to_a_worse_tick():
    settings = PaperSettings(spread=Decimal("0.05"))
    assert format_events(
        match_bar([parse_order_text("BUY 10 MARKET")], parse_bar_text("100/105/95/102"), settings)
    ) == ["A 10 @ 100.03"]
    assert format_events(
        match_bar([parse_order_text("SELL 10 MARKET")], parse_bar_text("100/105/95/102"), settings)
    ) == ["A 10 @ 99.97"]


def test_slippage_depends_on_the_share_of_the_bar_volume():
    settings = PaperSettings(slippage=Slippage.VOLUME_SHARE, impact=Decimal(1))
    events = match_bar(
        [parse_order_text("BUY 10 MARKET")], parse_bar_text("100/105/95/102", volume="100"), settings
    )
    assert format_events(events) == ["A 10 @ 101"]
