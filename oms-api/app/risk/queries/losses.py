"""Statements for the limits of losses."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, select, union

from app.ledger.models import CashMovement, Portfolio
from app.ledger.rules.keys import PortfolioKey
from app.money import ZERO
from app.risk.queries.limits import LIMITS
from app.risk.queries.switches import CHANGE_TABLE, SWITCH_TABLE
from app.risk.rules.limits import LimitScope
from app.risk.rules.losses import LOSS_CODES, LOSS_LIMIT_ACTOR, LossBaseline
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState

_FLOW_KINDS = ("deposit", "withdrawal", "transfer_in", "transfer_out")
# Reads the loss baselines of a tenant's portfolios by portfolio id.
LossBaselineReader = Callable[[Connection, int, Sequence[int]], Mapping[int, LossBaseline]]


class PortfolioCashBalance(NamedTuple):
    """The cash of a portfolio, in its currency."""

    portfolio_id: int
    base_currency: str
    cash: Decimal


def list_portfolio_cash(connection: Connection, tenant_id: int) -> list[PortfolioCashBalance]:
    """Return the cash of all portfolios of a tenant."""
    statement = select(Portfolio.id, Portfolio.base_currency, Portfolio.cash).where(
        Portfolio.tenant_id == tenant_id
    )
    return [PortfolioCashBalance._make(row) for row in connection.execute(statement)]


def read_opening_baselines(
    connection: Connection, tenant_id: int, portfolio_ids: Sequence[int]
) -> dict[int, LossBaseline]:
    """Return the opening cash of each portfolio with all flows as its baseline, as on its first day."""
    statement = select(Portfolio.id, Portfolio.opening_cash).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id.in_(portfolio_ids)
    )
    totals = {row[0]: Decimal(row[1]) for row in connection.execute(statement)}
    flows = select(CashMovement.portfolio_id, CashMovement.amount).where(
        CashMovement.tenant_id == tenant_id,
        CashMovement.portfolio_id.in_(portfolio_ids),
        CashMovement.kind.in_(_FLOW_KINDS),
    )
    for portfolio_id, amount in connection.execute(flows):
        totals[portfolio_id] += Decimal(amount)
    return {portfolio_id: LossBaseline(total, total, ZERO) for portfolio_id, total in totals.items()}


def list_tenants_with_loss_limits(connection: Connection) -> list[int]:
    """Return the tenants that limit losses, or that have a switch which such a limit set.

    They are of every tenant that `connection` can read.
    """
    limited = select(LIMITS.c.tenant_id).where(LIMITS.c.code.in_(LOSS_CODES))
    switched = select(SWITCH_TABLE.c.tenant_id).where(
        SWITCH_TABLE.c.set_by == LOSS_LIMIT_ACTOR, SWITCH_TABLE.c.state == TradingState.REDUCING
    )
    return list(connection.execute(union(limited, switched)).scalars())


def list_portfolios_with_loss_limits(connection: Connection, tenant_id: int) -> set[PortfolioKey]:
    """Return the tenant's portfolios whose losses are limited, or whose switch such a limit set.

    A drawdown can be limited for the tenant, that is for each of its portfolios.
    """
    rows = connection.execute(
        select(LIMITS.c.scope, LIMITS.c.name_key, LIMITS.c.code).where(
            LIMITS.c.tenant_id == tenant_id, LIMITS.c.code.in_(LOSS_CODES)
        )
    ).all()
    names = {key for scope, key, _ in rows if scope == LimitScope.PORTFOLIO}
    is_every = any(scope == LimitScope.TENANT and code == LOSS_CODES[1] for scope, _, code in rows)
    switched = select(SWITCH_TABLE.c.name_key).where(
        SWITCH_TABLE.c.tenant_id == tenant_id,
        SWITCH_TABLE.c.scope == SwitchScope.PORTFOLIO,
        SWITCH_TABLE.c.set_by == LOSS_LIMIT_ACTOR,
        SWITCH_TABLE.c.state == TradingState.REDUCING,
    )
    names |= set(connection.execute(switched).scalars())
    statement = select(Portfolio.id).where(Portfolio.tenant_id == tenant_id)
    if not is_every:
        statement = statement.where(Portfolio.name_key.in_(sorted(names)))
    return {PortfolioKey(tenant_id, portfolio_id) for portfolio_id in connection.execute(statement).scalars()}


def list_portfolios_set_by_loss_limits(connection: Connection, tenant_id: int, since: datetime) -> set[str]:
    """Return the name keys of the portfolios that a loss limit set to REDUCING at `since` or later."""
    statement = select(CHANGE_TABLE.c.name_key).where(
        CHANGE_TABLE.c.tenant_id == tenant_id,
        CHANGE_TABLE.c.scope == SwitchScope.PORTFOLIO,
        CHANGE_TABLE.c.set_by == LOSS_LIMIT_ACTOR,
        CHANGE_TABLE.c.state == TradingState.REDUCING,
        CHANGE_TABLE.c.set_at >= since,
    )
    return set(connection.execute(statement).scalars())
