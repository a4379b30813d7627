"""An installation trades at three brokers while all connections are cut at random: then all books agree.

`FAULTS_SEED` and `FAULTS_MINUTES` change what is drawn and how long it lasts. The seed is printed.
"""

import os
import random
import time
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.database import connect_engine
from app.verify import verify_database
from tests.order_routing.installation import (
    ACCOUNTS,
    FINAL,
    Installation,
    Saboteur,
    Trader,
    run_installation,
    wait_for,
)

MINUTES = float(os.environ.get("FAULTS_MINUTES", "60"))
SEED = int(os.environ.get("FAULTS_SEED", "20261130"))
BOOKED = """
    SELECT portfolios.name, executions.execution_id FROM executions
    JOIN orders ON orders.tenant_id = executions.tenant_id AND orders.id = executions.order_id
    JOIN portfolios ON portfolios.tenant_id = orders.tenant_id AND portfolios.id = orders.portfolio_id
"""
pytestmark = [pytest.mark.long, pytest.mark.timeout(MINUTES * 60 + 1800)]


def trade_while_connections_are_cut(
    installation: Installation, draw: random.Random
) -> tuple[Trader, Saboteur]:
    trader, saboteur = Trader(installation, draw), Saboteur(installation, draw)
    end = time.monotonic() + MINUTES * 60
    next_cut, next_kill = time.monotonic() + 5, time.monotonic() + 60
    while (now := time.monotonic()) < end:
        installation.move_prices()
        trader.act()
        if now >= next_cut:
            saboteur.act()
            next_cut = now + draw.uniform(0.5, 4)
        if now >= next_kill:
            saboteur.kill()
            next_kill = time.monotonic() + draw.uniform(30, 120)
        time.sleep(draw.uniform(0.05, 0.5))
    return trader, saboteur


def list_open_orders(installation: Installation) -> list[dict[str, str]]:
    orders = [
        order
        for name in ACCOUNTS
        for order in installation.get("/orders", open="true", portfolio=name.portfolio)
    ]
    return [order for order in orders if order["status"] not in FINAL]


def close_all_orders(installation: Installation) -> None:
    """Cancel open orders until none is open."""

    def is_over() -> bool:
        installation.move_prices()
        open_orders = list_open_orders(installation)
        for open_order in open_orders:
            if open_order["status"] not in {"PENDING_CANCEL", "PENDING_REPLACE"}:
                installation.send("POST", f"/orders/{open_order['id']}/cancel", {})
        return not open_orders

    wait_for(is_over, "the orders that remain end")


def get_books_of_brokers(installation: Installation) -> dict[str, tuple[Decimal, Decimal, set[str]]]:
    """Return position, cash and executions at each broker by portfolio."""
    alpaca, kite, tws = installation.alpaca.exchange, installation.kite.exchange, installation.tws.exchange
    apple_position = alpaca.positions.get("AAPL")
    pairs = [quantity for contract, (quantity, _) in tws.positions.items() if contract.name == "EURUSD"]
    return {
        "America": (
            apple_position.qty if apple_position else Decimal(0),
            alpaca.cash,
            {execution.id for execution in alpaca.executions},
        ),
        "India": (
            sum((position.quantity for position in kite.positions.values()), Decimal(0)),
            kite.cash,
            {f"{trade.order.order_id}-{trade.trade_id}" for trade in kite.trades},
        ),
        "Currencies": (
            sum(pairs, Decimal(0)),
            tws.cash["USD"],
            {execution.id for execution in tws.executions},
        ),
    }


def get_our_books(installation: Installation) -> dict[str, tuple[Decimal, Decimal, set[str]]]:
    engine = connect_engine(installation.database_url, 1, 30.0)
    with engine.connect() as connection:
        rows = connection.execute(text(BOOKED)).all()
    engine.dispose()
    positions = {}
    for account in ACCOUNTS:
        response = installation.get(f"/portfolio/{account.portfolio}")
        total_quantity = sum(Decimal(position["quantity"]) for position in response["positions"].values())
        executions = {execution_id for name, execution_id in rows if name == account.portfolio}
        positions[account.portfolio] = (Decimal(total_quantity), Decimal(response["cash"]), executions)
    return positions


def test_every_book_agrees_with_its_broker_after_all_connections_were_cut(tmp_path):
    print(f"seed {SEED}, {MINUTES:g} minutes")
    draw = random.Random(SEED)
    with run_installation(tmp_path) as installation:
        installation.alpaca.faults.orders.hides_held_legs = True
        trader, saboteur = trade_while_connections_are_cut(installation, draw)
        saboteur.repair()
        installation.wait_until_connected()
        close_all_orders(installation)
        broker_books = get_books_of_brokers(installation)
        print(f"faults: {saboteur.action_counts}")
        executions = {name: figures[2] for name, figures in broker_books.items()}
        wait_for(
            lambda: {name: figures[2] for name, figures in get_our_books(installation).items()} == executions,
            "all executions are booked",
        )
        installation.send("POST", "/reconciliation:run", {})
        time.sleep(8)
        issues = installation.get("/reconciliation/issues", status="open")
        own_books = get_our_books(installation)
        counts = {name: (len(ids), len(broker_books[name][2])) for name, ids in trader.placed.items()}
        print(f"orders and executions: {counts}, open issues: {issues}")
    for name, books in broker_books.items():
        explained = {issue["type"] for issue in issues if issue["portfolio_name"] == name}
        assert own_books[name][2] == books[2], name
        assert own_books[name][0] == books[0] or explained & {"quantity_mismatch", "missing_position"}, name
        assert abs(own_books[name][1] - books[1]) < Decimal("0.01") or "cash_mismatch" in explained, name
    # A commission that TWS never reported; an average cost after an execution that was read after later ones.
    assert {issue["type"] for issue in issues} <= {"cash_mismatch", "price_mismatch"}
    engine = connect_engine(installation.database_url, 1, 30.0)
    assert not verify_database(engine).failed
    engine.dispose()
