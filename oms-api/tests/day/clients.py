"""The clients of a simulated day: they repeat requests until answered, and keep a journal."""

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from typing_extensions import override

from tests.day.random_requests import (
    PAIRS,
    PORTFOLIOS,
    SYMBOLS,
    Prices,
    make_change,
    make_pair,
    make_quote,
    make_ticket,
)
from tests.faults.load import Connection

PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_OPEN = {"ACCEPTED", "TRIGGERED", "PARTIALLY_FILLED", "HELD"}
# The expected status codes of each kind of request. A 422 is a denial, and has the order's id.
EXPECTED = {
    "order": {201, 422}, "pair": {201, 422}, "cancel": {200, 409}, "replace": {200, 409, 422},
    "close": {201, 404, 409, 422}, "switch": {200}, "quote": {200}, "sweep": {200}, "read": {200},
    "listing": {200}, "portfolio": {201, 409},
}  # fmt: skip


@dataclass
class Intent:
    """A request, recorded before it is sent, and its final response."""

    kind: str
    path: str
    body: Any
    status: int = 0
    response: Any = None
    link: str | None = None  # to the next page
    sent_at: str = ""  # for the first time
    told_at: str = ""


@dataclass
class Halt:
    """A time during which nothing was let in: from the answer to HALTED until ACTIVE is asked for."""

    scope: str
    name: str | None
    since: str
    until: str = "9999"

    def is_for(self, body: Any) -> bool:
        """Tell whether it stops the ticket, or the first of two."""
        ticket = body["orders"][0] if "orders" in body else body
        own: dict[str, Any] = {
            "tenant": None,
            "portfolio": ticket["portfolio_name"],
            "strategy": ticket.get("strategy"),
        }
        return bool(own[self.scope] == self.name)


@dataclass
class Journal:
    """The requests and responses of all clients."""

    intents: list[Intent] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    rates: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by pair, as quoted
    unexpected: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    stands: Counter[str] = field(default_factory=Counter)  # orders by status, as the checks found them
    slowest: float = 0.0
    broken: int = 0  # requests whose connection broke, and that were sent again
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tickets(self) -> int:
        """The number of submitted tickets."""
        return self.counts["tickets"]


class Client:
    """A client of any running process. It repeats a request under its key until the answer."""

    def __init__(self, journal: Journal, ports: Callable[[], Sequence[int]], random: Random) -> None:
        self.journal = journal
        self.random = random
        self._ports = ports
        self._connections: dict[int, Connection] = {}

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections.values():
            connection.close()

    def send(self, kind: str, method: str, path: str, body: Any = None, key: str | None = None) -> Intent:
        """Send it, and again without an answer or a placement. Record the response."""
        intent = Intent(kind, path, body, sent_at=now())
        with self.journal.lock:
            self.journal.intents += [] if kind in {"quote", "listing", "portfolio", "read"} else [intent]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._handle_answer(intent, method, key):
            if time.monotonic() > deadline:
                self._record_problem(
                    f"{kind} {path}: not answered within {PATIENCE_SECONDS:g} s, last {intent}"
                )
                break
            time.sleep(_PAUSE_SECONDS)
        intent.told_at = now()
        if intent.status not in EXPECTED[kind]:
            self._record_problem(f"{kind} {path} {body}: {intent.status} {intent.response}")
        return intent

    def quote(self, symbol: str, body: Any) -> None:
        """Set the quote of a symbol, and record the rate of a currency pair."""
        if symbol in PAIRS:
            self.journal.rates[symbol].add(body["last"])
        self.send("quote", "PUT", f"/api/v1/quotes/{symbol}", body)

    def page(self, path: str) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of a list, and the address of the next one if there is more."""
        intent = self.send("read", "GET", path)
        return intent.response, intent.link

    def _handle_answer(self, intent: Intent, method: str, key: str | None) -> bool:
        started = time.monotonic()
        port = self.random.choice(list(self._ports()))
        line = self._connections.setdefault(port, Connection(port))
        try:
            intent.status, headers, intent.response = line.call(method, intent.path, intent.body, key)
        except ConnectionError:
            with self.journal.lock:
                self.journal.broken += 1
            return False
        self.journal.slowest = max(self.journal.slowest, time.monotonic() - started)
        intent.link = headers.get("link", "").partition(">")[0].lstrip("<") or None
        return intent.status != 503

    def _record_problem(self, label: str) -> None:
        with self.journal.lock:
            self.journal.unexpected.append(label[:2000])


class Actor(threading.Thread):
    """A client's thread: `act` again and again until `stop` is set."""

    def __init__(self, client: Client, stop: threading.Event, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.random = client.random
        self.stop = stop
        self.failure: Exception | None = None

    @override
    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.act()
        except Exception as error:  # noqa: BLE001  # the thread's edge: the test raises it
            self.failure = error
        self.client.close()

    def act(self) -> None:
        """Do one thing."""
        raise NotImplementedError


class Trader(Actor):
    """Hands in tickets until the day has had `goal` of them; cancels, changes and closes in between."""

    def __init__(self, client: Client, stop: threading.Event, name: str, prices: Prices, goal: int) -> None:
        super().__init__(client, stop, name)
        self._prices = prices
        self._goal = goal
        self._resting: deque[dict[str, Any]] = deque(maxlen=100)
        self._count = 0

    @override
    def act(self) -> None:
        self._count += 1
        name, draw = f"{self.name}-{self._count}", self.random.random()
        if draw < 0.12 and self._resting:
            order = self._resting.popleft() if draw < 0.06 else self._resting.pop()
            self._send("cancel", "POST", f"/orders/{order['id']}/cancel", {"reason": "Drawn"}, name)
        elif draw < 0.18 and self._resting:
            order = self._resting.pop()
            self._send("replace", "PATCH", f"/orders/{order['id']}", make_change(self.random, order), name)
        elif draw < 0.20:
            place = {"portfolio_name": self.random.choice(PORTFOLIOS), "symbol": self.random.choice(SYMBOLS)}
            self._send("close", "POST", "/positions:close", place, name)
        else:
            self._submit_orders(name, is_pair=draw > 0.96)

    def _submit_orders(self, name: str, *, is_pair: bool) -> None:
        with self.client.journal.lock:
            if self.client.journal.tickets >= self._goal:
                self.stop.set()
                return
            self.client.journal.counts["tickets"] += 2 if is_pair else 1
        if is_pair:
            self._send("pair", "POST", "/orders:group", make_pair(self.random, self._prices, name), name)
        else:
            key = name if self.random.random() < 0.5 else None  # else the client order id alone
            self._send("order", "POST", "/orders", make_ticket(self.random, self._prices, name), key)

    def _send(self, kind: str, method: str, path: str, body: Any, key: str | None) -> None:
        intent = self.client.send(kind, method, f"/api/v1{path}", body, key)
        if intent.status in {200, 201} and kind in {"order", "replace", "pair"}:
            orders = intent.response["orders"] if kind == "pair" else [intent.response]
            self._resting.extend(order for order in orders if order["status"] in _OPEN)


class Quoter(Actor):
    """Moves prices."""

    def __init__(self, client: Client, stop: threading.Event, name: str, prices: Prices) -> None:
        super().__init__(client, stop, name)
        self._prices = prices

    @override
    def act(self) -> None:
        symbol = self.random.choice(list(self._prices))
        self.client.quote(symbol, make_quote(self.random, self._prices, symbol))
        self.stop.wait(self.random.uniform(0, 0.03))


class Switcher(Actor):
    """Sets kill switches, and sets them back. In the end, all are ACTIVE."""

    @override
    def act(self) -> None:
        draw = self.random.random()
        scope, name = (
            ("portfolio", self.random.choice(PORTFOLIOS)) if draw < 0.8 else ("strategy", "Momentum")
        )
        if draw > 0.95:
            scope, name = "tenant", None  # type: ignore[assignment]  # the tenant's own switch bears no name
        state = "HALTED" if self.random.random() < 0.7 else "REDUCING"
        self._set_state(scope, name, state, flatten=scope == "portfolio" and draw < 0.1)
        halt = Halt(scope, name, now())
        self.stop.wait(self.random.uniform(0.05, 0.3))
        halt.until = now()
        if state == "HALTED":
            self.client.journal.halts.append(halt)
        self._set_state(scope, name, "ACTIVE")
        self.stop.wait(self.random.uniform(0.1, 1.0))

    def _set_state(self, scope: str, name: str | None, state: str, *, flatten: bool = False) -> None:
        body = {"scope": scope, "name": name, "state": state, "flatten": flatten, "reason": "Drill"}
        key = f"{self.name}-{self.random.getrandbits(64):016x}"
        self.client.send("switch", "POST", "/api/v1/kill-switch", body, key)


def now() -> str:
    """Return this instant as the service writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
