"""Stores signals and their outcomes, those of concurrent requests in one transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.database.transactions import Transactions
from app.signals.queries import signals as queries
from app.signals.queries.signals import SignalKey
from app.signals.rules.values import Signal
from app.signals.service.batching import Batcher


class Stored(NamedTuple):
    """The signal of an id as it is stored. `is_new` is false if the id was stored before."""

    signal: Signal
    is_new: bool

    @property
    def is_complete(self) -> bool:
        """Whether the signal was acted on."""
        return self.signal.is_complete


class SignalStore:
    """Writes signals and their outcomes. One instance serves a process."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._insertions = Batcher(self._insert)
        self._completions = Batcher(self._complete)

    async def insert(self, signal: Signal) -> Stored:
        """Store a signal unless its id is stored, and return the stored one after the commit."""
        return await self._insertions.submit(signal)

    async def complete(self, signal: Signal) -> Signal:
        """Store the outcome of a signal with its event, and return the stored one after the commit.

        If another process was first, its outcome stands.
        """
        return await self._completions.submit(signal)

    async def _insert(self, signals: Sequence[Signal]) -> list[Stored]:
        return await self._transactions.run(lambda connection: _insert_all(connection, signals))

    async def _complete(self, signals: Sequence[Signal]) -> list[Signal]:
        return await self._transactions.run(lambda connection: _complete_all(connection, signals))


def _insert_all(connection: Connection, signals: Sequence[Signal]) -> list[Stored]:
    set_tenant_scope(connection, {one.tenant_id for one in signals})
    first = {SignalKey(one.tenant_id, one.id): one for one in reversed(signals)}
    inserted = queries.insert_missing_signals(connection, list(first.values()))
    stored = queries.find_signals(connection, first)
    queries.publish_outcomes(connection, [stored[key] for key in sorted(inserted) if stored[key].is_complete])
    results = []
    for one in signals:
        key = SignalKey(one.tenant_id, one.id)
        results.append(Stored(stored[key], key in inserted))
        inserted.discard(key)
    return results


def _complete_all(connection: Connection, signals: Sequence[Signal]) -> list[Signal]:
    set_tenant_scope(connection, {one.tenant_id for one in signals})
    changed = [one for one in signals if queries.complete_signal(connection, one)]
    queries.publish_outcomes(connection, changed)
    if len(changed) == len(signals):
        return list(signals)
    keys = [SignalKey(one.tenant_id, one.id) for one in signals]
    stored = queries.find_signals(connection, keys)
    return [stored[key] for key in keys]
