"""A smoke test of a running OMS that only needs the standard library.

    TEST_API_URL=https://oms.example.com OMS_API_KEY=… python test_api.py

It prints one line per check. Its trades are in one portfolio, "smoke-test" and the date, which is flat at the
end. Exit status: 0 all passed, 1 a check failed, 2 it could not run. (pytest collects nothing here.)
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

DEFAULT_URL = "http://127.0.0.1:8001"
TIMEOUT_SECONDS = 20  # a write is answered or refused within 15 s
READY_SECONDS = 60  # a sleeping instance needs time to start
PASSED, FAILED, CANNOT = 0, 1, 2
SYMBOL = "SMOKE"


class Failed(Exception):
    """A check failed."""


@dataclass(frozen=True)
class Answer:
    """A response, with header names in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Parse the body as JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            raise Failed(f"status {self.status} with a body that is not JSON: {self.text[:80]!r}") from None


@dataclass
class ApiClient:
    """A client of the deployment under test, with the state that the checks share."""

    url: str
    key: str
    run: str = field(default_factory=lambda: secrets.token_hex(6))
    portfolio: str = field(default_factory=lambda: f"smoke-test {datetime.now(UTC):%Y-%m-%d}")
    trade: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request with the key, unless `X_API_Key` overrides it. `_` in header names becomes `-`."""
        request_headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        request_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, content, request_headers, method=method)  # noqa: S310  # main() takes http and https alone
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # as above
                return _read_answer(response.status, response)
        except HTTPError as error:
            with error:
                return _read_answer(error.code, error)

    def report(self, key: str, **changes: object) -> Answer:
        """POST a trade with an idempotency key."""
        body = {"symbol": SYMBOL, "quantity": "10", "gmv": "1000.00", "side": "BUY", "user_id": "smoke-test"}
        labels = {"portfolio_name": self.portfolio, "note": f"smoke test {self.run}"}
        return self.call(
            "POST", "/api/v1/trade", body | labels | changes, Idempotency_Key=f"smoke:{self.run}:{key}"
        )

    def book(self, **params: object) -> dict[str, Any]:
        """GET the portfolio, which must exist."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        answer = self.call(
            "GET", f"/api/v1/portfolio/{quote(self.portfolio)}" + (f"?{query}" if query else "")
        )
        return dict(require_status(answer, 200).json)


def require_status(answer: Answer, status: int) -> Answer:
    """Return the answer if it has that status. Raises Failed otherwise."""
    if answer.status != status:
        raise Failed(f"status {answer.status} instead of {status}: {answer.text[:200]}")
    return answer


def require_equal(label: str, actual: object, expected: object) -> None:
    """Raise Failed unless both are equal."""
    if actual != expected:
        raise Failed(f"{label} is {actual!r}, must be {expected!r}")


def check_health(client: ApiClient) -> None:
    """GET /health responds without a key."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            require_equal(
                "status",
                require_status(client.call("GET", "/health", X_API_Key=""), 200).json["status"],
                "healthy",
            )
        except (Failed, URLError, TimeoutError):
            if time.monotonic() > deadline or "127.0.0.1" in client.url:
                raise
            time.sleep(2)  # hosting plans suspend idle services
        else:
            return


def check_readiness(client: ApiClient) -> None:
    """Check that GET /health/ready reports that database, migrations and writer are available."""
    require_equal("status", require_status(client.call("GET", "/health/ready"), 200).json["status"], "ready")


def check_authentication(client: ApiClient) -> None:
    """Check that a request without a key or with a wrong one is rejected."""
    for key in ("", "wrong-" + "x" * 40):
        answer = require_status(client.call("GET", "/api/v1/portfolios", X_API_Key=key), 401)
        if "www-authenticate" not in answer.headers:
            raise Failed("401 without WWW-Authenticate")


def check_trade(client: ApiClient) -> None:
    """Check that a trade is recorded and priced, and creates a position."""
    response = require_status(client.report("buy"), 201)
    client.trade = response.json["trade"]
    require_equal("price", client.trade["price"], "100.00")
    require_equal("trade_id", response.json["trade_id"], client.trade["trade_id"])


def check_repeat(client: ApiClient) -> None:
    """Check that a repeat with the same key and body gets the same response and records no second trade."""
    response = require_status(client.report("buy"), 201)
    require_equal("trade_id", response.json["trade_id"], client.trade["trade_id"])
    require_equal("Idempotent-Replayed", response.headers.get("idempotent-replayed"), "true")


def check_conflict(client: ApiClient) -> None:
    """Check that a repeat with the same key and another body is rejected."""
    require_status(client.report("buy", quantity="11"), 409)


def check_invalid_input(client: ApiClient) -> None:
    """Invalid input is rejected with an error for each field."""
    response = require_status(client.report("bad", quantity="-1", side="HOLD"), 422)
    require_equal(
        "bad fields", sorted({error["field"] for error in response.json["errors"]}), ["quantity", "side"]
    )


def check_trade_list(client: ApiClient) -> None:
    """Check that the trade is the newest of its portfolio and is found by its id."""
    query = f"portfolio={quote(client.portfolio)}&limit=1"
    newest = require_status(client.call("GET", f"/api/v1/trades?{query}"), 200).json
    require_equal("newest trade", newest[0]["trade_id"], client.trade["trade_id"])
    stored_trade = require_status(client.call("GET", f"/api/v1/trades/{client.trade['trade_id']}"), 200).json
    require_equal("hash", stored_trade["hash"], client.trade["hash"])


def check_portfolio(client: ApiClient) -> None:
    """Check that the portfolio holds the position and is in the list of portfolios."""
    require_equal(
        "position", client.book()["positions"][SYMBOL]["quantity"], client.trade["position"]["quantity"]
    )
    names = require_status(client.call("GET", f"/api/v1/portfolios?q={quote(client.portfolio)}"), 200).json
    require_equal("listed", client.portfolio in names, True)


def check_reversal(client: ApiClient) -> None:
    """Check that a trade is reversed once, which restores the previous position."""
    path = f"/api/v1/trades/{client.trade['trade_id']}:reverse"
    undone = require_status(client.call("POST", path, {"reason": "Smoke test"}), 201).json["trade"]
    require_equal("reverses", undone["reverses"], client.trade["trade_id"])
    require_status(client.call("POST", path, {"reason": "Smoke test, again"}), 409)


def check_earlier_state(client: ApiClient) -> None:
    """Check that the portfolio as of an earlier sequence number is unchanged."""
    earlier_portfolio = client.book(as_of=client.trade["sequence"])
    require_equal("last_sequence", earlier_portfolio["last_sequence"], client.trade["sequence"])
    require_equal(
        "position", earlier_portfolio["positions"][SYMBOL]["quantity"], client.trade["position"]["quantity"]
    )


def check_flat_positions(client: ApiClient) -> None:
    """No position is left open."""
    require_equal("position", client.book()["positions"][SYMBOL]["quantity"], "0")


def check_documents(client: ApiClient) -> None:
    """Check that the OpenAPI document and its page are both served or both disabled."""
    page, document = client.call("GET", "/docs"), client.call("GET", "/openapi.json")
    require_equal(
        "statuses", (page.status, document.status), (200, 200) if page.status == 200 else (404, 404)
    )
    if document.status == 200:
        require_equal("POST /api/v1/trade documented", "/api/v1/trade" in document.json["paths"], True)


CHECKS: tuple[Callable[[ApiClient], None], ...] = (
    *(
        check_health,
        check_readiness,
        check_authentication,
        check_trade,
        check_repeat,
        check_conflict,
        check_invalid_input,
        check_trade_list,
        check_portfolio,
    ),
    *(check_reversal, check_earlier_state, check_flat_positions, check_documents),
)


def run_checks(client: ApiClient) -> Iterator[tuple[str, str]]:
    """Yield each check's sentence and its error, "" if it passed. Stop when no other check can pass."""
    for check in CHECKS:
        trouble = _find_failure(check, client)
        yield str(check.__doc__), trouble
        if trouble and check in (check_health, check_readiness, check_trade):
            return  # the remaining checks would fail for the same reason


def main() -> int:
    """Run the checks against TEST_API_URL."""
    url = os.environ.get("TEST_API_URL", DEFAULT_URL).strip().rstrip("/")
    key = os.environ.get("OMS_API_KEY", "").strip()
    if not url.startswith(("http://", "https://")) or not key:
        sys.stderr.write("Set TEST_API_URL to http(s)://… and OMS_API_KEY to a key with the scope trade.\n")
        return CANNOT
    print(f"Testing {url}", flush=True)
    troubles = 0
    for sentence, trouble in run_checks(ApiClient(url, key)):
        print(f"{'FAILED' if trouble else 'ok':<7}{sentence}", flush=True)
        if trouble:
            troubles += 1
            print(f"       {trouble}", flush=True)
    print("Something is wrong." if troubles else "All is well.")
    return FAILED if troubles else PASSED


def _find_failure(check: Callable[[ApiClient], None], client: ApiClient) -> str:
    try:
        check(client)
    except Failed as failure:
        return str(failure)
    except (URLError, TimeoutError, ConnectionError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        return f"the answer has not the shape it must have: {error!r}"
    return ""


def _read_answer(status: int, answer: Any) -> Answer:  # an HTTPResponse, or the HTTPError that wraps one
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status, headers, answer.read(5_000_000).decode(errors="replace"))


if __name__ == "__main__":
    sys.exit(main())
