"""Limits for an asset class, and the currency that a tenant's limits of the whole firm are in."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = "scope IN ('tenant', 'portfolio', 'user', 'strategy', 'instrument')"
_AFTER = "scope IN ('tenant', 'portfolio', 'user', 'strategy', 'instrument', 'asset_class')"
_COMMON_CURRENCY = """
    UPDATE tenants
    SET base_currency = (SELECT min(base_currency) FROM portfolios WHERE tenant_id = tenants.id)
    WHERE (SELECT count(DISTINCT base_currency) FROM portfolios WHERE tenant_id = tenants.id) = 1
"""


def upgrade() -> None:
    """Allow the scope; give tenants the currency of their portfolios where these have one in common."""
    _allow_scopes(_AFTER)
    op.execute("ALTER TABLE tenants ADD COLUMN base_currency VARCHAR(3) DEFAULT 'USD' NOT NULL")
    if op.get_bind().dialect.name != "sqlite":  # the wall may bind the owner too
        every = "(SELECT array_agg(id)::text FROM tenants)"
        op.get_bind().execute(sa.text(f"SELECT set_config('app.tenants', {every}, true)"))
    op.execute(_COMMON_CURRENCY)


def downgrade() -> None:
    """Take limits of asset classes away, and the currency."""
    op.execute("ALTER TABLE tenants DROP COLUMN base_currency")
    op.execute("DELETE FROM limits WHERE scope = 'asset_class'")
    _allow_scopes(_BEFORE)


def _allow_scopes(condition: str) -> None:
    name = op.f("ck_limits_scope_is_known")
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(sa.CheckConstraint(condition, name=name))
        return
    op.drop_constraint(name, "limits", type_="check")
    op.create_check_constraint(name, "limits", condition)


def _rebuild(scopes: sa.CheckConstraint) -> None:
    """SQLite changes no constraint of a table: build it anew, with the same rows."""
    op.execute("ALTER TABLE limits RENAME TO limits_before")
    op.create_table(
        "limits",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("is_temporary", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", Amount(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("set_by", sa.String(length=300), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        scopes,
        sa.CheckConstraint(
            "(scope = 'tenant') = (name_key = '')", name=op.f("ck_limits_all_but_the_tenant_have_a_name")
        ),
        sa.CheckConstraint("CAST(value AS NUMERIC) >= 0", name=op.f("ck_limits_value_is_not_negative")),
        sa.CheckConstraint(
            "(is_temporary = 1) = (until IS NOT NULL)", name=op.f("ck_limits_a_temporary_one_ends")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "scope", "name_key", "code", "is_temporary", name=op.f("pk_limits")
        ),
    )
    columns = "tenant_id, scope, name_key, code, is_temporary, name, value, until, set_by, set_at, words"
    op.execute(f"INSERT INTO limits ({columns}) SELECT {columns} FROM limits_before")
    op.execute("DROP TABLE limits_before")
