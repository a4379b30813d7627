"""The status of a strategy after a person starts, pauses or stops it."""

from enum import StrEnum

from app.strategies.rules.values import StrategyStatus

_ACTIVE, _PAUSED = StrategyStatus.ACTIVE, StrategyStatus.PAUSED
_INACTIVE, _ERROR = StrategyStatus.INACTIVE, StrategyStatus.ERROR


class StrategyAction(StrEnum):
    """The request of a person."""

    START = "start"
    PAUSE = "pause"
    STOP = "stop"


_TABLE: dict[tuple[StrategyAction, StrategyStatus], StrategyStatus] = {
    (StrategyAction.START, _INACTIVE): _ACTIVE,
    (StrategyAction.START, _PAUSED): _ACTIVE,
    (StrategyAction.START, _ERROR): _ACTIVE,  # with an acknowledgement
    (StrategyAction.START, _ACTIVE): _ACTIVE,
    (StrategyAction.PAUSE, _ACTIVE): _PAUSED,
    (StrategyAction.PAUSE, _PAUSED): _PAUSED,
    (StrategyAction.STOP, _ACTIVE): _INACTIVE,
    (StrategyAction.STOP, _PAUSED): _INACTIVE,
    (StrategyAction.STOP, _ERROR): _INACTIVE,
    (StrategyAction.STOP, _INACTIVE): _INACTIVE,
}


class IllegalAction(Exception):
    """Raised when the status does not allow the action. The text is for the caller."""


def get_next_status(
    action: StrategyAction, status: StrategyStatus, *, acknowledges_error: bool = False
) -> StrategyStatus:
    """Return the status after an action; the same one for a repeat. Raises IllegalAction."""
    strategy_status = _TABLE.get((action, status))
    if strategy_status is None:
        raise IllegalAction(f"A strategy that is {status} cannot be paused; only one that is ACTIVE can.")
    if action is StrategyAction.START and status is _ERROR and not acknowledges_error:
        raise IllegalAction(
            "The strategy failed. Read `last_error`, then start it with `acknowledge_error`: true."
        )
    return strategy_status
