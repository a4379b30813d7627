"""Row-level security for migrations: how a table is put behind the wall between tenants (PostgreSQL).

Where the migrating user may make the role `slackoms_app`, or is a member of it, the service works as that
role, and the owner sees everything: migrations and backups need it. Where it may not, the policy binds the
owner itself.
"""

from sqlalchemy import Connection, text

from app.database.tenants import APP_ROLE

# A subquery, so that the setting is read once for a statement and not for every row it looks at. And not
# `tenant_id = any(…)`: the planner would expect few rows, and read all of the tenant's instead of looking up
# the keys that a statement asks for.
_DECLARED = "(SELECT nullif(current_setting('app.tenants', true), '')::int[])"
_MINE = f"array_position({_DECLARED}, tenant_id) IS NOT NULL"
_MAKE_ROLE = f"""
    DO $$ BEGIN
        CREATE ROLE {APP_ROLE} NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""
# Where another installation of the server made the role, that one's owner alone may admit others to it.
_JOIN_ROLE = f"""
    DO $$ BEGIN
        GRANT {APP_ROLE} TO CURRENT_USER;
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END $$
"""
_ORPHANS = """
    SELECT quote_ident(tablename) FROM pg_policies JOIN pg_tables USING (schemaname, tablename)
    WHERE policyname = 'owner_rows' AND schemaname = current_schema()
        AND tableowner = current_user AND NOT current_user = ANY (roles)
"""
_STANDING = text(
    """
    SELECT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user),
        count(*) > 0, coalesce(bool_or(pg_has_role(current_user, oid, 'MEMBER')), false)
    FROM pg_roles WHERE rolname = :role
    """
).bindparams(role=APP_ROLE)


def prepare_role(connection: Connection) -> bool:
    """Make the role of the service and join it, where that is allowed; return whether it can be used."""
    may_create, exists, is_member = connection.execute(_STANDING).one()
    if may_create and not exists:
        connection.execute(text(_MAKE_ROLE))
    if may_create and not is_member:
        connection.execute(text(_JOIN_ROLE))
        is_member = connection.execute(_STANDING).one()[2]
    return bool(is_member)


def adopt(connection: Connection) -> None:
    """Let whoever owns the tables now see all of their rows: in a database that was restored under another
    name, the policies speak of the owner of before.
    """
    orphans = connection.execute(text(_ORPHANS)).scalars().all()
    for table in orphans:
        connection.execute(text(f"ALTER POLICY owner_rows ON {table} TO CURRENT_USER"))
    if orphans:
        prepare_role(connection)


def protect(table: str, verbs: str, *, with_role: bool) -> list[str]:
    """Return the statements that let tenants see their own rows of `table` alone, and use `verbs` on them."""
    statements = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_rows ON {table} TO {APP_ROLE if with_role else 'PUBLIC'} "
        f"USING ({_MINE}) WITH CHECK ({_MINE})",
    ]
    if with_role:
        statements.append(
            f"CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)"
        )
        statements += allow(table, verbs)
    return statements


def unprotect(table: str) -> list[str]:
    """Return the statements that undo `protect`."""
    return [
        f"DROP POLICY tenant_rows ON {table}",
        f"DROP POLICY IF EXISTS owner_rows ON {table}",
        f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    ]


def allow(table: str, verbs: str) -> list[str]:
    """Return the statements that let the service use `verbs` on a table, and number its rows."""
    grant_sequence = f"""
        DO $$ DECLARE owned record; BEGIN
            FOR owned IN SELECT quote_ident(s.relname) AS name FROM pg_class s
                JOIN pg_depend d ON d.objid = s.oid AND d.deptype = 'a'
                WHERE s.relkind = 'S' AND d.refobjid = '{table}'::regclass
            LOOP EXECUTE 'GRANT USAGE ON SEQUENCE ' || owned.name || ' TO {APP_ROLE}'; END LOOP;
        END $$
    """  # noqa: S608  # a table of ours
    return [f"GRANT {verbs} ON {table} TO {APP_ROLE}", grant_sequence]
