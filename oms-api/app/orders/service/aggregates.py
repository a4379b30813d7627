"""What the portfolios of a tenant add up to, for limits of the whole firm."""

from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import text

from app.ledger.queries.books import positions_in
from app.ledger.rules.accounting import FLAT, Position
from app.orders.queries.book import open_orders, portfolios_of
from app.orders.rules.values import Order
from app.orders.service.exposing import exposure_in, mark_of, prices_of, working_of
from app.orders.service.scene import Corner, Place, Scene
from app.risk.rules.exposure import book_of, plus, totals_of
from app.risk.rules.values import NOTHING, Limits, SymbolBook, Totals

_LOCK_CLASS = 4100  # of advisory locks: one who adds up a tenant keeps others from doing so until the commit


def needs_the_firm(limits: Limits) -> bool:
    """Tell whether a limit is on the sum of the portfolios."""
    firm = (limits.firm_gross_exposure, limits.firm_net_exposure, limits.firm_open_orders)
    return any(limit is not None for limit in firm)


def firm_totals(scene: Scene, order: Order) -> Totals:
    """Return what the tenant's other portfolios add up to: those of the batch as it sees them, the rest as
    they are in the database, which no other process can add to meanwhile.
    """
    tenant_id, own = order.tenant_id, (order.tenant_id, order.portfolio_id)
    if tenant_id not in scene.elsewhere:
        _lock(scene)
        scene.elsewhere[tenant_id] = _unlocked_totals(scene, tenant_id)
    total: Totals = scene.elsewhere[tenant_id]
    for place in scene.blotter.places:
        if place[0] == tenant_id and place != own:
            total = plus(total, exposure_in(scene, place).total)
    return total


def _lock(scene: Scene) -> None:
    """Of two processes that add up the same tenants, one waits: in the order of the tenants' numbers."""
    if scene.elsewhere or scene.connection.dialect.name != "postgresql":
        return
    for tenant_id in sorted({place[0] for place in scene.blotter.places}):
        statement = text("SELECT pg_advisory_xact_lock(:class, :tenant)")
        scene.connection.execute(statement, {"class": _LOCK_CLASS, "tenant": tenant_id})


def _unlocked_totals(scene: Scene, tenant_id: int) -> Totals:
    places = {(tenant_id, found[0]) for found in portfolios_of(scene.connection, tenant_id)}
    others = sorted(places - scene.blotter.places)
    if not others:
        return NOTHING
    held = {row[:4]: Position(*map(Decimal, row[4:7])) for row in positions_in(scene.connection, others)}
    orders: dict[tuple[Place, Corner], list[Order]] = {}
    for one in open_orders(scene.connection, others):
        orders.setdefault(((tenant_id, one.portfolio_id), (one.symbol, one.product)), []).append(one)
    corners = {((key[0], key[1]), (key[2], key[3])) for key, position in held.items() if position.quantity}
    corners |= orders.keys()
    scene.look_up(sorted({(tenant_id, corner[0]) for _, corner in corners}))
    return totals_of(_books(scene, held, orders, corners))


def _books(
    scene: Scene,
    held: dict[tuple[int, int, str, str], Position],
    orders: dict[tuple[Place, Corner], list[Order]],
    corners: Iterable[tuple[Place, Corner]],
) -> Iterable[SymbolBook]:
    for place, corner in corners:
        position = held.get((*place, *corner), FLAT)
        quote = scene.quote(place[0], corner[0])
        working = working_of(orders.get((place, corner), []))
        yield book_of(position.quantity, mark_of(quote, position), working, prices_of(quote))
