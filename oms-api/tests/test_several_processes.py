"""Several API processes on one PostgreSQL: no gaps, no duplicates, and books that equal the ledger."""

import asyncio
import random
import secrets
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from app.ledger.rules.accounting import Fill, Side, replay_fills
from tests.factories import BOOTSTRAP_KEY, build_ticket_body, build_trade_body
from tests.support.processes import run_process
from tests.support.service import VALUES

BOOKS = ["Growth", "Income", "Macro"]
SYMBOLS = ["AAPL", "MSFT", "BTC/USD"]
CLIENTS, ROUNDS = 16, 12
KEY = {"X-API-Key": BOOTSTRAP_KEY}


@pytest.fixture(scope="module")
def two_apis(new_database):
    """Two processes of the service on one database."""
    settings = {"DATABASE_URL": new_database("postgresql"), "LOG_LEVEL": "ERROR", "ENVIRONMENT": "production"}
    with run_process(**settings) as first, run_process(**settings) as second:
        yield [first.url, second.url]


def build_requests(seed):
    source = random.Random(seed)
    return [
        build_trade_body(
            portfolio_name=source.choice(BOOKS),
            symbol=source.choice(SYMBOLS),
            side=source.choice(["BUY", "SELL"]),
            quantity=str(source.randint(1, 9)),
            gmv=None,
            price=f"{source.randint(1, 10**6)}.{source.randint(0, 10**8 - 1):08d}",
        )
        for _ in range(ROUNDS)
    ]


async def send_to_both(urls):
    """Send every request to both processes at once under one key, as a client does that lost a response."""
    async with httpx.AsyncClient(timeout=60, headers=KEY) as client:

        async def one_client(seed):
            responses = []
            for number, body in enumerate(build_requests(seed)):
                headers = {"Idempotency-Key": f"{seed}-{number}"}
                sent = (client.post(f"{url}/api/v1/trade", json=body, headers=headers) for url in urls)
                responses.append(await asyncio.gather(*sent))
            return responses

        return [
            responses
            for pairs in await asyncio.gather(*map(one_client, range(CLIENTS)))
            for responses in pairs
        ]


async def read_everything(url):
    async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=60) as client:
        trades = (await client.get("/api/v1/trades", params={"limit": 1000})).json()
        portfolios = [(await client.get(f"/api/v1/portfolio/{name}")).json() for name in BOOKS]
    own = [trade for trade in trades if trade["portfolio_name"] in BOOKS]  # not those of other tests
    return own, [{name: book[name] for name in book if name not in VALUES} for book in portfolios]


def test_books_stay_consistent_under_load_from_two_processes(two_apis):
    pairs = asyncio.run(send_to_both(two_apis))
    assert Counter(response.status_code for responses in pairs for response in responses) == {
        201: 2 * CLIENTS * ROUNDS
    }
    for first, second in pairs:
        assert first.json() == second.json()
        assert ("Idempotent-Replayed" in first.headers) != ("Idempotent-Replayed" in second.headers)
    trades, books = asyncio.run(read_everything(two_apis[0]))
    assert len(trades) == CLIENTS * ROUNDS
    assert (trades, books) == asyncio.run(read_everything(two_apis[1]))
    for book in books:
        own = sorted(
            (t for t in trades if t["portfolio_name"] == book["portfolio_name"]), key=lambda t: t["sequence"]
        )
        assert [trade["sequence"] for trade in own] == list(range(1, book["last_sequence"] + 1))
        assert [trade["trade_id"] for trade in own] == sorted(trade["trade_id"] for trade in own)
        assert [trade["created_at"] for trade in own] == sorted(trade["created_at"] for trade in own)
        assert_positions_are_the_replay(book, own)


def assert_positions_are_the_replay(book, trades):
    for symbol, position in book["positions"].items():
        fills = [
            Fill(Side(t["side"]), Decimal(t["quantity"]), Decimal(t["gmv"]))
            for t in trades
            if t["symbol"] == symbol
        ]
        expected = replay_fills(fills)
        state = tuple(Decimal(position[name]) for name in ("quantity", "cost", "realized_pnl"))
        assert state == (expected.quantity, expected.cost, expected.realized_pnl)


def test_idempotency_key_with_two_bodies_binds_once_across_processes(two_apis):
    async def race():
        async with httpx.AsyncClient(timeout=60, headers=KEY | {"Idempotency-Key": "contested"}) as client:
            bodies = [
                build_trade_body(quantity=str(1 + n % 2), portfolio_name=f"Race {n % 4}", gmv="5")
                for n in range(20)
            ]
            sent = (
                client.post(f"{two_apis[n % 2]}/api/v1/trade", json=body) for n, body in enumerate(bodies)
            )
            responses = await asyncio.gather(*sent)
            trade_list = await client.get(
                f"{two_apis[0]}/api/v1/trades", params={"idempotency_key": "contested"}
            )
            return responses, trade_list.json()

    responses, trades = asyncio.run(race())
    assert len(trades) == 1
    assert {response.json()["trade_id"] for response in responses if response.status_code == 201} == {
        trades[0]["trade_id"]
    }
    assert {response.status_code for response in responses} <= {201, 409, 503}


def test_cursor_of_one_process_is_valid_in_another(two_apis):
    first = httpx.get(f"{two_apis[0]}/api/v1/trades", params={"limit": 5}, headers=KEY, timeout=60)
    if "link" in first.headers:
        address = first.headers["link"].split(">")[0][1:]
        assert httpx.get(two_apis[1] + address, headers=KEY, timeout=60).status_code == 200


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_web_concurrency_sets_the_number_of_processes(new_database, backend):
    with run_process(DATABASE_URL=new_database(backend), WEB_CONCURRENCY="2") as service:
        pid = service.process.pid
        with httpx.Client(base_url=service.url, headers=KEY, timeout=60) as client:
            assert client.post("/api/v1/trade", json=build_trade_body()).status_code == 201
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
        assert sum("spawn_main" in command for command in commands) == 2
        assert service.stop() == 0, service.log()


async def post_same_key_concurrently(urls, races):
    """Report under one key in two portfolios, each to its own process; return the statuses of each race."""
    async with httpx.AsyncClient(timeout=60, headers=KEY) as client:

        async def race(number):
            headers = {"Idempotency-Key": f"race-{number}"}
            sent = (
                client.post(
                    f"{url}/api/v1/trade",
                    json=build_trade_body(portfolio_name=f"Side {side}"),
                    headers=headers,
                )
                for side, url in enumerate(urls)
            )
            return sorted(response.status_code for response in await asyncio.gather(*sent))

        results = []
        for begin in range(0, races, CLIENTS):
            numbers = range(begin, min(begin + CLIENTS, races))
            results += await asyncio.gather(*map(race, numbers))
        return results


@pytest.mark.parametrize("races", [32, pytest.param(10_000, marks=pytest.mark.long)])
def test_idempotency_key_for_two_portfolios_in_two_processes_records_one_trade(two_apis, races):
    results = asyncio.run(post_same_key_concurrently(two_apis, races))
    assert Counter(map(tuple, results)) == {(201, 409): races}
    for key in ("race-0", f"race-{races - 1}"):
        stored = httpx.get(
            f"{two_apis[0]}/api/v1/trades", params={"idempotency_key": key}, headers=KEY, timeout=60
        ).json()
        assert len(stored) == 1


async def sell_last_unit_concurrently(urls, key, rounds):
    """Place an order of one unit at each process at once. Return the statuses, and cancel the accepted."""
    results = []
    async with httpx.AsyncClient(timeout=60, headers={"X-API-Key": key}) as client:
        for _ in range(rounds):
            quote = {"bid": "110", "ask": "110", "last": "110"}
            assert (await client.put(f"{urls[0]}/api/v1/quotes/AAPL", json=quote)).status_code == 200
            sent = (
                client.post(f"{url}/api/v1/orders", json=build_resting_ticket(f"Side {side}"))
                for side, url in enumerate(urls)
            )
            responses = await asyncio.gather(*sent)
            results.append(tuple(sorted(response.status_code for response in responses)))
            for response in responses:
                if response.status_code == 201:
                    path = f"/api/v1/orders/{response.json()['id']}/cancel"
                    assert (await client.post(urls[0] + path)).status_code == 200
    return results


def build_resting_ticket(name):
    return build_ticket_body(
        portfolio_name=name, quantity="1", type="LIMIT", limit_price="100", confirm_repeat=True
    )


@pytest.mark.parametrize("rounds", [5, pytest.param(500, marks=pytest.mark.long)])
def test_last_unit_of_a_firm_limit_is_used_by_one_of_two_processes(two_apis, rounds):
    tenant = {"name": "A desk", "slug": f"desk-{secrets.token_hex(4)}"}
    key = httpx.post(f"{two_apis[0]}/api/v1/tenants", json=tenant, headers=KEY, timeout=60).json()["api_key"]
    with httpx.Client(base_url=f"{two_apis[0]}/api/v1", headers={"X-API-Key": key}, timeout=60) as client:
        for side in range(2):
            assert client.post("/portfolios", json={"name": f"Side {side}"}).status_code == 201
        limit = {"scope": "tenant", "code": "MAX_GROSS_EXPOSURE", "value": "150"}
        assert client.put("/limits", json=limit).status_code == 200
    results = asyncio.run(sell_last_unit_concurrently(two_apis, key, rounds))
    assert Counter(results) == {(201, 422): rounds}
