"""Row-level security at run time, on PostgreSQL: the tenant scope of a transaction.

A statement sees only rows of the tenants in the setting `app.tenants`, which is local to the transaction;
without it, no rows. The setting is sent ahead of the first statement of each transaction, in one round trip.
SQLite has no row-level security and ignores the scope.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, event, text

APP_ROLE = "slackoms_app"
_SCOPE_OPTION, _SENT_SCOPE_KEY = "tenants", "tenants_sent"
_ROLE_QUERY = "SELECT 1 FROM pg_roles WHERE rolname = %s AND pg_has_role(current_user, oid, 'MEMBER')"

_USER_QUERY = """
    SELECT current_user, rolsuper OR rolbypassrls OR EXISTS (
        SELECT FROM pg_policies WHERE schemaname = current_schema() AND policyname = 'owner_rows'
    ) FROM pg_roles WHERE rolname = current_user
"""


# Whether a policy lets the user see rows of each protected table.
_VISIBILITY_QUERY = """
    SELECT bool_and(rolsuper OR rolbypassrls OR EXISTS (
        SELECT FROM pg_policy any_policy, unnest(any_policy.polroles) role
        WHERE any_policy.polrelid = wall.polrelid
            AND CASE WHEN role = 0 THEN true ELSE pg_has_role(current_user, role, 'USAGE') END
    )) FROM pg_policy wall JOIN pg_class ON pg_class.oid = wall.polrelid, pg_roles
    WHERE polname = 'tenant_rows' AND relnamespace = current_schema()::regnamespace AND rolname = current_user
"""


class NoVisibleRows(Exception):
    """Raised when no policy applies to the database user, so every table would look empty."""

    def __init__(self) -> None:
        super().__init__(
            "Row-level security hides all rows from this database user. Connect as the owner of the tables. "
            "If they were restored under another owner, run `python -m app.migrate` first."
        )


def set_tenant_scope(connection: Connection, tenant_ids: Iterable[int]) -> Connection:
    """Set the tenants that transactions of `connection` may see, and return `connection`.

    The tenants apply from the next statement on.
    """
    numbers = ",".join(str(int(tenant_id)) for tenant_id in sorted(set(tenant_ids)))
    return connection.execution_options(**{_SCOPE_OPTION: numbers})


def enforce_row_security(engine: Engine) -> None:
    """Make every connection of `engine` act as a role that owns no table, and send its tenant scope.

    If the role does not exist, or the user may not act as it, connections keep their user.
    """
    event.listen(engine, "connect", _set_app_role)
    send_tenant_scope(engine)


def send_tenant_scope(engine: Engine) -> None:
    """Send the tenant scope ahead of the first statement of each transaction."""
    event.listen(engine, "begin", _clear_scope)
    event.listen(engine, "before_cursor_execute", _prepend_scope, retval=True)


def set_all_tenants_scope(connection: Connection) -> Connection:
    """Set the scope to all tenants, for the operator's commands, even if the policies apply to the owner.

    Raises NoVisibleRows.
    """
    if (
        connection.dialect.name == "postgresql"
        and connection.execute(text(_VISIBILITY_QUERY)).scalar_one() is False
    ):
        raise NoVisibleRows
    return set_tenant_scope(connection, connection.execute(text("SELECT id FROM tenants")).scalars())


def describe_row_security(connection: Connection) -> str:
    """Describe the row-level security of this connection, for the readiness check.

    "enforced": it acts as a role that owns no table. "enforced on the owner": the role could not be created,
    and the policies apply to the service's own user. "bypassed": policies do not apply to the user. "none":
    SQLite.
    """
    if connection.dialect.name == "sqlite":
        return "none"
    user, bypasses = connection.execute(text(_USER_QUERY)).one()
    if user == APP_ROLE:
        return "enforced"
    return "bypassed" if bypasses else "enforced on the owner"


def _set_app_role(dbapi_connection: Any, _: object) -> None:  # a psycopg2 connection
    with dbapi_connection.cursor() as cursor:
        cursor.execute(_ROLE_QUERY, (APP_ROLE,))
        if cursor.fetchone():
            cursor.execute(f"SET ROLE {APP_ROLE}")
    dbapi_connection.commit()


def _clear_scope(connection: Connection) -> None:
    connection.info.pop(_SENT_SCOPE_KEY, None)


def _prepend_scope(
    connection: Connection, _: Any, statement: str, parameters: Any, context: Any, __: bool
) -> tuple[str, Any]:  # the return type of SQLAlchemy's event
    declaration = _build_unsent_declaration(connection)
    if declaration is None:
        return statement, parameters
    if getattr(context, "_is_server_side", False):  # DECLARE CURSOR accepts only one statement
        plain = connection.connection.cursor()
        plain.execute(declaration)
        plain.close()
        return statement, parameters
    return f"{declaration}; {statement}", parameters


def add_tenant_scope(connection: Connection, statement: str) -> str:
    """Return the statement with the tenant scope before it, if the transaction does not have it yet.

    For statements that are given to the driver directly.
    """
    declaration = _build_unsent_declaration(connection)
    return statement if declaration is None else f"{declaration}; {statement}"


def _build_unsent_declaration(connection: Connection) -> str | None:
    """Return the statement that sets the tenant scope, None if the transaction has it or there is none."""
    options = connection.get_execution_options()
    declared = options.get(_SCOPE_OPTION)
    if declared is None or connection.info.get(_SENT_SCOPE_KEY) == declared:
        return None
    if options.get("isolation_level") != "AUTOCOMMIT":  # in AUTOCOMMIT each statement is its own transaction
        connection.info[_SENT_SCOPE_KEY] = declared
    return f"SELECT set_config('app.tenants', '{{{declared}}}', true)"
