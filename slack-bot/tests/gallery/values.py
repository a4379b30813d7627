"""The smallest and the largest values that views and messages can show."""

from decimal import Decimal
from typing import Any

from app.blocks.portfolio_reports import Page
from app.forms.orders.order import Denial, Order
from app.forms.portfolio_values import (
    AlertSummary,
    EquityPoint,
    ExposureSummary,
    KillSwitch,
    Member,
    OrderSummary,
    PortfolioValue,
    Position,
    ProfitSummary,
    TradeSummary,
)
from app.oms_client.rows import parse_approval_summaries, parse_row, parse_rows
from tests import portfolio_oms
from tests.order_factories import build_event, build_order

LONG_SYMBOL = "WWWWWWWWWWWWWWWWWWWW"
LONG_NAME = "<!channel> & *bold* _Emerging_ `Markets` ~Opportunities~ " + "W" * 43  # 100 characters
LONG_ID = "O17952360655300000c5d8cbe8"
LONG_REASON = "A reason without any pause, " + "w" * 200 + " and then with pauses again." * 9
LARGE = "123456789012.12345678"
NEGATIVE = f"-{LARGE}"
INSTANT = "2026-11-29T10:00:00.000000Z"
LONG_ACTOR = "slack:T1:U0AVACHEN01"
ROLES = {role: tuple(scopes) for role, scopes in portfolio_oms.SCOPES.items()}
LARGE_AMOUNTS = {
    "cash": NEGATIVE,
    "equity": LARGE,
    "buying_power": LARGE,
    "gross_exposure": LARGE,
    "net_exposure": NEGATIVE,
    "unrealized_pnl": NEGATIVE,
    "net_realized_pnl": LARGE,
    "day_pnl": NEGATIVE,
    "total_pnl": LARGE,
}


def build_member(role: str = "trader", portfolios: tuple[str, ...] | None = None) -> Member:
    """Return a person with a role."""
    return Member("slack:T0DESK00001:U0AVACHEN01", "Alpha Capital", "Ava Chen", role, ROLES[role], portfolios)


def build_position(symbol: str = "AAPL", name: str = "Growth", **changes: Any) -> Position:
    return parse_row(Position, portfolio_oms.build_position(symbol, name, **changes))


def build_large_positions(count: int) -> list[Position]:
    """Return positions with long names and large amounts."""
    amounts = {
        "quantity": "-123456.12345678",
        "avg_cost": "1234567.12345678",
        "mark": "1234567.1234",
        "mark_is_stale": True,
        "market_value": NEGATIVE,
        "unrealized_pnl": NEGATIVE,
        "realized_pnl": LARGE,
        "stop_loss": "1234567.12",
        "take_profit": "0.00000001",
        "product": "NRML",
    }
    return [build_position(f"{LONG_SYMBOL}{number:03}", LONG_NAME, **amounts) for number in range(count)]


POSITIONS = Page([build_position(), build_position("MSFT", quantity="-25", unrealized_pnl="-12.5")])
LARGE_POSITIONS = Page(build_large_positions(200), is_cut=True)


def build_portfolio(name: str = "Growth", **changes: Any) -> PortfolioValue:
    return parse_row(PortfolioValue, portfolio_oms.build_portfolio(name, **changes))


NOT_KNOWN: dict[str, Any] = dict.fromkeys(
    ("equity", "buying_power", "gross_exposure", "net_exposure", "unrealized_pnl", "day_pnl", "total_pnl")
)
SMALL_PORTFOLIO = build_portfolio(**NOT_KNOWN)
LARGE_PORTFOLIO = build_portfolio(LONG_NAME, **LARGE_AMOUNTS)
PORTFOLIOS = [
    build_portfolio(),
    build_portfolio("Income", day_pnl="125.5"),
    build_portfolio("Macro", **NOT_KNOWN),
]
LARGE_PORTFOLIOS = [build_portfolio(f"{LONG_NAME[:97]}{number:03}", **LARGE_AMOUNTS) for number in range(100)]
EQUITIES = [EquityPoint(row["at"], Decimal(row["equity"])) for row in portfolio_oms.build_equities(30)]
LARGE_EQUITIES = [
    EquityPoint(f"2026-11-{day:02}T21:00:00.000000Z", Decimal(LARGE) * (-1) ** day) for day in range(1, 31)
]


def build_order_summary(**changes: Any) -> OrderSummary:
    return parse_row(OrderSummary, portfolio_oms.build_order(**changes))


ORDERS = [
    build_order_summary(),
    build_order_summary(side="SELL", type="STOP", limit_price=None, stop_price="160", role="stop_loss"),
    build_order_summary(
        type="TRAILING_STOP", limit_price=None, trail_percent="5", status="AWAITING_APPROVAL"
    ),
]
LARGE_ORDERS = [
    build_order_summary(
        order_id=f"{LONG_ID}{number:03}",
        symbol=LONG_SYMBOL,
        portfolio_name=LONG_NAME,
        quantity="123456.12345678",
        filled_quantity="123455.12345678",
        type="STOP_LIMIT",
        limit_price="1234567.12345678",
        stop_price="1234567.12345678",
        status="PENDING_REPLACE",
        role="take_profit",
    )
    for number in range(100)
]


def build_trade_summary(**changes: Any) -> TradeSummary:
    return parse_row(TradeSummary, portfolio_oms.build_trade(**changes))


TRADES = [build_trade_summary(), build_trade_summary(kind="reversal", side="SELL", realized_pnl="-12.5")]
LARGE_TRADES = [
    build_trade_summary(
        symbol=LONG_SYMBOL,
        portfolio_name=LONG_NAME,
        quantity="123456.12345678",
        price="1234567.12345678",
        realized_pnl=NEGATIVE,
        kind="reversal",
    )
    for _ in range(100)
]
PROFITS = parse_rows(ProfitSummary, [portfolio_oms.build_profit()])
LARGE_PROFITS = parse_rows(
    ProfitSummary,
    [
        portfolio_oms.build_profit(
            f"{LONG_NAME[:97]}{number:03}",
            realized_pnl=LARGE,
            unrealized_pnl=NEGATIVE,
            charges=LARGE,
            net_pnl=LARGE,
        )
        for number in range(100)
    ],
)
EXPOSURES = parse_rows(ExposureSummary, [portfolio_oms.build_exposure(), portfolio_oms.build_exposure(None)])
LARGE_EXPOSURES = parse_rows(
    ExposureSummary,
    [
        portfolio_oms.build_exposure(name)
        | dict.fromkeys(("long_value", "gross_exposure", "net_exposure"), LARGE)
        for name in [*(f"{LONG_NAME[:97]}{number:03}" for number in range(99)), None]
    ],
)
HALTED = parse_row(
    KillSwitch,
    portfolio_oms.build_switch(
        state="HALTED", reason="Feed is down", set_by="slack:T1:U0BENOKAF02", set_at=INSTANT
    ),
)
LARGE_SWITCHES = [
    parse_row(
        KillSwitch,
        portfolio_oms.build_switch(
            "portfolio",
            f"{LONG_NAME[:98]}{number:02}",
            state="REDUCING",
            reason=LONG_REASON[:500],
            set_by="a-program",
            set_at=INSTANT,
        ),
    )
    for number in range(20)
]
APPROVALS = parse_approval_summaries([portfolio_oms.build_approval(requested_by="slack:T1:U0BENOKAF02")])
LARGE_APPROVALS = parse_approval_summaries(
    [
        portfolio_oms.build_approval(
            order=portfolio_oms.build_order(
                f"{LONG_ID}{number:03}", symbol=LONG_SYMBOL, portfolio_name=LONG_NAME
            ),
            requested_by="slack:T1:U0BENOKAF02",
            reason=LONG_REASON[:500],
            now={"price": LARGE, "value": LARGE},
        )
        for number in range(30)
    ]
)
ALERTS = [parse_row(AlertSummary, portfolio_oms.build_alert())]
LARGE_ALERTS = [
    parse_row(
        AlertSummary,
        portfolio_oms.build_alert(
            kind="limit_use", symbol=None, portfolio_name=LONG_NAME, above=None, below=LARGE, repeat=True
        ),
    )
    for _ in range(100)
]
DENIAL = Denial(
    "MAX_ORDER_VALUE",
    "The order is worth 20,500.00, and the limit is 10,000.00.",
    "10000",
    "20500",
    Decimal(24),
)
LARGE_DENIAL = Denial("MAX_ORDER_QUANTITY", LONG_REASON, "1" * 500, "2" * 500, Decimal("0.00000001"), None)
LARGE_ORDER = build_order(
    id=LONG_ID,
    portfolio=LONG_NAME,
    symbol=LONG_SYMBOL,
    quantity=Decimal("123456.12345678"),
    reason=LONG_REASON[:500],
    type="STOP_LIMIT",
    stop_price=Decimal("1234567.12"),
    limit_price=Decimal("1234567.12345678"),
    filled_quantity=Decimal("123455.5"),
    average_price=Decimal("1234567.12345678"),
    denial=LARGE_DENIAL,
    actor=LONG_ACTOR,
    status="PARTIALLY_FILLED",
    legs=(
        build_order(role="stop_loss", type="STOP", stop_price=Decimal("1234567.12345678"), limit_price=None),
        build_order(role="take_profit", limit_price=Decimal("1234567.12345678"), status="HELD"),
    ),
)
DECIDED_ORDER = build_order(
    status="DENIED",
    actor=LONG_ACTOR,
    events=(build_event(1, "AWAITING_APPROVAL", "DENIED", "slack:T1:U0BENOKAF02", LONG_REASON[:500]),),
)
FILLED_ORDER: Order = build_order(
    status="FILLED", filled_quantity=Decimal(50), average_price=Decimal("409.95"), actor=LONG_ACTOR
)
