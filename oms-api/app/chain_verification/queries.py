"""Statements of the scheduled verification. The caller sets the tenant scope."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, func, select

from app.audit.queries.entries import list_entries_between, load_heads_by_tenant
from app.audit.rules.chain import Head
from app.chain_verification.models import ChainVerificationRow
from app.chain_verification.rules.segments import ChainedRow, ChainKey, ChainKind, Checkpoint
from app.database import build_upsert, execute_writes
from app.ledger.queries.cash import list_movements_between
from app.ledger.queries.exports import list_all_heads, list_rows_between
from app.timestamps import format_timestamp

_TABLE = cast("Table", ChainVerificationRow.__table__)
_KEY = ("tenant_id", "kind", "portfolio_id")
_VALUES = (
    "verified_sequence",
    "verified_hash",
    "repeated_sequence",
    "repeated_hash",
    "checked_at",
    "failure",
)


class ChainState(NamedTuple):
    """The number of hash chains that were verified, and of those that are broken."""

    chains: int
    broken: int


def list_heads(connection: Connection) -> dict[ChainKey, Head]:
    """Return the stored ends of all hash chains, sorted."""
    heads = {
        ChainKey(tenant, ChainKind.AUDIT): head for tenant, head in load_heads_by_tenant(connection).items()
    }
    for row in list_all_heads(connection):
        ledger = ChainKey(row.tenant_id, ChainKind.LEDGER, row.portfolio_id)
        heads[ledger] = Head(row.sequence, row.hash)
        heads[ledger._replace(kind=ChainKind.CASH)] = Head(row.cash_sequence, row.cash_hash)
    return dict(sorted(heads.items()))


def list_checkpoints(connection: Connection) -> dict[ChainKey, Checkpoint]:
    """Return how far each chain is verified."""
    rows = connection.execute(select(ChainVerificationRow.__table__)).all()
    return {
        ChainKey(row.tenant_id, ChainKind(row.kind), row.portfolio_id): Checkpoint(
            Head(row.verified_sequence, row.verified_hash),
            Head(row.repeated_sequence, row.repeated_hash),
            row.failure,
        )
        for row in rows
    }


def read_chain_state(connection: Connection) -> ChainState:
    """Return how many chains are verified, and how many of them are broken."""
    counts = select(func.count(), func.count(ChainVerificationRow.failure)).select_from(ChainVerificationRow)
    return ChainState._make(connection.execute(counts).one())


def list_rows(connection: Connection, key: ChainKey, after: int, until: int) -> Sequence[ChainedRow]:
    """Return the rows of a chain after a sequence, up to and including `until`, in order."""
    if key.kind is ChainKind.AUDIT:
        return list_entries_between(connection, key.tenant_id, after, until, until - after)
    list_rows = list_rows_between if key.kind is ChainKind.LEDGER else list_movements_between
    return list_rows(connection, key.tenant_id, key.portfolio_id, after, until, until - after)


def save_checkpoint(connection: Connection, key: ChainKey, checkpoint: Checkpoint, at: datetime) -> None:
    """Store how far a chain is verified."""
    values = (*checkpoint.verified, *checkpoint.repeated, format_timestamp(at), checkpoint.failure)
    execute_writes(connection, build_upsert(_TABLE, (*_KEY, *_VALUES), _KEY, [(*key, *values)]))
