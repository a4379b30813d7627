"""A strategy in the sandbox has the same results, and a hostile strategy causes no damage."""

import logging
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.backtests.errors import InvalidBacktest, StrategyFailed, StrategyStopped
from app.backtests.rules.carry_rates import parse_carry_rate
from app.backtests.rules.settings import BacktestSettings, InstrumentTerms, parse_costs
from app.backtests.service.recorder import Recorder
from app.backtests.service.runs import prepare_sandboxed, prepare_trusted
from app.backtests.service.sandboxed import SandboxedBacktest, SandboxedStrategyCode
from app.sandbox.errors import ChildKilled
from app.sandbox.rules.frames import Frame
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.service.children import SandboxSpec, launch_child
from app.sandbox.service.sources import find_source
from tests.backtests.bars import build_line, build_lines_of_closes
from tests.backtests.corporate_actions import build_dividend, build_split
from tests.backtests.order_steps import build_random_walk
from tests.backtests.support import build_blocks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")

LINES = build_lines_of_closes(["10", "11", "12", "13"])
TRADER = Path(__file__).with_name("random_trader.py")
SETTINGS = BacktestSettings(
    costs=parse_costs("zerodha"), instruments=InstrumentTerms("NSE"), product="MIS", seed=3,
    enforces_sessions=True, actions=(build_dividend(290), build_split(300), build_split(310, symbol="MSFT")),
    currencies={"MSFT": "USD"}, rate_symbols=("USDINR",),
    carry_rates=(parse_carry_rate("borrow", "365"), parse_carry_rate("margin", "365")),
)  # fmt: skip


@pytest.fixture
def write_strategy(tmp_path, monkeypatch):
    """Return a function that writes the body of a strategy's `on_bar` to a separate module."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(body, head=""):
        indented = "".join(f"        {line}\n" for line in body.splitlines())
        text = f"import os, sys\nfrom slackoms_strategy import *\n{head}\n\nclass Mine(Strategy):\n"
        name = f"strategy_{len(list(tmp_path.iterdir()))}"
        path = tmp_path / f"{name}.py"
        path.write_text(f"{text}    def on_bar(self, context, bar):\n{indented}", encoding="utf-8")
        return f"{name}:Mine"

    return write


def _run(name, lines=LINES, limits=None, **settings):
    with closing(Recorder()) as recorder:
        backtest = SandboxedBacktest(["AAPL"], BacktestSettings(**settings), recorder, limits)
        return backtest.run(SandboxedStrategyCode(find_source(name), {}), build_blocks(lines))


def _move_into_session(lines):
    """Move three hours into two sessions of the NSE, the second one over the square-off of the first."""
    for night, day in (("T00:", "T04:"), ("T01:", "T09:"), ("05T02:", "06T04:")):
        lines = [line.replace(night, day) for line in lines]
    return lines


def test_results_equal_a_run_in_this_process(monkeypatch):
    monkeypatch.syspath_prepend(TRADER.parent)
    first, second = (_move_into_session(build_random_walk(seed, 150)) for seed in (1, 2))
    second = [line.replace("AAPL", "MSFT") for line in second]
    rates = [f"USDINR,{line.split(',')[1]},80,80,80,80,1" for line in first]
    pairs = [bar for bars in zip(first, second, rates, strict=True) for bar in bars]
    for symbols, lines in ((["AAPL"], first), (["AAPL", "MSFT"], pairs)):
        equities = []
        for prepare in (prepare_trusted, prepare_sandboxed):
            run = prepare("random_trader:RandomTrader", {"quantity": "7"}, SETTINGS)
            with closing(Recorder()) as recorder:
                equities.append(run(symbols, recorder, build_blocks(lines, 40)))
        trusted, sandboxed = equities
        assert trusted.run.result_hash == sandboxed.run.result_hash
        assert trusted.run.account.fills > 20
        assert trusted.code_hash == sandboxed.code_hash
        assert sandboxed.parameters == {"quantity": "7"}


def test_final_bookings_are_equal_in_both_processes(write_strategy):
    lines = [build_line(minute, "10/10/10/10") for minute in (1438, 1439, 2878, 2879)]
    rates = (parse_carry_rate("interest", "5"),)
    finished = _run(write_strategy("context.order('AAPL', Side.BUY, 1)"), lines, carry_rates=rates)
    assert finished.run.account.movements["interest"] > 0


def test_an_exception_names_the_file_and_the_line(write_strategy):
    with pytest.raises(StrategyFailed, match=r"in on_bar: ZeroDivisionError: .* \(strategy_0.py, line 7\)"):
        _run(write_strategy("1 / 0"))


def test_a_wrong_parameter_and_a_missing_module_are_errors_of_the_input(write_strategy):
    with pytest.raises(InvalidBacktest, match="`speed` does not exist"):
        prepare_sandboxed(write_strategy("pass"), {"speed": "1"}, BacktestSettings())(
            ["AAPL"], Recorder(), build_blocks(LINES)
        )
    with pytest.raises(InvalidBacktest, match="there is no module 'nowhere'"):
        prepare_sandboxed("nowhere:Mine", {}, BacktestSettings())
    with pytest.raises(InvalidBacktest, match="name the strategy as MODULE:CLASS"):
        prepare_sandboxed("nowhere", {}, BacktestSettings())


def test_a_callback_that_takes_too_long_is_interrupted_where_it_is(write_strategy):
    limits = SandboxLimits(callback_seconds=0.2)
    with pytest.raises(StrategyFailed, match=r"CallbackTooLong: .*0.2 s .*\(strategy_0.py, line 7\)"):
        _run(write_strategy("while True:\n    pass"), limits=limits)


def test_a_process_that_cannot_be_interrupted_is_killed(write_strategy):
    body = "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass"
    with pytest.raises(StrategyStopped, match=r"used more than 1 s of processor time"):
        _run(write_strategy(body), limits=SandboxLimits(callback_seconds=0.2, response_seconds=1))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("os._exit(0)", "The strategy process exited unexpectedly"),
        ("for descriptor in range(3, 10):\n    try: os.write(descriptor, b'\\x80\\x04' * 4096)\n"
         "    except OSError: pass", "bytes at once; at most"),
        ("engine = sys.modules['app.backtests.service.engine'].BacktestEngine\n"
         "engine.build_claim = lambda _: [0, 9, '9e9', '0']",
         r"are \[0, 9, '9e9', '0'\], but \[0, 0, '1000000', '0'\]"),
        ("context.seconds -= 3600\ncontext.order(bar.symbol, Side.BUY, 1)", "that of a bar, or has passed"),
    ],
)  # fmt: skip
def test_a_process_that_lies_is_reported(write_strategy, body, problem):
    with pytest.raises(StrategyStopped, match=problem):
        _run(write_strategy(body))


def test_memory_and_output_are_limited(write_strategy, caplog):
    with pytest.raises(StrategyFailed, match=r"MemoryError: .*\(strategy_0.py, line 7\)"):
        _run(write_strategy("self.data = bytearray(10**9)"))
    with caplog.at_level(logging.INFO, "strategy"):
        _run(write_strategy("print('a' * 90)\nprint('b' * 1000)"), limits=SandboxLimits(log_bytes=500))
    assert caplog.text.count("a" * 90) == 4
    assert "… and 4" in caplog.text
    assert len(caplog.text) < 2000


def test_a_flood_of_orders_is_stopped(write_strategy):
    body = "for _ in range(2000): context.order(bar.symbol, Side.BUY, 1)"
    with pytest.raises(StrategyFailed, match=r"at most 9000 are allowed"):
        _run(write_strategy(body), limits=SandboxLimits(frame_bytes=9000), has_risk_checks=False)


def test_code_is_refused_where_too_few_layers_hold(write_strategy, monkeypatch):
    monkeypatch.setattr("app.sandbox.service.children.find_missing_layers", lambda _: ["seccomp"])
    with pytest.raises(InvalidBacktest, match=r"Untrusted code needs seccomp, .* --sandbox off"):
        _run(write_strategy("pass"))


def test_killed_child_returns_no_answer(write_strategy):
    options = {"parent": 1}
    with launch_child(
        SandboxSpec(find_source(write_strategy("pass")), "app.sandbox.child.attempts:prepare", options)
    ) as child:
        child.kill()
        with pytest.raises(ChildKilled, match="The strategy process has ended"):
            child.receive()
        with pytest.raises(ChildKilled):
            child.send(Frame("stop", {}))
