"""Pictures of the replies and forms about portfolios, positions, risk and alerts, and of the home tab."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from app.blocks import (
    alert_reports,
    help_reply,
    order_reports,
    overview_view,
    portfolio_reports,
    position_views,
    quote_reports,
    risk_reports,
)
from app.forms.day_change import DayChange
from app.forms.overview_tabs import Tab
from app.forms.portfolio_values import PositionKey, QuoteDetail, RiskLimit
from app.forms.request_context import RequestContext
from tests.gallery import values
from tests.gallery.picture import Picture, draw_message, draw_reply, draw_sentence, draw_view
from tests.gallery.settings_and_strategies import LARGE_PREFERENCES, PREFERENCES
from tests.order_factories import build_order

KEY = PositionKey("Growth", "AAPL")
LARGE_KEY = PositionKey(values.LONG_NAME, values.LONG_SYMBOL)
LIMITS = [
    RiskLimit("portfolio", values.LONG_NAME, f"MAX_ORDER_VALUE_{number}", values.LARGE, True)
    for number in range(40)
]
QUOTE = QuoteDetail("AAPL", Decimal("174.90"), Decimal("175.10"), Decimal(175), 2.5, "manual")
SYMBOL_QUOTES = [
    quote_reports.QuoteLine("AAPL", QUOTE, DayChange(Decimal("1.25"), Decimal("0.71"))),
    quote_reports.QuoteLine("NONE", None),
    quote_reports.QuoteLine(
        values.LONG_SYMBOL,
        QuoteDetail(values.LONG_SYMBOL, None, None, Decimal(values.LARGE), 400_000, "a-price-source"),
    ),
]


def list_pictures() -> Iterator[Picture]:
    """Yield the pictures, the smallest of each first."""
    yield from _list_portfolio_pictures()
    yield from _list_order_lists()
    yield from _list_risk_pictures()
    yield from _list_position_pictures()
    yield from _list_overviews()


def _list_portfolio_pictures() -> Iterator[Picture]:
    build, page = portfolio_reports.build_portfolio_reply, portfolio_reports.Page
    yield from draw_reply(
        "portfolio",
        build,
        build(values.SMALL_PORTFOLIO, page([])),
        build(values.build_portfolio(), values.POSITIONS, values.EQUITIES),
        build(values.LARGE_PORTFOLIO, values.LARGE_POSITIONS, values.LARGE_EQUITIES),
    )
    build_all = portfolio_reports.build_portfolios_reply
    yield from draw_reply(
        "portfolios",
        build_all,
        build_all([], is_cut=False),
        build_all(values.PORTFOLIOS, is_cut=False),
        build_all(values.LARGE_PORTFOLIOS, is_cut=True),
    )
    build_positions = portfolio_reports.build_positions_reply
    pages = (page([]), values.POSITIONS, values.LARGE_POSITIONS)
    yield from draw_reply("positions", build_positions, *map(build_positions, pages))
    build_profit = portfolio_reports.build_profit_reply
    yield from draw_reply(
        "profit",
        build_profit,
        build_profit([], []),
        build_profit(values.PROFITS, values.PROFITS),
        build_profit(values.LARGE_PROFITS, values.LARGE_PROFITS),
    )
    for role in ("viewer", "trader", "admin"):
        yield from draw_reply(
            f"help-{role}",
            help_reply.build_help_reply,
            help_reply.build_help_reply(values.build_member(role)),
        )


def _list_order_lists() -> Iterator[Picture]:
    build = order_reports.build_orders_reply
    yield from draw_reply(
        "orders",
        build,
        build([], is_cut=False, is_all=False),
        build([], is_cut=False, is_all=True),
        build(values.ORDERS, is_cut=False, is_all=False),
        build(values.LARGE_ORDERS, is_cut=True, is_all=True),
    )
    build_trades = order_reports.build_trades_reply
    yield from draw_reply(
        "trades",
        build_trades,
        build_trades([], is_cut=False),
        build_trades(values.TRADES, is_cut=False),
        build_trades(values.LARGE_TRADES, is_cut=True),
    )
    build_approvals = order_reports.build_approvals_reply
    yield from draw_reply(
        "approvals", build_approvals, *map(build_approvals, ([], values.APPROVALS, values.LARGE_APPROVALS))
    )


def _list_risk_pictures() -> Iterator[Picture]:
    build, build_report = risk_reports.build_risk_reply, risk_reports.RiskReport
    yield from draw_reply(
        "risk",
        build,
        build(build_report("USD", values.EXPOSURES, [], [])),
        build(build_report("USD", values.LARGE_EXPOSURES, values.LARGE_SWITCHES, LIMITS)),
    )
    build_quotes = quote_reports.build_quotes_reply
    yield from draw_reply(
        "quotes", build_quotes, build_quotes(SYMBOL_QUOTES[1:2]), build_quotes(SYMBOL_QUOTES)
    )
    build_alerts = alert_reports.build_alerts_reply
    yield from draw_reply(
        "alerts", build_alerts, *map(build_alerts, ([], values.ALERTS, values.LARGE_ALERTS))
    )
    created = alert_reports.build_created_reply
    yield from draw_reply(
        "alert-created", created, created(values.ALERTS[0]), created(values.LARGE_ALERTS[0])
    )
    fired = alert_reports.build_fired_message
    yield from draw_message(
        "alert-fired",
        fired,
        fired("AAPL above 200", "201.5", values.INSTANT),
        fired(alert_reports.describe_condition(values.LARGE_ALERTS[0]), values.LARGE, values.INSTANT),
    )


def _list_position_pictures() -> Iterator[Picture]:
    build = position_views.build_position_view
    large = values.LARGE_POSITIONS.rows[0]
    small = replace(values.build_position(), stop_loss=None)
    yield from draw_view(
        "position",
        build,
        build(small, [], [], can_trade=False),
        build(values.build_position(), values.TRADES, values.ORDERS, can_trade=True),
        build(large, values.LARGE_TRADES[:10], values.LARGE_ORDERS[:10], can_trade=True),
    )
    context = RequestContext("C1", "close")
    close = position_views.build_close_form
    yield from draw_view(
        "close-form",
        close,
        close([values.build_position()], None, context),
        close(values.LARGE_POSITIONS.rows, Decimal("123456.12345678"), context),
    )
    exits = position_views.build_exits_form
    yield from draw_view("exits-form", exits, exits(small, context), exits(large, context))
    yield from draw_sentence(
        "closed",
        position_views.describe_close,
        *(
            position_views.describe_close(key, shown)
            for key, shown in (
                (KEY, build_order()),
                (KEY, values.FILLED_ORDER),
                (LARGE_KEY, values.LARGE_ORDER),
            )
        ),
    )
    yield from draw_sentence(
        "exits-set",
        position_views.describe_exits,
        *(
            position_views.describe_exits(key, shown)
            for key, shown in ((KEY, []), (KEY, values.ORDERS[1:2]), (LARGE_KEY, values.LARGE_ORDERS[:2]))
        ),
    )


def _list_overviews() -> Iterator[Picture]:
    build = overview_view.build_overview
    values_of_view = overview_view.Overview(
        values.build_member("admin"), Tab.OVERVIEW, shown_at="2026-11-29 10:00:00 UTC"
    )
    filled = replace(
        values_of_view,
        switches=[values.HALTED],
        portfolios=values.PORTFOLIOS,
        positions=values.POSITIONS,
        orders=values.ORDERS,
        approvals=values.APPROVALS,
        trades=values.TRADES,
        preferences=PREFERENCES,
    )
    largest = replace(
        values_of_view,
        member=values.build_member("admin", (values.LONG_NAME,) * 50),
        switches=values.LARGE_SWITCHES,
        portfolios=values.LARGE_PORTFOLIOS,
        positions=values.LARGE_POSITIONS,
        orders=values.LARGE_ORDERS,
        approvals=values.LARGE_APPROVALS,
        trades=values.LARGE_TRADES[:20],
        preferences=LARGE_PREFERENCES,
        is_cut=True,
    )
    for tab in Tab:
        sizes = [
            build(replace(each, tab=tab), with_tables=True) for each in (values_of_view, filled, largest)
        ]
        yield from draw_view(
            f"home-{tab.value}", build, *sizes, build(replace(filled, tab=tab), with_tables=False)
        )
    shortened = replace(filled, portfolios=[values.LARGE_PORTFOLIO])
    yield from draw_view("home-one-portfolio", build, build(shortened, with_tables=True))
    viewer = replace(values_of_view, member=values.build_member("viewer"))
    yield from draw_view("home-viewer", build, build(viewer, with_tables=True))
    notice = overview_view.build_overview_notice
    yield from draw_view("home-notice", notice, notice(values.LONG_REASON))
