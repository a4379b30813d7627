"""Fills the configured database with demo data: portfolios, users, a week of trades, and today's orders.

    python seed_data.py        (or `make seed-data`)

It uses the service's own recording instead of the REST API, so that trades can have times before today. A
running OMS may stay up meanwhile. Every trade and order has an idempotency key, so that a second run adds
nothing. Refused in production. See `seed_orders` for the orders, and `seed_month` for a month on two markets.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.clock import utc_now
from app.config import ConfigurationError, load_settings
from app.database import connect_engine, unit_of_work
from app.database.failures import format_reason
from app.identity.rules.access import FIRST_TENANT
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, LedgerCommand, RecordedTrade, RecordTrade, ReverseTrade
from app.migrate import is_current
from app.money import format_fixed, to_cents
from app.text import name_key
from seed_month import INDIA, US, seed_month
from seed_orders import PORTFOLIO, seed_orders

DONE, REFUSED, CANNOT = 0, 1, 2
SEED = 20_261_120
SOURCE = "seed-data"
DAYS = 5
OPENS, OPEN_MINUTES = time(14, 30), 390  # a New York session, in UTC
PEOPLE = ("U0AVACHEN01", "U0BENOKAF02", "U0ZOENUNE03", "U0DEVPATE04")


@dataclass(frozen=True)
class Line:
    """The trading of one symbol in a portfolio: initial price, price step, usual size and share of buys."""

    symbol: str
    price: Decimal
    swing: float
    size: Decimal
    buys: float = 0.6


@dataclass(frozen=True)
class Style:
    """A portfolio, its trader, its frequency of trades, and its symbols."""

    name: str
    people: Sequence[str]
    trades: int
    lines: Sequence[Line]


@dataclass(frozen=True)
class Deal:
    """A demo trade, numbered within its portfolio."""

    portfolio: str
    number: int
    user_id: str
    at: datetime
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    note: str | None = None

    @property
    def key(self) -> str:
        """Return its idempotency key."""
        return f"seed-data:{SEED}:{name_key(self.portfolio)}:{self.number}"


def _build_line(symbol: str, price: str, swing: float, size: str, buys: float = 0.6) -> Line:
    return Line(symbol, Decimal(price), swing, Decimal(size), buys)


AVA, BEN, ZOE, DEV = PEOPLE
DESK = (
    Style("Growth", (AVA, BEN), 80, (
        _build_line("AAPL", "268.40", 0.006, "50"), _build_line("MSFT", "489.10", 0.005, "25"),
        _build_line("NVDA", "184.75", 0.012, "80"),
        _build_line("AMZN", "225.30", 0.007, "40"), _build_line("META", "601.20", 0.008, "15"),
    )),
    Style("Tech Portfolio", (AVA,), 60, (
        _build_line("GOOGL", "281.90", 0.007, "60"), _build_line("AMD", "231.60", 0.011, "70"),
        _build_line("AVGO", "347.20", 0.009, "45"),
        _build_line("CRM", "246.00", 0.008, "20"),
    )),
    Style("Income", (DEV, AVA), 50, (
        _build_line("JNJ", "196.80", 0.003, "60", 0.8), _build_line("KO", "70.40", 0.003, "150", 0.8),
        _build_line("PG", "147.20", 0.003, "55", 0.8), _build_line("VZ", "40.90", 0.004, "220", 0.8),
        _build_line("PEP", "144.60", 0.004, "160", 0.75),
    )),
    Style("Macro Hedge", (ZOE,), 60, (
        _build_line("SPY", "661.40", 0.004, "30", 0.4), _build_line("TLT", "88.15", 0.004, "120", 0.55),
        _build_line("GLD", "374.80", 0.005, "40", 0.6), _build_line("XOM", "116.30", 0.010, "140", 0.42),
    )),
    Style("Crypto", (BEN,), 60, (
        _build_line("BTC/USD", "91250.00", 0.010, "0.25"), _build_line("ETH/USD", "3010.00", 0.014, "4"),
        _build_line("SOL/USD", "138.50", 0.018, "40", 0.5),
    )),
)  # fmt: skip


def build_deals(now: datetime) -> list[Deal]:
    """Return the demo trades in time order, all before `now`. Only their times depend on it."""
    deals = [deal for style in DESK for deal in _build_deals_of_style(style, now)]
    return sorted(deals, key=lambda deal: deal.at)


def _build_deals_of_style(style: Style, now: datetime) -> Iterator[Deal]:
    dice = random.Random(f"{SEED} {style.name}")  # noqa: S311  # a demo, repeatable on purpose
    prices = {line.symbol: line.price for line in style.lines}
    quantities = dict.fromkeys(prices, Decimal(0))
    for number, at in enumerate(_draw_instants(style.trades, dice, now)):
        line = dice.choice(style.lines)
        price = to_cents(prices[line.symbol] * Decimal(f"{dice.gauss(1.0003, line.swing):.6f}"))
        prices[line.symbol] = price
        side, quantity = _choose_trade(line, quantities[line.symbol], dice)
        quantities[line.symbol] += side.sign * quantity
        note = dice.choice((None,) * 9 + ("Client order",))
        yield Deal(
            style.name, number, dice.choice(style.people), at, line.symbol, side, quantity, price, note
        )


def _choose_trade(line: Line, held_quantity: Decimal, dice: random.Random) -> tuple[Side, Decimal]:
    """Return the next trade: mostly an addition, sometimes a reduction by half, a close or a reversal."""
    whim = dice.random()
    away = Side.SELL if held_quantity > 0 else Side.BUY
    if held_quantity and whim < 0.1:
        return away, abs(held_quantity)
    if held_quantity and whim < 0.16:
        return away, abs(held_quantity) + line.size
    size = line.size * dice.choice((1, 1, 1, 2, 3)) / dice.choice((1, 1, 2))
    step = line.size if line.size < 1 else Decimal(1)
    quantity = max(size.quantize(step / 100 if line.size < 1 else step), step)
    return (Side.BUY if dice.random() < line.buys else Side.SELL), quantity


def _draw_instants(count: int, dice: random.Random, now: datetime) -> list[datetime]:
    """Return `count` instants of the last sessions that ended before `now`, in order."""
    days: list[datetime] = []
    day = datetime.combine(now.date(), OPENS, now.tzinfo)
    while len(days) < DAYS:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return sorted(dice.choice(days) + timedelta(minutes=OPEN_MINUTES * dice.random()) for _ in range(count))


def build_command(deal: Deal) -> RecordTrade:
    """Return the command that records a trade."""
    valued = compute_trade_value(deal.quantity, None, deal.price)
    folded = name_key(deal.portfolio)
    request_values = (
        folded,
        deal.symbol,
        deal.side.value,
        format_fixed(valued.quantity),
        format_fixed(valued.gmv),
        deal.user_id,
        deal.note,
    )
    origin = CommandOrigin(
        FIRST_TENANT, SOURCE, deal.user_id, deal.at, deal.key, hash_request(*request_values)
    )
    return RecordTrade(origin, deal.symbol, "", deal.side, valued, deal.portfolio, folded, deal.note)


def seed_trades(engine: Engine, now: datetime) -> tuple[int, int]:
    """Record the trades and one reversal. Return the number of new ones and the total."""
    commands: list[LedgerCommand] = [build_command(deal) for deal in build_deals(now)]
    recording = LedgerBatchHandler()
    with unit_of_work(engine) as connection:
        recorded = [_require_recorded(outcome) for outcome in recording.handle(connection, commands).outcomes]
        slip = next(trade for trade in reversed(recorded) if name_key(trade.portfolio_name) == "growth")
        undo = recording.handle(connection, [_build_reversal(slip)]).outcomes
    outcomes = [*recorded, *map(_require_recorded, undo)]
    return sum(not outcome.is_replayed for outcome in outcomes), len(outcomes)


def _build_reversal(slip: RecordedTrade) -> ReverseTrade:
    reason_given, at = "Reported twice", datetime.fromisoformat(slip.row.created_at) + timedelta(minutes=4)
    key, request_hash = f"seed-data:{SEED}:reversal", hash_request(slip.row.trade_id, "Reported twice")
    return ReverseTrade(
        CommandOrigin(FIRST_TENANT, SOURCE, None, at, key, request_hash), slip.row.trade_id, reason_given
    )


def _require_recorded(outcome: object) -> RecordedTrade:
    if isinstance(outcome, RecordedTrade):
        return outcome
    raise RuntimeError(f"the demo desk was refused: {outcome}")


def main() -> int:
    """Seed the configured database."""
    try:
        settings = load_settings()
        if settings.environment == "production":
            return _print_and_exit(
                "This is a production environment: no demo trades go into its books.", REFUSED
            )
        engine = connect_engine(settings.database_url, readers=1)
        with engine.connect() as connection:
            migrated = is_current(connection)
        if not migrated:
            return _print_and_exit(
                "The database is not at this version's revision: run `python -m app.migrate`.", CANNOT
            )
        fresh, total = seed_trades(engine, utc_now())
        orders = seed_orders(engine, settings, utc_now())
        month = seed_month(engine, settings, utc_now())
    except ConfigurationError as error:
        return _print_and_exit(str(error), CANNOT)
    except SQLAlchemyError as error:
        return _print_and_exit(f"The database cannot be used: {format_reason(error)}", CANNOT)
    engine.dispose()
    books = ", ".join(style.name for style in DESK)
    print(f"{fresh} of {total} demo trades are new, in {books}.")
    print(f"New beside them: {orders.orders} orders in {PORTFOLIO}, {orders.instruments} instruments, "
          f"{orders.limits} limits.")  # fmt: skip
    print(f"A month of {US} and {INDIA}: {month} new orders.")
    return DONE


def _print_and_exit(sentence: str, status: int) -> int:
    sys.stderr.write(f"{sentence}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
