"""A row of the outbox or of an order's history holds further ones; a quote may still have to be matched."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLES = ("events", "order_events")
_CHANGE = ("to_status", "at", "actor", "reason", "broker_words", "execution_id", "request_key")


def upgrade() -> None:
    """Add the columns. Neither database rewrites a table for them."""
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN following TEXT")
    if op.get_bind().dialect.name != "sqlite":  # a row of 2 to 4 kB is cheaper to store than to compress
        op.execute("ALTER TABLE events SET (toast_tuple_target = 4080)")
    instant = "TEXT" if op.get_bind().dialect.name == "sqlite" else "TIMESTAMP WITH TIME ZONE"
    op.execute(f"ALTER TABLE quotes ADD COLUMN unmatched_since {instant}")
    is_unmatched = sa.text("unmatched_since IS NOT NULL")
    op.create_index(
        "ix_quotes_unmatched",
        "quotes",
        ["tenant_id", "symbol"],
        postgresql_where=is_unmatched,
        sqlite_where=is_unmatched,
    )


def downgrade() -> None:
    """Give each event and each change its own row, those of the outbox at its end."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    op.drop_index("ix_quotes_unmatched", "quotes")
    op.execute("ALTER TABLE quotes DROP COLUMN unmatched_since")
    _unpack(bind, "events", "id", _list_events)
    _unpack(bind, "order_events", "tenant_id, order_id, sequence", _list_changes)
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} DROP COLUMN following")
    if bind.dialect.name != "sqlite":
        op.execute("ALTER TABLE events RESET (toast_tuple_target)")


def _unpack(bind, table, order, list_rows):
    found = bind.execute(sa.text(f"SELECT * FROM {table} WHERE following IS NOT NULL ORDER BY {order}"))
    for row in found.mappings().all():
        for values in list_rows(row):
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            bind.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)


def _list_events(row):
    for line in row["following"].split("\n"):
        kind, _, payload = line.partition(" ")
        kept = {name: row[name] for name in ("tenant_id", "created_at")}
        yield kept | {"type": kind, "payload": payload}


def _list_changes(row):
    sequence, status = row["sequence"], row["to_status"]
    for change in json.loads(row["following"]):
        sequence += 1
        kept = {name: row[name] for name in ("tenant_id", "order_id")} | {"sequence": sequence}
        yield kept | {"from_status": status} | {name: change.get(name) for name in _CHANGE}
        status = change["to_status"]
