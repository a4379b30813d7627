"""Row-level security for migrations: statements that restrict a table to one tenant's rows (PostgreSQL).

If the migrating user may create the role `slackoms_app` or be granted it, the service uses that role, and the
owner sees all rows for migrations and backups. Otherwise the policy also applies to the owner.
"""

from sqlalchemy import Connection, text

from app.database.tenants import APP_ROLE

# A subquery, so that the setting is read once per statement and not once per row. Not `tenant_id = any(…)`,
# for which the planner would expect few rows and scan all of the tenant's rows instead of looking up the keys
# of the statement.
_TENANT_IDS = "(SELECT nullif(current_setting('app.tenants', true), '')::int[])"
_TENANT_CONDITION = f"array_position({_TENANT_IDS}, tenant_id) IS NOT NULL"
_CREATE_ROLE_STATEMENT = f"""
    DO $$ BEGIN
        CREATE ROLE {APP_ROLE} NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""
# If another installation on the server created the role, only that installation's owner can grant it.
_GRANT_ROLE_STATEMENT = f"""
    DO $$ BEGIN
        GRANT {APP_ROLE} TO CURRENT_USER;
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END $$
"""
_STALE_POLICIES_QUERY = """
    SELECT quote_ident(tablename) FROM pg_policies JOIN pg_tables USING (schemaname, tablename)
    WHERE policyname = 'owner_rows' AND schemaname = current_schema()
        AND tableowner = current_user AND NOT current_user = ANY (roles)
"""
_ROLE_MEMBERSHIP_QUERY = text(
    """
    SELECT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user),
        count(*) > 0, coalesce(bool_or(pg_has_role(current_user, oid, 'MEMBER')), false)
    FROM pg_roles WHERE rolname = :role
    """
).bindparams(role=APP_ROLE)


def prepare_role(connection: Connection) -> bool:
    """Create the role of the service and grant it to the current user, if that is allowed.

    Return whether the role can be used.
    """
    may_create, exists, is_member = connection.execute(_ROLE_MEMBERSHIP_QUERY).one()
    if may_create and not exists:
        connection.execute(text(_CREATE_ROLE_STATEMENT))
    if may_create and not is_member:
        connection.execute(text(_GRANT_ROLE_STATEMENT))
        is_member = connection.execute(_ROLE_MEMBERSHIP_QUERY).one()[2]
    return bool(is_member)


def transfer_policies(connection: Connection) -> None:
    """Give the current owner of the tables access to all of their rows.

    After a restore as another role, the policies name the previous owner.
    """
    tables = connection.execute(text(_STALE_POLICIES_QUERY)).scalars().all()
    for table in tables:
        connection.execute(text(f"ALTER POLICY owner_rows ON {table} TO CURRENT_USER"))
    if tables:
        prepare_role(connection)


def enable_row_security(table: str, privileges: str, *, with_role: bool) -> list[str]:
    """Return the statements that restrict `table` to rows of the tenant scope, and grant `privileges`."""
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_rows ON {table} TO {APP_ROLE if with_role else 'PUBLIC'} "
        f"USING ({_TENANT_CONDITION}) WITH CHECK ({_TENANT_CONDITION})",
    ]
    if with_role:
        statements.append(
            f"CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)"
        )
        statements += grant_privileges(table, privileges)
    return statements


def disable_row_security(table: str) -> list[str]:
    """Return the statements that undo `enable_row_security`."""
    return [
        f"DROP POLICY tenant_rows ON {table}",
        f"DROP POLICY IF EXISTS owner_rows ON {table}",
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    ]


def grant_privileges(table: str, privileges: str) -> list[str]:
    """Return the statements that grant the service `privileges` on a table and the use of its sequence."""
    grant_sequence = f"""
        DO $$ DECLARE owned record; BEGIN
            FOR owned IN SELECT quote_ident(s.relname) AS name FROM pg_class s
                JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a'
                WHERE s.relkind = 'S' AND d.refobjid = '{table}'::regclass
            LOOP EXECUTE 'GRANT USAGE ON SEQUENCE ' || owned.name || ' TO {APP_ROLE}'; END LOOP;
        END $$
    """  # noqa: S608  # a table of ours
    return [f"GRANT {privileges} ON {table} TO {APP_ROLE}", grant_sequence]
