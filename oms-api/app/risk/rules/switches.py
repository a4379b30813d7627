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


class ScopedTradingState(NamedTuple):
    """A trading state, and the scope of the kill switch that sets it."""

    state: TradingState
    scope: SwitchScope


class Switches(NamedTuple):
    """The kill switches of a tenant that are not ACTIVE, by scope and name key."""

    states: Mapping[tuple[SwitchScope, str], TradingState]

    def get_state(self, portfolio_name_key: str, strategy: str | None = None) -> ScopedTradingState:
        """Return the state that applies to an order, and its scope."""
        if not self.states:
            return ScopedTradingState(TradingState.ACTIVE, SwitchScope.TENANT)
        names = {SwitchScope.TENANT: "", SwitchScope.PORTFOLIO: portfolio_name_key}
        if strategy:
            names[SwitchScope.STRATEGY] = label_key(strategy)
        matching = [
            ScopedTradingState(self.states.get((scope, name), TradingState.ACTIVE), scope)
            for scope, name in names.items()
        ]
        return max(matching, key=lambda scoped: _STRICTNESS[scoped.state])


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
