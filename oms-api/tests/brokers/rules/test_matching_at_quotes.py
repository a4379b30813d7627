"""Fills at a quote: tables of examples, and the worked examples of the trading rules."""

from datetime import timedelta
from decimal import Decimal

import pytest

from app.brokers.rules.matching import compute_fills, match_without_quote
from app.brokers.rules.settings import PaperSettings, Slippage
from app.brokers.rules.values import Executed
from app.ledger.rules.accounting import Side
from tests.brokers.market import NOON, build_quote, format_events, parse_order_text


@pytest.mark.parametrize(
    ("ticket", "prices", "fills"),
    [
        ("BUY 10 MARKET", ("99", "101"), ["A 10 @ 101"]),
        ("SELL 10 MARKET", ("99", "101"), ["A 10 @ 99"]),
        ("BUY 10 MARKET", ("99", None), []),
        ("BUY 10 LIMIT limit 100.99", ("99", "101"), []),
        ("BUY 10 LIMIT limit 101", ("99", "101"), ["A 10 @ 101"]),
        ("BUY 10 LIMIT limit 110", ("99", "101"), ["A 10 @ 101"]),
        ("SELL 10 LIMIT limit 99.01", ("99", "101"), []),
        ("SELL 10 LIMIT limit 99", ("99", "101"), ["A 10 @ 99"]),
        ("SELL 10 LIMIT limit 90", ("99", "101"), ["A 10 @ 99"]),
    ],
)
def test_market_and_limit_orders_fill_at_the_opposite_side(ticket, prices, fills):
    assert format_events(compute_fills([parse_order_text(ticket)], build_quote(*prices), NOON)) == fills


@pytest.mark.parametrize(
    ("ticket", "fills"),
    [
        ("BUY 10 MARKET", ["A 10 @ 100.05"]),
        ("SELL 10 MARKET", ["A 10 @ 99.95"]),
        ("BUY 10 LIMIT limit 100.04", []),
        ("BUY 10 LIMIT limit 100.05", ["A 10 @ 100.05"]),
    ],
)
def test_last_price_alone_is_widened_by_half_the_configured_spread(ticket, fills):
    settings = PaperSettings(spread=Decimal("0.10"))
    assert (
        format_events(
            compute_fills([parse_order_text(ticket)], build_quote(None, None, "100"), NOON, settings)
        )
        == fills
    )


@pytest.mark.parametrize(
    ("ticket", "prices", "events"),
    [
        ("BUY 10 STOP stop 105", ("104", "104.50", "104.99"), []),
        ("BUY 10 STOP stop 105", ("104", "104.50", "105"), ["A triggered", "A 10 @ 104.5"]),
        ("BUY 10 STOP stop 105", ("106", "107", "104"), []),  # the last price is watched where there is one
        ("BUY 10 STOP stop 105", ("104", "105"), ["A triggered", "A 10 @ 105"]),
        ("SELL 10 STOP stop 95", ("95", "96"), ["A triggered", "A 10 @ 95"]),
        ("SELL 10 STOP stop 95", ("95.01", "96"), []),
        ("SELL 10 STOP stop 95", ("90", "91", "95"), ["A triggered", "A 10 @ 90"]),
        ("SELL 10 STOP stop 95", (None, "96"), []),
        ("SELL 10 STOP stop 95", (None, "96", "95"), ["A triggered", "A 10 @ 95"]),
        ("BUY 10 STOP stop 105 triggered", ("99", "100"), ["A 10 @ 100"]),
        ("BUY 10 STOP_LIMIT stop 105 limit 106", ("104", "107", "105"), ["A triggered"]),
        ("BUY 10 STOP_LIMIT stop 105 limit 106", ("104", "106", "105"), ["A triggered", "A 10 @ 106"]),
        ("BUY 10 STOP_LIMIT stop 105 limit 106 triggered", ("103", "106", "103"), ["A 10 @ 106"]),
        ("BUY 10 STOP_LIMIT stop 105 limit 106 triggered", ("103", "106.01", "103"), []),
        ("SELL 10 STOP_LIMIT stop 95 limit 94", ("93", "96", "95"), ["A triggered"]),
        ("SELL 10 STOP_LIMIT stop 95 limit 94", ("94", "96", "95"), ["A triggered", "A 10 @ 94"]),
    ],
)
def test_stops_trigger_on_last_price_or_own_side_and_fill_at_bid_or_ask(ticket, prices, events):
    assert format_events(compute_fills([parse_order_text(ticket)], build_quote(*prices), NOON)) == events


def follow_trail(trail, lasts):
    """Show a trail one last price after the other; return its answer to each."""
    levels = []
    for last in lasts:
        events = compute_fills([trail], build_quote(None, None, last), NOON)
        levels.append(format_events(events))
        for event in events:
            trail = trail._replace(trail_level=getattr(event, "level", trail.trail_level))
    return levels


def test_sell_trailing_stop_moves_up_and_triggers_when_touched():
    levels = follow_trail(
        parse_order_text("SELL 10 TRAILING_STOP trail 2"),
        ["100", "101", "100.5", "103.25", "101.30", "101.25"],
    )
    assert levels == [
        ["A trails at 98"],
        ["A trails at 99"],
        [],
        ["A trails at 101.25"],
        [],
        ["A triggered", "A 10 @ 101.25"],
    ]


def test_buy_trailing_stop_moves_down():
    levels = follow_trail(parse_order_text("BUY 10 TRAILING_STOP trail 2"), ["100", "99", "99.5", "101"])
    assert levels == [["A trails at 102"], ["A trails at 101"], [], ["A triggered", "A 10 @ 101"]]


@pytest.mark.parametrize(
    ("ticket", "last", "level"),
    [
        ("SELL 10 TRAILING_STOP percent 1", "103.25", "102.22"),  # 102.2175
        ("SELL 10 TRAILING_STOP percent 1", "103.5", "102.47"),  # 102.465 is half way: up
        ("BUY 10 TRAILING_STOP percent 1", "103.5", "104.54"),  # 104.535
    ],
)
def test_percent_trail_is_rounded_half_up_to_the_tick(ticket, last, level):
    assert follow_trail(parse_order_text(ticket), [last]) == [[f"A trails at {level}"]]


def test_trail_wider_than_the_price_has_no_stop_price():
    assert follow_trail(parse_order_text("SELL 10 TRAILING_STOP trail 200"), ["100", "250"]) == [
        [],
        ["A trails at 50"],
    ]


@pytest.mark.parametrize(
    ("ticket", "events"),
    [
        ("BUY 100 MARKET", ["A 30 @ 101"]),
        ("BUY 100 LIMIT limit 101", ["A 30 @ 101"]),
        ("BUY 100 MARKET IOC", ["A 30 @ 101", "A unfilled canceled"]),
        ("BUY 100 MARKET FOK", ["A unfilled canceled"]),
        ("BUY 30 MARKET FOK", ["A 30 @ 101"]),
        ("SELL 100 MARKET FOK", ["A 100 @ 99"]),  # the bid has no size: anything fills
        ("BUY 100 LIMIT limit 100 IOC", ["A unfilled canceled"]),
        ("BUY 100 STOP stop 105 IOC", []),  # counts from its trigger
        ("BUY 100 STOP stop 105 triggered IOC", ["A 30 @ 101", "A unfilled canceled"]),
        ("BUY 100 STOP_LIMIT stop 101 limit 100 FOK", ["A triggered", "A unfilled canceled"]),
        ("BUY 10 MARKET OPG", []),  # opening and closing prices come with the sessions
        ("BUY 10 MARKET CLS", []),
    ],
)
def test_quoted_size_limits_the_fill_and_time_in_force_decides_on_the_rest(ticket, events):
    assert (
        format_events(
            compute_fills([parse_order_text(ticket)], build_quote("99", "101", ask_size="30"), NOON)
        )
        == events
    )


def test_quoted_size_is_allocated_by_price_then_time():
    orders = [
        parse_order_text("BUY 40 LIMIT limit 102", "B", accepted_at=NOON),
        parse_order_text("BUY 40 LIMIT limit 102", "C", accepted_at=NOON - timedelta(seconds=1)),
        parse_order_text("BUY 40 LIMIT limit 103", "dearer", accepted_at=NOON),
        parse_order_text("BUY 40 MARKET", "market", accepted_at=NOON),
    ]
    events = compute_fills(orders, build_quote("99", "101", ask_size="130"), NOON)
    assert format_events(events) == ["market 40 @ 101", "dearer 40 @ 101", "C 40 @ 101", "B 10 @ 101"]


def test_each_portfolio_and_side_has_its_own_size_budget():
    orders = [
        parse_order_text("BUY 40 MARKET", "A"),
        parse_order_text("BUY 40 MARKET", "B", portfolio_id=2),
        parse_order_text("SELL 40 MARKET", "C"),
    ]
    events = compute_fills(orders, build_quote("99", "101", bid_size="20", ask_size="30"), NOON)
    assert format_events(events) == ["A 30 @ 101", "B 30 @ 101", "C 20 @ 99"]


def test_size_consumed_earlier_at_a_quote_is_not_available():
    used = {(1, Side.BUY): Decimal(25)}
    sized = build_quote("99", "101", ask_size="30")
    assert format_events(compute_fills([parse_order_text("BUY 40 MARKET")], sized, NOON, used=used)) == [
        "A 5 @ 101"
    ]
    assert (
        format_events(
            compute_fills([parse_order_text("BUY 40 MARKET")], sized, NOON, used={(1, Side.BUY): Decimal(30)})
        )
        == []
    )


def test_participation_share_of_the_size_is_rounded_down_to_the_lot():
    settings = PaperSettings(participation=Decimal("0.25"))
    sized = build_quote("99", "101", ask_size="130")
    assert format_events(compute_fills([parse_order_text("BUY 100 MARKET")], sized, NOON, settings)) == [
        "A 32 @ 101"
    ]
    lots = parse_order_text("BUY 100 MARKET", lot=Decimal(5))
    assert format_events(compute_fills([lots], sized, NOON, settings)) == ["A 30 @ 101"]


def test_legs_of_a_group_share_quantity_and_the_worse_price_fills_first():
    """The last price is past the target while the bid is at the stop."""
    legs = [
        parse_order_text("SELL 60 LIMIT limit 48", "target", group="G"),
        parse_order_text("SELL 60 STOP stop 50", "stop", group="G"),
    ]
    assert format_events(compute_fills(legs, build_quote("48", "49", "50"), NOON)) == [
        "stop triggered",
        "stop 60 @ 48",
    ]


def test_quantity_left_by_one_leg_may_fill_the_other():
    legs = [
        parse_order_text("SELL 60 LIMIT limit 48", "target", group="G"),
        parse_order_text("SELL 20 LIMIT limit 47", "other", group="G"),
    ]
    assert format_events(compute_fills(legs, build_quote("48", "49"), NOON)) == [
        "other 20 @ 48",
        "target 40 @ 48",
    ]


def test_leg_fill_cancels_the_rest_of_the_parent():
    orders = [
        parse_order_text("BUY 40 LIMIT limit 50", "parent"),
        parse_order_text("SELL 60 STOP stop 50", "leg", parent_id="parent"),
    ]
    assert format_events(compute_fills(orders, build_quote("49", "50", "50"), NOON)) == [
        "leg triggered",
        "leg 60 @ 49",
    ]


def test_order_does_not_match_before_its_latency():
    settings = PaperSettings(latency=timedelta(seconds=1))
    waiting = [parse_order_text("BUY 10 MARKET")]
    assert (
        compute_fills(waiting, build_quote("99", "101"), NOON + timedelta(milliseconds=999), settings) == []
    )
    assert format_events(
        compute_fills(waiting, build_quote("99", "101"), NOON + timedelta(seconds=1), settings)
    ) == ["A 10 @ 101"]


HALF_SPREAD = PaperSettings(slippage=Slippage.HALF_SPREAD)
FIVE_POINTS = PaperSettings(slippage=Slippage.BASIS_POINTS, basis_points=Decimal(5))
NEARLY_ALL = PaperSettings(slippage=Slippage.BASIS_POINTS, basis_points=Decimal(9999))
VOLUME_SHARE = PaperSettings(slippage=Slippage.VOLUME_SHARE)


@pytest.mark.parametrize(
    ("settings", "ticket", "fill"),
    [
        (HALF_SPREAD, "BUY 10 MARKET", "A 10 @ 102"),
        (HALF_SPREAD, "SELL 10 MARKET", "A 10 @ 98"),
        (HALF_SPREAD, "BUY 10 LIMIT limit 101", "A 10 @ 101"),
        (FIVE_POINTS, "BUY 10 MARKET", "A 10 @ 101.06"),  # 101.0505
        (FIVE_POINTS, "SELL 10 MARKET", "A 10 @ 98.95"),  # 98.9505
        (NEARLY_ALL, "SELL 10 STOP stop 99 triggered", "A 10 @ 0.01"),  # never below a tick
        (VOLUME_SHARE, "BUY 50 MARKET", "A 50 @ 103.53"),  # half of the size: 101 + 101 × 0.1 × 0.25
        (VOLUME_SHARE, "SELL 50 MARKET", "A 50 @ 99"),  # no size, no share
    ],
)
def test_slippage_applies_to_market_orders_and_stops_but_not_limits(settings, ticket, fill):
    assert format_events(
        compute_fills([parse_order_text(ticket)], build_quote("99", "101", ask_size="100"), NOON, settings)
    ) == [fill]


def test_half_the_configured_spread_is_the_slippage_without_a_quote_side():
    settings = PaperSettings(slippage=Slippage.HALF_SPREAD, spread=Decimal("0.5"))
    assert format_events(
        compute_fills([parse_order_text("BUY 10 MARKET")], build_quote(None, "101"), NOON, settings)
    ) == ["A 10 @ 101.25"]


def test_fill_below_the_smallest_storable_value_is_skipped():
    dust = parse_order_text("BUY 1 MARKET", quantity=Decimal("0.00000001"), leaves=Decimal("0.00000001"))
    assert compute_fills([dust], build_quote(None, "0.01"), NOON) == []


def test_fill_has_its_value_and_a_deterministic_id():
    partly = parse_order_text("BUY 3 MARKET", leaves=Decimal(2))
    (fill,) = compute_fills([partly], build_quote(None, "33.33333333"), NOON)
    assert isinstance(fill, Executed)
    assert (fill.value, fill.execution_id, fill.at) == (Decimal("66.66666666"), "A:1", NOON)
    assert compute_fills([partly], build_quote(None, "33.33333333"), NOON) == [fill]


def test_ioc_and_fok_lapse_without_a_price_and_others_wait():
    orders = [parse_order_text(f"BUY 1 MARKET {tif}", tif) for tif in ("DAY", "GTC", "GTD", "IOC", "FOK")]
    assert format_events(match_without_quote(orders, NOON)) == [
        "IOC unfilled canceled",
        "FOK unfilled canceled",
    ]


@pytest.mark.parametrize(("kind", "missing"), [("LIMIT", "limit"), ("STOP", "stop")])
def test_order_without_a_required_price_raises_an_error(kind, missing):
    with pytest.raises(ValueError, match=f"no {missing} price"):
        compute_fills([parse_order_text(f"BUY 1 {kind}")], build_quote("99", "101"), NOON)
