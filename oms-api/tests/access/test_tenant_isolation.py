"""Two tenants with identical names work at the same time, and each sees only its own data."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest

from app.database import connect_engine
from app.verify import verify_audit_logs, verify_database
from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process

ROUNDS, MEMBERS = 14, 6
BOOKS = ("Growth", "Income")


def create_tenant(client: httpx.Client, slug: str, team_id: str) -> str:
    """Return the first key of a new tenant."""
    response = client.post(
        "/api/v1/tenants", json={"name": "A Desk", "slug": slug}, headers={"X-API-Key": BOOTSTRAP_KEY}
    )
    assert response.status_code == 201, response.text
    claimed = client.post(
        f"/api/v1/tenants/{slug}/workspaces", json={"team_id": team_id}, headers={"X-API-Key": BOOTSTRAP_KEY}
    )
    assert claimed.status_code == 201, claimed.text
    return str(response.json()["api_key"])


class Member:
    """Somebody at a desk, who looks and trades in turn; `quantity` is the desk's mark."""

    def __init__(self, url: str, key: str, quantity: str, number: int) -> None:
        headers = {"X-API-Key": key, "X-On-Behalf-Of": f"slack:T{quantity}:U{number}"}
        self.client = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30)
        self.quantity, self.number = quantity, number

    def work(self) -> list[str]:
        """Return the visible trades and quantities that are not of the tenant."""
        with self.client:
            return [strange for turn in range(ROUNDS) for strange in self._run_round(turn)]

    def _run_round(self, turn: int) -> list[str]:
        key = f"member-{self.number}-turn-{turn}"
        body = build_trade_body(
            quantity=self.quantity, gmv=None, price="10", portfolio_name=BOOKS[turn % 2], symbol="AAPL"
        )
        recorded = self.client.post("/trade", json=body, headers={"Idempotency-Key": key})
        assert recorded.status_code == 201, recorded.text
        trades = [recorded.json()["trade"], *self.client.get("/trades", params={"limit": 20}).json()]
        trades += self.client.get("/trades", params={"idempotency_key": key}).json()
        quantity = self.client.get(f"/portfolio/{BOOKS[turn % 2]}").json()["positions"]["AAPL"]["quantity"]
        wrong = [trade["trade_id"] for trade in trades if trade["quantity"] != self.quantity]
        return wrong if Decimal(quantity) % Decimal(self.quantity) == 0 else [*wrong, f"held {quantity}"]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_concurrent_tenants_each_find_exactly_their_own_data(backend, new_database):
    url = new_database(backend)
    with (
        run_process(DATABASE_URL=url, LOG_LEVEL="ERROR") as service,
        httpx.Client(base_url=service.url, timeout=WAIT_SECONDS) as client,
    ):
        marks = {"7": create_tenant(client, "one", "T7"), "11": create_tenant(client, "other", "T11")}
        members = [
            Member(service.url, key, quantity, number)
            for number in range(MEMBERS)
            for quantity, key in marks.items()
        ]
        with ThreadPoolExecutor(len(members)) as threads:
            strange = list(threads.map(Member.work, members))
        assert strange == [[]] * len(members)
        for quantity, key in marks.items():
            for book in BOOKS:
                body = client.get(f"/api/v1/portfolio/{book}", headers={"X-API-Key": key}).json()
                assert body["total_trades"] == MEMBERS * ROUNDS // 2
                assert body["positions"]["AAPL"]["quantity"] == str(int(quantity) * body["total_trades"])
            people = client.get("/api/v1/users", headers={"X-API-Key": key}).json()
            assert len(people) == MEMBERS
    engine = connect_engine(url)
    assert verify_database(engine).is_clean
    assert verify_audit_logs(engine).problem is None
    engine.dispose()
