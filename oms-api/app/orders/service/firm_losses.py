"""Compute the P&L of the day of all portfolios of a tenant, for the limit FIRM_DAILY_LOSS."""

from datetime import timedelta
from decimal import Decimal

from app.identity.queries.tenants import get_base_currency
from app.ledger.models import PositionRow
from app.ledger.queries.valuation import list_open_positions
from app.ledger.rules.equity import NO_EXPOSURE
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.valuation import value_positions
from app.money import ZERO, product
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.currency_conversion import rate_between
from app.orders.service.profit_cache import CachedProfits
from app.risk.queries.losses import list_portfolio_cash
from app.risk.rules.values import Limits

MAX_AGE = timedelta(seconds=2)  # of the P&L: the batch has not locked most of the portfolios


def find_firm_pnl_of_day(context: BatchContext, order: Order, limits: Limits) -> Decimal | None:
    """Return the P&L of the day of all portfolios in the tenant's currency, None where no limit needs it.

    It is at most MAX_AGE old. Portfolios without a rate to the tenant's currency are left out.
    """
    if limits.firm_daily_loss is None:
        return None
    tenant_id = order.tenant_id
    firm, total = get_base_currency(context.connection, tenant_id), ZERO
    for base, pnl in _load_profits(context, tenant_id).items():
        rate = Decimal(1) if base == firm else rate_between(context, tenant_id, base, firm)
        total += product(pnl, rate or ZERO)
    return total


def _load_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    cached = context.services.firm_profits.get(tenant_id, "")
    if cached is None or not timedelta(0) <= context.now - cached.read_at < MAX_AGE:
        cached = CachedProfits(_read_profits(context, tenant_id), context.now)
        context.services.firm_profits.put(tenant_id, "", cached)
    return cached.profits


def _read_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    connection, market = context.connection, context.services.market
    rows = list_portfolio_cash(connection, tenant_id)
    positions = list_open_positions(connection, PositionRow.__table__.c.tenant_id == tenant_id)
    exposures = value_positions(connection, market.marks_for, positions, context.now)
    ids = [row.portfolio_id for row in rows]
    baselines = context.services.read_loss_baselines(connection, tenant_id, ids)
    profits: dict[str, Decimal] = {}
    for row in rows:
        net = exposures.get(PortfolioKey(tenant_id, row.portfolio_id), NO_EXPOSURE).net
        pnl = row.cash + net - baselines[row.portfolio_id].day_equity
        profits[row.base_currency] = profits.get(row.base_currency, ZERO) + pnl
    return profits
