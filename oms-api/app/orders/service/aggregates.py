"""What the portfolios of a tenant add up to, for limits of the whole firm."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text

from app.identity.queries.tenants import get_base_currency
from app.ledger.rules.accounting import FLAT, Position
from app.money import ZERO
from app.orders.queries.firm import firm_books
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext, PortfolioKey, PositionKey
from app.orders.service.currency_conversion import rate_between, rate_to_value_in
from app.orders.service.exposure import exposure_in, mark_of, prices_of, working_of
from app.risk.rules.exposure import book_of, converted, plus, total_of
from app.risk.rules.values import NOTHING, Limits, SymbolBook, Totals

_LOCK_CLASS = 4100  # of advisory locks: one who adds up a tenant keeps others from doing so until the commit


def needs_the_firm(limits: Limits) -> bool:
    """Tell whether a limit is on the sum of the portfolios."""
    firm = (limits.firm_gross_exposure, limits.firm_net_exposure, limits.firm_open_orders)
    return any(limit is not None for limit in firm)


class FirmTotals(NamedTuple):
    """What the tenant's other portfolios add up to in the tenant's currency; `rate` converts the order's own
    portfolio to it, None where that is in it. `missing` is a pair whose rate is missing for the sum.
    """

    others: Totals = NOTHING
    rate: Decimal | None = None
    missing: str | None = None


def firm_totals(context: BatchContext, order: Order, limits: Limits) -> FirmTotals:
    """Return the sum that limits of the whole firm hold for, at the current rates.

    Portfolios of the batch are as it sees them, the rest as they are in the database, which no other process
    can add to meanwhile.
    """
    tenant_id, own = order.tenant_id, (order.tenant_id, order.portfolio_id)
    if tenant_id not in context.elsewhere:
        _lock(context)
        context.elsewhere[tenant_id] = _unlocked_totals(context, tenant_id)
        context.firm_currencies[tenant_id] = get_base_currency(context.connection, tenant_id)
    totals: dict[str, Totals] = dict(context.elsewhere[tenant_id])
    for place in context.order_store.places:
        if place[0] == tenant_id and place != own:
            base = context.books.portfolio(*place).base_currency
            totals[base] = plus(totals.get(base, NOTHING), exposure_in(context, place).total)
    found = _in_one_currency(context, order, totals)
    has_value = limits.firm_gross_exposure is not None or limits.firm_net_exposure is not None
    return found if has_value else found._replace(missing=None)  # orders are counted without a rate


def _in_one_currency(context: BatchContext, order: Order, totals: dict[str, Totals]) -> FirmTotals:
    tenant_id, firm = order.tenant_id, context.firm_currencies[order.tenant_id]
    own = context.portfolio(order).base_currency
    rate = None if own == firm else rate_between(context, tenant_id, own, firm)
    missing = f"{own}/{firm}" if rate is None and own != firm else None
    others = totals.pop(firm, NOTHING)
    for base, total in totals.items():
        to_firm = rate_between(context, tenant_id, base, firm)
        others = plus(others, converted(total, to_firm or ZERO))
        if to_firm is None and total != NOTHING:
            missing = missing or f"{base}/{firm}"
    return FirmTotals(others, rate, missing)


def _lock(context: BatchContext) -> None:
    """Of two processes that add up the same tenants, one waits: in the order of the tenants' numbers."""
    if context.elsewhere or context.connection.dialect.name != "postgresql":
        return
    for tenant_id in sorted({place[0] for place in context.order_store.places}):
        statement = text("SELECT pg_advisory_xact_lock(:class, :tenant)")
        context.connection.execute(statement, {"class": _LOCK_CLASS, "tenant": tenant_id})


def _unlocked_totals(context: BatchContext, tenant_id: int) -> dict[str, Totals]:
    """Return by currency what portfolios that are not of the batch add up to."""
    firm = firm_books(context.connection, tenant_id)
    bases = {(tenant_id, found): base for found, base in firm.base_currencies.items()}
    others = bases.keys() - context.order_store.places
    held = {key: position for key, position in firm.positions.items() if key[:2] in others}
    orders: dict[tuple[PortfolioKey, PositionKey], list[Order]] = {}
    for one in firm.orders:
        place = (tenant_id, one.portfolio_id)
        if place in others:
            orders.setdefault((place, (one.symbol, one.product)), []).append(one)
    position_keys = {((key[0], key[1]), (key[2], key[3])) for key in held}
    position_keys |= orders.keys()
    context.load_quotes(sorted({(tenant_id, position_key[0]) for _, position_key in position_keys}))
    totals: dict[str, Totals] = {}
    for place, book in _books(context, bases, held, orders, position_keys):
        totals[bases[place]] = plus(totals.get(bases[place], NOTHING), total_of(book))
    return totals


def _books(
    context: BatchContext,
    bases: dict[PortfolioKey, str],
    held: dict[tuple[int, int, str, str], Position],
    orders: dict[tuple[PortfolioKey, PositionKey], list[Order]],
    position_keys: Iterable[tuple[PortfolioKey, PositionKey]],
) -> Iterable[tuple[PortfolioKey, SymbolBook]]:
    for place, position_key in position_keys:
        position = held.get((*place, *position_key), FLAT)
        quote = context.quote(place[0], position_key[0])
        working = working_of(orders.get((place, position_key), []), position)
        rate = rate_to_value_in(context, place[0], bases[place], position_key[0], position)
        mark, prices = mark_of(quote, position), prices_of(quote)
        yield place, book_of(position.quantity, mark, working, prices, rate=rate)
