"""No signal, job slot or event is lost or doubled while everything is killed at random.

SIGNAL_MINUTES sets the length (default 60). SIGNAL_SEED repeats a sequence of kills; a failure prints it.
"""

import os
import time
from collections import Counter
from random import Random

import pytest
from sqlalchemy import text

from app.database import connect_engine
from tests.faults.process_control import verify_books, wait_until
from tests.signals.hour import DEAD, START_SECONDS, STREAM, Installation, Sender
from tests.webhooks.oms_process import read_events

pytestmark = pytest.mark.long

MINUTES = float(os.environ.get("SIGNAL_MINUTES", "60"))
PAUSE_SECONDS = (1.0, 8.0)  # between two kills
END_SECONDS = 600.0
CHANNELS = ("rest", "redis", "hook")


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path)
    try:
        installation.start()
        yield installation
    finally:
        installation.remove()


def query(installation, statement):
    engine = connect_engine(installation.url, readers=1)
    try:
        with engine.connect() as connection:
            return connection.execute(text(statement)).all()
    finally:
        engine.dispose()


def kill_at_random(installation, senders, random):
    """Kill one process after another while the senders send. Return how often each was killed."""
    kills: Counter[str] = Counter()
    for sender in senders:
        sender.start()
    end = time.monotonic() + MINUTES * 60
    try:
        while time.monotonic() < end:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            kills[installation.kill_one(random)] += 1
    finally:
        for service in installation.services:
            service.wait_ready(START_SECONDS)
        for sender in senders:
            sender.stop()
    return kills


def is_settled(installation, expected):
    """Return whether all signals are stored and acted on, and their events have arrived."""
    installation.keep_running()
    time.sleep(1.0)
    with installation.redis.client() as client:
        groups = client.xinfo_groups(STREAM)
    if any(group["pending"] or group["lag"] for group in groups):
        return False
    stored = dict(map(tuple, query(installation, "SELECT id, status FROM signals")))
    if len(stored) < expected or "received" in stored.values():
        return False
    return len(read_events(installation.received)) >= expected


@pytest.mark.timeout(int(MINUTES * 60 + END_SECONDS + 600))
def test_no_signal_is_lost_or_doubled_while_everything_is_killed(installation):
    seed = int(os.environ.get("SIGNAL_SEED", str(time.time_ns() % 1_000_000)))
    senders = [Sender(installation, channel) for channel in CHANNELS]
    kills = kill_at_random(installation, senders, Random(seed))
    sent = {name: quantity for sender in senders for name, quantity in sender.sent.items()}
    print(f"seed {seed}: {sum(kills.values())} kills in {MINUTES:g} minutes {dict(kills)}", flush=True)
    print(
        {sender: len(sender_state.sent) for sender, sender_state in zip(CHANNELS, senders, strict=True)},
        flush=True,
    )
    print([f"longest {sender.longest_seconds:.0f} s" for sender in senders], flush=True)
    assert [sender.refused for sender in senders] == [[], [], []]
    installation.register_receiver()
    wait_until(lambda: is_settled(installation, len(sent)), END_SECONDS, f"all is settled (seed {seed})")
    assert_signals_are_ordered_once(installation, sent)
    assert_events_arrived_once(installation, len(sent))
    assert_slots_ran_once(installation)
    with installation.redis.client() as client:
        assert client.xlen(DEAD) == 0
    verify_books(installation.url)


def assert_signals_are_ordered_once(installation, sent):
    """Check that each signal has one order, and that the position is the sum of all signals."""
    rows = query(installation, "SELECT id, status, order_ids FROM signals")
    assert Counter(row.status for row in rows) == {"filled": len(sent)}
    names = {row.id.rpartition(":")[2]: row.order_ids for row in rows}  # the ids of a hook have a prefix
    assert names.keys() == sent.keys()
    orders = {row.id: row.status for row in query(installation, "SELECT id, status FROM orders")}
    assert sorted(names.values()) == sorted(orders)
    assert set(orders.values()) == {"FILLED"}
    (position,) = installation.call("GET", "/positions?symbol=AAPL&include_closed=true")
    assert float(position["quantity"]) == sum(sent.values())


def assert_events_arrived_once(installation, expected):
    """Check that each signal has one event, and that each event arrived. An event may arrive again."""
    stored = query(installation, "SELECT payload FROM events WHERE type = 'signal.filled'")
    assert len(stored) == expected
    received = read_events(installation.received)
    signal_ids = Counter(
        item["data"]["signal_id"] for item in received.values() if "signal_id" in item["data"]
    )
    assert len(signal_ids) == expected
    assert set(signal_ids.values()) == {1}


def assert_slots_ran_once(installation):
    """Check that no slot of a job ran twice, and that no job has stopped."""
    runs = query(installation, "SELECT name, slot, status FROM duty_runs")
    assert len({(row.name, row.slot) for row in runs}) == len(runs)

    def is_well() -> bool:
        installation.keep_running()
        return bool(installation.call("GET", "/health/detailed")["components"]["duties"]["status"] == "ok")

    wait_until(is_well, END_SECONDS, "the jobs run")
