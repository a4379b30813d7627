"""Move the risk settings of a portfolio to its new name."""

from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, select, tuple_, update

from app.ledger.models import Portfolio
from app.risk.models import KillSwitchRow, LimitRow
from app.risk.queries.switches import load_switches
from app.risk.rules.switches import get_strictest_state
from app.risk.rules.values import TradingState

_SWITCHES = cast("Table", KillSwitchRow.__table__)
_LIMITS = cast("Table", LimitRow.__table__)
_PORTFOLIOS = cast("Table", Portfolio.__table__)


def rename_portfolio(connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
    """Move the kill switch and the limits of a portfolio, which is already renamed, to the new name.

    If both names have a kill switch, the stricter one is kept. Limits of the portfolio replace limits that
    were set for the new name before. The trading state is then updated.
    """
    if key != new_key:
        _delete_milder_switch(connection, tenant_id, key, new_key)
        _delete_replaced_limits(connection, tenant_id, key, new_key)
    for table in (_SWITCHES, _LIMITS):
        new_names = {"name_key": new_key, "name": new_name}
        connection.execute(update(table).where(*_build_conditions(table, tenant_id, key)).values(**new_names))
    state = load_switches(connection, [tenant_id])[tenant_id].get_state(new_key).state
    conditions = (_PORTFOLIOS.c.tenant_id == tenant_id, _PORTFOLIOS.c.name_key == new_key)
    connection.execute(update(_PORTFOLIOS).where(*conditions).values(trading_state=state.value))


def _delete_milder_switch(connection: Connection, tenant_id: int, key: str, new_key: str) -> None:
    renamed_switch, existing_switch = (
        _load_switch(connection, tenant_id, key),
        _load_switch(connection, tenant_id, new_key),
    )
    if renamed_switch is None or existing_switch is None:
        return
    states = TradingState(renamed_switch["state"]), TradingState(existing_switch["state"])
    if get_strictest_state(*states) is not states[0]:
        values = {name: existing_switch[name] for name in ("state", "reason", "set_by", "set_at")}
        connection.execute(
            update(_SWITCHES).where(*_build_conditions(_SWITCHES, tenant_id, key)).values(**values)
        )
    connection.execute(delete(_SWITCHES).where(*_build_conditions(_SWITCHES, tenant_id, new_key)))


def _load_switch(connection: Connection, tenant_id: int, key: str) -> RowMapping | None:
    statement = select(_SWITCHES).where(*_build_conditions(_SWITCHES, tenant_id, key)).with_for_update()
    return connection.execute(statement).mappings().one_or_none()


def _delete_replaced_limits(connection: Connection, tenant_id: int, key: str, new_key: str) -> None:
    columns = (_LIMITS.c.code, _LIMITS.c.is_temporary)
    renamed_rows = connection.execute(
        select(*columns).where(*_build_conditions(_LIMITS, tenant_id, key))
    ).all()
    if renamed_rows:
        replaced = tuple_(*columns).in_([tuple(row) for row in renamed_rows])
        connection.execute(delete(_LIMITS).where(*_build_conditions(_LIMITS, tenant_id, new_key), replaced))


def _build_conditions(table: Table, tenant_id: int, key: str) -> tuple[ColumnElement[Any], ...]:
    return (table.c.tenant_id == tenant_id, table.c.scope == "portfolio", table.c.name_key == key)
