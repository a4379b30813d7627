"""POST /trades:batch: one outcome for each trade, in order, independent of the others."""

from tests.factories import build_trade_body


def post_batch(api, trades, key=None):
    response = api.post("/trades:batch", {"trades": trades}, {"Idempotency-Key": key} if key else None)
    assert response.status_code == 200, response.text
    return response.json()["outcomes"]


def test_batch_records_a_thousand_trades_in_sequence(api):
    outcomes = post_batch(api, [build_trade_body(quantity=str(number)) for number in range(1, 1001)])
    assert [outcome["status"] for outcome in outcomes] == [201] * 1000
    assert [outcome["trade"]["sequence"] for outcome in outcomes] == list(range(1, 1001))
    assert [outcome["trade"]["quantity"] for outcome in outcomes] == [str(n) for n in range(1, 1001)]
    ids = [outcome["trade"]["trade_id"] for outcome in outcomes]
    assert ids == sorted(set(ids))
    assert api.get_portfolio()["positions"]["AAPL"]["quantity"] == "500500"


def test_batch_item_outcome_equals_the_answer_to_a_single_trade(api):
    (outcome,) = post_batch(api, [build_trade_body()])
    assert outcome == {"status": 201, "trade": api.list_trades()[0]}


def test_invalid_item_is_named_by_its_path_and_does_not_affect_others(api):
    outcomes = post_batch(
        api,
        [
            build_trade_body(),
            build_trade_body(quantity="-1"),
            7,
            build_trade_body(gmv="100000001"),
            build_trade_body(),
        ],
    )
    assert [outcome["status"] for outcome in outcomes] == [201, 422, 422, 422, 201]
    fields = [outcome["problem"]["errors"][0]["field"] for outcome in outcomes[1:4]]
    assert fields == ["trades.1.quantity", "trades.2", "trades.3.gmv"]
    assert [outcome["trade"]["sequence"] for outcome in (outcomes[0], outcomes[4])] == [1, 2]
    problem = outcomes[1]["problem"]
    assert set(problem) == {"type", "title", "status", "detail", "instance", "errors", "request_id"}


def test_unknown_field_in_an_item_is_rejected(api):
    (outcome,) = post_batch(api, [build_trade_body() | {"tenant_id": 1}])
    assert outcome["problem"]["errors"][0]["field"] == "trades.0.tenant_id"


def test_batch_size_is_limited(api):
    for trades in ([], [build_trade_body()] * 1001):
        response = api.post("/trades:batch", {"trades": trades})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "trades")
    assert api.list_trades() == []


def test_unknown_field_in_the_body_is_rejected(api):
    response = api.post("/trades:batch", {"trades": [build_trade_body()], "portfolio": "x"})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "portfolio")


def test_batch_idempotency_key_gives_each_item_its_own_key(api):
    outcomes = post_batch(api, [build_trade_body(), build_trade_body(symbol="MSFT")], key="K")
    for number, outcome in enumerate(outcomes):
        (trade,) = api.list_trades(idempotency_key=f"K:{number}")
        assert trade == outcome["trade"]
    replay = api.post_trade("K:1", symbol="msft")
    assert replay.headers["Idempotent-Replayed"] == "true"
    assert replay.json()["trade"] == outcomes[1]["trade"]


def test_repeated_batch_returns_the_same_outcomes_and_records_nothing(api):
    trades = [build_trade_body(), build_trade_body(quantity="x"), build_trade_body(symbol="MSFT")]
    first, repeated_outcomes = post_batch(api, trades, "K"), post_batch(api, trades, "K")
    assert [outcome.get("trade") for outcome in repeated_outcomes] == [
        outcome.get("trade") for outcome in first
    ]
    assert len(api.list_trades()) == 2


def test_repeated_batch_with_a_corrected_item_records_only_that_item(api):
    trades = [build_trade_body(), build_trade_body(quantity="x")]
    post_batch(api, trades, "K")
    outcomes = post_batch(api, [trades[0], build_trade_body()], "K")
    assert [outcome["status"] for outcome in outcomes] == [201, 201]
    assert len(api.list_trades()) == 2


def test_changed_item_of_a_repeated_batch_conflicts_alone(api):
    post_batch(api, [build_trade_body(), build_trade_body()], "K")
    outcomes = post_batch(api, [build_trade_body(), build_trade_body(quantity="7"), build_trade_body()], "K")
    assert [outcome["status"] for outcome in outcomes] == [201, 409, 201]
    assert len(api.list_trades()) == 3


def test_batch_may_contain_many_portfolios_and_symbols(api):
    trades = [
        build_trade_body(portfolio_name=name, symbol=symbol, quantity="1", gmv="1")
        for name in ("b", "A", "c", "B")
        for symbol in ("X", "Y")
    ]
    outcomes = post_batch(api, trades)
    assert [outcome["trade"]["sequence"] for outcome in outcomes] == [1, 2, 1, 2, 1, 2, 3, 4]
    assert api.get("/portfolios").json() == ["A", "b", "c"]
    assert api.get_portfolio("B")["positions"]["X"]["quantity"] == "2"
