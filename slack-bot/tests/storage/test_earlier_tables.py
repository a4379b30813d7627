"""Databases that earlier versions created are brought up to date when they are opened."""

import sqlite3
from pathlib import Path

import psycopg2

from app.delivery.posted_messages import MessageKind, PostedMessage, PostedMessageStore
from app.storage.connection import open_database
from app.storage.database import Database
from app.storage.storage import create_storage
from tests.storage.conftest import execute

EARLIER = """CREATE TABLE order_messages (
    order_id TEXT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
    team TEXT NOT NULL, "user" TEXT NOT NULL, sequence INTEGER NOT NULL, legs TEXT NOT NULL,
    is_open INTEGER NOT NULL, checked_at DOUBLE PRECISION NOT NULL, PRIMARY KEY (order_id, kind)
)"""
ROW = "INSERT INTO order_messages VALUES ('O1', 'order', 'C1', '1.0', 'T1', 'U1', 3, '{}', 1, 5.0)"


def check_messages(open_it) -> None:
    """Each workspace has its own message of an order, even after the database was opened again."""
    for round_number in range(2):
        database: Database = open_it()
        storage = create_storage(database)
        first, second = PostedMessageStore(storage, lambda: "T1"), PostedMessageStore(storage, lambda: "T2")
        if round_number == 0:
            second.save(PostedMessage("O1", MessageKind.ORDER, "C2", "2.0", "T2", "U2"))
        messages = [store.find("O1", MessageKind.ORDER) for store in (first, second)]
        assert [(each.channel, each.sequence) for each in messages if each] == [("C1", 3), ("C2", 0)]
        storage.close()


def test_sqlite_gets_a_message_for_each_workspace(tmp_path: Path):
    path = tmp_path / "bot.db"
    with sqlite3.connect(path) as earlier:
        earlier.execute(EARLIER)
        earlier.execute(ROW)
    earlier.close()
    check_messages(lambda: open_database(f"sqlite:///{path}"))


def test_postgresql_gets_a_message_for_each_workspace(postgres_url):
    for statement in (
        "CREATE SCHEMA slack_bot",
        EARLIER.replace("order_messages", "slack_bot.order_messages"),
        ROW.replace("order_messages", "slack_bot.order_messages"),
    ):
        execute(postgres_url, statement)
    check_messages(lambda: open_database(postgres_url))
    connection = psycopg2.connect(postgres_url)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conname LIKE 'order_messages%' AND contype = 'p'"
        )
        assert cursor.fetchall() == [("order_messages_by_team",)]
    connection.close()
