"""Plan signals: read the rules of their strategies, and find where each trades."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.errors import Invalid
from app.identity.queries.tenants import find_tenant
from app.identity.rules.access import FIRST_TENANT
from app.ledger.service.commands import CommandOrigin
from app.orders.service.commands import PlaceSignal
from app.signals.errors import build_field_error
from app.signals.queries.strategies import StrategyKey, load_strategy_rules
from app.signals.rules.planning import PreparedSignal, SignalPlan, build_order_key, plan_signal
from app.signals.rules.values import SignalRequest, StrategyRules
from app.text import name_key


class SignalDefaults(NamedTuple):
    """The settings of the installation: the strategy and the portfolio of signals that name none.

    They apply to the tenant of that slug, None for the first.
    """

    strategy: str | None = None
    portfolio: str | None = None
    tenant: str | None = None


class SignalPlanner:
    """Plans the signals of a batch with few statements. It only reads."""

    def __init__(self, defaults: SignalDefaults) -> None:
        self._defaults = defaults

    def plan_commands(self, connection: Connection, commands: Sequence[PlaceSignal]) -> list[PlaceSignal]:
        """Return the commands with their plans, portfolios, and the idempotency keys of their orders."""
        tenant_id = self._find_tenant_id(connection)
        strategies = [self._get_strategy(command, tenant_id) for command in commands]
        rules = load_strategy_rules(connection, set(filter(None, strategies))) if any(strategies) else {}
        return [
            self._plan_command(
                command, strategy, None if strategy is None else rules.get(strategy), tenant_id
            )
            for command, strategy in zip(commands, strategies, strict=True)
        ]

    def find_default_portfolio(self, connection: Connection, tenant_id: int) -> str | None:
        """Return the portfolio of the tenant's signals that name none, None if it has none."""
        return self._defaults.portfolio if tenant_id == self._find_tenant_id(connection) else None

    def _find_tenant_id(self, connection: Connection) -> int | None:
        """Return the tenant to which the defaults apply, None if there are none."""
        if self._defaults.strategy is None and self._defaults.portfolio is None:
            return None
        if self._defaults.tenant is None:
            return FIRST_TENANT
        tenant = find_tenant(connection, self._defaults.tenant)
        return None if tenant is None else tenant.id

    def _get_strategy(self, command: PlaceSignal, tenant_id: int | None) -> StrategyKey | None:
        """Return the strategy whose rules must be read, None for a signal without one or with a plan."""
        signal: PreparedSignal = command.signal
        if signal.plan is not None:
            return None
        default = self._defaults.strategy if command.origin.tenant_id == tenant_id else None
        name = signal.request.strategy or default
        return StrategyKey(command.origin.tenant_id, name) if name else None

    def _plan_command(
        self,
        command: PlaceSignal,
        strategy: StrategyKey | None,
        rules: StrategyRules | None,
        tenant_id: int | None,
    ) -> PlaceSignal:
        signal: PreparedSignal = command.signal
        if isinstance(signal.plan, SignalPlan):
            return _add_plan(command, signal.plan)
        default = self._defaults.portfolio if command.origin.tenant_id == tenant_id else None
        name = None if strategy is None else strategy.name
        try:
            plan = plan_signal(signal.request, name, rules, default)
            require_visible_portfolio(command.origin, plan)
        except Invalid as error:
            return command._replace(signal=signal._replace(plan=error))
        return _add_plan(command, plan)


def require_visible_portfolio(origin: CommandOrigin, plan: SignalPlan) -> None:
    """Raise Invalid if the caller may not see the portfolio of the plan."""
    if origin.portfolios is not None and name_key(plan.portfolio_name) not in origin.portfolios:
        raise build_unknown_portfolio_error()


def build_unknown_portfolio_error() -> Invalid:
    """Return the error of a portfolio that does not exist, or that the caller may not see."""
    return build_field_error(
        "portfolio", "Portfolio not found. Check the name, or your access to it.", "unknown"
    )


def _add_plan(command: PlaceSignal, plan: SignalPlan) -> PlaceSignal:
    request: SignalRequest = command.signal.request
    return command._replace(
        origin=command.origin._replace(idempotency_key=build_order_key(request.id, plan.size)),
        signal=command.signal._replace(plan=plan),
        portfolio_name=plan.portfolio_name,
        portfolio_name_key=name_key(plan.portfolio_name),
    )
