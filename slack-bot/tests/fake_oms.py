"""The part of the OMS's REST API that the bot uses."""

import re
from typing import Any

from typing_extensions import override

from tests.fake_orders import ORDER_CALLS, FakeOrders, build_cash_json, name_order_call
from tests.fakes import FakeServer, Request, Response, build_problem, build_trade_json

PERSON = re.compile(r"slack:[A-Z0-9]{1,20}:[A-Z0-9]{1,20}", re.ASCII)
WEBHOOK = "/api/v1/webhooks/by-name/slack-bot"
SLACK_STATUS = "/api/v1/slack-status"
SLACK_SETTINGS = "/api/v1/slack-settings"
SLACK_GROUPS = "/api/v1/slack-groups"
FOR_NOBODY = frozenset({
    "/health/ready", "/api/v1/workspaces:claim", WEBHOOK, "/api/v1/events", SLACK_STATUS, SLACK_SETTINGS,
    SLACK_GROUPS,
})  # fmt: skip
CREATED_AT = "2026-11-29T10:00:00.000000Z"
SCOPES = {"trader": ["read", "trade"], "viewer": ["read"]}


class FakeOms(FakeServer):
    """Records trades once per key, and lists them. Calls without a person are refused, except for health."""

    def __init__(self) -> None:
        self.trades: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, Any] = {}
        self.portfolios: list[str] = ["Growth", "Income"]
        self.roles: dict[str, str] = {}  # by person, `trader` by default
        self.narrowed: dict[str, list[str]] = {}  # the portfolios that a person may see, by person
        self.barred: dict[str, Response] = {}  # the response to every call of a person, by person
        self.quotes: dict[str, dict[str, Any]] = {}  # by symbol
        self.aliases: dict[str, str] = {}  # symbols of instruments by their aliases
        self.instruments: dict[str, str] = {"AAPL": "Apple Inc.", "BRK.B": ""}  # names by symbol
        self.holdings: dict[tuple[str, str], dict[str, Any]] = {}  # by portfolio and symbol
        self.preferences: dict[str, Any] = {
            "default_portfolio": None,
            "order_type": "MARKET",
            "time_in_force": "DAY",
            "number_format": "1,234.5",
            "time_zone": "UTC",
            "quiet_hours": None,
            "notify": {},
            "watchlists": {},
        }
        self.bars: list[dict[str, Any]] = []  # of any symbol
        self.channels: dict[str, dict[str, str | None]] = {}  # where trading is allowed, by id
        self.group_roles: dict[str, str] = {}  # by user group
        self.orders = FakeOrders()
        super().__init__()

    @override
    def name_of(self, call: Request) -> str:
        path = call.path.removeprefix("/api/v1")
        if name := name_order_call(call, path):
            return name
        if path == "/trades":
            names = {"idempotency_key": "find", "from": "own_trades", "symbol": "last_price"}
            return next(name for parameter, name in names.items() if parameter in call.query)
        if path.startswith("/quotes/"):
            return "quoted_price"
        if path.startswith("/bars/"):
            return "bars"
        if path.startswith(("/portfolio/", "/positions/", "/instruments/")):
            return {"portfolio": "portfolio_named", "positions": "holding", "instruments": "is_listed"}[
                path.split("/")[1]
            ]
        names = {"/trade": "place", "/portfolios": "portfolios", "/auth/me": "me", "/instruments": "symbols"}
        return names.get(path, path)

    @property
    def people(self) -> list[str]:
        """The persons that calls were made for, in order."""
        return [person_of(call) for call in self.calls if call.path not in FOR_NOBODY]

    @override
    def build_default_response(self, call: Request) -> Response:
        if call.path == WEBHOOK:
            return Response(201, {"id": "wh_1", "secret": "whsec_c2VjcmV0", "created_at": CREATED_AT})
        if call.path in FOR_NOBODY:
            settings = {"slack_channels": self.channels, "slack_group_roles": self.group_roles}
            return Response(body=settings if call.path == SLACK_SETTINGS else {"status": "ok"})
        person = person_of(call)
        name = self.name_of(call)
        # the key of the bot may read orders and exports
        is_for_bot = not person and (name == "get_order" or call.path.startswith("/api/v1/exports/"))
        if not is_for_bot and not PERSON.fullmatch(person):
            return build_problem(403, "The header X-On-Behalf-Of is missing.", kind="not-a-person")
        if person in self.barred:
            return self.barred[person]
        if name in ("/preferences", "bars"):
            return Response(body=self.preferences if name == "/preferences" else self.bars)
        return self.orders.respond(name, call, person) if name in ORDER_CALLS else self._respond(call, person)

    def _respond(self, call: Request, person: str) -> Response:
        name = self.name_of(call)
        if name == "place":
            return self.place(call, person)
        if name == "me":
            role = self.roles.get(person, "trader")
            return Response(body={"actor": person, "role": role, "scopes": SCOPES[role]})
        if name == "portfolios":
            typed = call.query.get("q", "").casefold()
            names = [each for each in self._seen_by(person) if typed in each.casefold()]
            return Response(
                body=[build_cash_json(each) for each in names] if "detail" in call.query else names
            )
        if name == "quoted_price":
            quote = self.quotes.get(call.path.rpartition("/")[2])
            return Response(body=quote) if quote else build_problem(404, "No quote.", kind="not-found")
        if name in ("portfolio_named", "holding", "is_listed", "symbols"):
            return self._described(name, call, person)
        return Response(body=self._trades(name, call, person))

    def _described(self, name: str, call: Request, person: str) -> Response:
        if name == "symbols":
            part = call.query.get("q", "").casefold()
            instruments = {
                instrument: self.instruments[instrument] for instrument in sorted(self.instruments)
            }
            matching = {
                each: name for each, name in instruments.items() if part in f"{each}\n{name}".casefold()
            }
            return Response(body=[{"symbol": each, "name": name} for each, name in matching.items()])
        if name == "is_listed":
            symbol = call.path.partition("/instruments/")[2]
            symbol = self.aliases.get(symbol, symbol)
            return Response(body={"symbol": symbol, "listed": symbol in self.instruments})
        if name == "holding":
            portfolio, symbol = call.path.split("/", 5)[4:]
            holding = self.holdings.get((portfolio, symbol))
            return Response(body=holding) if holding else build_problem(404, "No position.", kind="not-found")
        portfolio_name = self._find_portfolio(call.path.rpartition("/")[2], person)
        body: dict[str, Any] = build_cash_json(portfolio_name or "") | {"positions": {}}
        return (
            Response(body=body) if portfolio_name else build_problem(404, "No portfolio.", kind="not-found")
        )

    def _trades(self, name: str, call: Request, person: str) -> list[dict[str, Any]]:
        if name == "find":
            trade = self.trades.get(call.query["idempotency_key"])
            symbol = call.query.get("symbol", trade["symbol"] if trade else "")
            return [trade] if trade and trade["symbol"] == self.aliases.get(symbol, symbol) else []
        if name == "last_price":
            return [each for each in self.trades.values() if each["symbol"] == call.query["symbol"]][-1:]
        filters = {name: call.query[name] for name in ("symbol", "side")}
        rows = [each for each in self.trades.values() if filters.items() <= each.items()]
        return [row for row in rows[::-1] if row["timestamp"] >= call.query["from"]]

    def place(self, call: Request, person: str) -> Response:
        if (role := self.roles.get(person, "trader")) != "trader":
            detail = f"The role {role!r} does not allow this (report_trade)."
            return build_problem(403, detail, kind="forbidden")
        if call.body["portfolio_name"] not in self.narrowed.get(person, [call.body["portfolio_name"]]):
            detail = "You have no access to this portfolio; ask an administrator for it."
            return build_problem(403, detail, kind="not-your-portfolio")
        key = call.headers["idempotency-key"]
        if key in self.trades and self.bodies[key] != call.body:
            return build_problem(409, "This key was used for another request.", kind="idempotency-key-reused")
        replayed = {"Idempotent-Replayed": "true"} if key in self.trades else {}
        self.bodies[key] = call.body
        trade_id = f"T{1697234567000 + len(self.trades)}X"
        resolved_fields = {
            "symbol": self.aliases.get(call.body["symbol"], call.body["symbol"]),
            "actor": person,
        }
        trade = self.trades.setdefault(key, build_trade_json(call.body, trade_id) | resolved_fields)
        return Response(201, {"success": True, "trade_id": trade["trade_id"], "trade": trade}, replayed)

    def record(self, key: str, body: dict[str, Any]) -> None:
        """Record a trade that the bot did not send."""
        self.bodies[key] = body
        self.trades[key] = build_trade_json(body, f"T{1697234567000 + len(self.trades)}Z")

    def _seen_by(self, person: str) -> list[str]:
        return [name for name in self.portfolios if name in self.narrowed.get(person, self.portfolios)]

    def _find_portfolio(self, portfolio: str, person: str) -> str | None:
        traded = [trade["portfolio_name"] for trade in self.trades.values()]
        visible_names = [*self._seen_by(person), *(name for name in traded if person not in self.narrowed)]
        return next((each for each in visible_names if each.casefold() == portfolio.casefold()), None)


def person_of(call: Request) -> str:
    """Return the person that a call was made for. Empty if there is none."""
    return call.headers.get("x-on-behalf-of", "")
