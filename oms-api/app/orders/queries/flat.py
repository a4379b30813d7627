"""What is held, for those who close it."""

from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, select

from app.ledger.models import Portfolio, PositionRow
from app.money import fixed, quantity_text

_PORTFOLIOS = cast("Table", Portfolio.__table__)
_POSITIONS = cast("Table", PositionRow.__table__)


class Held(NamedTuple):
    """A position that is not flat; `quantity` is signed, for display."""

    portfolio: str
    symbol: str
    product: str
    quantity: str


def held_by(connection: Connection, tenant_id: int, portfolio_key: str | None) -> list[Held]:
    """Return what is held in the portfolio of that name key, or in all of the tenant's."""
    home = (_PORTFOLIOS.c.tenant_id == _POSITIONS.c.tenant_id) & (
        _PORTFOLIOS.c.id == _POSITIONS.c.portfolio_id
    )
    columns: tuple[Any, ...] = (_PORTFOLIOS.c.name, _POSITIONS.c.symbol, _POSITIONS.c.product)
    statement = (
        select(*columns, _POSITIONS.c.quantity)
        .select_from(_POSITIONS.join(_PORTFOLIOS, home))
        .where(_POSITIONS.c.tenant_id == tenant_id)
        .order_by(*columns)
    )
    if portfolio_key is not None:
        statement = statement.where(_PORTFOLIOS.c.name_key == portfolio_key)
    rows = connection.execute(statement)
    return [Held(*row[:3], quantity_text(fixed(row[3]))) for row in rows if row[3]]
