"""Sum up the exposure of all portfolios of a tenant, for firm-wide limits."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text

from app.identity.queries.tenants import get_base_currency
from app.instruments.rules import InstrumentKey
from app.ledger.rules.accounting import FLAT, Position
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.money import ZERO
from app.orders.queries.open_positions import load_firm_books
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.risk_checks.currency_conversion import find_conversion_rate, find_valuation_rate
from app.orders.service.risk_checks.exposure import (
    compute_exposure,
    find_mark,
    list_working_orders,
    load_last_trade_prices,
)
from app.risk.rules.exposure import add_totals, build_symbol_exposure, compute_totals, convert_totals
from app.risk.rules.values import NO_EXPOSURE, ExposureTotals, OrderLimits, SymbolExposure

_LOCK_CLASS = 4100  # class of the advisory locks: only one transaction at a time sums up a tenant


class FirmTotals(NamedTuple):
    """The totals of the tenant's other portfolios, in the tenant's currency.

    `rate` converts the order's own portfolio to that currency, None if it is the same. `missing` is a
    currency pair without a rate.
    """

    other_totals: ExposureTotals = NO_EXPOSURE
    rate: Decimal | None = None
    missing: str | None = None


_NO_TOTALS = FirmTotals()


def compute_firm_totals(context: BatchContext, order: Order, limits: OrderLimits) -> FirmTotals:
    """Return the totals for firm-wide limits, at the current rates. They are zero where no such limit is set.

    Portfolios of the batch count as the batch sees them, the others as stored. A lock keeps other processes
    from adding to them meanwhile.
    """
    if not _needs_totals(limits):
        return _NO_TOTALS
    tenant_id, own_key = order.tenant_id, order.portfolio_key
    _load_unlocked_totals(context, tenant_id)
    totals: dict[str, ExposureTotals] = dict(context.loaded.unlocked_totals[tenant_id])
    for portfolio_key in context.order_store.portfolio_keys:
        if portfolio_key.tenant_id == tenant_id and portfolio_key != own_key:
            base = context.ledger.get_portfolio(portfolio_key).base_currency
            totals[base] = add_totals(
                totals.get(base, NO_EXPOSURE), compute_exposure(context, portfolio_key).total
            )
    converted = _convert_to_firm_currency(context, order, totals)
    # The number of open orders needs no rate.
    return converted if _limits_exposure(limits) else converted._replace(missing=None)


def has_firm_limits(context: BatchContext, tenant_id: int) -> bool:
    """Return whether the tenant limits the sum of its portfolios."""
    limits = context.services.controls.get_firm_limits(tenant_id)
    return _needs_totals(limits) or limits.firm_daily_loss is not None


def load_firm_totals(context: BatchContext, tenant_id: int) -> None:
    """Load the totals of the portfolios that the batch has not locked, if a firm-wide limit needs them."""
    if _needs_totals(context.services.controls.get_firm_limits(tenant_id)):
        _load_unlocked_totals(context, tenant_id)


def load_firm_currency(context: BatchContext, tenant_id: int) -> str:
    """Return the currency of firm-wide limits."""
    if tenant_id not in context.loaded.firm_currencies:
        context.loaded.firm_currencies[tenant_id] = get_base_currency(context.connection, tenant_id)
    return context.loaded.firm_currencies[tenant_id]


def _limits_exposure(limits: OrderLimits) -> bool:
    """Return whether the exposure of all portfolios together is limited."""
    return limits.firm_gross_exposure is not None or limits.firm_net_exposure is not None


def _needs_totals(limits: OrderLimits) -> bool:
    """Return whether the exposure or the open orders of all portfolios together are limited."""
    return _limits_exposure(limits) or limits.firm_open_orders is not None


def _load_unlocked_totals(context: BatchContext, tenant_id: int) -> None:
    if tenant_id not in context.loaded.unlocked_totals:
        _lock_totals(context)
        totals = _compute_unlocked_totals(context, tenant_id)
        context.loaded.unlocked_totals[tenant_id] = totals
        firm = load_firm_currency(context, tenant_id)
        locked = context.order_store.portfolio_keys
        bases = {
            context.ledger.get_portfolio(key).base_currency for key in locked if key.tenant_id == tenant_id
        }
        for base in sorted(bases | totals.keys() - {firm}):
            find_conversion_rate(context, tenant_id, base, firm)


def _convert_to_firm_currency(
    context: BatchContext, order: Order, totals: dict[str, ExposureTotals]
) -> FirmTotals:
    tenant_id, firm = order.tenant_id, context.loaded.firm_currencies[order.tenant_id]
    own_currency = context.get_portfolio(order).base_currency
    rate = None if own_currency == firm else find_conversion_rate(context, tenant_id, own_currency, firm)
    missing = f"{own_currency}/{firm}" if rate is None and own_currency != firm else None
    firm_totals = totals.pop(firm, NO_EXPOSURE)
    for base, total in totals.items():
        to_firm = find_conversion_rate(context, tenant_id, base, firm)
        firm_totals = add_totals(firm_totals, convert_totals(total, to_firm or ZERO))
        if to_firm is None and total != NO_EXPOSURE:
            missing = missing or f"{base}/{firm}"
    return FirmTotals(firm_totals, rate, missing)


def _lock_totals(context: BatchContext) -> None:
    """Lock the tenants' totals with advisory locks, sorted by tenant id to avoid deadlocks."""
    if context.loaded.unlocked_totals or context.connection.dialect.name != "postgresql":
        return
    for tenant_id in sorted(
        {portfolio_key.tenant_id for portfolio_key in context.order_store.portfolio_keys}
    ):
        statement = text("SELECT pg_advisory_xact_lock(:class, :tenant)")
        context.connection.execute(statement, {"class": _LOCK_CLASS, "tenant": tenant_id})


def _compute_unlocked_totals(context: BatchContext, tenant_id: int) -> dict[str, ExposureTotals]:
    """Return the totals of the portfolios that the batch has not locked, by currency."""
    firm = load_firm_books(context.connection, tenant_id)
    bases = {
        PortfolioKey(tenant_id, portfolio_id): base for portfolio_id, base in firm.base_currencies.items()
    }
    unlocked_keys = bases.keys() - context.order_store.portfolio_keys
    positions = {
        key: position for key, position in firm.positions.items() if key.portfolio_key in unlocked_keys
    }
    orders: dict[PositionKey, list[Order]] = {}
    for order in firm.orders:
        if order.portfolio_key in unlocked_keys:
            orders.setdefault(order.position_key, []).append(order)
    position_keys = positions.keys() | orders.keys()
    context.load_quotes(
        sorted({InstrumentKey(tenant_id, position_key.symbol) for position_key in position_keys})
    )
    load_last_trade_prices(context, positions)
    totals: dict[str, ExposureTotals] = {}
    for portfolio_key, book in _iterate_books(context, bases, positions, orders, position_keys):
        totals[bases[portfolio_key]] = add_totals(
            totals.get(bases[portfolio_key], NO_EXPOSURE), compute_totals(book)
        )
    return totals


def _iterate_books(
    context: BatchContext,
    bases: dict[PortfolioKey, str],
    positions: dict[PositionKey, Position],
    orders: dict[PositionKey, list[Order]],
    position_keys: Iterable[PositionKey],
) -> Iterable[tuple[PortfolioKey, SymbolExposure]]:
    for position_key in position_keys:
        tenant_id, symbol = position_key.instrument_key
        portfolio_key, position = position_key.portfolio_key, positions.get(position_key, FLAT)
        working_orders = list_working_orders(orders.get(position_key, []), position)
        rate = find_valuation_rate(context, tenant_id, bases[portfolio_key], symbol, position)
        mark = find_mark(context, position_key, position)
        prices = context.find_symbol_state(tenant_id, symbol).prices
        yield portfolio_key, build_symbol_exposure(position.quantity, mark, working_orders, prices, rate=rate)
