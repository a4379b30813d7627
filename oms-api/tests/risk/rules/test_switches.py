"""The strictest kill switch applies and is named."""

import pytest

from app.risk.rules.switches import ALL_ACTIVE, Switches, SwitchScope, get_strictest_state
from app.risk.rules.values import TradingState

ACTIVE, REDUCING, HALTED = TradingState
TENANT, PORTFOLIO, STRATEGY = SwitchScope


@pytest.mark.parametrize(
    ("states", "strategy", "expected_state"),
    [
        ({(TENANT, ""): REDUCING}, None, (REDUCING, TENANT)),
        ({(TENANT, ""): REDUCING, (PORTFOLIO, "growth"): HALTED}, None, (HALTED, PORTFOLIO)),
        ({(PORTFOLIO, "income"): HALTED}, None, (ACTIVE, TENANT)),
        ({(STRATEGY, "momentum"): HALTED}, "momentum", (HALTED, STRATEGY)),
        ({(STRATEGY, "momentum"): HALTED}, "carry", (ACTIVE, TENANT)),
        ({(STRATEGY, "momentum"): HALTED}, None, (ACTIVE, TENANT)),
    ],
)
def test_order_is_subject_to_the_strictest_matching_switch(states, strategy, expected_state):
    assert Switches(states).get_state("growth", strategy) == expected_state


def test_switch_defaults_to_active():
    assert ALL_ACTIVE.get_state("growth", "momentum") == (ACTIVE, TENANT)


def test_strictest_switch_applies():
    assert get_strictest_state(ACTIVE, REDUCING) is REDUCING
    assert get_strictest_state(HALTED, ACTIVE, REDUCING) is HALTED
