"""Create portfolios, rename them and change their settings. A first trade creates a portfolio too."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.errors import FieldError, Invalid
from app.identity.queries.tenants import load_opening_cash
from app.identity.queries.users import is_known
from app.identity.rules.access import Role
from app.identity.rules.people import parse_slack_person
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ids import generate_row_id
from app.ledger.errors import FixedAtCreation, NoSuchPortfolio, PortfolioExists
from app.ledger.queries import portfolio_management as queries
from app.ledger.queries.portfolio_management import PortfolioDetails
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.ledger.rules.chain import GENESIS
from app.ledger.rules.settings import DEFAULT_SETTINGS, serialize_audited_settings
from app.ledger.service.portfolio_statements import build_summary
from app.ledger.service.trade_guard import BrokerChoice, Guard
from app.money import ZERO, format_fixed, shorten_amount
from app.text import name_key

_ROLES = {f"role:{role}" for role in Role}


class NewPortfolio(NamedTuple):
    """A paper portfolio to create.

    `opening_cash` is in its base currency, None for the tenant's default. `settings` are by column.
    """

    name: str
    base_currency: str
    opening_cash: Decimal | None
    settings: Mapping[str, Any]


class PortfolioChanges(NamedTuple):
    """The changes of a portfolio; None leaves a field as it is.

    `settings` are by column. `broker` is where its orders will go, with the name of the connection.
    `base_currency` and `opening_cash` must be the present ones.
    """

    name: str | None
    base_currency: str | None
    opening_cash: Decimal | None
    settings: Mapping[str, Any]
    broker: BrokerChoice | None = None


def create_portfolio(
    connection: Connection, request: ChangeRequest, portfolio: NewPortfolio, guard: Guard, now: datetime
) -> ChangeResult:
    """Create an empty portfolio with the trading state that kill switches require.

    Raises PortfolioExists; names are case-insensitive. Raises Invalid for unknown approvers.
    """
    tenant_id, key = request.caller.tenant_id, name_key(portfolio.name)
    if queries.find_portfolio_details(connection, tenant_id, key) is not None:
        raise PortfolioExists(portfolio.name)
    settings = DEFAULT_SETTINGS._replace(**portfolio.settings)
    _require_approvers(connection, tenant_id, settings.approval)
    cash = portfolio.opening_cash
    if cash is None:
        cash = load_opening_cash(connection, [tenant_id])[tenant_id]
    queries.insert_portfolio(
        connection,
        queries.build_settings_values(settings)
        | {
            "id": generate_row_id(),
            "tenant_id": tenant_id,
            "name": portfolio.name,
            "name_key": key,
            "base_currency": portfolio.base_currency,
            "opening_cash": cash,
            "cash": cash,
            "trading_state": guard.get_opening_state(connection, tenant_id, key),
        }
        | {"realized_pnl": ZERO, "total_trades": 0, "total_buys": 0, "last_sequence": 0}
        | {"last_hash": GENESIS, "created_at": now},
    )
    fields = {
        "name": portfolio.name,
        "base_currency": portfolio.base_currency,
        "opening_cash": shorten_amount(format_fixed(cash)),
        "cost_schedule": settings.cost_schedule,
        **serialize_audited_settings(portfolio.settings),
    }
    entry = request.build_audit_entry(now, "portfolio.created", _build_target(portfolio.name), None, fields)
    return ChangeResult(_load_portfolio(connection, tenant_id, key), [entry], 201)


def update_portfolio(
    connection: Connection,
    request: ChangeRequest,
    name: str,
    changes: PortfolioChanges,
    guard: Guard,
    now: datetime,
) -> ChangeResult:
    """Change a portfolio's name, its settings, or both.

    Its ledger, positions, grants, limits and kill switch are kept. Raises NoSuchPortfolio, PortfolioExists or
    FixedAtCreation, Invalid for unknown approvers, and the errors of `Guard.assign_broker`.
    """
    tenant_id, key = request.caller.tenant_id, name_key(name)
    previous = queries.find_portfolio_details(connection, tenant_id, key)
    if previous is None:
        raise NoSuchPortfolio(name)
    _require_unchanged(previous, changes)
    _require_approvers(connection, tenant_id, changes.settings.get("approval"))
    entries = []
    if changes.name is not None and changes.name != previous.name:
        key = _rename_portfolio(connection, tenant_id, key, changes.name, guard)
        before, after = {"name": previous.name}, {"name": changes.name}
        entries.append(
            request.build_audit_entry(now, "portfolio.renamed", _build_target(previous.name), before, after)
        )
    stored = previous.settings._asdict()
    values = dict(changes.settings)
    if changes.broker is not None:
        values |= guard.assign_broker(connection, tenant_id, key, changes.broker)
    changed = {column: value for column, value in values.items() if stored[column] != value}
    if changed:
        queries.update_settings(connection, tenant_id, key, previous.settings._replace(**changed))
        name = changes.name or previous.name
        before = _serialize_changes(name, {column: stored[column] for column in changed})
        after = _serialize_changes(name, changed)
        entries.append(
            request.build_audit_entry(now, "portfolio.updated", _build_target(name), before, after)
        )
    return ChangeResult(_load_portfolio(connection, tenant_id, key), entries)


def _require_unchanged(previous: PortfolioDetails, changes: PortfolioChanges) -> None:
    """Raise FixedAtCreation where the change names another currency or another opening cash."""
    for field in ("base_currency", "opening_cash"):
        value = getattr(changes, field)
        if value is not None and value != getattr(previous, field):
            raise FixedAtCreation(field)


def _require_approvers(connection: Connection, tenant_id: int, approval: str | None) -> None:
    """Raise Invalid for an approver that is neither a role nor a user of the tenant."""
    for index, approver in enumerate([] if approval is None else orjson.loads(approval)["approvers"]):
        if approver.startswith("role:"):
            is_approver = approver in _ROLES
        elif parse_slack_person(approver) is None:
            is_approver = is_known(connection, tenant_id, email=approver, person=None)
        else:
            is_approver = is_known(connection, tenant_id, email=None, person=approver)
        if not is_approver:
            message = "Must be a user of the tenant, by e-mail address or Slack identity, or one of "
            message += f"{', '.join(sorted(_ROLES))}."
            errors = [FieldError(f"approval.approvers.{index}", message, "unknown_approver")]
            raise Invalid(f"There is no approver {approver!r}; see `errors`.", errors)


def _rename_portfolio(connection: Connection, tenant_id: int, key: str, new_name: str, guard: Guard) -> str:
    """Rename a portfolio. Return its new name key."""
    new_key = name_key(new_name)
    if new_key != key and queries.find_portfolio_details(connection, tenant_id, new_key) is not None:
        raise PortfolioExists(new_name)
    queries.rename_portfolio(connection, tenant_id, key, new_name, new_key)
    guard.rename(connection, tenant_id, key, new_key, new_name)
    return new_key


def _load_portfolio(connection: Connection, tenant_id: int, key: str) -> dict[str, Any]:
    summary, _ = load_portfolios_by_name(connection, tenant_id, [key])[key]
    return build_summary(summary)


def _serialize_changes(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a portfolio for the audit log."""
    return {"name": name} | serialize_audited_settings(settings)


def _build_target(name: str) -> str:
    return f"portfolio:{name}"
