"""Store signals that the order writer cannot take now, to act on them later."""

from sqlalchemy import Connection

from app.database import execute_writes, set_tenant_scope
from app.database.transactions import Transactions
from app.errors import Invalid
from app.instruments.queries import load_symbol
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.orders.service.commands import PlaceSignal
from app.signals.queries import signals as queries
from app.signals.queries.signals import SignalKey
from app.signals.rules.planning import require_allowed_symbol
from app.signals.rules.values import Signal
from app.signals.service.planning import SignalPlanner, build_unknown_portfolio_error
from app.signals.service.signal_batch import build_signal


class SignalStore:
    """Stores signals without acting on them. One instance serves a process."""

    def __init__(self, transactions: Transactions, planner: SignalPlanner) -> None:
        self._transactions, self._planner = transactions, planner

    async def store(self, command: PlaceSignal) -> Signal:
        """Store a signal unless its id is stored, and return the stored one after the commit.

        It locks no portfolio. Raises Invalid if the signal cannot become an order, and Unavailable.
        """
        return await self._transactions.run(lambda connection: self._store_signal(connection, command))

    def _store_signal(self, connection: Connection, command: PlaceSignal) -> Signal:
        set_tenant_scope(connection, [command.origin.tenant_id])
        signal = self._plan_signal(connection, command)
        key = SignalKey(signal.tenant_id, signal.id)
        execute_writes(connection, queries.build_missing_signal_insert([signal]))
        return queries.load_signals(connection, [key])[key]

    def _plan_signal(self, connection: Connection, command: PlaceSignal) -> Signal:
        (prepared,) = self._planner.plan_commands(connection, [command])
        plan, tenant_id, key = prepared.signal.plan, prepared.origin.tenant_id, prepared.portfolio_name_key
        if isinstance(plan, Invalid):
            raise plan
        books = load_portfolios_by_name(connection, tenant_id, [key])
        if key not in books:
            raise build_unknown_portfolio_error()
        symbol = load_symbol(connection, tenant_id, prepared.symbol)
        require_allowed_symbol(plan, symbol)
        return build_signal(prepared.signal.request, plan, prepared.origin, books[key][0].id, symbol)
