"""The paper broker fulfils the contract, and handles groups, parents and trailing stops."""

from datetime import timedelta
from decimal import Decimal

import pytest
from typing_extensions import override

from app.brokers.paper.book import PaperOrderBook
from app.brokers.paper.broker import PaperBroker
from app.brokers.paper.environment import load_paper_settings
from app.brokers.paper.replay import replay
from app.brokers.rules.rejections import simulate_rejection
from app.brokers.rules.settings import PaperSettings, Slippage
from app.brokers.rules.values import Accepted
from tests.brokers.contract import BrokerContract, BrokerScenario
from tests.brokers.market import LATER, NOON, build_quote, format_events, parse_bar_text, parse_order_text
from tests.support.service import build_settings


class TestPaperBrokerKeepsTheContract(BrokerContract):
    @pytest.fixture
    @override
    def scenario(self):
        broker = PaperBroker()
        broker.apply_quote(build_quote("99", "101"), NOON)

        def fill(resting):
            broker.apply_quote(build_quote("89", "90"), LATER)

        resting, filling = (
            parse_order_text("BUY 10 LIMIT limit 95", "rests"),
            parse_order_text("BUY 10 MARKET", "fills"),
        )
        return BrokerScenario(broker, NOON, resting, filling, fill)


@pytest.fixture
def broker():
    broker = PaperBroker()
    broker.apply_quote(build_quote("49", "50"), NOON)
    return broker


def test_paper_broker_declares_answers_within_the_transaction(broker):
    assert (broker.name, broker.is_in_process) == ("paper", True)


def test_order_rests_until_a_quote_reaches_it(broker):
    assert format_events(broker.submit(parse_order_text("BUY 10 LIMIT limit 48"), NOON)) == ["A accepted"]
    assert format_events(broker.apply_quote(build_quote("47", "48.01"), LATER)) == []
    assert format_events(broker.apply_quote(build_quote("47", "48"), LATER)) == ["A 10 @ 48"]


def test_quoted_size_is_shared_by_all_orders_at_the_same_quote(broker):
    broker.apply_quote(build_quote("49", "50", ask_size="15"), NOON)
    assert format_events(broker.submit(parse_order_text("BUY 10 MARKET", "A"), NOON)) == [
        "A accepted",
        "A 10 @ 50",
    ]
    assert format_events(broker.submit(parse_order_text("BUY 10 MARKET", "B"), NOON)) == [
        "B accepted",
        "B 5 @ 50",
    ]
    assert format_events(broker.apply_quote(build_quote("49", "50", ask_size="15"), LATER)) == ["B 5 @ 50"]


def test_documented_bracket_example_is_matched():
    """100 @ 50, target 55, stop 48: fills 40, 20; the target fills 25; the stop has 35 left, and fills."""
    broker = PaperBroker()
    broker.apply_quote(build_quote("49", "50", ask_size="40"), NOON)
    broker.submit(parse_order_text("BUY 100 LIMIT limit 50", "parent"), NOON)
    broker.apply_quote(build_quote("49", "49.90", ask_size="20"), NOON)
    for kind, name in (("LIMIT limit 55", "target"), ("STOP stop 48", "stop")):
        broker.submit(parse_order_text(f"SELL 60 {kind}", name, group="G", parent_id="parent"), NOON)
    assert format_events(broker.apply_quote(build_quote("55", "56", bid_size="25"), LATER)) == [
        "target 25 @ 55",
        "parent canceled",
    ]
    remaining = {
        (broker_order.id, int(broker_order.quantity), int(broker_order.leaves))
        for broker_order in broker.open_orders()
    }
    assert remaining == {("stop", 35, 35), ("target", 60, 35)}
    assert format_events(broker.apply_quote(build_quote("47.50", "48", "48"), LATER)) == [
        "stop triggered",
        "stop 35 @ 47.5",
        "target canceled",
    ]
    assert broker.list_positions() == []
    assert broker.get_account().cash - 1_000_000 == Decimal("125.83333333") - Decimal("86.33333333")


def test_replacement_keeps_the_filled_quantity(broker):
    broker.apply_quote(build_quote("49", "50", ask_size="4"), NOON)
    broker.submit(parse_order_text("BUY 10 LIMIT limit 50"), NOON)
    larger = parse_order_text("BUY 12 LIMIT limit 50", "B")
    assert format_events(broker.replace("A", larger, NOON)) == ["A replaced"]
    assert broker.open_orders()[0].leaves == 8
    assert format_events(broker.replace("B", parse_order_text("BUY 4 LIMIT limit 50", "C"), NOON)) == [
        "B replaced"
    ]
    assert broker.open_orders() == []
    assert broker.find("C").order.leaves == 0


def test_trailing_stop_starts_at_the_current_price(broker):
    events = broker.submit(parse_order_text("SELL 10 TRAILING_STOP trail 2"), NOON)
    assert format_events(events) == ["A accepted", "A trails at 47"]
    assert format_events(broker.apply_quote(build_quote("53", "54"), LATER)) == ["A trails at 51"]
    assert format_events(broker.apply_quote(build_quote("51", "52"), LATER)) == ["A triggered", "A 10 @ 51"]


def test_ioc_without_a_match_lapses(broker):
    assert format_events(broker.submit(parse_order_text("BUY 10 LIMIT limit 40 IOC"), NOON)) == [
        "A accepted",
        "A unfilled canceled",
    ]
    order = broker.find("A")
    assert order is not None
    assert not order.is_open


def test_working_orders_survive_a_restart():
    broker = PaperBroker(orders=[parse_order_text("BUY 10 LIMIT limit 50", leaves=Decimal(6))])
    assert format_events(broker.apply_quote(build_quote("49", "50"), LATER)) == ["A 6 @ 50"]


@pytest.mark.parametrize(("share", "rejected"), [("0", 0), ("0.1", 87), ("1", 1000)])
def test_rejection_drill_is_deterministic_and_has_the_configured_share(share, rejected):
    how = PaperSettings(reject_share=Decimal(share), seed="drill")
    reasons = [simulate_rejection(how, f"O{number}") for number in range(1000)]
    assert sum(reason is not None for reason in reasons) == rejected
    assert reasons == [simulate_rejection(how, f"O{number}") for number in range(1000)]


def test_rejected_order_never_becomes_working():
    broker = PaperBroker(PaperSettings(reject_share=Decimal(1)))
    broker.apply_quote(build_quote("49", "50"), NOON)
    assert format_events(broker.submit(parse_order_text("BUY 10 MARKET"), NOON)) == ["A rejected"]
    order_state = broker.find("A")
    assert order_state is not None
    assert not order_state.is_open
    assert broker.submit(parse_order_text("BUY 10 MARKET"), NOON) == ()


def test_paper_book_rejects_events_that_the_market_does_not_create():
    with pytest.raises(ValueError, match="Accepted is not the market's to say"):
        PaperOrderBook([parse_order_text("BUY 10 MARKET")]).apply(Accepted("A", NOON), "X", NOON)


def test_replay_fills_from_the_next_bar_and_trails_from_the_close():
    broker = PaperBroker()
    minute = timedelta(minutes=1)
    bars = [
        parse_bar_text("100/105/95/102", start=LATER),
        parse_bar_text("101/104/100.5/103", start=LATER + minute),
        parse_bar_text("101/104/100.5/103", start=LATER + 2 * minute),
    ]
    tickets = {
        bars[0].start: parse_order_text("BUY 10 MARKET"),
        bars[1].start: parse_order_text("SELL 10 TRAILING_STOP trail 2", "T"),
    }

    def decide(market_view, _):
        ticket = tickets.get(market_view.start)
        return [] if ticket is None else [ticket._replace(accepted_at=market_view.start)]

    replay(bars, broker, decide)
    assert format_events([broker_event.event for broker_event in broker.list_events()]) == [
        "A accepted",
        "A 10 @ 101",
        "T accepted",
        "T trails at 101",
        "T triggered",
        "T 10 @ 101",
    ]
    assert broker.get_account().cash == 1_000_000


def test_environment_configures_the_paper_market():
    settings = build_settings(
        "sqlite:///x.db",
        paper_spread="0.02",
        paper_participation="0.1",
        paper_slippage="basis_points",
        paper_basis_points="5",
        paper_latency_milliseconds=250,
        paper_reject_share="0.01",
        simulation_seed="drill",
    )
    assert load_paper_settings(settings) == PaperSettings(
        spread=Decimal("0.02"),
        participation=Decimal("0.1"),
        slippage=Slippage.BASIS_POINTS,
        basis_points=Decimal(5),
        latency=timedelta(milliseconds=250),
        reject_share=Decimal("0.01"),
        seed="drill",
    )
