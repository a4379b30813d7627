"""Statements about alerts."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select, update

from app.alerts.models import AlertRow
from app.alerts.rules.conditions import Alert, AlertKind, Direction, Transition, apply_transition
from app.identity.queries.owners import build_activity_condition, build_visibility_condition
from app.identity.rules.access import Caller
from app.ledger.models import Portfolio

_COLUMNS = tuple(getattr(AlertRow, name) for name in Alert._fields)


class ListedAlert(NamedTuple):
    """An alert with the name of its portfolio."""

    alert: Alert
    portfolio_name: str | None


class WatchedPortfolio(NamedTuple):
    """A portfolio with alerts."""

    tenant_id: int
    id: int
    name: str
    name_key: str
    is_live: bool


def insert_alert(connection: Connection, alert: Alert) -> None:
    """Store a new alert."""
    connection.execute(insert(AlertRow).values(**alert._asdict()))


def count_alerts(connection: Connection, tenant_id: int, owner: str | None = None) -> int:
    """Return the number of the tenant's alerts, or of those of an owner."""
    statement = select(func.count()).select_from(AlertRow).where(AlertRow.tenant_id == tenant_id)
    if owner is not None:
        statement = statement.where(AlertRow.owner == owner)
    return int(connection.execute(statement).scalar_one())


def list_alerts(connection: Connection, caller: Caller, limit: int, before: str | None) -> list[ListedAlert]:
    """Return the alerts of a caller, newest first. `before` is the id of the last alert seen.

    Alerts of portfolios that the caller may not see now are left out.
    """
    is_portfolio = (Portfolio.tenant_id == AlertRow.tenant_id) & (Portfolio.id == AlertRow.portfolio_id)
    statement = (
        select(*_COLUMNS, Portfolio.name)
        .outerjoin(Portfolio, is_portfolio)
        .where(AlertRow.tenant_id == caller.tenant_id, AlertRow.owner == caller.actor)
        .order_by(AlertRow.id.desc())
        .limit(limit)
    )
    if caller.portfolios is not None:
        is_visible = Portfolio.name_key.in_(sorted(caller.portfolios))
        statement = statement.where(or_(AlertRow.portfolio_id.is_(None), is_visible))
    if before is not None:
        statement = statement.where(AlertRow.id < before)
    return [ListedAlert(_build_alert(row[:-1]), row[-1]) for row in connection.execute(statement)]


def delete_alert(connection: Connection, tenant_id: int, owner: str, alert_id: str) -> bool:
    """Delete an alert of the owner. Return whether there was one."""
    is_mine = (AlertRow.tenant_id == tenant_id, AlertRow.owner == owner, AlertRow.id == alert_id)
    return connection.execute(delete(AlertRow).where(*is_mine)).rowcount == 1


def delete_alerts_of(connection: Connection, tenant_id: int, owner: str) -> None:
    """Delete all alerts of an owner."""
    connection.execute(delete(AlertRow).where(AlertRow.tenant_id == tenant_id, AlertRow.owner == owner))


def find_alert(connection: Connection, tenant_id: int, alert_id: str, now: datetime) -> Alert | None:
    """Return an alert by its id. None if it does not exist or its owner is not active."""
    is_match = (AlertRow.tenant_id == tenant_id, AlertRow.id == alert_id, _has_active_owner(now))
    row = connection.execute(select(*_COLUMNS).where(*is_match)).one_or_none()
    return None if row is None else _build_alert(row)


def list_price_alerts(connection: Connection, since: datetime | None, now: datetime) -> list[Alert]:
    """Return the price alerts that changed since an instant, of every tenant that the connection sees.

    Without an instant, return all that are active. Alerts of inactive owners are left out.
    """
    statement = select(*_COLUMNS).where(AlertRow.kind == AlertKind.PRICE, _has_active_owner(now))
    is_wanted = AlertRow.is_active.is_(True) if since is None else AlertRow.updated_at >= since
    return [_build_alert(row) for row in connection.execute(statement.where(is_wanted))]


def list_portfolio_alerts(connection: Connection, now: datetime) -> list[tuple[Alert, WatchedPortfolio]]:
    """Return the active alerts of portfolios, of every tenant that the connection sees, by portfolio.

    Alerts whose owners are not active, or may not see the portfolio, are left out.
    """
    return [_build_watched(row) for row in connection.execute(_select_portfolio_alerts(now))]


def apply_to_row(connection: Connection, transition: Transition, now: datetime) -> Alert | None:
    """Apply a transition to the row of its alert, and return the row.

    Return None if the row is in another state, because another process was first, if it no longer exists, or
    if its owner is not active.
    """
    alert = transition.alert
    updated = apply_transition(transition)
    values: dict[str, Any] = {"is_armed": updated.is_armed, "changed_at": transition.at, "updated_at": now}
    if transition.is_firing:
        values |= {"value": transition.value, "fired_at": transition.at, "firing": AlertRow.firing + 1}
        values["is_active"] = updated.is_active
    statement = (
        update(AlertRow)
        .where(AlertRow.tenant_id == alert.tenant_id, AlertRow.id == alert.id, AlertRow.is_active.is_(True))
        .where(AlertRow.is_armed.is_(transition.is_firing))
        .where(
            or_(AlertRow.changed_at.is_(None), AlertRow.changed_at <= transition.at), _has_active_owner(now)
        )
        .values(**values)
        .returning(*_COLUMNS)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _build_alert(row)


def _has_active_owner(now: datetime) -> ColumnElement[bool]:
    return build_activity_condition(AlertRow.tenant_id, AlertRow.owner, now)


def _select_portfolio_alerts(now: datetime) -> Select[Any]:
    is_portfolio = (Portfolio.tenant_id == AlertRow.tenant_id) & (Portfolio.id == AlertRow.portfolio_id)
    return (
        select(*_COLUMNS, Portfolio.name, Portfolio.name_key, Portfolio.kind)
        .join(Portfolio, is_portfolio)
        .where(AlertRow.kind != AlertKind.PRICE, AlertRow.is_active.is_(True), _has_active_owner(now))
        .where(build_visibility_condition(AlertRow.tenant_id, AlertRow.owner, Portfolio.name_key))
        .order_by(AlertRow.tenant_id, AlertRow.portfolio_id, AlertRow.id)
    )


def _build_watched(row: Any) -> tuple[Alert, WatchedPortfolio]:
    alert, (name, key, kind) = _build_alert(row[:-3]), row[-3:]
    return alert, WatchedPortfolio(alert.tenant_id, alert.portfolio_id or 0, name, key, kind == "live")


def _build_alert(row: Any) -> Alert:
    alert = Alert._make(row)
    return alert._replace(kind=AlertKind(alert.kind), direction=Direction(alert.direction))
