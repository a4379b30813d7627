"""The arguments that `python -m app.backtest` and `python -m app.sweep` share."""

import argparse
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from app.backtest_inputs.bars import parse_data
from app.backtests.errors import InvalidBacktest
from app.backtests.rules.action_files import InvalidActions, parse_actions
from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.currency_pairs import parse_currency
from app.backtests.rules.settings import (
    BacktestSettings,
    InstrumentTerms,
    get_default_exchange,
    parse_costs,
    parse_limit,
)
from app.brokers.rules.settings import PaperSettings, Slippage
from app.carry.rules.accrual import CarryRate
from app.clock import MILLISECOND
from app.costs.rules.markets import Exchange
from app.ledger.rules.corporate_actions import CorporateActionTerms
from app.market_data.rules.bars import Interval
from app.money import parse_plain


def parse_amount(text: str) -> Decimal:
    """Return an amount of at least zero."""
    amount = parse_plain(text)
    if amount is None or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount")
    return amount


def parse_instant(text: str) -> int:
    """Return a date or a time in UTC as seconds since 1970."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be such as 2026-01-31T15:04Z") from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def parse_pair(text: str) -> tuple[str, str]:
    """Return a name and its value from "name=value"."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} must be such as name=value")
    return name, value


def parse_code(text: str) -> str:
    """Return the code of a currency."""
    try:
        return parse_currency(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_symbol_currency(text: str) -> tuple[str, str]:
    """Return a symbol and its currency from "AAPL=USD"."""
    symbol, code = parse_pair(text)
    return symbol.strip().upper(), parse_code(code)


def parse_rate(text: str) -> CarryRate:
    """Return a yearly rate from "borrow=2.5"."""
    try:
        return parse_carry_rate(*parse_pair(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that a run and a sweep share."""
    add = parser.add_argument
    add("strategy", metavar="MODULE:CLASS")
    add(
        "--data", type=parse_data, required=True,
        help="a CSV file of bars, a folder of them, or bars: those that the service stores",
    )  # fmt: skip
    add("--tenant", help="the slug of the tenant of --data bars; by default the first")
    add("--symbols", default="", help="such as AAPL,MSFT; by default all of the file")
    add("--from", dest="start", type=parse_instant, help="the first day or instant, in UTC")
    add("--to", dest="end", type=parse_instant, help="the first day or instant that is left out, in UTC")
    add("--actions", type=Path, metavar="FILE", help="a CSV file of splits and dividends")
    add("--rates", metavar="FILE", help="bars of currency pairs such as EURUSD; pairs with --data bars")
    add("--base-currency", type=parse_code, help="of the portfolio; by default that of the exchange")
    add(
        "--currency", type=parse_symbol_currency, action="append", default=[], metavar="SYMBOL=CODE",
        help="the currency of a symbol, where it is not that of the exchange",
    )  # fmt: skip
    add("--interval", type=Interval, default=Interval.MINUTE, help="1m, 5m, 15m, 1h or 1d")
    add("--param", type=parse_pair, action="append", default=[], help="a parameter of the strategy: k=v")
    add("--cash", type=parse_amount, default=Decimal(1_000_000))
    add("--costs", default="none", help="none, zerodha, us_equity, ibkr_fixed, flat:1.00 or percent:0.1")
    add("--seed", type=int, default=0)
    add(
        "--sandbox",
        choices=("on", "off"),
        help="off: trust the strategy's code; by default on, except for examples",
    )
    add("--gaps", choices=("error", "allow"), default="error", help="allow: bars may be missing in a day")
    add("--exchange", choices=("", *Exchange), help="of all symbols; by default that of the costs")
    add("--product", default="", help="such as MIS or CNC")
    add("--tick", type=parse_amount, help="the tick size of all symbols")
    add("--lot", type=parse_amount, help="the lot size of all symbols")
    add("--limit", action="append", default=[], help="a risk limit such as MAX_DAILY_LOSS=5000")
    add(
        "--carry", type=parse_rate, action="append", default=[], metavar="KIND=PERCENT",
        help="a yearly rate: interest, margin or borrow, such as borrow=2.5 or borrow:USD@2026-01-01=2.5",
    )  # fmt: skip
    add("--risk", choices=("on", "off"), default="on", help="off: no pre-trade checks")
    add("--sessions", choices=("on", "off"), default="off", help="on: orders follow the exchange")
    add("--spread", type=parse_amount, default=Decimal(0), help="the bid-ask spread, in currency")
    add("--slippage", type=Slippage, default=Slippage.NONE, help=", ".join(Slippage))
    add("--basis-points", type=parse_amount, default=Decimal(0), help="of the slippage basis_points")
    add("--participation", type=parse_amount, help="the share of a bar's volume that can fill: 0.1 is 10%%")
    add("--latency-milliseconds", type=int, default=0)


def build_settings(namespace: argparse.Namespace) -> BacktestSettings:
    """Return the settings of the arguments. Raises InvalidBacktest."""
    try:
        costs = parse_costs(namespace.costs)
        limits = dict(map(parse_limit, namespace.limit))
    except ValueError as error:
        raise InvalidBacktest(f"--costs or --limit: {error}.") from None
    exchange = get_default_exchange(costs.schedule) if namespace.exchange is None else namespace.exchange
    market = PaperSettings(
        spread=namespace.spread,
        participation=namespace.participation,
        slippage=namespace.slippage,
        basis_points=namespace.basis_points,
        latency=namespace.latency_milliseconds * MILLISECOND,
    )
    return BacktestSettings(
        interval=namespace.interval,
        cash=namespace.cash,
        costs=costs,
        instruments=InstrumentTerms(exchange, namespace.tick, namespace.lot),
        market=market,
        product=namespace.product,
        limits=limits,
        has_risk_checks=namespace.risk == "on",
        enforces_sessions=namespace.sessions == "on",
        seed=namespace.seed,
        strategy=namespace.strategy.partition(":")[2],
        actions=_read_actions(namespace.actions, exchange),
        carry_rates=tuple(namespace.carry),
        base_currency=namespace.base_currency or "",
        currencies=dict(namespace.currency),
    )


def _read_actions(path: Path | None, exchange: str) -> tuple[CorporateActionTerms, ...]:
    if path is None:
        return ()
    try:
        return tuple(parse_actions(path.read_text("utf-8"), exchange))
    except (InvalidActions, UnicodeDecodeError, OSError) as error:
        raise InvalidBacktest(f"{path}: {error}") from None
