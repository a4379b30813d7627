"""The service in this process, and tenants with a key each, so that tests do not affect each other."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection, Engine, text
from starlette.testclient import TestClient

from app.clock import utc_now
from app.config import Settings
from app.database import connect_engine, set_tenant_scope, unit_of_work
from app.identity.service.keys import store_new_key
from app.main import create_app
from tests.factories import BOOTSTRAP_KEY, JWT_KEYS, STATEMENT_SECRET, build_ticket_body, build_trade_body
from tests.support.portfolios import open_portfolio

_NEW_TENANT = """
    INSERT INTO tenants (id, slug, name, created_at)
    SELECT max(id) + 1, 'desk-' || (max(id) + 1), 'A desk', :at FROM tenants RETURNING id
"""


# The figures of a portfolio that depend on the current prices or time.
VALUES = {
    *("equity", "gross_exposure", "net_exposure", "unrealized_pnl", "day_pnl", "total_pnl"),
    *("buying_power", "settled_cash", "unsettled_cash"),
}


def build_settings(database_url: str, **changes: Any) -> Settings:
    """Return settings that read nothing of this machine."""
    values: dict[str, Any] = {"oms_api_key": BOOTSTRAP_KEY, "database_url": database_url}
    values["bot_statement_secret"] = STATEMENT_SECRET
    values |= {
        "environment": "production",
        "jwt_keys": JWT_KEYS,
        "rate_limit_per_minute": 0,
        "log_level": "ERROR",
        "reader_threads": 4,
        "duties": "worker",  # a test runs them itself
        "broker_sessions": "off",  # likewise
        "strategy_host": "off",  # likewise
    }
    return Settings(_env_file=None, **(values | changes))


@dataclass(frozen=True)
class Service:
    """A running application on one database."""

    app: FastAPI
    client: TestClient
    engine: Engine
    database_url: str

    def create_client(self, scopes: str = "admin") -> "ApiClient":
        """Return a desk of a new tenant."""
        with unit_of_work(self.engine) as connection:
            tenant_id = connection.execute(
                text(_NEW_TENANT), {"at": "2026-01-01T00:00:00.000000Z"}
            ).scalar_one()
        return ApiClient(self, tenant_id, self.create_key(scopes, tenant_id))

    def create_key(self, scopes: str, tenant_id: int = 1) -> str:
        """Return a new key of the tenant."""
        with unit_of_work(self.engine) as connection:
            return store_new_key(connection, f"key-{secrets.token_hex(4)}", scopes, utc_now(), tenant_id)

    @contextmanager
    def open_connection(self) -> Iterator[Connection]:
        """Yield a connection to look at the tables."""
        with self.engine.connect() as connection:
            yield connection


@dataclass(frozen=True)
class ApiClient:
    """A REST client of a member of one tenant."""

    service: Service
    tenant_id: int
    key: str

    def claim_workspace(self, team_id: str) -> None:
        """Let people of a Slack workspace act at this desk, as the operator does."""
        with self.service.open_connection() as connection:
            slug = connection.execute(
                text("SELECT slug FROM tenants WHERE id = :id"), {"id": self.tenant_id}
            ).scalar_one()
        response = self.service.client.post(
            f"/api/v1/tenants/{slug}/workspaces",
            json={"team_id": team_id},
            headers={"X-API-Key": BOOTSTRAP_KEY},
        )
        assert response.status_code in {200, 201}, response.text

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> Any:
        """GET below /api/v1."""
        sent = {"X-API-Key": self.key, **(headers or {})}
        query = {name.removesuffix("_"): value for name, value in params.items()}  # from_, to_
        return self.service.client.get(f"/api/v1{path}", params=query or None, headers=sent)

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """POST below /api/v1; `body` is bytes as they are, or anything JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"X-API-Key": self.key, "Content-Type": "application/json", **(headers or {})}
        return self.service.client.post(f"/api/v1{path}", content=content, headers=sent)

    def put(self, path: str, body: Any) -> Any:
        """PUT below /api/v1."""
        sent = {"X-API-Key": self.key, "Content-Type": "application/json"}
        return self.service.client.put(f"/api/v1{path}", content=json.dumps(body).encode(), headers=sent)

    def patch(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """PATCH below /api/v1."""
        sent = {"X-API-Key": self.key, "Content-Type": "application/json", **(headers or {})}
        return self.service.client.patch(f"/api/v1{path}", content=json.dumps(body).encode(), headers=sent)

    def delete(self, path: str) -> Any:
        """DELETE below /api/v1."""
        return self.service.client.delete(f"/api/v1{path}", headers={"X-API-Key": self.key})

    def set_quote(
        self, symbol: str, bid: str | None, ask: str | None, last: str | None, **sizes: str
    ) -> None:
        """Give a quote."""
        response = self.put(f"/quotes/{symbol}", {"bid": bid, "ask": ask, "last": last, **sizes})
        assert response.status_code == 200, response.text

    def open_portfolio(self, name: str = "Growth") -> "ApiClient":
        """Open a portfolio where there is none of that name, and return the desk."""
        with unit_of_work(self.service.engine) as connection:
            set_tenant_scope(connection, [self.tenant_id])
            open_portfolio(connection, self.tenant_id, name, utc_now())
        return self

    def post_order(self, key: str | None = None, **changes: Any) -> Any:
        """POST an order in a portfolio that exists."""
        self.open_portfolio(changes.get("portfolio_name", "Growth"))
        return self.post("/orders", build_ticket_body(**changes), {"Idempotency-Key": key} if key else None)

    def place_order(self, key: str | None = None, **changes: Any) -> dict[str, Any]:
        """Place an order and return it."""
        response = self.post_order(key, **changes)
        assert response.status_code == 201, response.text
        placed: dict[str, Any] = response.json()
        return placed

    def get_order(self, order_id: str) -> dict[str, Any]:
        """Return an order with its history and fills."""
        response = self.get(f"/orders/{order_id}")
        assert response.status_code == 200, response.text
        order: dict[str, Any] = response.json()
        return order

    def with_key(self, key: str) -> "ApiClient":
        """Return the same desk as it is seen with another key."""
        return ApiClient(self.service, self.tenant_id, key)

    def post_trade(self, key: str | None = None, **changes: Any) -> Any:
        """POST a trade; `key` is its idempotency key."""
        return self.post("/trade", build_trade_body(**changes), {"Idempotency-Key": key} if key else None)

    def record_trade(self, key: str | None = None, **changes: Any) -> dict[str, Any]:
        """Record a trade and return it."""
        response = self.post_trade(key, **changes)
        assert response.status_code == 201, response.text
        recorded: dict[str, Any] = response.json()["trade"]
        return recorded

    def buy(self, quantity: str, price: str, **changes: Any) -> dict[str, Any]:
        """Record a purchase."""
        return self.record_trade(side="BUY", quantity=quantity, price=price, gmv=None, **changes)

    def sell(self, quantity: str, price: str, **changes: Any) -> dict[str, Any]:
        """Record a sale."""
        return self.record_trade(side="SELL", quantity=quantity, price=price, gmv=None, **changes)

    def post_reversal(self, trade_id: str, reason: str = "Reported twice", key: str | None = None) -> Any:
        """POST a reversal."""
        path = f"/trades/{trade_id}:reverse"
        return self.post(path, {"reason": reason}, {"Idempotency-Key": key} if key else None)

    def get_portfolio(self, name: str = "Growth", **params: Any) -> dict[str, Any]:
        """Return a portfolio."""
        response = self.get(f"/portfolio/{name}", **params)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def get_recorded_values(self, name: str = "Growth", **params: Any) -> dict[str, Any]:
        """Return a portfolio without the figures of current prices or time."""
        portfolio = self.get_portfolio(name, **params)
        return {field: portfolio[field] for field in portfolio if field not in VALUES}

    def list_trades(self, **params: Any) -> list[dict[str, Any]]:
        """Return the first page of trades."""
        response = self.get("/trades", **params)
        assert response.status_code == 200, response.text
        body: list[dict[str, Any]] = response.json()
        return body


@contextmanager
def run_service(database_url: str, **changes: Any) -> Iterator[Service]:
    """Run the application on a migrated database, by the clock `now` if one is given."""
    now = changes.pop("now", None)
    app = create_app(build_settings(database_url, **changes), now)
    engine = connect_engine(database_url, readers=2)
    try:
        with TestClient(app, base_url="http://127.0.0.1:8001", raise_server_exceptions=False) as client:
            yield Service(app, client, engine, database_url)
    finally:
        engine.dispose()
