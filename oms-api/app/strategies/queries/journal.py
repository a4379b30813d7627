"""Statements about the journals and the saved states of strategies."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, delete, exists, insert, select
from sqlalchemy.orm import aliased

from app.database import RecordTable, build_upsert, execute_writes
from app.strategies.models import StrategyInputRow, StrategyStateRow
from app.strategies.rules.journal import JournalHead, JournalInput
from app.timestamps import format_timestamp

_STATES = cast("Table", StrategyStateRow.__table__)
_INPUTS = RecordTable(StrategyInputRow, JournalInput)
_HEAD_COLUMNS = (StrategyStateRow.sequence, StrategyStateRow.hash)
_CHUNK_ROWS = 500


class SavedState(NamedTuple):
    """The saved state of a strategy, from which it continues after a restart.

    `state` is JSON, as after the input with the number `processed`. `sequence` and `hash` belong to the
    last input of the journal."""

    tenant_id: int
    strategy: str
    state: str
    processed: int
    sequence: int
    hash: str
    updated_at: datetime

    @property
    def head(self) -> JournalHead:
        """The last input of the journal."""
        return JournalHead(self.sequence, self.hash)


SAVED_STATES = RecordTable(StrategyStateRow, SavedState)


def find_state(connection: Connection, tenant_id: int, strategy: str) -> SavedState | None:
    """Return the saved state of a strategy, None if it has none."""
    return SAVED_STATES.find(connection, tenant_id=tenant_id, strategy=strategy)


def upsert_state(connection: Connection, state: SavedState) -> None:
    """Insert or replace the saved state of a strategy."""
    row = (*state[:-1], format_timestamp(state.updated_at))
    execute_writes(connection, build_upsert(_STATES, SavedState._fields, ("tenant_id", "strategy"), [row]))


def update_state(connection: Connection, state: SavedState) -> bool:
    """Save the state after an input. Return False if another process has added inputs to the journal."""
    values = {"state": state.state, "processed": state.processed, "updated_at": state.updated_at}
    return SAVED_STATES.update(
        connection, values, tenant_id=state.tenant_id, strategy=state.strategy, hash=state.hash
    )


def append_inputs(
    connection: Connection, previous: JournalHead, inputs: Sequence[JournalInput], at: datetime
) -> bool:
    """Add inputs after the head. Return False if another process has added some."""
    last = inputs[-1]
    values = {"sequence": last.sequence, "hash": last.hash, "updated_at": at}
    if not SAVED_STATES.update(
        connection, values, tenant_id=last.tenant_id, strategy=last.strategy, hash=previous.hash
    ):
        return False
    connection.execute(insert(StrategyInputRow), [journal_input._asdict() for journal_input in inputs])
    return True


def iterate_inputs(
    connection: Connection, tenant_id: int, strategy: str, after: int = 0
) -> Iterator[JournalInput]:
    """Return the inputs of a strategy after a sequence number, in order."""
    statement = (
        _INPUTS.select(tenant_id=tenant_id, strategy=strategy)
        .where(StrategyInputRow.sequence > after)
        .order_by(StrategyInputRow.sequence)
    )
    rows = connection.execute(statement, execution_options={"yield_per": _CHUNK_ROWS})
    return map(_INPUTS.build, rows)


def delete_inputs(connection: Connection, before: datetime) -> int:
    """Delete inputs of all tenants that the connection sees, and return their number.

    The remaining journal has no gaps: an input is kept if an earlier input is kept.
    """
    later_input = aliased(StrategyInputRow)
    has_kept_before = exists().where(
        later_input.tenant_id == StrategyInputRow.tenant_id,
        later_input.strategy == StrategyInputRow.strategy,
        later_input.sequence < StrategyInputRow.sequence,
        later_input.at >= before,
    )
    statement = delete(StrategyInputRow).where(StrategyInputRow.at < before, ~has_kept_before)
    return connection.execute(statement, execution_options={"synchronize_session": False}).rowcount


class JournalKey(NamedTuple):
    """The journal of a strategy."""

    tenant_id: int
    strategy: str


def list_heads(connection: Connection) -> dict[JournalKey, JournalHead]:
    """Return the heads of all journals that the connection sees, as the saved states record them."""
    columns = (StrategyStateRow.tenant_id, StrategyStateRow.strategy, *_HEAD_COLUMNS)
    return {JournalKey(*row[:2]): JournalHead(*row[2:]) for row in connection.execute(select(*columns))}


def list_journals(connection: Connection) -> set[JournalKey]:
    """Return the journals that have inputs, of all tenants that the connection sees."""
    statement = select(StrategyInputRow.tenant_id, StrategyInputRow.strategy).distinct()
    return {JournalKey(row.tenant_id, row.strategy) for row in connection.execute(statement)}
