"""Start, pause and stop strategies, each in one transaction with its event and audit entry."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.events.service.outbox import publish_event
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.strategies.errors import StrategyStatusConflict
from app.strategies.queries import registry as queries
from app.strategies.queries.registry import ListedStrategy
from app.strategies.rules.event_payloads import PAUSED, STARTED, STOPPED, build_status_payload
from app.strategies.rules.transitions import IllegalAction, StrategyAction, get_next_status
from app.strategies.rules.values import MANUAL, Strategy, StrategyStatus
from app.strategies.service.code_inspection import Inspected
from app.strategies.service.presentation import describe_strategies
from app.strategies.service.registry import require_strategy

_EVENT_TYPES = {StrategyAction.START: STARTED, StrategyAction.PAUSE: PAUSED, StrategyAction.STOP: STOPPED}
_AUDIT_ACTIONS = {
    StrategyAction.START: "started",
    StrategyAction.PAUSE: "paused",
    StrategyAction.STOP: "stopped",
}


class StatusRequest(NamedTuple):
    """The request of a person, and its reason."""

    action: StrategyAction
    name: str
    reason: str | None
    acknowledges_error: bool = False


class StatusChanges:
    """Changes the status of strategies. Its functions run in the transaction of a request.

    `inspected` has the code that the responses show.
    """

    def __init__(self, inspected: Inspected) -> None:
        self._inspected = inspected

    def change(
        self, connection: Connection, request: ChangeRequest, status_request: StatusRequest, now: datetime
    ) -> ChangeResult:
        """Start, pause or stop a strategy. A repeat changes nothing. Raises StrategyStatusConflict."""
        caller = request.caller
        if status_request.name == MANUAL:
            message = "Orders of people have no status; stop them with a kill switch (`POST /kill-switch`)."
            raise StrategyStatusConflict(message)
        listed_strategy = require_strategy(connection, caller, status_request.name, locks=True)
        strategy = listed_strategy.strategy
        try:
            status = get_next_status(
                status_request.action, strategy.status, acknowledges_error=status_request.acknowledges_error
            )
        except IllegalAction as error:
            raise StrategyStatusConflict(str(error)) from None
        if status is strategy.status:
            return ChangeResult(self._describe_strategy(connection, request, listed_strategy), [])
        changes = _build_changes(strategy, status_request, status, caller.actor, now)
        queries.update_strategy(connection, strategy, changes)
        updated = listed_strategy._replace(strategy=strategy._replace(**changes))
        publish_status(
            connection, updated, _EVENT_TYPES[status_request.action], caller.actor, status_request.reason, now
        )
        entry = request.build_audit_entry(
            now,
            f"strategy.{_AUDIT_ACTIONS[status_request.action]}",
            f"strategy:{strategy.name}",
            {"status": strategy.status.value},
            {"status": status.value, "reason": status_request.reason, "version": strategy.version},
        )
        return ChangeResult(self._describe_strategy(connection, request, updated), [entry])

    def _describe_strategy(
        self, connection: Connection, request: ChangeRequest, listed_strategy: ListedStrategy
    ) -> dict[str, Any]:
        return describe_strategies(connection, request.caller, [listed_strategy], self._inspected)[0]


def publish_status(
    connection: Connection,
    listed_strategy: ListedStrategy,
    event: str,
    actor: str,
    reason: str | None,
    now: datetime,
) -> None:
    """Publish a new status of a strategy, in the transaction of the change."""
    payload = build_status_payload(listed_strategy.strategy, listed_strategy.portfolio_name, actor, reason)
    publish_event(connection, listed_strategy.strategy.tenant_id, event, payload, now)


def _build_changes(
    strategy: Strategy, status_request: StatusRequest, status: StrategyStatus, actor: str, now: datetime
) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "status": status, "reason": status_request.reason, "updated_by": actor, "updated_at": now,
    }  # fmt: skip
    if status_request.action is StrategyAction.START:
        changes |= {
            "run": strategy.run + 1, "started_by": actor, "started_at": now, "last_error": None,
            "failed_at": None,
        }  # fmt: skip
    return changes
