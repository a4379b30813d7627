"""Load the replies to commands in words: portfolios, positions, orders, trades, P&L, quotes and risk."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from app.blocks.alert_reports import build_alerts_reply, build_created_reply
from app.blocks.help_reply import build_help_reply
from app.blocks.order_reports import build_approvals_reply, build_orders_reply, build_trades_reply
from app.blocks.portfolio_reports import (
    Page,
    build_portfolio_reply,
    build_portfolios_reply,
    build_positions_reply,
    build_profit_reply,
)
from app.blocks.preference_forms import build_settings_reply
from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.risk_reports import QuoteLine, RiskReport, build_quotes_reply, build_risk_reply
from app.blocks.strategy_reports import build_strategies_reply
from app.blocks.text import format_literal
from app.errors import OmsError, format_log_name
from app.forms.day_change import compute_day_change
from app.forms.portfolio_values import EquityPoint, PortfolioValue
from app.forms.questions import find_nearest_names
from app.forms.text_commands import TextCommand, Verb
from app.oms_client.portfolio_client import PortfolioClient

log = logging.getLogger(__name__)

MAX_POSITIONS = 200
MAX_ORDERS = 100
MAX_TRADES = 100
MAX_LIMITS = 100
MAX_APPROVALS = 100
MAX_PORTFOLIOS = 20  # each takes a call
MAX_NAMES = 1000
MAX_WATCHED = 20  # each takes a call
WATCHLIST = "Watchlist"
NO_WATCHLIST = "Your watchlist is empty. `watch AAPL MSFT` adds to it."
NO_SYMBOL = "Name one or more symbols, such as `quote AAPL MSFT`."


def load_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    """Return the reply to a command that reads. Raises `OmsError`."""
    return REPLY_LOADERS[command.verb](client, command)


def _load_help_reply(client: PortfolioClient, _command: TextCommand) -> Reply:
    try:
        return build_help_reply(client.get_member())
    except OmsError as error:
        log.info("Help without a role", extra={"fault": format_log_name(error)})
        return build_help_reply(None)


def _load_portfolio_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    names = [command.portfolio] if command.portfolio else client.list_portfolio_names(limit=MAX_NAMES)
    if not command.portfolio and len(names) != 1:
        values, is_cut = list_values(client, names)
        return build_portfolios_reply(values, is_cut=is_cut)
    value = client.find_portfolio(names[0])
    if value is None:
        return _build_unknown_portfolio(client, names[0])
    page = read_positions(client, value.portfolio_name)
    return build_portfolio_reply(value, page, _read_equities(client, value.portfolio_name))


def _read_equities(client: PortfolioClient, name: str) -> list[EquityPoint]:
    """Return the equity over time. It is empty if the OMS does not respond: the portfolio is shown anyway."""
    try:
        return client.get_equity_history(name)
    except OmsError as error:
        log.info("Portfolio without its equity", extra={"fault": format_log_name(error)})
        return []


def list_values(client: PortfolioClient, names: list[str]) -> tuple[list[PortfolioValue], bool]:
    """Return the first portfolios at current marks, and whether there are more. Raises `OmsError`."""
    portfolio_values = [client.find_portfolio(name) for name in names[:MAX_PORTFOLIOS]]
    return [value for value in portfolio_values if value is not None], len(names) > MAX_PORTFOLIOS


def read_positions(client: PortfolioClient, portfolio: str = "", symbol: str = "") -> Page:
    """Return the first 200 positions. Raises `OmsError`."""
    positions = client.list_positions(portfolio, symbol, limit=MAX_POSITIONS + 1)
    return Page(positions[:MAX_POSITIONS], len(positions) > MAX_POSITIONS)


def _load_positions_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    page = read_positions(client, command.portfolio, command.symbol)
    if not page.rows and (unknown := _find_unknown_portfolio(client, command)):
        return unknown
    if not page.rows and command.symbol:
        return build_sentence_reply(f"There is no open position in {format_literal(command.symbol)}.")
    return build_positions_reply(page)


def _load_orders_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    order_summaries = client.list_orders(command, limit=MAX_ORDERS + 1)
    if not order_summaries and (unknown := _find_unknown_portfolio(client, command)):
        return unknown
    return build_orders_reply(
        order_summaries[:MAX_ORDERS], is_cut=len(order_summaries) > MAX_ORDERS, is_all=command.is_all
    )


def _load_trades_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    trade_summaries = client.list_trades(command, limit=MAX_TRADES + 1)
    if not trade_summaries and (unknown := _find_unknown_portfolio(client, command)):
        return unknown
    return build_trades_reply(trade_summaries[:MAX_TRADES], is_cut=len(trade_summaries) > MAX_TRADES)


def _load_profit_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    if unknown := _find_unknown_portfolio(client, command):
        return unknown
    today = client.list_pnl(command.portfolio, is_today=True)
    return build_profit_reply(today, client.list_pnl(command.portfolio, is_today=False))


def _load_quotes_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    if not command.symbols:
        return build_sentence_reply(NO_SYMBOL)
    return build_quotes_reply([_read_quote(client, symbol) for symbol in command.symbols])


def _load_risk_reply(client: PortfolioClient, command: TextCommand) -> Reply:
    if unknown := _find_unknown_portfolio(client, command):
        return unknown
    currency, exposures = client.list_exposures(command.portfolio)
    risk_report = RiskReport(
        currency, exposures, client.list_switches(), client.list_limits(limit=MAX_LIMITS)
    )
    return build_risk_reply(risk_report)


def _load_approvals_reply(client: PortfolioClient, _command: TextCommand) -> Reply:
    return build_approvals_reply(client.list_approvals(limit=MAX_APPROVALS))


def _load_alerts_reply(client: PortfolioClient, _command: TextCommand) -> Reply:
    return build_alerts_reply(client.list_alerts())


def _change_alert(client: PortfolioClient, command: TextCommand) -> Reply:
    """Create or remove an alert."""
    request = command.alert
    if request is None:
        return build_alerts_reply(client.list_alerts())
    if not request.removed_id:
        return build_created_reply(client.create_alert(request))
    client.remove_alert(request.removed_id)
    return build_sentence_reply(f"The alert `{request.removed_id}` is removed.")


def _load_strategies_reply(client: PortfolioClient, _command: TextCommand) -> Reply:
    return build_strategies_reply(client.strategies.list_strategies(), client.get_member())


def _load_settings_reply(client: PortfolioClient, _command: TextCommand) -> Reply:
    return build_settings_reply(client.get_preferences())


def _change_watchlist(client: PortfolioClient, command: TextCommand) -> Reply:
    """Add the typed symbols to the person's first watchlist, and return the quotes of all watchlists."""
    lists = dict(client.get_preferences().watchlists)
    if command.symbols:
        name = next(iter(lists), WATCHLIST)
        lists[name] = tuple(dict.fromkeys([*lists.get(name, ()), *command.symbols]))
        client.set_watchlists(lists)
    symbols = list(dict.fromkeys(symbol for names in lists.values() for symbol in names))
    if not symbols:
        return build_sentence_reply(NO_WATCHLIST)
    watched = symbols[-MAX_WATCHED:]
    return build_quotes_reply([_read_quote(client, symbol) for symbol in watched])


def _read_quote(client: PortfolioClient, symbol: str) -> QuoteLine:
    """Return the quote and its change today. The change is left out if the OMS does not respond."""
    quote = client.find_quote(symbol)
    if quote is None or quote.price is None:
        return QuoteLine(symbol, quote)
    try:
        bars = client.list_day_bars(quote.symbol)
    except OmsError as error:
        log.info("Quote without its change", extra={"fault": format_log_name(error)})
        return QuoteLine(symbol, quote)
    today = datetime.fromtimestamp(time.time(), UTC).date().isoformat()
    return QuoteLine(symbol, quote, compute_day_change(quote.price, bars, today))


def _find_unknown_portfolio(client: PortfolioClient, command: TextCommand) -> Reply | None:
    """Return a reply if the command names a portfolio that the person does not see."""
    if not command.portfolio or client.find_portfolio(command.portfolio) is not None:
        return None
    return _build_unknown_portfolio(client, command.portfolio)


def _build_unknown_portfolio(client: PortfolioClient, name: str) -> Reply:
    nearest = find_nearest_names(name, client.list_portfolio_names(limit=MAX_NAMES))
    hint = f" Did you mean {' or '.join(map(format_literal, nearest))}?" if nearest else ""
    return build_sentence_reply(f"There is no portfolio called {format_literal(name)}.{hint}")


REPLY_LOADERS: dict[Verb, Callable[[PortfolioClient, TextCommand], Reply]] = {
    Verb.HELP: _load_help_reply,
    Verb.PORTFOLIO: _load_portfolio_reply,
    Verb.POSITIONS: _load_positions_reply,
    Verb.ORDERS: _load_orders_reply,
    Verb.TRADES: _load_trades_reply,
    Verb.PNL: _load_profit_reply,
    Verb.QUOTE: _load_quotes_reply,
    Verb.RISK: _load_risk_reply,
    Verb.APPROVALS: _load_approvals_reply,
    Verb.ALERT: _change_alert,
    Verb.ALERTS: _load_alerts_reply,
    Verb.WATCH: _change_watchlist,
    Verb.STRATEGIES: _load_strategies_reply,
    Verb.SETTINGS: _load_settings_reply,
}
