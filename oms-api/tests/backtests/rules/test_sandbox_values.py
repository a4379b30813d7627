"""Values that are sent to a sandboxed strategy, or received from it, are equal in both processes."""

from array import array
from decimal import Decimal

import pytest

from app.backtests.errors import InvalidCommand
from app.backtests.rules.block_frames import pack_block, parse_block
from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.commands import (
    MAX_TEXT_CHARACTERS,
    CommandKind,
    pack_cancellation,
    pack_replacement,
    pack_submission,
    parse_command,
)
from app.backtests.rules.settings import BacktestSettings
from app.backtests.rules.settings_fields import parse_settings, serialize_settings
from app.brokers.rules.values import OrderType, TimeInForce
from app.orders.rules.values import StopLoss, TakeProfit, Ticket
from app.risk.rules.limits import LimitCode
from app.timestamps import Timestamp
from slackoms_strategy import BarColumns

AT = 1_795_000_000
SYMBOLS = {"AAPL": 1}
MARKET = Ticket("AAPL", "BUY", OrderType.MARKET, Decimal(10))
BRACKET = Ticket(
    "AAPL", "SELL", OrderType.LIMIT, Decimal("1E+2"), limit_price=Decimal("99.5"),
    time_in_force=TimeInForce.GTD, expires_at=Timestamp("2026-12-01T12:00:00.000000Z"), product="intraday",
    reason="Breakout", take_profit=TakeProfit(Decimal(90)), stop_loss=StopLoss(Decimal(105)),
)  # fmt: skip


@pytest.mark.parametrize("ticket", [MARKET, BRACKET])
def test_submission_is_parsed_as_it_was_packed(ticket):
    command = parse_command(pack_submission(AT, ticket), SYMBOLS)
    assert (command.kind, command.at, command.ticket) == (CommandKind.SUBMIT, AT, ticket)


def test_cancellation_and_replacement_are_parsed_as_they_were_packed():
    cancel = parse_command(pack_cancellation(AT, "O1"), SYMBOLS)
    assert cancel.kind == CommandKind.CANCEL
    assert cancel.at == AT
    assert cancel.order_id == "O1"
    assert cancel.ticket is None
    replace = parse_command(pack_replacement(AT, "O1", MARKET), SYMBOLS)
    assert (replace.kind, replace.order_id) == (CommandKind.REPLACE, "O1")
    assert replace.changes == {"quantity": Decimal(10), "limit_price": None, "stop_price": None}


@pytest.mark.parametrize(
    "fields",
    [
        None,
        ["C", AT],
        ["C", "now", "O1"],
        ["X", AT, "O1"],
        ["C", AT, 1],
        ["C", AT, "a" * (MAX_TEXT_CHARACTERS + 1)],
        ["R", AT, "O1", "1", "1", "1", "1"],
        ["R", AT, "O1", 1],
        ["R", AT, "O1", "much"],
        ["S", AT, "MSFT", "BUY", "MARKET", "1"],
        ["S", AT, 1, "BUY", "MARKET", "1"],
        ["S", AT, "AAPL", 1, "MARKET", "1"],
        ["S", AT, "AAPL", "HOLD", "MARKET", "1"],
        ["S", AT, "AAPL", "BUY", "MARKET", "1", None, None, None, None, "GTD", "soon"],
    ],
)
def test_unknown_command_is_rejected(fields):
    with pytest.raises(InvalidCommand):
        parse_command(fields, SYMBOLS)


@pytest.mark.parametrize("order", [None, ["MSFT", "AAPL"]])
def test_block_is_parsed_as_it_was_packed(order):
    columns = {
        symbol: BarColumns(symbol, 60, 2, 0, *(array("q", [number, 2**40]) for number in range(6)))
        for symbol in ("AAPL", "MSFT")
    }
    fields, body = pack_block(BarBlock(columns, order))
    parsed = parse_block(fields, body)
    assert parsed.order == order
    assert pack_block(parsed) == (fields, body)


def test_settings_are_parsed_as_they_were_serialized():
    settings = BacktestSettings(limits={LimitCode.MAX_OPEN_ORDERS: Decimal(5)})
    assert parse_settings(serialize_settings(settings)) == settings
