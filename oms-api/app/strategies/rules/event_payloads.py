"""The data of the events of strategies."""

from typing import Any

from app.strategies.rules.values import Strategy

STARTED, PAUSED = "strategy.started", "strategy.paused"
STOPPED, FAILED = "strategy.stopped", "strategy.error"


def build_status_payload(
    strategy: Strategy, portfolio_name: str | None, actor: str, reason: str | None
) -> dict[str, Any]:
    """Return the data of an event about a new status, from the strategy after the change."""
    return {
        "name": strategy.name,
        "portfolio_name": portfolio_name,
        "status": strategy.status.value,
        "version": strategy.version,
        "run": strategy.run,
        "reason": reason,
        "last_error": strategy.last_error,
        "actor": actor,
    }
