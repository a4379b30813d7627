"""The service matches the commands of a sandboxed strategy again, and refuses impossible ones."""

import json
import pickle
from decimal import Decimal

import pytest

from app.backtests.errors import InvalidCommand, StrategyFailed, StrategyStopped
from app.backtests.rules.block_frames import pack_block, parse_block
from app.backtests.rules.blocks import build_block
from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.commands import (
    CommandKind,
    StrategyCommand,
    pack_cancellation,
    pack_replacement,
    pack_submission,
    parse_command,
)
from app.backtests.rules.settings import BacktestSettings, InstrumentTerms, parse_costs
from app.backtests.rules.settings_fields import parse_settings, serialize_settings
from app.backtests.service.order_replay import OrderReplay
from app.backtests.service.recorder import Recorder
from app.brokers.rules.settings import PaperSettings
from app.clock import MILLISECOND
from app.market_data.rules.bars import Interval
from app.orders.rules.values import OrderType, StopLoss, TakeProfit, Ticket, TimeInForce
from app.risk.rules.limits import LimitCode
from app.sandbox.errors import Failure
from app.timestamps import format_timestamp
from tests.backtests.bars import START, build_lines_of_closes
from tests.backtests.corporate_actions import build_split
from tests.backtests.support import build_blocks

LINES = build_lines_of_closes(["10", "11", "12", "13"])
AT = int(START.timestamp()) + 60  # the end of the first bar
BUY = ["S", AT, "AAPL", "BUY", "MARKET", "5"]


def _replay(*commands):
    replay = OrderReplay(["AAPL"], BacktestSettings(), Recorder())
    (block,) = build_blocks(LINES)
    replay.add_commands([parse_command(list(command), {"AAPL": None}) for command in commands])
    replay.run([block])
    replay.require_no_commands()
    return replay


def test_commands_take_effect_at_their_instants():
    assert _replay(BUY).build_claim() == [1, 1, "999945.00000000", "0"]
    limit = ["S", AT, "AAPL", "BUY", "LIMIT", "5", "9"]
    canceled = _replay(
        limit, ["R", AT + 60, "O1", "6", "10.5", None], ["C", AT + 120, "O2"], [*BUY[:1], AT + 120, *BUY[2:]]
    )
    assert canceled.build_claim() == [3, 1, "999935.00000000", "0"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["S", AT + 1, *BUY[2:]], "is not that of a bar, or has passed"),
        (["S", AT - 60_000, *BUY[2:]], "is not that of a bar, or has passed"),
        (["S", AT + 6_000, *BUY[2:]], "no bar ends at its time"),
        (["R", AT, "O7", "1"], "order O7 is not open"),
        (["S", AT, "AAPL", "BUY", "LIMIT", "5"], "limit_price: A LIMIT order needs limit_price"),
        ("S", "it is not a command"),
        (["S", "1", "AAPL"], "it is not a command"),
        (["X", AT, "O1"], "it is of an unknown kind"),
        (["S", AT, "MSFT", "BUY", "MARKET", "5"], "its symbol is unknown"),
        (["S", AT, ["AAPL"], "BUY", "MARKET", "5"], "its symbol is unknown"),
        (["S", AT, "AAPL", "BUY", 5, "5"], "a field is not text"),
        (["S", AT, "AAPL", "HOLD", "MARKET", "5"], "its side, type or time in force is unknown"),
        (["S", AT, "AAPL", "BUY", "MARKET", "1e5"], "an amount is wrong"),
        (["S", AT, "AAPL", "BUY", "MARKET", 5], "an amount is wrong"),
        (["S", AT, "AAPL", "BUY", "MARKET", "-5"], "an amount is wrong"),
        ([*BUY, None, None, None, None, None, "soon"], "an instant is wrong"),
        ([*BUY, *[None] * 9, "a" * 501], "a text is wrong"),
        ([*BUY, *[None] * 11], "it has too many fields"),
        (["C", AT, 5], "a text is wrong"),
    ],
)  # fmt: skip
def test_an_impossible_command_is_refused(command, problem):
    with pytest.raises(InvalidCommand, match=problem):
        _replay(command)


def test_commands_round_trip():
    """Tickets are what `context.order` builds, with amounts in any notation."""
    ten, hundred = Decimal(10), Decimal("1E+2")
    plain = Ticket("AAPL", "BUY", OrderType.MARKET, hundred)
    full = Ticket(
        "AAPL", "SELL", OrderType.STOP_LIMIT, ten, None, ten, hundred, time_in_force=TimeInForce.GTD,
        expires_at=format_timestamp(START), product="MIS", reason="why", take_profit=TakeProfit(ten),
        stop_loss=StopLoss(hundred),
    )  # fmt: skip
    for ticket in (plain, full):
        command = parse_command(json.loads(json.dumps(pack_submission(AT, ticket))), {"AAPL": None})
        assert command == StrategyCommand(CommandKind.SUBMIT, AT, ticket)
    assert parse_command(pack_cancellation(AT, "O1"), {}) == StrategyCommand(
        CommandKind.CANCEL, AT, order_id="O1"
    )
    replaced = parse_command(pack_replacement(AT, "O1", full), {})
    assert replaced.changes == {"quantity": ten, "limit_price": ten, "stop_price": hundred}


def test_settings_round_trip():
    settings = BacktestSettings(
        interval=Interval.HOUR, costs=parse_costs("percent:0.1"),
        limits={LimitCode.MAX_OPEN_ORDERS: Decimal(5)}, instruments=InstrumentTerms("NSE"),
        market=PaperSettings(latency=3 * MILLISECOND), strategy="Mine",
        actions=(build_split(3),), carry_rates=(parse_carry_rate("borrow:USD@2026-01-01", "2.5"),),
    )  # fmt: skip
    assert parse_settings(serialize_settings(settings)) == settings


def test_blocks_round_trip():
    first, second = (
        build_blocks(build_lines_of_closes(["1", "2"], symbol))[0] for symbol in ("AAPL", "MSFT")
    )
    both = build_block({**first.columns, **second.columns})
    assert parse_block(*pack_block(first)) == first
    assert parse_block(*pack_block(both)) == both


def test_errors_of_strategies_pass_from_the_workers_of_a_sweep():
    failed = StrategyFailed(Failure("ValueError", "no", "mine.py", 3, "on_bar"))
    for error in (failed, StrategyStopped("The strategy process exited unexpectedly.")):
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # as the pool of workers does
        assert (type(copy), str(copy), copy.failure) == (type(error), str(error), error.failure)
