"""Symbols have up to 40 characters: those of options do not fit in 20. Instruments have aliases."""

import sqlalchemy as sa
from alembic import op

from app.database.policies import enable_row_security, prepare_role
from app.instruments.rules import Instrument, list_default_aliases

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLES = ("trades", "positions", "orders", "executions", "instruments", "quotes", "bars", "latches")
_LENGTH = sa.String(length=40).with_variant(sa.String(length=20), "sqlite")
_LISTED = sa.text("SELECT tenant_id, symbol, asset_class, currency FROM instruments ORDER BY 1, 2")
_IS_USED = sa.text(
    " UNION ALL ".join(
        f"SELECT 1 FROM {table} WHERE tenant_id = :tenant_id AND symbol = :alias"
        for table in ("instruments", "trades", "orders", "quotes")
    )
    + " UNION ALL SELECT 1 FROM instrument_aliases WHERE tenant_id = :tenant_id AND alias = :alias"
    + " UNION ALL SELECT 1 FROM limits"
    + " WHERE tenant_id = :tenant_id AND scope = 'instrument' AND name_key = :alias LIMIT 1"
)
_NEW_ALIAS = sa.text(
    "INSERT INTO instrument_aliases (tenant_id, alias, symbol) VALUES (:tenant_id, :alias, :symbol)"
)


def upgrade() -> None:
    """Widen the columns. PostgreSQL rewrites neither tables nor indexes; SQLite enforces no length."""
    _resize(40)
    _make_aliases()
    _fill_aliases()


def downgrade() -> None:
    """Drop aliases and narrow the columns. Refused while a symbol has more than 20 characters."""
    _see_every_tenant()
    for table in _TABLES:
        longer = sa.text(f"SELECT count(*) FROM {table} WHERE length(symbol) > 20")
        if op.get_bind().execute(longer).scalar_one():
            raise RuntimeError("There are symbols of more than 20 characters: restore a backup instead.")
    op.drop_table("instrument_aliases")
    _resize(20)


def _resize(length: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN symbol TYPE VARCHAR({length})")


def _make_aliases() -> None:
    op.create_table(
        "instrument_aliases",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("alias", _LENGTH, nullable=False),
        sa.Column("symbol", _LENGTH, nullable=False),
        sa.CheckConstraint("alias <> symbol", name=op.f("ck_instrument_aliases_alias_is_another_name")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "symbol"],
            ["instruments.tenant_id", "instruments.symbol"],
            name=op.f("fk_instrument_aliases_tenant_id_symbol_instruments"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "alias", name=op.f("pk_instrument_aliases")),
    )
    op.create_index(
        op.f("ix_instrument_aliases_tenant_id_symbol"), "instrument_aliases", ["tenant_id", "symbol"]
    )
    if op.get_bind().dialect.name != "sqlite":
        with_role = prepare_role(op.get_bind())
        for statement in enable_row_security(
            "instrument_aliases", "SELECT, INSERT, DELETE", with_role=with_role
        ):
            op.execute(statement)


def _fill_aliases() -> None:
    """Give instruments that are listed already their usual aliases, except for names that were ever used."""
    _see_every_tenant()
    connection = op.get_bind()
    for tenant_id, symbol, asset_class, currency in connection.execute(_LISTED).all():
        for alias in list_default_aliases(Instrument(symbol, asset_class=asset_class, currency=currency)):
            row = {"tenant_id": tenant_id, "alias": alias, "symbol": symbol}
            if connection.execute(_IS_USED, row).first() is None:
                connection.execute(_NEW_ALIAS, row)


def _see_every_tenant() -> None:
    """Where the policies bind the owner too, say for whom this is (PostgreSQL)."""
    if op.get_bind().dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"
        op.get_bind().execute(sa.text(f"SELECT set_config('app.tenants', {every}, true)"))
