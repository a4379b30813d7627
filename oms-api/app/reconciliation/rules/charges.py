"""Find the charges that a broker reported and that are not booked."""

from collections.abc import Collection, Iterable, Sequence

from app.brokers.rules.values import Charged
from app.costs.rules.booked_charges import parse_components
from app.money import ZERO
from app.orders.rules.execution_ids import get_charge_key, list_unbusted
from app.orders.rules.rows import ExecutionRow


def select_unbooked_charges(
    reported: Iterable[Charged],
    booked_executions: Sequence[ExecutionRow],
    keys: Collection[str],
    currency: str,
) -> list[Charged]:
    """Return the reported charges that differ from those booked with their executions.

    `booked_executions` include busted ones and their reversals. `keys` are the idempotency keys of charges
    that were booked later. The charges of the executions are in `currency`. Charges of executions that are
    not booked are excluded.
    """
    executions = {execution.execution_id: execution for execution in list_unbusted(booked_executions)}
    return [
        charged
        for charged in reported
        if (execution := executions.get(charged.execution_id)) is not None
        and get_charge_key(execution.broker, execution.execution_id) not in keys
        and not _is_estimate(charged, execution, currency)
    ]


def _is_estimate(charged: Charged, execution: ExecutionRow, currency: str) -> bool:
    """Return whether the charges that were booked with the execution are those of the broker."""
    estimate = sum(parse_components(execution.charges).values(), ZERO)
    return charged.currency == currency and charged.amount == estimate
