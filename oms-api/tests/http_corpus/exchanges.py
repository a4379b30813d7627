"""Exchanges with the service as bytes: requests that are good, bad, split, pipelined or repeated."""

import json
import re
from typing import Any, NamedTuple

from tests.factories import build_ticket_body, build_trade_body


class Keys(NamedTuple):
    """The API keys of the tenant: of an administrator, of a reader, and of a bot that acts for people."""

    admin: str
    reader: str
    bot: str


class Exchange(NamedTuple):
    """Pieces that are sent one after the other on a separate connection, with a pause between them.

    `responses` is the number of responses that are expected at most.
    """

    name: str
    pieces: tuple[bytes, ...]
    responses: int = 1


class Writer:
    """Writes requests with one key."""

    def __init__(self, key: str) -> None:
        self.key = key

    def request(
        self, line: str = "POST /api/v1/trade", body: Any = None, *fields: str, version: str = "1.1"
    ) -> bytes:
        """Return a request. `body` is bytes, a value to send as JSON, or None for none.

        A field starting with "-" leaves out the header of that name.
        """
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"host": "x", "x-api-key": self.key, "content-type": "application/json"}
        headers["content-length"] = str(len(sent))
        lines = [f"{name}: {value}" for name, value in headers.items() if f"-{name}" not in fields]
        lines += [field for field in fields if field[0] != "-"]
        head = "\r\n".join([f"{line} HTTP/{version}", *lines, "", ""])
        return head.encode("latin-1") + sent


_REQUEST_LINE = re.compile(rb"(?:GET|POST) /")
TRADE, ORDERS = "POST /api/v1/trade", "POST /api/v1/orders"
# Bodies of a trade: fields that differ from the good one, or bytes
TRADE_BODIES: dict[str, Any] = {
    "price": {"gmv": None, "price": "175.5"},
    "small letters and blanks": {"side": "buy", "symbol": " aapl ", "portfolio_name": "  Growth "},
    "integers": {"quantity": 100, "gmv": 17500},
    "floats": {"quantity": 100.5, "gmv": 17500.00},
    "every text": {"user_id": "U1", "note": "Block trade", "charges": "1.25"},
    "nulls": {"user_id": "", "note": "", "charges": 0},
    "unicode": {"portfolio_name": "Büro ③", "note": "日本"},
    "not backdated": {"backdated": False},
    "unknown field": {"qty": "5"},
    "misspelt field": {"symbl": "AAPL"},
    "no quantity": {"quantity": None},
    "gmv and price": {"price": "175"},
    "neither gmv nor price": {"gmv": None},
    "bool": {"quantity": True},
    "negative": {"quantity": "-5"},
    "negative number": {"quantity": -5},
    "zero": {"quantity": 0},
    "exponent": {"quantity": "1e3"},
    "nine decimals": {"quantity": "0.123456789"},
    "seventeen digits": {"gmv": "12345678901234567"},
    "huge": {"gmv": "9999999999999999"},
    "object": {"quantity": {"value": 5}},
    "list": {"symbol": ["AAPL"]},
    "number as symbol": {"symbol": 5},
    "bad symbol": {"symbol": "A A P L"},
    "bad side": {"side": "HOLD"},
    "slash in name": {"portfolio_name": "a/b"},
    "empty name": {"portfolio_name": " "},
    "invisible name": {"portfolio_name": "a\u202eb"},
    "long note": {"note": "x" * 501},
    "ahead of time": {"executed_at": "2099-01-01T00:00:00Z"},
    "reason without backdated": {"backdated_reason": "Late"},
}
TICKETS: dict[str, dict[str, Any]] = {
    "sell": {"side": "SELL", "quantity": "3"},
    "limit": {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC", "client_order_id": "mine"},
    "same client id": {"type": "LIMIT", "limit_price": "91", "client_order_id": "mine"},
    "every text": {"quantity": "4", "reason": "Why", "strategy": "s", "user_id": "U1"},
    "number": {"quantity": 5},
    "float": {"quantity": 5.5},
    "flags": {"quantity": "6", "extended_hours": False, "confirm_repeat": True},
    "flag as text": {"extended_hours": "false"},
    "notional": {"quantity": None, "notional": "500"},
    "quantity and notional": {"notional": "500"},
    "bracket": {
        "quantity": "7",
        "take_profit": {"limit_price": "190"},
        "stop_loss": {"stop_price": "50"},
    },
    "bad leg": {"take_profit": {"price": "190"}},
    "until": {
        "type": "LIMIT",
        "limit_price": "90",
        "time_in_force": "GTD",
        "expires_at": "2099-01-01T00:00:00Z",
    },
    "other words": {"type": "SL-M", "stop_price": "150", "quantity": "8"},
    "no type": {"type": None},
    "bad type": {"type": "ICEBERG"},
    "limit without price": {"type": "LIMIT"},
    "unknown field": {"qty": "5"},
    "too large": {"quantity": "100000000"},
    "unknown portfolio": {"portfolio_name": "Growht"},
    "slash in name": {"portfolio_name": "a/b"},
}


def list_raw_bodies(body: dict[str, Any]) -> dict[str, bytes]:
    """Return bodies that are no JSON, or the good `body` written unusually."""
    good = json.dumps(body | {"quantity": "100"}).encode()
    return {
        "empty": b"",
        "not json": b"symbol=AAPL",
        "cut off": b'{"symbol": "AAPL"',
        "array": b"[]",
        "text": b'"AAPL"',
        "a number alone": b"5",
        "null": b"null",
        "NaN": b'{"quantity": NaN}',
        "byte order mark": b"\xef\xbb\xbf{}",
        "not utf-8": b'{"symbol": "\xff"}',
        "deep": b"[" * 100_000,
        "sixteen digits": good.replace(b'"100"', b"0.1000000000000000055511151231257827"),
        "number with exponent": good.replace(b'"100"', b"1e2"),
        "minus zero": good.replace(b'"100"', b"-0"),
        "twenty digits": good.replace(b'"100"', b"10000000000000000000"),
        "name twice": good[:-1] + b', "symbol": "MSFT"}',
        "name twice, escaped": good[:-1] + b', "symb\\u006fl": "MSFT"}',
        "number twice": good.replace(b'"100"', b"5")[:-1] + b', "quantity": 6}',
        "escaped letter": good.replace(b"AAPL", b"\\u0041APL"),
        "unpaired surrogate": good.replace(b"AAPL", b"\\ud800"),
        "blanks around": b" \r\n\t" + good.replace(b'"100"', b'"101"') + b"\n ",
        "something after": good + b"x",
    }


def list_exchanges(keys: Keys, team: str) -> list[Exchange]:
    """Return all exchanges with a tenant and its Slack team, in order: later ones depend on earlier ones."""
    return [
        *_list_setup(keys),
        *_trade_bodies(keys),
        *_list_idempotency(keys),
        *_list_headers(keys, team),
        *_list_orders(keys),
        *_list_transport(keys),
        *_list_others(keys),
    ]


def _list_setup(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    quote = {"bid": "99", "ask": "101", "last": "100"}
    return [
        Exchange("create the portfolio", (send("POST /api/v1/portfolios", {"name": "Growth"}),)),
        Exchange("give a quote", (send("PUT /api/v1/quotes/AAPL", quote),)),
    ]


def _trade_bodies(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    bodies: dict[str, Any] = {name: build_trade_body(**changes) for name, changes in TRADE_BODIES.items()}
    bodies |= list_raw_bodies(build_trade_body())
    exchanges = [Exchange("trade", (send(TRADE, build_trade_body()),))]
    return exchanges + [Exchange(f"trade: {name}", (send(TRADE, body),)) for name, body in bodies.items()]


def _list_idempotency(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    cases = {
        "first": ("k1", build_trade_body()),
        "repeated": ("k1", build_trade_body()),
        "repeated, written differently": ("k1", build_trade_body(quantity=100, side="buy")),
        "another body": ("k1", build_trade_body(quantity="101")),
        "another portfolio": ("k1", build_trade_body(portfolio_name="Income")),
        "key of a refused trade": ("k2", build_trade_body(side="HOLD")),
        "that key again": ("k2", build_trade_body()),
        "empty": ("", build_trade_body()),
        "200 characters": ("k" * 200, build_trade_body()),
        "201 characters": ("k" * 201, build_trade_body()),
        "not ASCII": ("ké", build_trade_body()),
        "tab": ("k\t1", build_trade_body()),
    }
    return [
        Exchange(f"idempotency key: {name}", (send(TRADE, body, f"Idempotency-Key: {key}"),))
        for name, (key, body) in cases.items()
    ]


_HEADERS: dict[str, tuple[str, ...]] = {
    "no key": ("-x-api-key",),
    "wrong key": ("-x-api-key", "X-API-Key: wrong"),
    "empty key": ("-x-api-key", "X-API-Key: "),
    "key twice": ("X-API-Key: wrong",),
    "bearer": ("-x-api-key", "Authorization: Bearer nonsense"),
    "basic": ("-x-api-key", "Authorization: Basic nonsense"),
    "key and bearer": ("Authorization: Bearer nonsense",),
    "on behalf of without the scope": ("X-On-Behalf-Of: slack:T1:U1",),
    "content type twice": ("Content-Type: application/json",),
    "idempotency key twice": ("Idempotency-Key: a", "Idempotency-Key: a"),
    "request id twice": ("X-Request-ID: a", "X-Request-ID: b"),
    "accept twice": ("Accept: a", "Accept: b"),
    "request id": ("X-Request-ID: mine-1",),
    "bad request id": ("X-Request-ID: not mine",),
    "charset": ("-content-type", 'Content-Type: APPLICATION/JSON; charset="UTF-8"'),
    "another charset": ("-content-type", "Content-Type: application/json; charset=utf-16"),
    "another type": ("-content-type", "Content-Type: text/plain"),
    "no type": ("-content-type",),
    "identity": ("Content-Encoding: identity",),
    "gzip": ("Content-Encoding: gzip",),
    "origin": ("Origin: https://example.com",),
    "forwarded": ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"),
    "close": ("Connection: close",),
    "upgrade": ("Connection: upgrade", "Upgrade: h2c"),
    "continue": ("Expect: 100-continue",),
    "declared too large": ("-content-length", "Content-Length: 1000001"),
    "length twice": ("Content-Length: 5",),
    "negative length": ("-content-length", "Content-Length: -5"),
    "no host": ("-host",),
    "two hosts": ("Host: y",),
}


def _list_headers(keys: Keys, team: str) -> list[Exchange]:
    send = Writer(keys.admin).request
    exchanges = [
        Exchange(f"headers: {name}", (send(TRADE, build_trade_body(), *fields),), 1 + (name == "continue"))
        for name, fields in _HEADERS.items()
    ]
    for caller, key in (("reader", keys.reader), ("bot", keys.bot)):
        request = Writer(key).request
        for line, body in ((TRADE, build_trade_body()), (ORDERS, build_ticket_body(quantity="9"))):
            sent = request(line, body)
            exchanges.append(Exchange(f"{caller}: {line}", (sent,)))
            exchanges.append(Exchange(f"{caller}, bad body: {line}", (request(line, b"x"),)))
    act = Writer(keys.bot).request
    people = (f"slack:{team}:U1", f"slack:{team}:U1", "slack:TOTHER:U1", "nobody", "")
    exchanges += [
        Exchange(f"bot for person {turn}", (act(TRADE, build_trade_body(), f"X-On-Behalf-Of: {person}"),))
        for turn, person in enumerate(people)
    ]
    return exchanges


def _list_orders(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    exchanges = [Exchange("order", (send(ORDERS, build_ticket_body()),))]
    exchanges += [
        Exchange(f"order: {name}", (send(ORDERS, build_ticket_body(**changes)),))
        for name, changes in TICKETS.items()
    ]
    exchanges += [
        Exchange(f"order: {name}", (send(ORDERS, body),))
        for name, body in list_raw_bodies(build_ticket_body()).items()
    ]
    keyed = {
        "first": ("o1", build_ticket_body(quantity="11")),
        "repeated": ("o1", build_ticket_body(quantity="11")),
        "another body": ("o1", build_ticket_body(quantity="12")),
        "denied": ("o2", build_ticket_body(quantity="100000000")),
        "denied, repeated": ("o2", build_ticket_body(quantity="100000000")),
        "201 characters": ("k" * 201, build_ticket_body(quantity="13")),
    }
    return exchanges + [
        Exchange(f"order, idempotency key: {name}", (send(ORDERS, body, f"Idempotency-Key: {key}"),))
        for name, (key, body) in keyed.items()
    ]


def _list_transport(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    trade, order = send(TRADE, build_trade_body()), send(ORDERS, build_ticket_body(quantity="14"))
    probe = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    head, _, body = trade.partition(b"\r\n\r\n")
    length = b"content-length: %d" % len(body)
    chunked = head.replace(length, b"transfer-encoding: chunked") + b"\r\n\r\n"
    whole_chunk = b"%x\r\n%b\r\n" % (len(body), body)
    cases: dict[str, tuple[bytes, ...]] = {
        "split in the head": (trade[:40], trade[40:]),
        "split before the body": (head + b"\r\n\r\n", body),
        "split in the body": (trade[:-30], trade[-30:-10], trade[-10:]),
        "pipelined": (trade + trade + order,),
        "pipelined with a probe": (trade + probe + trade,),
        "pipelined and split": (trade + trade[:-10], trade[-10:] + probe),
        "pipelined after a refusal": (send(TRADE, b"x") + trade,),
        "close": (send(TRADE, build_trade_body(), "Connection: close"),),
        "two in turn": (trade, trade),
        "garbage after": (trade + b"GARBAGE\r\n\r\n",),
        "blank line before": (b"\r\n" + trade,),
        "chunked": (chunked + whole_chunk + b"0\r\n\r\n",),
        "chunked with trailers": (chunked + whole_chunk + b"0\r\nX-API-Key: x\r\n\r\n",),
        "broken chunk": (chunked + b"zz\r\n",),
        "HTTP/1.0": (send(TRADE, build_trade_body(), version="1.0"),),
        "HTTP/1.0, kept alive": (send(TRADE, build_trade_body(), "Connection: keep-alive", version="1.0"),),
        "HTTP/1.2": (send(TRADE, build_trade_body(), version="1.2"),),
        "longer body than declared": (trade + b"}",),
    }
    # each request of a piece starts with a method; a piece may begin within a request
    return [
        Exchange(f"transport: {name}", pieces, len(_REQUEST_LINE.findall(b"".join(pieces))))
        for name, pieces in cases.items()
    ]


def _list_others(keys: Keys) -> list[Exchange]:
    send = Writer(keys.admin).request
    lines: dict[str, Any] = {
        "POST /api/v1/trade?x=1": build_trade_body(),
        "POST /api/v1/trade?": build_trade_body(),
        "POST /api/v1/trade/": build_trade_body(),
        "POST /api/v1/tr%61de": build_trade_body(),
        "POST http://x/api/v1/trade": build_trade_body(),
        "POST /API/v1/trade": build_trade_body(),
        "GET /api/v1/trade": None,
        "PUT /api/v1/trade": build_trade_body(),
        "OPTIONS /api/v1/trade": None,
        "DELETE /api/v1/orders": None,
        "POST /api/v1/trades:batch": {"trades": [build_trade_body(), build_trade_body(side="HOLD"), 5]},
        "POST /api/v1/trades/T1:reverse": {"reason": "Reported twice"},
        "POST /api/v1/orders:group": {"kind": "OCO", "orders": []},
        "POST /api/v1/positions:close": {"portfolio_name": "Growth", "symbol": "MSFT"},
        "POST /api/v1/portfolios": {"name": "Growth"},
        "GET /api/v1/portfolio/growht": None,
        "GET /api/v1/nothing": None,
    }
    return [Exchange(f"other: {line}", (send(line, body),)) for line, body in lines.items()]
