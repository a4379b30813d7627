"""Reading what the bot answered, for the tests."""

import time

from tests.fakes import problem, trade_json

NOTHING_RECORDED = problem(503, "The books are full.", kind="not-placed")


def blocks_of(answer):
    return {block.get("block_id"): block for block in answer["view"]["blocks"]}


def banner_of(view):
    return next(block["text"]["text"] for block in view["blocks"] if block.get("block_id") == "banner")


def notice_of(view):
    return view["blocks"][0]["text"]["text"]


def desk_trade():
    body = {"symbol": "AAPL", "quantity": "100", "gmv": "17500", "side": "BUY", "portfolio_name": "Growth"}
    return trade_json(body, "T9")


def wait_until(true, seconds=5.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
