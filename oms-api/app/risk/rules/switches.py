"""Kill switches of the tenant, of portfolios and of strategies. The strictest applies."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from app.risk.rules.values import TradingState
from app.text import label_key


class SwitchScope(StrEnum):
    """The scope of a kill switch."""

    TENANT = "tenant"
    PORTFOLIO = "portfolio"
    STRATEGY = "strategy"


class ExitPolicy(StrEnum):
    """The effect of HALTED on exits. It always cancels orders that open or increase a position."""

    KEEP = "keep"  # exits keep working
    CANCEL = "cancel"  # exits are canceled too
    FLATTEN = "flatten"  # everything is canceled, and positions are closed at market


_STRICTNESS = {state: rank for rank, state in enumerate(TradingState)}


class Switches(NamedTuple):
    """The kill switches of a tenant that are not ACTIVE, by scope and name key."""

    states: Mapping[tuple[SwitchScope, str], TradingState]

    def get_state(
        self, portfolio_name_key: str, strategy: str | None = None
    ) -> tuple[TradingState, SwitchScope]:
        """Return the state that applies to an order, and its scope."""
        if not self.states:
            return TradingState.ACTIVE, SwitchScope.TENANT
        places = [(SwitchScope.TENANT, ""), (SwitchScope.PORTFOLIO, portfolio_name_key)]
        if strategy:
            places.append((SwitchScope.STRATEGY, label_key(strategy)))
        states_and_scopes = [(self.states.get(place, TradingState.ACTIVE), place[0]) for place in places]
        return max(states_and_scopes, key=lambda state_and_scope: _STRICTNESS[state_and_scope[0]])


ALL_ACTIVE = Switches({})


def get_strictest_state(*states: TradingState) -> TradingState:
    """Return the state that allows least."""
    return max(states, key=lambda state: _STRICTNESS[state])


class UnconfirmedCancel(NamedTuple):
    """An order whose broker has not confirmed its cancellation yet. `leaves` is what can still fill."""

    order_id: str
    portfolio_name: str
    broker: str
    symbol: str
    side: str
    leaves: str
