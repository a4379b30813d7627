"""The OMS in separate processes at the stand-ins of three brokers, and faults that cut its connections."""

import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY
from tests.brokers.standins.alpaca.server import StandIn as Alpaca
from tests.brokers.standins.demo import Market, PriceWalk
from tests.brokers.standins.ibkr.faults import CANCEL_ORDER, PLACE_ORDER
from tests.brokers.standins.ibkr.server import LOOPBACK
from tests.brokers.standins.ibkr.server import StandIn as Tws
from tests.brokers.standins.kite.server import API_KEY, API_SECRET
from tests.brokers.standins.kite.server import StandIn as Kite
from tests.factories import BOOTSTRAP_KEY
from tests.support.guarded_programs import start_guarded
from tests.support.processes import HOME, build_environment, run_process

WAIT_SECONDS, MAX_ATTEMPTS, MAX_STARTS = 600.0, 30, 5
SEED = "slackoms"  # of the simulated prices
REQUEST_FAULTS = ("cut_before", "cut_after", "status", "status_after", "latency")
TWS_FAULTS = ("cut_before", "cut_after", "drop", "mute")
CANCEL_ALL_SHARE = 0.03  # of the trader's actions
FINAL = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "DENIED", "REPLACED"})


class Account(NamedTuple):
    """A portfolio, its broker, its symbol, and the fields of its orders."""

    portfolio: str
    currency: str
    broker: str
    connection: str
    symbol: str
    quantity: int
    tick: str
    instrument: dict[str, str]
    order: dict[str, str]


ACCOUNTS = (
    Account(
        *("America", "USD", "alpaca", "env-alpaca", "AAPL", 10, "0.01"),
        {"exchange": "NASDAQ", "currency": "USD", "tick_size": "0.01", "lot_size": "1"},
        {"time_in_force": "GTC"},
    ),
    Account(
        *("India", "INR", "zerodha", "kite", "RELIANCE", 5, "0.05"),
        {"exchange": "NSE", "currency": "INR", "tick_size": "0.05", "lot_size": "1"},
        {"time_in_force": "DAY", "product": "CNC"},
    ),
    Account(
        *("Currencies", "USD", "ibkr", "env-ibkr", "EURUSD", 20_000, "0.0001"),
        {"exchange": "", "asset_class": "fx", "currency": "USD", "tick_size": "0.0001", "lot_size": "1"},
        {"time_in_force": "GTC"},
    ),
)


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait until a condition is true, and return its value."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)
    return value


class Installation:
    """The OMS and the process for IBKR, both of which can be killed, and the stand-ins in this process."""

    def __init__(self, folder: Path, alpaca: Alpaca, kite: Kite, tws: Tws) -> None:
        self.alpaca, self.kite, self.tws = alpaca, kite, tws
        self.folder = folder
        self.database_url = f"sqlite:///{folder / 'oms.db'}"
        self._oms, self._ibkr_log = ExitStack(), (folder / "ibkr.log").open("ab")
        self._ibkr: subprocess.Popen[bytes] | None = None
        self._walks: list[tuple[PriceWalk, Callable[[Callable[[], None]], object]]] = [
            (PriceWalk(alpaca.exchange, SEED, ["AAPL"]), alpaca.exchange.run_locked),
            (PriceWalk(kite.exchange, SEED, ["RELIANCE"]), kite.exchange.run_locked),
            (PriceWalk(tws.exchange, SEED, ["EURUSD"]), tws.call),
        ]

    # Processes

    def start_oms(self) -> None:
        """Start the OMS, for the first time or after it was killed."""
        settings = {
            "DATABASE_URL": self.database_url, "ENVIRONMENT": "development", "BROKER_SESSIONS": "on",
            "ALPACA_API_KEY": KEY_ID, "ALPACA_API_SECRET": SECRET_KEY, "ALPACA_BASE_URL": self.alpaca.url,
            "RECONCILE_INTERVAL_SECONDS": "30", "LOG_LEVEL": "WARNING",
        }  # fmt: skip
        for _ in range(MAX_STARTS):
            with suppress(AssertionError):
                self.oms = self._oms.enter_context(run_process(**settings))
                break
        self.http = httpx.Client(
            base_url=f"{self.oms.url}/api/v1", headers={"X-API-Key": BOOTSTRAP_KEY}, timeout=60
        )

    def kill_oms(self) -> None:
        self.http.close()
        self.oms.process.kill()
        self.oms.process.wait(60)
        with (self.folder / "oms.log").open("a") as log:
            log.write(self.oms.log())
        self._oms.close()

    def start_ibkr(self) -> None:
        """Start the process for IBKR."""
        environment = build_environment(
            DATABASE_URL=self.database_url, ENVIRONMENT="development", IB_HOST=LOOPBACK,
            IB_PORT=str(self.tws.port), RECONCILE_INTERVAL_SECONDS="30", LOG_LEVEL="WARNING",
        )  # fmt: skip
        command = [sys.executable, "-m", "app.brokers.ibkr"]
        self._ibkr = start_guarded(
            command, cwd=HOME, env=environment, stdout=self._ibkr_log, stderr=self._ibkr_log
        )

    def kill_ibkr(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._ibkr is not None:
            self._ibkr.send_signal(how)
            self._ibkr.wait(60)
            self._ibkr = None

    def close(self) -> None:
        self.kill_ibkr(signal.SIGTERM)
        self.kill_oms()
        self._ibkr_log.close()

    # Requests

    def get(self, path: str, **parameters: Any) -> Any:
        for _ in range(MAX_ATTEMPTS):
            with suppress(httpx.TimeoutException):
                response = self.http.get(path, params=parameters)
                if response.status_code != 503:
                    assert response.status_code == 200, response.text
                    return response.json()
            time.sleep(1)
        raise AssertionError(f"no answer to GET {path}")

    def send(self, method: str, path: str, body: Any, *, is_strict: bool = True) -> httpx.Response:
        """Send a request, again while the database of a busy machine refuses the write."""
        key = {"Idempotency-Key": secrets.token_hex(12)}
        for _ in range(MAX_ATTEMPTS):
            with suppress(httpx.TimeoutException):
                response = self.http.request(method, path, json=body, headers=key)
                if response.status_code != 503 or not is_strict:
                    assert response.status_code < 500 or not is_strict, response.text
                    return response
            time.sleep(1)
        raise AssertionError(f"no answer to {method} {path}")

    def open_accounts(self) -> None:
        """Connect Zerodha, and create a portfolio for each broker."""
        body = {
            "name": "kite", "broker": "zerodha", "base_url": self.kite.url,
            "credentials": {"api_key": API_KEY, "api_secret": API_SECRET},
        }  # fmt: skip
        assert self.send("POST", "/broker-connections", body).status_code == 201
        self.log_in()
        for account in ACCOUNTS:
            wait_for(partial(self._is_connected, account.connection), account.connection)
            assert self.send("PUT", f"/instruments/{account.symbol}", account.instrument).status_code in {
                200,
                201,
            }
            portfolio = {"name": account.portfolio, "base_currency": account.currency}
            assert self.send("POST", "/portfolios", portfolio).status_code == 201
            assignment = {
                "broker": account.broker,
                "connection": account.connection,
                "when_broker_down": "hold",
            }
            response = self.send("PATCH", f"/portfolios/{account.portfolio}", assignment)
            assert response.status_code == 200, response.text

    def log_in(self) -> None:
        """Log in at Zerodha, as a person does every morning."""
        for _ in range(MAX_ATTEMPTS):
            token = {"request_token": self.kite.sessions.create_request_token()}
            if self.send("POST", "/brokers/kite/session", token, is_strict=False).status_code == 200:
                return
            time.sleep(1)
        raise AssertionError("no login")

    def _is_connected(self, name: str) -> bool:
        statuses = {
            connection["name"]: connection["status"] for connection in self.get("/broker-connections")
        }
        return statuses.get(name) == "connected"

    def wait_until_connected(self) -> None:
        for account in ACCOUNTS:
            wait_for(partial(self._is_connected, account.connection), account.connection)

    def move_prices(self) -> None:
        """Quote the simulated prices of now at the stand-ins."""
        for walk, call in self._walks:
            call(partial(walk.step, datetime.now(UTC)))


class Trader:
    """Places, cancels and replaces orders and brackets at random, also the exits of a bracket."""

    def __init__(self, installation: Installation, draw: random.Random) -> None:
        self.installation, self.draw = installation, draw
        self.placed: dict[str, list[str]] = {account.portfolio: [] for account in ACCOUNTS}
        self.exits: dict[str, list[str]] = {account.portfolio: [] for account in ACCOUNTS}

    def act(self) -> None:
        account, choice = self.draw.choice(ACCOUNTS), self.draw.random()
        if self.draw.random() < CANCEL_ALL_SHARE:
            self._cancel_all(account)
        recent = self.placed[account.portfolio][-8:] + self.exits[account.portfolio][-4:]
        if choice < 0.65 or not recent:
            self._place(account)
        elif choice < 0.85:
            self.installation.send("POST", f"/orders/{self.draw.choice(recent)}/cancel", {})
        else:
            self._replace(account, self.draw.choice(recent))

    def _cancel_all(self, account: Account) -> None:
        """Cancel the working orders far from the price, which our own market orders would match."""
        for order in self.installation.get("/orders", open="true", portfolio=account.portfolio):
            self.installation.send("POST", f"/orders/{order['id']}/cancel", {})

    def _replace(self, account: Account, order_id: str) -> None:
        """Change the limit, or the stop of an exit."""
        is_stop = order_id in self.exits[account.portfolio] and self.draw.random() < 0.5
        price = {"stop_price" if is_stop else "limit_price": self._choose_price(account, "BUY")}
        response = self.installation.send("PATCH", f"/orders/{order_id}", price)
        if response.status_code < 300 and response.json().get("id") != order_id:
            self.placed[account.portfolio].append(response.json()["id"])

    def _place(self, account: Account) -> None:
        draw = self.draw
        side = draw.choice(["BUY", "BUY", "SELL"])
        body: dict[str, Any] = {
            "portfolio_name": account.portfolio, "symbol": account.symbol, "side": side,
            "quantity": str(account.quantity * draw.randrange(1, 5)), **account.order,
        }  # fmt: skip
        if draw.random() < 0.4:
            body |= {"type": "MARKET", "time_in_force": "DAY"}
        else:
            body |= {"type": "LIMIT", "limit_price": self._choose_price(account, side)}
        if draw.random() < 0.35:
            body |= self._choose_exits(account, side)
        response = self.installation.send("POST", "/orders", body)
        if response.status_code == 201:
            self.placed[account.portfolio].append(response.json()["id"])
            self.exits[account.portfolio] += [leg["id"] for leg in response.json()["legs"]]

    def _choose_exits(self, account: Account, side: str) -> dict[str, dict[str, str]]:
        """Return exits on both sides of the price: the market reaches some of them soon, others never."""
        profit, loss = (self.draw.choice([3, 6, 12, 300]) * Decimal(account.tick) for _ in range(2))
        sign, bid = (1 if side == "BUY" else -1), self._get_bid(account)
        return {
            "take_profit": {"limit_price": str(bid + sign * profit)},
            "stop_loss": {"stop_price": str(bid - sign * loss)},
        }

    def _choose_price(self, account: Account, side: str) -> str:
        """Return a price that fills at once, soon, or never."""
        away = self.draw.choice([-2, 0, 1, 3, 200]) * (1 if side == "SELL" else -1)
        return str(self._get_bid(account) + away * Decimal(account.tick))

    def _get_bid(self, account: Account) -> Decimal:
        exchanges: dict[str, Market] = {
            "alpaca": self.installation.alpaca.exchange, "zerodha": self.installation.kite.exchange,
            "ibkr": self.installation.tws.exchange,
        }  # fmt: skip
        bid: Decimal = exchanges[account.broker].quotes[account.symbol].bid
        return bid


class Saboteur:
    """Cuts the connections at random, and kills the processes that hold them."""

    def __init__(self, installation: Installation, draw: random.Random) -> None:
        self.installation, self.draw, self.action_counts = installation, draw, dict[str, int]()
        self._repairs: list[tuple[float, Callable[[], None]]] = []
        self._actions: list[Callable[[], None]] = [
            *(self.cut_alpaca, self.fail_alpaca, self.fail_alpaca, self.distort_alpaca, self.stop_alpaca),
            *(self.cut_kite, self.fail_kite, self.fail_kite, self.distort_kite, self.expire_kite),
            *(self.cut_tws, self.fail_tws, self.fail_tws, self.copy_tws, self.cut_tws_from_ibkr),
            *(self.cross_at_alpaca, self.cross_at_kite, self.fill_parts_at_tws),
        ]

    def act(self) -> None:
        """Run the due repairs, then inject a fault."""
        now = time.monotonic()
        due_repairs = [repair for at, repair in self._repairs if at <= now]
        self._repairs = [(at, repair) for at, repair in self._repairs if at > now]
        for repair in due_repairs:
            repair()
        self._run(self.draw.choice(self._actions))

    def kill(self) -> None:
        """Kill one of the processes, which is started again later or at once."""
        self._run(self.draw.choice([self.kill_ibkr, self.kill_ibkr, self.kill_oms]))

    def repair(self) -> None:
        """Let everything work again."""
        for _, repair in self._repairs:
            repair()
        self._repairs = []
        for stand_in in (self.installation.alpaca, self.installation.kite, self.installation.tws):
            stand_in.faults.clear()
        self.installation.alpaca.stream.flush()
        self.installation.kite.ticker.flush()
        self.installation.tws.cut()

    def _run(self, action: Callable[[], None]) -> None:
        self.action_counts[action.__name__] = self.action_counts.get(action.__name__, 0) + 1
        action()

    def _repair_later(self, repair: Callable[[], None]) -> None:
        self._repairs.append((time.monotonic() + self.draw.uniform(0.5, 8), repair))

    def cut_alpaca(self) -> None:
        self.installation.alpaca.stream.cut()

    def fail_alpaca(self) -> None:
        methods = ["POST", "DELETE", "PATCH", ""]
        self.installation.alpaca.faults.add(
            self.draw.choice(REQUEST_FAULTS), method=self.draw.choice(methods), status=500
        )

    def distort_alpaca(self) -> None:
        faults = self.installation.alpaca.faults.stream
        setattr(faults, self.draw.choice(["duplicates", "swaps", "drops"]), 1)

    def stop_alpaca(self) -> None:
        """Let Alpaca be down for a while."""
        self.installation.alpaca.faults.add("cut_before", times=self.draw.randrange(1, 12))
        self.installation.alpaca.faults.stream.refusals = 1
        self.installation.alpaca.stream.cut()

    def cross_at_alpaca(self) -> None:
        """Let a part fill when the next cancel or replacement arrives."""
        self.installation.alpaca.faults.orders.crossing = str(self.draw.randrange(1, 12))

    def cross_at_kite(self) -> None:
        """Let a part fill when the next cancel or replacement arrives."""
        self.installation.kite.faults.orders.crossing = str(self.draw.randrange(1, 6))

    def fill_parts_at_tws(self) -> None:
        """Fill in parts for a while. Whether TWS keeps the exits of an ended entry changes as well."""
        exchange = self.installation.tws.exchange
        exchange.keeps_children = not exchange.keeps_children
        exchange.max_fill = Decimal(7_000)
        self._repair_later(lambda: setattr(exchange, "max_fill", None))

    def cut_kite(self) -> None:
        self.installation.kite.ticker.cut()

    def fail_kite(self) -> None:
        methods = ["POST", "DELETE", ""]
        self.installation.kite.faults.add(
            self.draw.choice(REQUEST_FAULTS), method=self.draw.choice(methods), status=500
        )

    def distort_kite(self) -> None:
        faults = self.installation.kite.faults.stream
        setattr(faults, self.draw.choice(["duplicates", "swaps", "drops"]), 1)

    def expire_kite(self) -> None:
        """End the session of the day. A person logs in later."""
        self.installation.kite.sessions.expire()
        self.installation.kite.ticker.cut()
        self._repair_later(self.installation.log_in)

    def cut_tws(self) -> None:
        self.installation.tws.cut()

    def fail_tws(self) -> None:
        message = self.draw.choice([PLACE_ORDER, CANCEL_ORDER])
        self.installation.tws.faults.add(self.draw.choice(TWS_FAULTS), message=message)

    def copy_tws(self) -> None:
        self.installation.tws.faults.copies = self.draw.randrange(1, 3)

    def cut_tws_from_ibkr(self) -> None:
        self.installation.tws.lose_connectivity()
        self._repair_later(self.installation.tws.restore_connectivity)

    def kill_ibkr(self) -> None:
        self.installation.kill_ibkr()
        self.installation.start_ibkr()

    def kill_oms(self) -> None:
        self.installation.kill_oms()
        self.installation.start_oms()


@contextmanager
def run_installation(folder: Path) -> Iterator[Installation]:
    """Run the installation with its three portfolios until the block ends."""
    with Alpaca() as alpaca, Kite() as kite, Tws() as tws:
        installation = Installation(folder, alpaca, kite, tws)
        installation.move_prices()
        installation.start_oms()
        try:
            installation.start_ibkr()
            installation.open_accounts()
            yield installation
        finally:
            installation.close()
