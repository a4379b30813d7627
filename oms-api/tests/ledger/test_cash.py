"""Deposits, withdrawals and transfers of cash: movements, settled cash, and buying power."""

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app import rebuild as command
from app.database import unit_of_work
from app.verify import verify_database
from tests.identity.administration import assert_error, assert_ok, create_key, list_audit_entries

DEPOSIT = {"kind": "deposit", "amount": "500", "currency": "USD", "reason": "New capital"}

FORGED = (
    "UPDATE portfolios SET moved_cash = '1.00000000', cash = '1.00000000', cash_sequence = 7, cash_hash = 'x'"
    " WHERE name = 'Growth'"
)


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def move_cash(api, name="Growth", **changes):
    return api.post(f"/portfolios/{name}/cash", DEPOSIT | changes)


def get_cash(api, name="Growth", **params):
    return assert_ok(api.get(f"/portfolios/{name}/cash", **params))


@pytest.fixture
def api_with_cash(api):
    """Provide two portfolios of 1,000 USD and one of 1,000 EUR."""
    for name, currency in (("Growth", "USD"), ("Income", "USD"), ("Euro", "EUR")):
        body = {"name": name, "base_currency": currency, "opening_cash": "1000"}
        assert_ok(api.post("/portfolios", body), 201)
    return api


def test_deposit_and_withdrawal_are_recorded_with_the_resulting_cash(api_with_cash):
    movement = assert_ok(move_cash(api_with_cash), 201)
    assert (movement["kind"], movement["amount"], movement["balance"]) == ("deposit", "500.00", "1500.00")
    body = assert_ok(move_cash(api_with_cash, kind="withdrawal", amount="1500", reason="Fees"), 201)
    assert (body["amount"], body["balance"]) == ("-1500.00", "0.00")
    cash = get_cash(api_with_cash)
    assert (cash["cash"], cash["settled_cash"], cash["unsettled_cash"]) == ("0.00", "0.00", "0.00")
    assert [(row["kind"], row["balance"]) for row in cash["rows"]] == [
        ("withdrawal", "0.00"),
        ("deposit", "1500.00"),
        ("opening", "1000.00"),
    ]
    assert api_with_cash.get_portfolio()["cash"] == "0.00"
    assert [entry["action"] for entry in list_audit_entries(api_with_cash)[:2]] == [
        "cash.withdrawal",
        "cash.deposit",
    ]
    events = assert_ok(api_with_cash.get("/events", type="cash.*"))
    assert [event["data"]["amount"] for event in events] == ["-1500.00", "500.00"]


def test_trades_and_cash_movements_are_listed_in_booking_sequence(api_with_cash):
    api_with_cash.buy("2", "100", charges="1")
    assert_ok(move_cash(api_with_cash), 201)
    api_with_cash.sell("1", "110")
    body = get_cash(api_with_cash)
    assert [(row["kind"], row["amount"], row["balance"], row["charges"]) for row in body["rows"]] == [
        ("trade", "110.00", "1409.00", "0.00"),
        ("deposit", "500.00", "1299.00", None),
        ("trade", "-201.00", "799.00", "1.00"),
        ("opening", "1000.00", "1000.00", None),
    ]
    pages, cursor = [], None
    while True:
        response = api_with_cash.get(
            "/portfolios/growth/cash", **({"cursor": cursor} if cursor else {}), limit="1"
        )
        pages += assert_ok(response)["rows"]
        link = response.headers.get("Link")
        if link is None:
            break
        cursor = link.partition("cursor=")[2].partition(">")[0].partition("&")[0]
    assert pages == body["rows"]


def test_charges_exclude_cash_movements_now_and_at_earlier_times(api_with_cash):
    api_with_cash.buy("2", "100", charges="1")
    assert_ok(move_cash(api_with_cash), 201)
    api_with_cash.sell("1", "110", charges="2")
    assert api_with_cash.get_portfolio()["charges"] == "3.00"
    earlier = [api_with_cash.get_portfolio(as_of=str(sequence)) for sequence in range(3)]
    assert [item["cash"] for item in earlier] == ["1000.00", "799.00", "1407.00"]
    assert [item["charges"] for item in earlier] == ["0.00", "1.00", "3.00"]
    deposited_at = get_cash(api_with_cash)["rows"][1]["created_at"]
    then = api_with_cash.get_portfolio(as_of=deposited_at)
    assert (then["cash"], then["charges"], then["last_sequence"]) == ("1299.00", "1.00", 1)


def test_transfer_changes_both_portfolios_or_none(api_with_cash):
    body = assert_ok(move_cash(api_with_cash, kind="transfer", to_portfolio="income", amount="300"), 201)
    assert (body["kind"], body["counterpart"], body["balance"]) == ("transfer_out", "Income", "700.00")
    [received, _] = get_cash(api_with_cash, "Income")["rows"]
    assert (received["kind"], received["amount"], received["counterpart"]) == (
        *("transfer_in", "300.00", "Growth"),
    )
    before = (get_cash(api_with_cash), get_cash(api_with_cash, "Income"), list_audit_entries(api_with_cash))
    for changes, field in (
        ({"to_portfolio": "Euro"}, "to_portfolio"),
        ({"to_portfolio": "GROWTH"}, "to_portfolio"),
        ({"to_portfolio": "Nowhere"}, "to_portfolio"),
        ({"to_portfolio": "Income", "amount": "700.01"}, "amount"),
    ):
        assert_error(move_cash(api_with_cash, kind="transfer", **changes), 422, field)
    assert (
        get_cash(api_with_cash),
        get_cash(api_with_cash, "Income"),
        list_audit_entries(api_with_cash),
    ) == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"currency": "EUR"}, "currency"),
        ({"currency": "ZZZ"}, "currency"),
        ({"kind": "trade"}, "kind"),
        ({"kind": "transfer"}, "to_portfolio"),
        ({"to_portfolio": "Income"}, "to_portfolio"),
        ({"reason": ""}, "reason"),
        ({"kind": "withdrawal", "amount": "1000.01"}, "amount"),
    ],
)
def test_invalid_cash_movement_is_rejected_by_field(api_with_cash, changes, field):
    assert_error(move_cash(api_with_cash, **changes), 422, field)
    assert api_with_cash.get_portfolio()["cash"] == "1000.00"


def test_cash_reserved_for_orders_and_shorts_cannot_be_withdrawn(api_with_cash):
    api_with_cash.set_quote("AAPL", "99", "101", "100")
    resting = {"type": "LIMIT", "time_in_force": "GTC", "limit_price": "90", "quantity": "2"}
    api_with_cash.place_order(**resting)
    assert api_with_cash.get_portfolio()["buying_power"] == "820.00"
    api_with_cash.sell("1", "100", symbol="TSLA")
    api_with_cash.set_quote("TSLA", "100", "100", "100")
    body = api_with_cash.get_portfolio()
    assert (body["cash"], body["buying_power"]) == ("1100.00", "770.00")
    assert_error(move_cash(api_with_cash, kind="withdrawal", amount="770.01"), 422, "amount")
    assert_ok(move_cash(api_with_cash, kind="withdrawal", amount="770"), 201)
    assert get_cash(api_with_cash)["buying_power"] == "0.00"


def test_repeated_idempotency_key_moves_cash_once(api_with_cash):
    headers = {"Idempotency-Key": "deposit-1"}
    first = api_with_cash.post("/portfolios/Growth/cash", DEPOSIT, headers)
    repeated_response = api_with_cash.post("/portfolios/Growth/cash", DEPOSIT, headers)
    assert (
        first.status_code,
        repeated_response.json(),
        repeated_response.headers["Idempotent-Replayed"],
    ) == (*(201, first.json(), "true"),)
    assert first.json()["idempotency_key"] == "deposit-1"
    other = api_with_cash.post("/portfolios/Growth/cash", DEPOSIT | {"amount": "1"}, headers)
    assert other.status_code == 409
    assert api_with_cash.get_portfolio()["cash"] == "1500.00"


def test_transfer_requires_access_to_both_portfolios(api_with_cash):
    restricted_client = api_with_cash.with_key(
        create_key(api_with_cash, "bot", ("admin",), portfolios=["Growth"])["key"]
    )
    assert move_cash(restricted_client).status_code == 201
    assert move_cash(restricted_client, "Income").status_code == 404
    assert restricted_client.get("/portfolios/Income/cash").status_code == 404
    assert_error(move_cash(restricted_client, kind="transfer", to_portfolio="Income"), 422, "to_portfolio")
    assert_ok(move_cash(api_with_cash, kind="transfer", to_portfolio="Income"), 201)
    assert get_cash(restricted_client)["rows"][0]["counterpart"] is None


def test_shares_settle_on_the_next_session_day_and_crypto_at_once(api_with_cash):
    share = {"tick_size": "0.01", "lot_size": "0.01"}
    api_with_cash.put("/instruments/AAPL", share | {"exchange": "NASDAQ", "currency": "USD"})
    bought = {"executed_at": "2026-11-25T15:00:00Z", "backdated": True, "backdated_reason": "Late"}
    api_with_cash.buy("1", "100", **bought)
    api_with_cash.buy("1", "10", symbol="BTC/USD")
    coin, shares = get_cash(api_with_cash)["rows"][:2]
    assert coin["is_settled"]
    assert shares["settles_on"] == "2026-11-27"  # Thanksgiving is no session


def test_cash_of_todays_trades_is_unsettled_also_in_the_cache(api_with_cash):
    api_with_cash.buy("1", "100")
    body = api_with_cash.get_portfolio()
    assert (body["settled_cash"], body["unsettled_cash"]) == ("1000.00", "-100.00")
    api_with_cash.sell("1", "130")
    api_with_cash.buy("1", "10", symbol="ETH/USD")
    body = api_with_cash.get_portfolio()
    assert (body["cash"], body["settled_cash"], body["unsettled_cash"]) == ("1020.00", "990.00", "30.00")


def test_cash_ledger_is_append_only(api_with_cash):
    assert_ok(move_cash(api_with_cash), 201)
    for statement in ("UPDATE cash_movements SET reason = 'x'", "DELETE FROM cash_movements"):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            unit_of_work(api_with_cash.service.engine) as connection,
        ):
            connection.execute(text(statement))


def test_tampered_cash_projection_is_rebuilt(api_with_cash):
    assert_ok(move_cash(api_with_cash), 201)
    api_with_cash.buy("1", "10")
    assert_ok(move_cash(api_with_cash, amount="5"), 201)
    engine = api_with_cash.service.engine
    with engine.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(
                text(f"SELECT set_config('app.tenants', '{{{api_with_cash.tenant_id}}}', true)")
            )
        connection.execute(text(FORGED))
    assert not verify_database(engine).is_clean
    assert command.rebuild_all(engine) == command.REBUILT
    assert verify_database(engine).is_clean
    assert_ok(move_cash(api_with_cash), 201)
    assert verify_database(engine).is_clean


@pytest.mark.parametrize("seed", range(3))
def test_cash_equals_the_sum_of_its_rows_after_random_activity(api_with_cash, seed):
    dice = random.Random(seed)
    expected = {"Growth": Decimal(1000), "Income": Decimal(1000)}
    trades = []
    for _ in range(40):
        name, other = dice.sample(sorted(expected), 2)
        amount = Decimal(dice.randrange(1, 40_000_000_000)) / 10**8
        kind = dice.choice(["deposit", "withdrawal", "transfer", "trade", "trade", "reversal"])
        if kind == "trade":
            sign, charges = dice.choice([1, -1]), Decimal(dice.randrange(500)) / 100
            side = api_with_cash.sell if sign > 0 else api_with_cash.buy
            trade = side("1", f"{amount:f}", portfolio_name=name, charges=f"{charges}")
            trades.append((name, sign * amount - charges, trade))
            expected[name] += trades[-1][1]
        elif kind == "reversal" and trades:
            name, delta, trade = trades.pop(dice.randrange(len(trades)))
            assert api_with_cash.post_reversal(trade["trade_id"]).status_code == 201
            expected[name] -= delta
        elif kind != "reversal":
            to = {"to_portfolio": other} if kind == "transfer" else {}
            status = move_cash(api_with_cash, name, kind=kind, amount=f"{amount:f}", **to).status_code
            assert status == 201 or kind != "deposit"
            if status == 201:
                expected[name] += amount if kind == "deposit" else -amount
                expected[other] += amount if kind == "transfer" else 0
    for name, total in expected.items():
        rows = get_cash(api_with_cash, name, limit="200")["rows"]
        balance = Decimal(0)
        for row in reversed(rows):
            balance += Decimal(row["amount"])
            assert Decimal(row["balance"]) == balance
        assert balance == total == Decimal(api_with_cash.get_portfolio(name)["cash"])


@pytest.mark.any_database
def test_concurrent_transfers_in_both_directions_do_not_deadlock(api_with_cash):
    def send(number):
        name, other = ("Growth", "Income") if number % 2 else ("Income", "Growth")
        status = move_cash(api_with_cash, name, kind="transfer", to_portfolio=other, amount="1").status_code
        return status, api_with_cash.post_trade(portfolio_name=name, quantity="1", gmv="1").status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(12))) == {(201, 201)}
    total = sum(Decimal(api_with_cash.get_portfolio(name)["cash"]) for name in ("Growth", "Income"))
    assert total == 2000 - 12
