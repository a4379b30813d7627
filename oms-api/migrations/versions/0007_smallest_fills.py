"""A fill may be worth nothing in 8 decimals: the smallest quantity that exists can be closed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_POSITIVE = ("ck_trades_gmv_is_positive", "CAST(gmv AS NUMERIC) > 0")
_NOT_NEGATIVE = ("ck_trades_gmv_is_not_negative", "CAST(gmv AS NUMERIC) >= 0")


def upgrade() -> None:
    """Let a trade's value be zero."""
    _replace_check(_POSITIVE, _NOT_NEGATIVE)


def downgrade() -> None:
    """Let it be above zero only. Raises RuntimeError where a trade is worth nothing."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    found = bind.execute(sa.text("SELECT count(*) FROM trades WHERE CAST(gmv AS NUMERIC) = 0"))
    if found.scalar_one():
        raise RuntimeError("There are trades that only this version can hold: restore a backup instead.")
    _replace_check(_NOT_NEGATIVE, _POSITIVE)


def _replace_check(previous: tuple[str, str], current: tuple[str, str]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite_schema(*(f"CONSTRAINT {name} CHECK ({rule})" for name, rule in (previous, current)))
        return
    op.execute(f"ALTER TABLE trades DROP CONSTRAINT {previous[0]}")
    op.execute(f"ALTER TABLE trades ADD CONSTRAINT {current[0]} CHECK ({current[1]})")


def _rewrite_schema(previous: str, current: str) -> None:
    """Change a check in place, as SQLite's documentation of ALTER TABLE describes.

    A copy of the table would lose its triggers.
    """
    bind = op.get_bind()
    version = bind.exec_driver_sql("PRAGMA schema_version").scalar_one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    changed = bind.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE name = 'trades' AND instr(sql, ?) > 0",
        (previous, current, previous),
    )
    if changed.rowcount != 1:
        raise RuntimeError("The table of trades is not as this service made it.")
    bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    bind.exec_driver_sql("PRAGMA writable_schema = OFF")
