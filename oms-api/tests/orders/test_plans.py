"""Lists of orders use an index, however large the table is."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text

from app.database import connect_engine, unit_of_work
from app.database.timeouts import response_timeout
from app.orders.queries.order_views import OrderFilter, list_orders
from app.orders.rules.values import Status

AMOUNT = 100_000
FILL_SECONDS = 120.0  # on a slow machine
_NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_RARE = "CASE WHEN n % 10000 = 7 THEN {} ELSE {} END"
_OFTEN = _RARE.format("'rare'", "CASE WHEN n % 2 = 0 THEN 'often' END")
_PORTFOLIO = {
    "tenant_id": "1",
    "base_currency": "'USD'",
    "kind": "'paper'",
    **dict.fromkeys(("opening_cash", "cash", "realized_pnl"), "'0'"),
    **dict.fromkeys(("total_trades", "total_buys", "last_sequence"), "0"),
    "last_hash": "''",
    "created_at": ":now",
}
_ORDER = {
    "tenant_id": "1",
    "id": "'O' || (1763654400000000000 + n)",
    "portfolio_id": _RARE.format(2, 1),
    "client_order_id": "'c' || n",
    "symbol": _RARE.format("'RARE'", "'AAPL'"),
    "product": "''",
    "side": "'BUY'",
    "type": "'MARKET'",
    "time_in_force": "'DAY'",
    "extended_hours": "false",
    **dict.fromkeys(("strategy", "user_id", "actor"), _OFTEN),
    "source": "'key'",
    "status": "CASE n % 10000 WHEN 7 THEN 'CANCELED' WHEN 8 THEN 'ACCEPTED' ELSE 'FILLED' END",
    "is_triggered": "false",
    "broker": "'paper'",
    "event_count": "1",
    "created_at": ":now",
    "updated_at": ":now",
    **dict.fromkeys(("quantity", "filled_quantity", "filled_value"), ":amount"),
    **dict.fromkeys(("carried_quantity", "carried_value"), ":amount"),
}
_NUMBERS = {
    "sqlite": "WITH RECURSIVE up(n) AS (VALUES (1) UNION SELECT n + 1 FROM up WHERE n < :count) "
    "SELECT n FROM up",
    "postgresql": "SELECT n FROM generate_series(1, :count) n",
}


@pytest.fixture(scope="module")
def many_orders(backend, new_database):
    """Provide a database with 100,000 orders, ten of which are unlike the others."""
    engine = connect_engine(new_database(backend))
    exact = _read_exact(engine)
    with response_timeout(FILL_SECONDS), unit_of_work(engine) as connection:
        for number, name in enumerate(("often", "rare"), 1):
            _insert(
                connection,
                "portfolios",
                {**_PORTFOLIO, "id": str(number), **_read_index_names(name)},
                1,
                exact,
            )
        _insert(connection, "orders", _ORDER, AMOUNT, exact)
    autocommit = {"isolation_level": "AUTOCOMMIT"}
    with response_timeout(FILL_SECONDS), engine.connect().execution_options(**autocommit) as connection:
        if engine.dialect.name == "postgresql":  # look at every row: a sample of 30,000 may miss the ten
            connection.execute(text("SET default_statistics_target = 1000"))
        connection.execute(text("ANALYZE"))
    yield engine
    engine.dispose()


def _read_index_names(name):
    return {"name": f"'{name}'", "name_key": f"'{name}'"}


def _read_exact(engine):
    """Return an instant and an amount as the database takes them."""
    if engine.dialect.name == "sqlite":
        return {"now": "2026-11-20T12:00:00.000000Z", "amount": "10.00000000"}
    return {"now": _NOW, "amount": 10}


def _insert(connection, table, columns, count, exact):
    rows = f"SELECT {', '.join(columns.values())} FROM ({_NUMBERS[connection.dialect.name]}) numbers"  # noqa: S608  # names and literals of this file
    parameters = {name: value for name, value in exact.items() if f":{name}" in rows}
    connection.execute(
        text(f"INSERT INTO {table} ({', '.join(columns)}) {rows}"), {**parameters, "count": count}
    )


def explain_first_statement(connection, statement_part):
    """Return the rows of a list, and the query plan of its first statement."""
    statements = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", note)
    orders = list_orders(connection, 1, statement_part, 101, None)
    event.remove(connection, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    statement, parameters = statements[0]
    plan = connection.exec_driver_sql(f"{explain} {statement}", parameters)
    return orders, "\n".join(str(row[-1]) for row in plan)


@pytest.mark.parametrize(
    ("order_filter", "count", "index"),
    [
        (OrderFilter(strategy="rare"), 10, "ix_orders_tenant_id_strategy_id"),
        (OrderFilter(user="rare"), 10, "ix_orders_tenant_id_user_id_id"),
        (OrderFilter(user="rare"), 10, "ix_orders_tenant_id_actor_id"),
        (OrderFilter(user="nobody"), 0, "ix_orders_tenant_id_actor_id"),
        (OrderFilter(user="often"), 101, "ix_orders_tenant_id_user_id_id"),
        (OrderFilter(statuses=(Status.CANCELED,)), 10, "ix_orders_unfilled_by_status"),
        (OrderFilter(statuses=(Status.DENIED,)), 0, "ix_orders_unfilled_by_status"),
        (OrderFilter(statuses=(Status.DENIED, Status.REJECTED)), 0, "ix_orders_unfilled_by_status"),
        (OrderFilter(statuses=(Status.ACCEPTED, Status.HELD)), 10, "ix_orders_open_by_"),
        (OrderFilter(statuses=(Status.ACCEPTED,)), 10, "ix_orders_open_by_"),
        (OrderFilter(is_open=True), 10, "ix_orders_open_by_"),
        (OrderFilter(is_open=True, portfolio_name_key="rare"), 0, "ix_orders_open_by_portfolio"),
        (OrderFilter(symbol="RARE"), 10, "ix_orders_tenant_id_symbol_id"),
        (OrderFilter(symbol="RARE", side="BUY"), 10, "ix_orders_tenant_id_symbol_id"),
        (OrderFilter(symbol="RARE", user="often"), 0, "ix_orders_tenant_id_symbol_id"),
        (OrderFilter(portfolio_name_key="rare"), 10, "ix_orders_tenant_id_portfolio_id_id"),
        (OrderFilter(portfolios=frozenset({"rare"})), 10, "ix_orders_tenant_id_portfolio_id_id"),
    ],
)
def test_selective_order_lists_use_an_index(many_orders, order_filter, count, index):
    with many_orders.connect() as connection:
        orders, plan = explain_first_statement(connection, order_filter)
    assert len(orders) == count
    assert index in plan, plan


def test_client_order_id_and_time_filters_use_an_index(many_orders):
    with many_orders.connect() as connection:
        orders, plan = explain_first_statement(connection, OrderFilter(client_order_id="c77"))
        assert len(orders) == 1
        assert "Seq Scan on orders" not in plan
        assert "client_order_id=" in plan or "client_order_id)::text =" in plan, plan
        _, plan = explain_first_statement(connection, OrderFilter(since=_NOW))
        assert "id>" in plan or "(id)::text >=" in plan, plan


def test_user_filter_uses_an_index_for_placed_and_named_orders(many_orders):
    with many_orders.connect() as connection:
        orders, _ = explain_first_statement(
            connection, OrderFilter(user="rare", portfolio_name_key="rare", statuses=(Status.CANCELED,))
        )
        newest = [row.order.id for row in orders]
        assert (len(newest), newest) == (10, sorted(newest, reverse=True))
        (after,) = list_orders(connection, 1, OrderFilter(user="rare"), 1, newest[0])
        assert after.order.id == newest[1]
