"""Book the depository (DP) charge of delivery sales, once per symbol and day, as a separate cash movement."""

from datetime import datetime
from decimal import Decimal

from app.costs.errors import RateUnknown
from app.costs.rules.booked_charges import ChargedTrade
from app.costs.rules.charges import compute_dp_charge
from app.costs.rules.markets import MARKETS, get_trading_day
from app.costs.rules.values import OrderTerms, Schedule
from app.costs.service import load_rates
from app.ledger.rules.accounting import Position
from app.ledger.rules.cash import CashKind
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import CashEntry, PortfolioState
from app.money import ZERO, multiply


def book_dp_charge(
    ledger: LedgerBatch,
    portfolio: PortfolioState,
    origin: CommandOrigin,
    symbol: str,
    trade: ChargedTrade,
    position: Position,
) -> None:
    """Book the charge of a sale, unless it has none or the symbol was already charged on that day.

    `position` is the one before the sale. A position that was opened on the same day is not delivered:
    Zerodha charges its sale as intraday.
    """
    market = MARKETS.get(trade.exchange)
    if trade.schedule != Schedule.ZERODHA or trade.side != "SELL" or position.quantity <= 0:
        return
    if market is None or market.currency != trade.currency:
        return
    day = get_trading_day(trade.exchange, trade.at)
    terms = OrderTerms(Schedule.ZERODHA, trade.exchange, trade.side, day, trade.product or None)
    amount = _find_charge(terms)
    opened_at = None if position.opened_at is None else datetime.fromisoformat(position.opened_at)
    is_intraday = opened_at is not None and get_trading_day(trade.exchange, opened_at) == day
    if not amount or is_intraday:
        return
    if ledger.has_cash_movement(portfolio, CashKind.DP_CHARGES, symbol, day.isoformat()):
        return
    amount = amount if trade.rate is None else multiply(amount, trade.rate)
    reason = f"DP charge of {symbol} on {day.isoformat()}"
    entry = CashEntry(CashKind.DP_CHARGES, -amount, reason, symbol=symbol, day=day.isoformat())
    ledger.append_cash(portfolio, origin, entry)


def _find_charge(terms: OrderTerms) -> Decimal:
    """Return the charge of the sale; zero where its rate is not known, as in estimates."""
    try:
        return compute_dp_charge(terms, load_rates())
    except RateUnknown:
        return ZERO
