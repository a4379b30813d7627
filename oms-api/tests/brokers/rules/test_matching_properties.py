"""Properties of matching for all orders, quotes and bars."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.brokers.rules.matching import compute_fills, match_bar
from app.brokers.rules.settings import PaperSettings, Slippage
from app.brokers.rules.values import BrokerOrder, Executed, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar, Quote
from tests.brokers.market import CENT, LATER, NOON

prices = st.integers(9_500, 10_500).map(lambda cents: cents * CENT)
sizes = st.integers(1, 200).map(Decimal)
maybe_sizes = st.none() | st.integers(0, 300).map(Decimal)


@st.composite
def draw_order(draw):
    order_type = draw(st.sampled_from(OrderType))
    quantity = draw(sizes)
    trails = order_type is OrderType.TRAILING_STOP
    return BrokerOrder(
        str(draw(st.integers(0, 10**6))),
        draw(st.integers(1, 2)),
        "X",
        draw(st.sampled_from(Side)),
        order_type,
        quantity,
        draw(st.integers(1, int(quantity)).map(Decimal)),
        NOON - timedelta(seconds=draw(st.integers(0, 3))),
        limit_price=draw(prices) if order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT} else None,
        stop_price=draw(prices) if order_type in {OrderType.STOP, OrderType.STOP_LIMIT} else None,
        trail_amount=draw(st.integers(1, 500).map(lambda cents: cents * CENT)) if trails else None,
        trail_level=draw(st.none() | prices) if trails else None,
        triggered=draw(st.booleans()) if order_type not in {OrderType.MARKET, OrderType.LIMIT} else False,
        time_in_force=draw(st.sampled_from(TimeInForce)),
        tick=CENT,
        lot=Decimal(1),
        group=draw(st.none() | st.just("G")),
    )


books = st.lists(draw_order(), max_size=8, unique_by=lambda order: order.id)
quotes = st.builds(
    lambda bid, width, last, bid_size, ask_size: Quote(
        "X", bid, bid + width * CENT, last, bid_size, ask_size, NOON, "test"
    ),
    prices,
    st.integers(0, 50),
    st.none() | prices,
    maybe_sizes,
    maybe_sizes,
)
bars = st.builds(
    lambda path, volume: Bar("X", LATER, path[0], max(path), min(path), path[-1], volume),
    st.lists(prices, min_size=4, max_size=4),
    maybe_sizes,
)
all_settings = st.tuples(
    st.integers(0, 10).map(lambda cents: cents * CENT),
    st.none() | st.sampled_from([Decimal("0.1"), Decimal("0.5"), Decimal(1)]),
    st.sampled_from(Slippage),
    st.integers(0, 100).map(Decimal),
).map(lambda settings: PaperSettings(*settings))


def list_fills(events):
    return [event for event in events if isinstance(event, Executed)]


@given(books, quotes, all_settings)
def test_no_fill_exceeds_leaves_quantity_or_limit_price(book, quote, settings):
    by_id = {order.id: order for order in book}
    for fill in list_fills(compute_fills(book, quote, NOON, settings)):
        order = by_id[fill.order_id]
        assert 0 < fill.quantity <= order.leaves
        assert fill.price > 0
        if order.limit_price is not None:
            assert (order.limit_price - fill.price) * order.side.sign >= 0


@given(books, quotes, all_settings)
def test_order_fills_once_at_a_quote_and_a_group_at_most_its_quantity(book, quote, settings):
    filled = list_fills(compute_fills(book, quote, NOON, settings))
    assert max(Counter(fill.order_id for fill in filled).values(), default=1) == 1
    members = {order.id: order for order in book if order.group}
    shared = sum((fill.quantity for fill in filled if fill.order_id in members), Decimal(0))
    assert shared <= max((order.leaves for order in members.values()), default=Decimal(0))


@given(books, quotes, all_settings)
def test_fills_of_a_portfolio_never_exceed_the_quoted_size(book, quote, settings):
    by_id = {order.id: order for order in book}
    filled: Counter[tuple[int, Side]] = Counter()
    for fill in list_fills(compute_fills(book, quote, NOON, settings)):
        order = by_id[fill.order_id]
        filled[order.portfolio_id, order.side] += fill.quantity
    for (_, side), quantity in filled.items():
        size = quote.ask_size if side is Side.BUY else quote.bid_size
        if size is not None:
            assert quantity <= size * (settings.participation or 1)


@given(books, quotes, all_settings, st.randoms(use_true_random=False))
def test_input_sequence_of_orders_does_not_change_the_result(book, quote, settings, random):
    shuffled = random.sample(book, len(book))
    assert set(compute_fills(book, quote, NOON, settings)) == set(
        compute_fills(shuffled, quote, NOON, settings)
    )


@given(books, bars, all_settings)
def test_fills_without_spread_and_slippage_are_within_the_bar(book, bar, settings):
    exact_settings = settings._replace(spread=Decimal(0), slippage=Slippage.NONE)
    for fill in list_fills(match_bar(book, bar, exact_settings)):
        assert bar.low <= fill.price <= bar.high


@given(books, bars, all_settings)
def test_portfolio_fills_at_most_its_share_of_the_bar_volume(book, bar, settings):
    if bar.volume is None or settings.participation is None:
        return
    by_id = {order.id: order for order in book}
    filled: Counter[int] = Counter()
    for fill in list_fills(match_bar(book, bar, settings)):
        filled[by_id[fill.order_id].portfolio_id] += fill.quantity
    assert all(quantity <= bar.volume * settings.participation for quantity in filled.values())


@given(books, quotes, all_settings)
def test_slippage_never_improves_the_price(book, quote, settings):
    by_id = {order.id: order for order in book}
    unslipped_settings = settings._replace(slippage=Slippage.NONE)
    unslipped = {
        fill.order_id: fill for fill in list_fills(compute_fills(book, quote, NOON, unslipped_settings))
    }
    for fill in list_fills(compute_fills(book, quote, NOON, settings)):
        improvement = (unslipped[fill.order_id].price - fill.price) * by_id[fill.order_id].side.sign
        assert improvement <= 0


@given(books, quotes)
def test_ioc_and_fok_never_outlive_the_quote(book, quote):
    events = compute_fills([order._replace(group=None) for order in book], quote, NOON)
    events_by_order = {(type(event).__name__, event.order_id): event for event in events}
    for order in book:
        active = order.triggered or order.kind in {OrderType.MARKET, OrderType.LIMIT}
        if not active or order.time_in_force not in {TimeInForce.IOC, TimeInForce.FOK}:
            continue
        fill = events_by_order.get(("Executed", order.id))
        is_filled = isinstance(fill, Executed) and fill.quantity == order.leaves
        assert is_filled != (("UnfilledCanceled", order.id) in events_by_order)
        if order.time_in_force is TimeInForce.FOK:
            assert fill is None or is_filled
