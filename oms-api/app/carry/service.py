"""Book interest and borrow fees at the end of each P&L day of a portfolio.

The days from one close to the next one are booked together after the second close, on the cash and the short
positions at the first. The portfolio stores the close up to which it is booked, in the transaction of the
booking. Any number of processes may therefore book, and a process that is killed leaves nothing half done.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Engine

from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.calendars.service import Calendars
from app.carry import queries
from app.carry.queries import CarryPortfolio
from app.carry.rules.accrual import (
    CarryBasis,
    CarryPeriod,
    compute_carry,
    describe_borrow,
    describe_interest,
    parse_rates,
)
from app.clock import Now
from app.database import ALL_TENANTS, snapshot, unit_of_work
from app.errors import OmsError
from app.ids import SortableIds
from app.jobs.service import Lease
from app.ledger.queries.portfolios import load_portfolio_summary
from app.ledger.rules.cash import CashKind
from app.ledger.rules.equity import PositionToValue
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import CashEntry
from app.ledger.service.portfolio_statements import load_statement_at_instant
from app.ledger.service.valuation import QuoteReader, list_statement_positions, value_positions
from app.performance.rules.closes import get_last_close, get_pnl_date, list_missed_closes
from app.performance.service.snapshots import WRITE_DELAY

SOURCE = "interest and borrow"
MAX_PORTFOLIOS = 500  # per query


class CarryService:
    """Books the interest and the borrow fees of all tenants."""

    def __init__(self, engine: Engine, read_quotes: QuoteReader, calendars: Calendars, now: Now) -> None:
        self._engine, self._read_quotes, self._calendars, self._now = engine, read_quotes, calendars, now

    def book(self, lease: Lease) -> None:
        """Book the days of each portfolio that ended. Errors of a portfolio are raised after the others."""
        at, after, failure = self._now() - WRITE_DELAY, 0, None
        with self._engine.connect() as connection:
            self._calendars.refresh(connection)
        while True:
            with snapshot(self._engine, ALL_TENANTS) as connection:
                page = queries.list_carry_portfolios(connection, after, MAX_PORTFOLIOS)
            for portfolio in page:
                try:
                    self._book_portfolio(portfolio, at)
                except OmsError as error:
                    failure = error
                lease.renew()
            if len(page) < MAX_PORTFOLIOS:
                break
            after = page[-1].id
        if failure is not None:
            raise failure

    def _book_portfolio(self, portfolio: CarryPortfolio, at: datetime) -> None:
        code, start = portfolio.calendar, portfolio.accrued_until
        calendar = None if code is None else self._calendars.get_calendar(MarketCode(code))
        last = get_last_close(calendar, at)
        if start is None or portfolio.carry_rates is None:
            self._restart(portfolio, last)
            return
        for close in list_missed_closes(calendar, start, last):
            if not self._book_period(portfolio, portfolio.carry_rates, start, close):
                return
            start = close

    def _restart(self, portfolio: CarryPortfolio, last: datetime) -> None:
        """Begin to accrue at the last close, or end where the portfolio has no rates any more.

        A portfolio that was opened later begins then.
        """
        until = None if portfolio.carry_rates is None else max(last, portfolio.created_at)
        with unit_of_work(self._engine, portfolio.tenant_id) as connection:
            LedgerBatch(connection, SortableIds()).lock([PortfolioKey(portfolio.tenant_id, portfolio.id)])
            queries.set_accrued_until(connection, portfolio.tenant_id, portfolio.id, until)

    def _book_period(self, portfolio: CarryPortfolio, rates: str, start: datetime, close: datetime) -> bool:
        """Book the days from one close to the next. Return False if another process did so meanwhile."""
        key = PortfolioKey(portfolio.tenant_id, portfolio.id)
        with unit_of_work(self._engine, key.tenant_id) as connection:
            ledger = LedgerBatch(connection, SortableIds())
            ledger.lock([key])
            if queries.find_accrued_until(connection, *key) != start:
                return False
            period = CarryPeriod(get_pnl_date(start), get_pnl_date(close))
            basis = self._read_basis(connection, portfolio, start)
            amounts = compute_carry(parse_rates(rates), basis, period)
            origin = CommandOrigin(key.tenant_id, SOURCE, None, self._now(), None, None)
            for kind, amount, reason in (
                (CashKind.INTEREST, amounts.interest, describe_interest(basis, period)),
                (CashKind.BORROW, amounts.borrow, describe_borrow(basis, period)),
            ):
                state, day = ledger.get_portfolio(key), period.until.isoformat()
                if amount and not ledger.has_cash_movement(state, kind, None, day):
                    ledger.append_cash(state, origin, CashEntry(kind, amount, reason, day=day))
            ledger.flush()
            queries.set_accrued_until(connection, *key, close)
        return True

    def _read_basis(self, connection: Connection, portfolio: CarryPortfolio, at: datetime) -> CarryBasis:
        """Return the cash and the short positions of a portfolio at an instant."""
        key = PortfolioKey(portfolio.tenant_id, portfolio.id)
        summary = load_portfolio_summary(connection, *key)
        statement = load_statement_at_instant(connection, key.tenant_id, summary, at)
        groups: dict[str, list[PositionToValue]] = {}
        for position in list_statement_positions(key.tenant_id, statement):
            if position.quantity < 0:
                groups.setdefault(position.currency or position.base_currency, []).append(position)
        shorts = {
            currency: value_positions(connection, self._read_quotes, group, at)[key].gross
            for currency, group in sorted(groups.items())
        }
        return CarryBasis(portfolio.base_currency, Decimal(statement.summary.cash), shorts)
