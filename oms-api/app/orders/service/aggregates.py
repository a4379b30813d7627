"""What the portfolios of a tenant add up to, for limits of the whole firm."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import text

from app.identity.queries.tenants import base_currency_of
from app.ledger.rules.accounting import FLAT, Position
from app.money import ZERO
from app.orders.queries.firm import firm_books
from app.orders.rules.values import Order
from app.orders.service.converting import rate_between, rate_to_value_in
from app.orders.service.exposing import exposure_in, mark_of, prices_of, working_of
from app.orders.service.scene import Corner, Place, Scene
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


def firm_totals(scene: Scene, order: Order, limits: Limits) -> FirmTotals:
    """Return the sum that limits of the whole firm hold for, at the current rates.

    Portfolios of the batch are as it sees them, the rest as they are in the database, which no other process
    can add to meanwhile.
    """
    tenant_id, own = order.tenant_id, (order.tenant_id, order.portfolio_id)
    if tenant_id not in scene.elsewhere:
        _lock(scene)
        scene.elsewhere[tenant_id] = _unlocked_totals(scene, tenant_id)
        scene.firm_currencies[tenant_id] = base_currency_of(scene.connection, tenant_id)
    totals: dict[str, Totals] = dict(scene.elsewhere[tenant_id])
    for place in scene.blotter.places:
        if place[0] == tenant_id and place != own:
            base = scene.books.portfolio(*place).base_currency
            totals[base] = plus(totals.get(base, NOTHING), exposure_in(scene, place).total)
    found = _in_one_currency(scene, order, totals)
    has_value = limits.firm_gross_exposure is not None or limits.firm_net_exposure is not None
    return found if has_value else found._replace(missing=None)  # orders are counted without a rate


def _in_one_currency(scene: Scene, order: Order, totals: dict[str, Totals]) -> FirmTotals:
    tenant_id, firm = order.tenant_id, scene.firm_currencies[order.tenant_id]
    own = scene.portfolio(order).base_currency
    rate = None if own == firm else rate_between(scene, tenant_id, own, firm)
    missing = f"{own}/{firm}" if rate is None and own != firm else None
    others = totals.pop(firm, NOTHING)
    for base, total in totals.items():
        to_firm = rate_between(scene, tenant_id, base, firm)
        others = plus(others, converted(total, to_firm or ZERO))
        if to_firm is None and total != NOTHING:
            missing = missing or f"{base}/{firm}"
    return FirmTotals(others, rate, missing)


def _lock(scene: Scene) -> None:
    """Of two processes that add up the same tenants, one waits: in the order of the tenants' numbers."""
    if scene.elsewhere or scene.connection.dialect.name != "postgresql":
        return
    for tenant_id in sorted({place[0] for place in scene.blotter.places}):
        statement = text("SELECT pg_advisory_xact_lock(:class, :tenant)")
        scene.connection.execute(statement, {"class": _LOCK_CLASS, "tenant": tenant_id})


def _unlocked_totals(scene: Scene, tenant_id: int) -> dict[str, Totals]:
    """Return by currency what portfolios that are not of the batch add up to."""
    firm = firm_books(scene.connection, tenant_id)
    bases = {(tenant_id, found): base for found, base in firm.base_currencies.items()}
    others = bases.keys() - scene.blotter.places
    held = {key: position for key, position in firm.positions.items() if key[:2] in others}
    orders: dict[tuple[Place, Corner], list[Order]] = {}
    for one in firm.orders:
        place = (tenant_id, one.portfolio_id)
        if place in others:
            orders.setdefault((place, (one.symbol, one.product)), []).append(one)
    corners = {((key[0], key[1]), (key[2], key[3])) for key in held}
    corners |= orders.keys()
    scene.look_up(sorted({(tenant_id, corner[0]) for _, corner in corners}))
    totals: dict[str, Totals] = {}
    for place, book in _books(scene, bases, held, orders, corners):
        totals[bases[place]] = plus(totals.get(bases[place], NOTHING), total_of(book))
    return totals


def _books(
    scene: Scene,
    bases: dict[Place, str],
    held: dict[tuple[int, int, str, str], Position],
    orders: dict[tuple[Place, Corner], list[Order]],
    corners: Iterable[tuple[Place, Corner]],
) -> Iterable[tuple[Place, SymbolBook]]:
    for place, corner in corners:
        position = held.get((*place, *corner), FLAT)
        quote = scene.quote(place[0], corner[0])
        working = working_of(orders.get((place, corner), []), position)
        rate = rate_to_value_in(scene, place[0], bases[place], corner[0], position)
        mark, prices = mark_of(quote, position), prices_of(quote)
        yield place, book_of(position.quantity, mark, working, prices, rate=rate)
