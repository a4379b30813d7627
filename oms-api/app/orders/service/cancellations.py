"""Cancel orders in many portfolios: store the request, then cancel in one portfolio after another.

One transaction for all would lock every portfolio until the last order is canceled. Each portfolio has a
transaction of its own instead. A cancellation that a process does not finish, because it ended or a portfolio
was locked for too long, is resumed by any process.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers, set_all_tenants_scope, set_tenant_scope
from app.database.transactions import Transactions
from app.errors import OmsError
from app.group_commit import GroupCommit
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ids import SortableIds
from app.instruments.queries import load_symbols_by_alias
from app.instruments.rules import InstrumentKey
from app.ledger.rules.chain import hash_request
from app.ledger.service.commands import CommandOrigin
from app.orders.errors import OrderKeyReused
from app.orders.queries import cancellations as queries
from app.orders.queries.cancellations import CancellationPortfolio
from app.orders.rules.cancellations import CancellationFilter, StoredCancellation
from app.orders.rules.order_views import OrderView
from app.orders.service.command_results import OrderResult, Outcome
from app.orders.service.commands import CancelInPortfolio, WriterCommand
from app.periodic_tasks import repeat
from app.timestamps import format_timestamp

RESPONSE_TIMEOUT_SECONDS = 5.0  # after it, the remaining portfolios are pending in the response
RESUME_DELAY = timedelta(seconds=15)  # before it, the process that stored the cancellation cancels
RESUME_PERIOD_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


class CancellationResult(NamedTuple):
    """The canceled orders, by id, and the names of the portfolios that are not finished."""

    orders: list[OrderView]
    pending_portfolios: list[str]
    replayed: bool


class Cancellations:
    """Cancels orders in all portfolios of a caller. One instance serves a process."""

    def __init__(
        self,
        writer: "GroupCommit[WriterCommand, Outcome]",
        transactions: Transactions,
        readers: Readers,
        now: Now,
        timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
    ) -> None:
        self._writer = writer
        self._transactions = transactions
        self._readers = readers
        self._now = now
        self._timeout_seconds = timeout_seconds
        self._ids = SortableIds("C")
        self._tasks: set[asyncio.Task[None]] = set()  # so that they are not collected while they run

    async def cancel_all(
        self, request: AuthenticatedRequest, filter_: CancellationFilter, reason: str | None
    ) -> CancellationResult:
        """Cancel the open orders that match, in all portfolios that the caller may see.

        A repeated request returns the current state of the same orders. Raises OrderKeyReused.
        """
        requested = self._build_cancellation(request, filter_, reason)
        visible = request.caller.portfolios

        def store(connection: Connection) -> tuple[StoredCancellation, list[CancellationPortfolio]]:
            set_tenant_scope(connection, [requested.tenant_id])
            resolved = requested._replace(symbol=_find_symbol(connection, requested))
            portfolios = queries.list_portfolios_to_cancel_in(
                connection, requested.tenant_id, resolved.filter, visible
            )
            stored = queries.insert_cancellation(connection, resolved, portfolios)
            is_new = stored.id == resolved.id
            return stored, portfolios if is_new else queries.list_portfolios_of_cancellation(
                connection, stored
            )

        stored, portfolios = await self._transactions.run(store)
        if stored.request_hash != requested.request_hash:
            raise OrderKeyReused(request.idempotency_key or "")
        results: dict[CancellationPortfolio, OrderResult] = {}
        task = asyncio.ensure_future(self._cancel_in_portfolios(stored, portfolios, results))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=self._timeout_seconds)
        orders = [view for result in results.values() for view in result.orders]
        pending_portfolios = [portfolio.name for portfolio in portfolios if portfolio not in results]
        return CancellationResult(
            sorted(orders, key=_get_id), sorted(pending_portfolios), stored.id != requested.id
        )

    async def run(self) -> None:
        """Resume unfinished cancellations repeatedly, until canceled."""
        await repeat(self.resume, RESUME_PERIOD_SECONDS, "cancellations were not resumed", _LOG)

    async def resume(self) -> None:
        """Finish the incomplete cancellations of all tenants that were stored some time ago."""

        def read(connection: Connection) -> list[tuple[StoredCancellation, list[CancellationPortfolio]]]:
            unfinished = queries.list_unfinished_cancellations(
                set_all_tenants_scope(connection), self._now() - RESUME_DELAY
            )
            return [
                (cancellation, queries.list_portfolios_of_cancellation(connection, cancellation))
                for cancellation in unfinished
            ]

        for stored, portfolios in await self._readers.run(read):
            await self._cancel_in_portfolios(stored, portfolios, {})

    async def _cancel_in_portfolios(
        self,
        stored: StoredCancellation,
        portfolios: list[CancellationPortfolio],
        results: dict[CancellationPortfolio, OrderResult],
    ) -> None:
        """Cancel in one portfolio after another. A portfolio that fails is left for `resume`."""
        for portfolio in portfolios:
            command = CancelInPortfolio(
                _build_origin(stored, self._now()), portfolio.key.portfolio_id, stored
            )
            try:
                outcome = await self._writer.submit(command)
            except OmsError as error:
                _LOG.warning("orders of a portfolio were not canceled yet: %s", error.detail)
                continue
            assert isinstance(outcome, OrderResult)  # noqa: S101  # for the type checker
            results[portfolio] = outcome

    def _build_cancellation(
        self, request: AuthenticatedRequest, filter_: CancellationFilter, reason: str | None
    ) -> StoredCancellation:
        caller = request.caller
        now = self._now()
        sender = (caller.name, caller.person)
        return StoredCancellation(
            caller.tenant_id,
            self._ids.generate(caller.tenant_id, now),
            hash_request(*sender, request.idempotency_key) if request.idempotency_key else None,
            hash_request("cancel-all", *filter_, reason),
            *sender,
            request.request_id,
            *filter_,
            reason,
            format_timestamp(now),
        )


def _find_symbol(connection: Connection, requested: StoredCancellation) -> str | None:
    """Return the symbol of the request, None if it names none. An alias is replaced by its symbol."""
    if requested.symbol is None:
        return None
    key = InstrumentKey(requested.tenant_id, requested.symbol)
    return load_symbols_by_alias(connection, [key]).get(key, requested.symbol)


def _build_origin(stored: StoredCancellation, at: datetime) -> CommandOrigin:
    return CommandOrigin(
        tenant_id=stored.tenant_id,
        source=stored.source,
        user_label=None,
        at=at,
        idempotency_key=None,
        request_hash=None,
        actor=stored.actor,
        request_id=stored.request_id,
    )


def _get_id(view: OrderView) -> str:
    return view.order.id
