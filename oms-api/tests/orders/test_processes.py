"""kill -9, restarts, and several processes on one database: no order is stuck, duplicated or lost."""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import connect_engine
from app.orders.service.commands import PlaceOrder
from app.verify import verify_database
from tests.factories import BOOTSTRAP_KEY, build_ticket_body
from tests.orders.writer_harness import WriterHarness, build_ticket
from tests.support.conditions import wait_until
from tests.support.processes import run_process

KEY = {"X-API-Key": BOOTSTRAP_KEY}
CLIENTS, ROUNDS = 8, 15


def build_settings(url):
    return {"DATABASE_URL": url, "LOG_LEVEL": "ERROR", "ENVIRONMENT": "production", "PRICE_SOURCE": "manual"}


def create_client(process):
    return httpx.Client(base_url=f"{process.url}/api/v1", headers=KEY, timeout=120)


def set_quote(http, symbol, price):
    body = {"bid": price, "ask": price, "last": price}
    assert http.put(f"/quotes/{symbol}", json=body).status_code == 200


def build_resting_ticket(number):
    """Return a ticket that waits for 90; every third one is a bracket."""
    body = build_ticket_body(
        type="LIMIT", limit_price="90", quantity="1", time_in_force="GTC", client_order_id=f"order-{number}"
    )
    return body | ({"take_profit": {"limit_price": "120"}} if number % 3 == 0 else {})


async def send_orders(urls, numbers):
    """Place the orders from many connections; an answer that never came counts as none."""
    async with httpx.AsyncClient(headers=KEY, timeout=120) as http:

        async def place(number):
            try:
                return await http.post(
                    f"{urls[number % len(urls)]}/api/v1/orders", json=build_resting_ticket(number)
                )
            except httpx.TransportError:
                return None

        return await asyncio.gather(*map(place, numbers))


def open_portfolio(http, name="Growth"):
    """Orders need a portfolio that exists."""
    assert http.post("/portfolios", json={"name": name}).status_code == 201


def read_everything(http):
    orders, cursor = [], None
    while True:
        page = http.get("/orders", params={"limit": 1000} | ({"cursor": cursor} if cursor else {}))
        orders += page.json()
        if "next" not in page.links:
            return orders
        cursor = httpx.URL(page.links["next"]["url"]).params["cursor"]


def test_working_orders_survive_a_killed_process(database_url):
    numbers = range(60)
    with run_process(**build_settings(database_url)) as first:
        with create_client(first) as http:
            open_portfolio(http)
            set_quote(http, "AAPL", "100")
        asyncio.run(send_orders([first.url], numbers))
        first.process.kill()
        first.process.wait(60)
    with run_process(**build_settings(database_url)) as second, create_client(second) as http:
        assert [order["status"] for order in read_everything(http) if not order["parent_id"]] == [
            "ACCEPTED"
        ] * 60
        set_quote(http, "AAPL", "90")
        entries = [order for order in read_everything(http) if not order["parent_id"]]
        assert {order["status"] for order in entries} == {"FILLED"}
        legs = [order for order in read_everything(http) if order["parent_id"]]
        assert Counter(leg["status"] for leg in legs) == {"ACCEPTED": 20}
        assert http.get("/portfolio/Growth").json()["positions"]["AAPL"]["quantity"] == "60"


def test_request_interrupted_by_a_kill_resolves_by_its_client_order_id(database_url):
    numbers = list(range(200))
    with run_process(**build_settings(database_url)) as first:
        with create_client(first) as http:
            open_portfolio(http)
            set_quote(http, "AAPL", "100")

        async def run_until_killed():
            sending = asyncio.create_task(send_orders([first.url], numbers))
            await asyncio.sleep(0.15)  # some are answered, some under way, some not begun
            first.process.kill()
            return await sending

        responses = asyncio.run(run_until_killed())
        first.process.wait(60)
    acknowledged = {response.json()["id"] for response in responses if response is not None}
    with run_process(**build_settings(database_url)) as second, create_client(second) as http:
        assert acknowledged <= {order["id"] for order in read_everything(http)}
        again = asyncio.run(send_orders([second.url], numbers))
        assert {response.status_code for response in again} == {201}
        entries = [order for order in read_everything(http) if not order["parent_id"]]
        assert len(entries) == len({order["client_order_id"] for order in entries}) == 200
        set_quote(http, "AAPL", "90")
        assert http.get("/portfolio/Growth").json()["positions"]["AAPL"]["quantity"] == "200"


@pytest.fixture(scope="module")
def pair_url(new_database):
    return new_database("postgresql")


@pytest.fixture(scope="module")
def two_processes(pair_url):
    """Two processes on one PostgreSQL."""
    process_settings = build_settings(pair_url)
    with run_process(**process_settings) as first, run_process(**process_settings) as second:
        with create_client(first) as http:
            open_portfolio(http)
        yield first, second


def test_two_processes_match_each_order_once(two_processes):
    first, second = two_processes
    numbers = range(1000, 1000 + CLIENTS * ROUNDS)
    with create_client(first) as http, create_client(second) as other:
        set_quote(http, "AAPL", "100")
        responses = asyncio.run(send_orders([first.url, second.url], numbers))
        assert {response.status_code for response in responses} == {201}

        async def quote_in_both():
            async with httpx.AsyncClient(headers=KEY, timeout=120) as both:
                body = {"bid": "89", "ask": "90", "last": "90"}
                sent = (both.put(f"{url}/api/v1/quotes/AAPL", json=body) for url in (first.url, second.url))
                return await asyncio.gather(*sent)

        assert {response.status_code for response in asyncio.run(quote_in_both())} == {200}
        orders = [order for order in read_everything(http) if order["portfolio_name"] == "Growth"]
        assert {order["status"] for order in orders if not order["parent_id"]} == {"FILLED"}
        trades = http.get("/trades", params={"limit": 1000, "portfolio": "Growth"}).json()
        assert len(trades) == len(numbers)
        assert read_everything(http) == read_everything(other)
        quantity = other.get("/portfolio/Growth").json()["positions"]["AAPL"]["quantity"]
        assert Decimal(quantity) == len(numbers)


def test_answered_kill_switch_applies_in_the_other_process(two_processes):
    first, second = two_processes
    with create_client(first) as http, create_client(second) as other:
        set_quote(http, "AAPL", "100")
        halt = {"scope": "portfolio", "name": "Stopped", "state": "HALTED", "reason": "Drill"}
        for name in ("Stopped", "Going on"):
            open_portfolio(http, name)
        assert other.post("/orders", json=build_ticket_body(portfolio_name="Stopped")).status_code == 201
        assert http.post("/kill-switch", json=halt).status_code == 200
        response = other.post("/orders", json=build_ticket_body(portfolio_name="Stopped"))
        assert (response.status_code, response.json()["denial"]["code"]) == (422, "HALTED")
        trade = {"symbol": "AAPL", "quantity": "1", "gmv": "1", "side": "BUY", "portfolio_name": "Stopped"}
        assert other.post("/trade", json=trade).status_code == 422
        assert other.post("/orders", json=build_ticket_body(portfolio_name="Going on")).status_code == 201


def test_source_quote_fills_matching_orders_without_a_request(database_url):
    process_settings = build_settings(database_url) | {"PRICE_SOURCE": "simulated"}
    with run_process(**process_settings) as process, create_client(process) as http:
        stop = build_ticket_body(side="SELL", type="TRAILING_STOP", trail_amount="0.01", time_in_force="GTC")
        open_portfolio(http)
        order = http.post("/orders", json=stop).json()
        deadline = time.monotonic() + 150  # longer than any walk goes on upwards
        while order["status"] != "FILLED" and time.monotonic() < deadline:
            time.sleep(0.2)  # until the walk has gone down by a cent
            order = http.get(f"/orders/{order['id']}").json()
        assert order["status"] == "FILLED"


DESK = ("Alpha", "Beta", "Delta")
ALL = {"scope": "tenant", "state": "HALTED", "reason": "Drill"}
ONE = {"scope": "portfolio", "name": "Beta", "state": "HALTED", "reason": "Drill"}


async def repeat_until(deadline, http, requests):
    """Send the requests in turn until the deadline. Return the status of each response."""
    statuses: Counter[int] = Counter()
    while time.monotonic() < deadline:
        for method, path, body in requests:
            response = await http.request(method, f"/api/v1{path}", json=body)
            statuses[response.status_code] += 1
    return statuses


def place_requests(turn):
    """Return orders and trades in the portfolios, in another order for each client."""
    names = [DESK[(turn + step) % len(DESK)] for step in range(len(DESK))]
    trade = {"symbol": "MSFT", "quantity": "1", "gmv": "1", "side": "BUY"}
    for name in names:
        yield (
            "POST",
            "/orders",
            build_ticket_body(portfolio_name=name, type="LIMIT", limit_price="90", quantity="1"),
        )
        yield "POST", "/orders", build_ticket_body(portfolio_name=name, quantity="1")
        yield "POST", "/trade", trade | {"portfolio_name": name}


async def load_with_halts(urls, seconds):
    """Send orders, trades, cancel-alls, kill switches and quotes to both processes at once."""
    deadline = time.monotonic() + seconds
    work = [list(place_requests(turn)) for turn in range(6)]
    work.append(
        [("POST", "/orders:cancel-all", {}), ("POST", "/orders:cancel-all", {"portfolio_name": "Beta"})]
    )
    work += [
        [("POST", "/kill-switch", case), ("POST", "/kill-switch", case | {"state": "ACTIVE"})]
        for case in (ALL, ONE)
    ]
    work.append(
        [("PUT", "/quotes/AAPL", dict.fromkeys(("bid", "ask", "last"), price)) for price in ("100", "89")]
    )
    clients = [httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) for url in urls]
    tasks = [repeat_until(deadline, http, requests) for requests in work for http in clients]
    results = await asyncio.gather(*tasks)
    for http in clients:
        await http.aclose()
    return sum(results, Counter())


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
def test_kill_switches_cancel_all_and_orders_do_not_deadlock(two_processes, pair_url, seconds):
    urls = [process.url for process in two_processes]
    with create_client(two_processes[0]) as http:
        set_quote(http, "AAPL", "100")
        for name in DESK:
            http.post("/portfolios", json={"name": name})
    statuses = asyncio.run(load_with_halts(urls, seconds))
    with create_client(two_processes[0]) as http:
        for halt in (ALL, ONE):
            assert http.post("/kill-switch", json=halt | {"state": "ACTIVE"}).status_code == 200
    engine = connect_engine(pair_url)
    with engine.connect() as connection:
        deadlocks = connection.execute(
            text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ).scalar_one()
    assert deadlocks == 0
    assert statuses.keys() <= {200, 201, 409, 422, 503}  # 503 if a slow machine held a lock for too long
    assert min(statuses[200], statuses[201], statuses[422]) > 0
    assert verify_database(engine).is_clean
    engine.dispose()


BOOKS, RESTING = 6, 60  # one portfolio is a portion, because two of them exceed the maximum


@pytest.mark.parametrize(
    "portions", [1, *(pytest.param(number, marks=pytest.mark.long) for number in (0, 2, 3, 4, 5))]
)
def test_killed_process_leaves_matched_portions_consistent(new_database, portions):
    """Another process matches the others after a restart."""
    url = new_database("postgresql")
    engine = connect_engine(url)
    harness = WriterHarness(engine, now=utc_now())
    harness.publish_quote("100", "100", "100")
    for book in range(BOOKS):
        harness.open_portfolio(f"Book {book}")
        waiting = build_ticket(type="LIMIT", limit_price="95", quantity="1", time_in_force="GTC")
        harness.run(
            *(
                PlaceOrder(harness.build_origin(), waiting, f"Book {book}", f"book {book}")
                for _ in range(RESTING)
            )
        )
    with (
        run_process(**build_settings(url)) as first,
        create_client(first) as http,
        ThreadPoolExecutor(1) as threads,
    ):
        response = threads.submit(http.put, "/quotes/AAPL", json=dict.fromkeys(("bid", "ask", "last"), "90"))
        wait_until(lambda: response.done() or count_matched(engine) >= portions)
        first.process.kill()
        first.process.wait(60)
        response.exception()
    assert verify_database(engine).is_clean
    with run_process(**build_settings(url)):
        wait_until(lambda: count_matched(engine) == BOOKS)
    assert verify_database(engine).is_clean
    assert harness.query("SELECT quantity FROM positions") == [(Decimal(RESTING),)] * BOOKS
    engine.dispose()


def count_matched(engine):
    """Return how many portfolios the quote was matched in."""
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM positions")).scalar_one()
