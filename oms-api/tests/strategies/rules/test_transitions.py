"""The table of the statuses of strategies."""

import pytest

from app.strategies.rules.transitions import IllegalAction, StrategyAction, get_next_status
from app.strategies.rules.values import StrategyStatus

ERROR = StrategyStatus.ERROR


@pytest.mark.parametrize("action", list(StrategyAction))
@pytest.mark.parametrize("status", list(StrategyStatus))
def test_action_gives_its_status_or_is_refused(action, status):
    target_status = {"start": "ACTIVE", "pause": "PAUSED", "stop": "INACTIVE"}[action]
    if action is StrategyAction.PAUSE and status in {ERROR, StrategyStatus.INACTIVE}:
        with pytest.raises(IllegalAction):
            get_next_status(action, status)
    elif action is StrategyAction.START and status is ERROR:
        with pytest.raises(IllegalAction, match="acknowledge_error"):
            get_next_status(action, status)
        assert get_next_status(action, status, acknowledges_error=True) == target_status
    else:
        assert get_next_status(action, status) == target_status
