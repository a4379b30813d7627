"""The ids and notes of executions that reverse or replace another one."""

from collections.abc import Sequence

from app.orders.rules.rows import ExecutionRow

BUST = "bust"  # the note of an execution that reverses another one
CORRECTION = "correction"  # the note of an execution that replaces a busted one
_BUST_SUFFIX = ":bust"
_CORRECTION_SUFFIX = ":correction"
MAX_ID_LENGTH = 100


def get_bust_id(execution_id: str) -> str:
    """Return the id of the execution that reverses another one. Its amounts are negative."""
    return f"{execution_id}{_BUST_SUFFIX}"


def get_correction_id(execution_id: str) -> str:
    """Return the id of the execution that replaces another one: `X1:correction1`, then `X1:correction2`."""
    first, suffix, number = execution_id.rpartition(_CORRECTION_SUFFIX)
    if suffix and number.isdecimal():
        return f"{first}{suffix}{int(number) + 1}"
    return f"{execution_id}{_CORRECTION_SUFFIX}1"


def get_charge_key(broker: str, execution_id: str) -> str:
    """Return the idempotency key of the movement that books the charges of a broker for an execution."""
    return f"{broker}:{execution_id}"


def list_unbusted(rows: Sequence[ExecutionRow]) -> list[ExecutionRow]:
    """Return the executions that were not reversed, without the rows that reverse others."""
    busts = {row.execution_id for row in rows if row.note == BUST}
    return [
        row for row in rows if row.execution_id not in busts and get_bust_id(row.execution_id) not in busts
    ]
