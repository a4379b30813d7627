"""Two bots behind a balancer share a database. One is killed in the middle of a burst of fills."""

import json
import signal

import httpx
import pytest

from balancer import run_balancer
from deployment import LOOPBACK, build_sqlite_url, run_two_bots, wait_until
from support.ports import find_free_ports

pytestmark = pytest.mark.e2e

AVA = "U0AVACHEN01"
ORDERS = 4
REPEATED = "you may see it twice"


@pytest.fixture
def two_bots(tmp_path, postgres_databases):
    """Provide the product with two bots, whose messages survive one of them."""
    front, back = find_free_ports(2)
    database = postgres_databases.new()
    with run_two_bots(build_sqlite_url(tmp_path), front, back, BOT_DATABASE_URL=database) as deployment:
        bots = [deployment.programs[name].port for name in ("slack-bot", "second-bot")]
        with run_balancer(front, bots):
            yield deployment


def place_order(deployment, symbol):
    """Place an order that waits for its price, with a click that either bot may get."""
    deployment.act("ava", "say", channel="trading", text=f"/order buy 5 {symbol} limit 90 gtc in Pair")
    wait_until(lambda: "Preview" in json.dumps(deployment.find_form(AVA) or {}))
    if deployment.act("ava", "submit")["outcome"] == "updated":  # asked about the new symbol
        form = deployment.find_form(AVA) or {"blocks": []}
        boxes = [block for block in form["blocks"] if block.get("element", {}).get("type") == "checkboxes"]
        ticks = {box["block_id"]: {box["element"]["action_id"]: ["yes"]} for box in boxes}
        deployment.act("ava", "submit", values=ticks)
    wait_until(lambda: any(symbol in text for text in list_texts(deployment)))


def list_texts(deployment):
    url = f"{deployment.url('simulator')}/control/state?user=ava&channel=trading"
    messages = httpx.get(url, **LOOPBACK).json()["messages"]
    return [message["text"] for message in messages]


def list_fills(deployment):
    return [text for text in list_texts(deployment) if "Filled 5 at" in text]


def test_bot_that_is_killed_in_a_burst_of_fills_loses_no_message(two_bots):
    two_bots.request_as_admin("POST", "/portfolios", name="Pair")
    symbols = [f"PAIR{number}" for number in range(ORDERS)]
    for symbol in symbols:
        two_bots.request_as_admin("PUT", f"/quotes/{symbol}", bid="99", ask="100", last="99")
        place_order(two_bots, symbol)
    for symbol in symbols:
        two_bots.request_as_admin("PUT", f"/quotes/{symbol}", bid="89", ask="89.5", last="89")
    wait_until(lambda: list_fills(two_bots))
    two_bots.programs["slack-bot"].signal(signal.SIGKILL)

    def is_notified(symbol):
        return any(f"5 {symbol} " in text and "filled 5 of 5" in text for text in list_texts(two_bots))

    wait_until(lambda: all(map(is_notified, symbols)) and len(list_fills(two_bots)) >= ORDERS)
    marked = [text for text in list_fills(two_bots) if REPEATED in text]
    assert len(marked) <= 1, "one message may have been sent when the bot was killed"
    assert len(list_fills(two_bots)) - len(marked) <= ORDERS
    orders = [text for text in list_texts(two_bots) if text.startswith("*BUY 5 PAIR")]
    assert len(orders) == ORDERS, "each order has one message"
