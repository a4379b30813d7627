"""Orders can wait for approval: the requests, and an index of the orders that wait."""

import sqlalchemy as sa
from alembic import op

from app.database import Amount, Instant
from app.database.policies import enable_row_security, prepare_role

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLE = "approval_requests"
_IS_WAITING = sa.text("status = 'AWAITING_APPROVAL'")
_IS_OVERRIDE = sa.text("override_of IS NOT NULL")


def upgrade() -> None:
    """Create the append-only table and the index; no order waits yet."""
    op.create_table(
        _TABLE,
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.String(length=32), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.Column("requested_by", sa.String(length=300), nullable=False),
        sa.Column("requested_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("price_seen", Amount(), nullable=True),
        sa.Column("max_move_percent", Amount(), nullable=False),
        sa.Column("approvers", sa.Text(), nullable=False),
        sa.Column("estimate", sa.Text(), nullable=False),
        sa.Column("override_of", sa.String(length=32), nullable=True),
        sa.Column("waived", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(override_of IS NULL) = (waived IS NULL)",
            name=op.f("ck_approval_requests_an_override_waives_a_limit"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "order_id"],
            ["orders.tenant_id", "orders.id"],
            name=op.f("fk_approval_requests_tenant_id_order_id_orders"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "order_id", name=op.f("pk_approval_requests")),
    )
    for name, table, columns, where in (
        ("ix_approval_requests_overrides", _TABLE, ["tenant_id", "override_of"], _IS_OVERRIDE),
        ("ix_orders_awaiting_approval", "orders", ["tenant_id", "id"], _IS_WAITING),
    ):
        op.create_index(name, table, columns, unique=False, postgresql_where=where, sqlite_where=where)
    for statement in _guards():
        op.execute(statement)


def downgrade() -> None:
    """Drop the table. Raises RuntimeError where orders waited for approval."""
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        every = "(SELECT array_agg(id)::text FROM tenants)"  # the policies bind the owner too
        op.execute(f"SELECT set_config('app.tenants', {every}, true)")
    if bind.execute(sa.text(f"SELECT count(*) FROM {_TABLE}")).scalar_one():
        raise RuntimeError("There are requests for approval: restore a backup instead.")
    op.drop_index("ix_orders_awaiting_approval", "orders")
    op.drop_table(_TABLE)


def _guards() -> list[str]:
    """Return the statements that make the table append-only and visible to its tenant alone."""
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {_TABLE}_refuse_{verb.lower()} BEFORE {verb} ON {_TABLE} "
            f"BEGIN SELECT RAISE(ABORT, '{_TABLE} is append-only: {verb} is refused'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER {_TABLE}_are_append_only BEFORE UPDATE OR DELETE ON {_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {_TABLE}_are_not_emptied BEFORE TRUNCATE ON {_TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        *enable_row_security(_TABLE, "SELECT, INSERT", with_role=prepare_role(bind)),
    ]
