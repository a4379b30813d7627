"""`/desk`, `/portfolio` and `/trades`: signed requests and their replies."""

import json

import pytest

from tests import portfolio_oms
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import ALL_VERBS, PortfolioWorkspace
from tests.limits import check_message

READS = [
    "help",
    "portfolio",
    "positions",
    "orders",
    "trades",
    "pnl",
    "quote AAPL",
    "risk",
    "approvals",
    "alerts",
    "strategies",
]


def list_words(message):
    return json.dumps(message, ensure_ascii=False).replace("\u2060", "")


@pytest.mark.parametrize("text", READS)
def test_every_reading_verb_gets_a_private_reply(trading: PortfolioWorkspace, text):
    message = trading.query(text)
    assert message["response_type"] == "ephemeral"
    check_message(message["text"], message["blocks"])
    assert trading.oms.person_of_calls() == {"slack:T1:U1"}


@pytest.mark.parametrize("text", [f"{text} share" for text in READS if text != "help"])
def test_shared_reply_is_sent_to_the_channel(trading: PortfolioWorkspace, text):
    assert trading.query(text)["response_type"] == "in_channel"


@pytest.mark.parametrize("name", ["/desk", "/portfolio", "/trades"])
def test_every_command_has_help(trading: PortfolioWorkspace, name):
    assert "What you can type here" in trading.query("help", name)["text"]


def test_help_shows_commands_that_the_role_permits(trading: PortfolioWorkspace):
    trading.oms.roles["slack:T1:U2"] = "viewer"
    trading.oms.roles["slack:T1:U3"] = "risk"
    trader, viewer, risk = (trading.query("help", user_id=user)["text"] for user in ("U1", "U2", "U3"))
    assert "/desk close" in trader
    assert "/desk halt" not in trader
    assert "/desk close" not in viewer
    assert "/desk positions" in viewer
    assert "/desk halt" in risk
    assert "/desk close" not in risk


def test_help_without_an_oms_shows_everything(trading: PortfolioWorkspace):
    trading.oms.queue_responses("me", Response(drop=True))
    assert "/desk halt" in trading.query("help")["text"]


def test_portfolio_shows_equity_cash_profit_and_positions(trading: PortfolioWorkspace):
    message = trading.query("Growth", "/portfolio")
    assert "equity 1,000,500.00 USD" in message["text"]
    assert "today -20.00 · total +500.00" in message["text"]
    assert "Cash 982,500.00" in message["text"]
    table = next(block for block in message["blocks"] if block["type"] == "data_table")
    assert [cell["text"] for cell in table["rows"][1]] == [
        *("AAPL", "100", "171.50", "175.00", "17,500.00", "+350.00", "160.00", "–"),
    ]
    assert table["rows"][1][5]["value"] == 350.0


def list_charts(message):
    return [block["chart"] for block in message["blocks"] if block["type"] == "data_visualization"]


def test_portfolio_shows_its_equity_as_a_line_with_its_numbers_in_words(trading: PortfolioWorkspace):
    message = trading.query("Growth", "/portfolio")
    (line,) = list_charts(message)
    assert [point["value"] for point in line["series"][0]["data"]] == [1_000_000, 1_000_100, 1_000_200]
    sentence = "from 1,000,000.00 to 1,000,200.00 (+200.00), lowest 1,000,000.00, highest 1,000,200.00"
    assert sentence in message["text"]


def test_largest_charts_fit(trading: PortfolioWorkspace):
    trading.oms.rows["/portfolio/Growth/history"] = {"points": portfolio_oms.build_equities(30)}
    rows = [portfolio_oms.build_position("S" * 37 + f"{n:03}", market_value=f"-{n}.00") for n in range(200)]
    trading.oms.rows["/positions"] = [portfolio_oms.build_position(f"L{n}") for n in range(13)] + rows
    message = trading.query("Growth", "/portfolio")
    check_message(message["text"], message["blocks"])
    line, pie = list_charts(message)
    assert len(line["axis_config"]["categories"]) == 20
    assert pie["segments"][-1]["label"] == "Other positions"


@pytest.mark.parametrize(
    "response",
    [
        Response(500),
        Response(body={"points": []}),
        Response(body={"points": portfolio_oms.build_equities(1)}),
    ],
)
def test_portfolio_without_history_has_no_curve(trading: PortfolioWorkspace, response):
    trading.oms.queue_responses("GET /portfolio/Growth/history", response)
    assert list_charts(trading.query("Growth", "/portfolio")) == []


def test_unknown_portfolio_gets_the_nearest_name(trading: PortfolioWorkspace):
    text = trading.query("Growht", "/portfolio")["text"]
    assert text == "There is no portfolio called Growht. Did you mean Growth?"


@pytest.mark.parametrize("verb", ["positions", "orders", "trades", "pnl", "risk"])
def test_unknown_portfolio_after_a_verb_is_reported(trading: PortfolioWorkspace, verb):
    for path in ("/positions", "/orders", "/trades"):
        trading.oms.rows[path] = []
    assert "There is no portfolio called Nope." in trading.query(f"{verb} in Nope")["text"]


def test_words_are_sent_as_filters_to_the_oms(trading: PortfolioWorkspace):
    trading.query("buy AAPL 2026-11 mine in Growth", "/trades")
    assert trading.oms.reads()[-1] == (
        "/trades",
        {
            "symbol": "AAPL", "side": "BUY", "portfolio": "Growth", "actor": "slack:T1:U1", "limit": "101",
            "from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z",
        },
    )  # fmt: skip
    trading.query("orders sell MSFT mine")
    assert trading.oms.reads()[-1] == (
        "/orders",
        {"open": "true", "symbol": "MSFT", "side": "SELL", "user": "slack:T1:U1", "limit": "101"},
    )


def test_empty_lists_show_the_next_step(trading: PortfolioWorkspace):
    for path in ("/positions", "/orders", "/trades", "/approvals", "/portfolios"):
        trading.oms.rows[path] = []
    trading.oms.rows["/pnl"] = trading.oms.rows["/pnl/today"] = {"items": []}
    for text in READS:
        message = trading.query(text)
        check_message(message["text"], message["blocks"])
    assert "`/trade buy 100 AAPL" in trading.query("positions")["text"]


@pytest.mark.parametrize("text", ["positions", "portfolio Growth", "orders", "trades"])
def test_largest_replies_fit_and_say_that_more_exist(trading: PortfolioWorkspace, text):
    names = [f"{'SYMBOL-' * 5}{number:03}" for number in range(201)]
    rows = trading.oms.rows
    rows["/positions"] = [portfolio_oms.build_position(name, "P" * 100, product="NRML") for name in names]
    rows["/orders"] = [portfolio_oms.build_order(f"O{name}", symbol=name[-38:]) for name in names[:101]]
    rows["/trades"] = [
        portfolio_oms.build_trade(symbol=name, portfolio_name="P" * 100) for name in names[:101]
    ]
    message = trading.query(text)
    check_message(message["text"], message["blocks"])
    assert "are shown" in list_words(message)


def test_two_hundred_usual_positions_are_all_shown(trading: PortfolioWorkspace):
    rows = [portfolio_oms.build_position(f"SYM{number}") for number in range(200)]
    trading.oms.rows["/positions"] = rows
    message = trading.query("positions")
    check_message(message["text"], message["blocks"])
    tables = [block for block in message["blocks"] if block["type"] == "data_table"]
    assert sum(len(table["rows"]) - 1 for table in tables) == 200
    assert "are shown" not in list_words(message)


def test_workspace_that_refuses_tables_gets_lines(trading: PortfolioWorkspace):
    trading.slack.queue_responses("respond", Response(400, b"invalid_blocks"))
    trading.oms.rows["/positions"] = [portfolio_oms.build_position(f"SYM{number}") for number in range(200)]
    trading.type("positions", "/desk")
    message = trading.slack.wait_for("respond", 2)[-1].body
    check_message(message["text"], message["blocks"])
    assert not any(block["type"] == "data_table" for block in message["blocks"])
    assert "*SYM0* · Portfolio Growth · Quantity 100 · Average cost 171.50" in list_words(message)
    assert sum(len(block.get("text", {}).get("text", "")) for block in message["blocks"]) < 12_000


def test_texts_of_the_oms_are_escaped(trading: PortfolioWorkspace):
    trading.oms.rows["/kill-switch"] = [
        portfolio_oms.build_switch(
            "portfolio", "<!channel>", state="HALTED", reason="*_~`& <@U9>", set_by="key:a"
        )
    ]
    text = trading.query("risk")["text"]
    assert "<!channel>" not in text
    assert "<@U9>" not in text
    assert "&lt;!channel&gt;" in text.replace("\u2060", "")


@pytest.mark.parametrize(
    "junk", ["postions", "$$$ <!channel>", "positions AAPL MSFT", "x" * 500, "trades 2026-99"]
)
def test_junk_gets_a_private_reply_at_once(trading: PortfolioWorkspace, junk):
    response = trading.type(junk, "/desk").get_json()
    assert response["response_type"] == "ephemeral"
    assert response["text"].endswith("`/desk help` shows what you can type.")
    assert "<!channel>" not in response["text"]
    assert trading.oms.calls == []


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (Response(drop=True), "does not respond"),
        (Response(500), "does not respond"),
        (Response(body={"rows": 1}), "returned an unexpected response"),
        (Response(429, headers={"Retry-After": "7"}), "in 7 seconds"),
        (build_problem(403, "No.", kind="person-refused"), "not a member"),
        (build_problem(403, "No.", kind="tenant-suspended"), "suspended"),
        (Response(401), "does not accept this app's key"),
    ],
)
def test_failing_oms_is_explained_with_a_reference(trading: PortfolioWorkspace, trouble, expected):
    trading.oms.queue_responses("GET /positions", trouble)
    message = trading.query("positions")
    assert expected in message["text"]
    assert "Reference: `req-" in message["text"]


def test_dead_response_url_becomes_a_direct_message(trading: PortfolioWorkspace):
    trading.slack.default_responses["respond"] = Response(404, b"expired_url")
    trading.type("quote AAPL", "/desk")
    call = trading.slack.wait_for("chat.postMessage")[0].body
    assert call["channel"] == "D-U1"
    assert "bid 174.90" in call["text"]


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_people_of_another_workspace_read_nothing(trading: PortfolioWorkspace, verb):
    response = trading.type(verb, "/desk", team_id="T2").get_json()
    assert "Only members of the workspace" in response["text"]
    assert trading.oms.calls == []


def test_repeated_delivery_gets_one_reply(trading: PortfolioWorkspace):
    trading.query("quote AAPL", trigger_id="same")
    assert trading.type("quote AAPL", "/desk", trigger_id="same").status_code == 200
    assert len(trading.oms.list_requests("GET /quotes/AAPL")) == 1


def test_user_gets_a_message_without_a_free_worker(trading: PortfolioWorkspace):
    trading.bot.services.query_workers.stop()
    assert "busy" in trading.type("positions", "/desk").get_json()["text"]


def test_alert_is_created_listed_and_removed(trading: PortfolioWorkspace):
    trading.oms.results["POST /alerts"] = Response(201, portfolio_oms.build_alert())
    message = trading.query("alert AAPL above 200")
    assert "*Alert set:* AAPL above 200.00" in message["text"]
    body = {"kind": "price", "above": "200", "repeat": False, "deliver_to": "me", "symbol": "AAPL"}
    assert list(trading.oms.changes.values()) == [("POST", "/alerts", body)]
    pnl = {"kind": "day_pnl", "symbol": None, "portfolio_name": "Growth", "above": None, "below": "-500.00"}
    trading.oms.rows["/alerts"] = [portfolio_oms.build_alert(), portfolio_oms.build_alert(**pnl, repeat=True)]
    message = trading.query("alerts")
    check_message(message["text"], message["blocks"])
    assert "P&amp;L today of Growth below -500.00: armed" in message["text"]
    trading.oms.results["DELETE /alerts/A1"] = Response(204, b"")
    assert "is removed" in trading.query("alert remove A1")["text"]


def test_shared_alert_is_delivered_to_the_channel(trading: PortfolioWorkspace):
    trading.oms.results["POST /alerts"] = Response(201, portfolio_oms.build_alert(deliver_to="C1"))
    message = trading.query("alert AAPL above 200 share")
    assert message["response_type"] == "in_channel"
    assert "<#C1> gets a message once." in message["text"]
    assert [change[2]["deliver_to"] for change in trading.oms.changes.values()] == ["C1"]


def test_shared_alert_of_a_direct_message_is_delivered_to_the_person(trading: PortfolioWorkspace):
    trading.oms.results["POST /alerts"] = Response(201, portfolio_oms.build_alert())
    trading.write_directly("alert AAPL above 200 share")
    trading.slack.wait_for("chat.postMessage")
    assert [change[2]["deliver_to"] for change in trading.oms.changes.values()] == ["me"]


def test_alert_that_the_oms_refuses_is_explained(trading: PortfolioWorkspace):
    errors = [{"field": "above", "message": "Must be positive."}]
    trading.oms.results["POST /alerts"] = build_problem(422, "Not valid.", errors)
    assert "Must be positive." in trading.query("alert AAPL above 0")["text"]


def test_symbol_is_added_to_the_watchlist_once(trading: PortfolioWorkspace):
    trading.oms.results["PUT /preferences"] = Response(body=portfolio_oms.build_preferences())
    message = trading.query("watch AAPL MSFT")
    assert "bid 174.90" in message["text"]
    assert "*MSFT* has no quote." in message["text"]
    body = {"watchlists": {"Tech": ["AAPL", "MSFT"]}}
    assert list(trading.oms.changes.values()) == [("PUT", "/preferences", body)]


def test_empty_watchlist_says_how_to_fill_it(trading: PortfolioWorkspace):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(watchlists={})
    assert "is empty" in trading.query("watch")["text"]


@pytest.mark.parametrize("name", ["/desk", "/portfolio", "/trades"])
def test_internal_error_asks_to_send_the_command_again(trading: PortfolioWorkspace, monkeypatch, name):
    monkeypatch.setattr(trading.bot.services.recent_deliveries, "add", lambda _: 1 / 0)
    text = trading.query("portfolio", name)["text"]
    assert "Please send the command again." in text
    assert "/trade`" not in text
