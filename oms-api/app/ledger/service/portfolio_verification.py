"""Verify portfolios: name, currency, opening cash and settings of the audit log."""

from collections.abc import Iterator

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.audit.rules.entries import AuditValues
from app.ledger.queries.audit import iterate_portfolio_values
from app.ledger.rules.settings import DEFAULT_SETTINGS, serialize_audited_settings
from app.money import shorten_amount
from app.text import name_key


def verify_portfolios(connection: Connection) -> Iterator[ActionDifference]:
    """Yield the differences between portfolios and the audit log.

    A portfolio that a first trade created has no audit entry.
    """
    stored: dict[tuple[int, str], AuditValues] = {}
    for row in iterate_portfolio_values(connection):
        location = f"portfolio (id {row['id']}) of tenant {row['tenant_id']}"
        fixed_facts = {"name_key": name_key(row["name"])}
        yield from find_differences(location, row, fixed_facts)
        stored[row["tenant_id"], row["name"]] = _convert_to_audited(row)
    expected = _list_expected(connection)
    for tenant_id, name in sorted(stored.keys() | expected.keys()):
        location = f"portfolio {name!r} of tenant {tenant_id}"
        if (tenant_id, name) not in stored:
            yield ActionDifference(location, "row", "none", "a row, as the audit log says")
        else:
            fields = DEFAULT_SETTINGS._asdict() | expected.get((tenant_id, name), {})
            yield from find_differences(location, stored[tenant_id, name], fields)


def _convert_to_audited(row: AuditValues) -> AuditValues:
    """Return the values that the audit log has in another form. Raises ValueError for invalid JSON."""
    return serialize_audited_settings(row) | {"opening_cash": shorten_amount(row["opening_cash"])}


def _list_expected(connection: Connection) -> dict[tuple[int, str], AuditValues]:
    expected: dict[tuple[int, str], AuditValues] = {}
    for entry in list_actions(connection, "portfolio."):
        if entry.action == "portfolio.created":
            expected[entry.tenant_id, entry.after["name"]] = entry.after | {"created_at": entry.at}
        elif entry.action == "portfolio.renamed":
            fields = expected.pop((entry.tenant_id, entry.before["name"]), {})
            expected[entry.tenant_id, entry.after["name"]] = fields | entry.after
        elif entry.action == "portfolio.updated":
            expected.setdefault((entry.tenant_id, entry.after["name"]), {}).update(entry.after)
    return expected
