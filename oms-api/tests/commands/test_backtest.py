"""`python -m app.backtest`: its files, its answer and its exit status."""

import json
import re

import pytest

from app.backtest import CANNOT, DONE, FAILED, main
from tests.backtests.bars import HEADER, build_line, build_lines_of_closes, join_lines
from tests.backtests.support import read_rows

CROSS = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
PRICES = ["10", "9", "8", "9", "11", "13", "15", "13", "10", "8", "7"]
ARGUMENTS = ["--param", "fast=2", "--param", "slow=3", "--param", "quantity=5"]


@pytest.fixture
def bars_file(tmp_path):
    path = tmp_path / "bars.csv"
    path.write_text(join_lines([HEADER, *build_lines_of_closes(PRICES)]), encoding="utf-8")
    return path


def _run(capsys, *arguments):
    status = main([CROSS, *map(str, arguments)])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_results_are_written_and_can_be_repeated(capsys, bars_file, tmp_path):
    out = tmp_path / "out"
    status, text, _ = _run(
        capsys, "--data", bars_file, *ARGUMENTS, "--out", out, "--json", "--costs", "flat:1"
    )
    summary = json.loads(text)
    assert status == DONE
    assert set(summary) == {
        "bars", "seconds", "bars_per_second", "peak_rss_mb", "orders", "fills", "charges", "equity_final",
        "result_hash",
    }  # fmt: skip
    assert (summary["bars"], summary["fills"], summary["charges"]) == (11, 2, "2.00")
    assert summary["equity_final"] == "999973.00"
    assert [row["price"] for row in read_rows(out / "fills.csv")] == ["13", "8"]
    stored = json.loads((out / "statistics.json").read_text(encoding="utf-8"))
    assert stored["parameters"] == {"fast": "2", "slow": "3", "quantity": "5"}
    assert stored["statistics"]["trades"] == stored["statistics"]["losses"] == 1
    second_report = json.loads(
        _run(capsys, "--data", bars_file, *ARGUMENTS, "--json", "--costs", "flat:1")[1]
    )
    assert second_report["result_hash"] == summary["result_hash"] == stored["result_hash"]


def test_report_needs_no_other_file(capsys, bars_file, tmp_path):
    _run(capsys, "--data", bars_file, *ARGUMENTS, "--out", tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(?:src|href)=|https?://|@import|<script", page)


def test_folder_period_and_symbols_select_bars(capsys, tmp_path):
    for symbol in ("AAPL", "MSFT"):
        path = tmp_path / f"{symbol}.csv"
        path.write_text(join_lines([HEADER, *build_lines_of_closes(PRICES, symbol)]), encoding="utf-8")
    both = json.loads(_run(capsys, "--data", tmp_path, *ARGUMENTS, "--json")[1])
    assert (both["bars"], both["fills"]) == (22, 4)
    period = ("--from", "2026-01-05T00:02Z", "--to", "2026-01-05T00:05Z", "--symbols", "msft")
    assert json.loads(_run(capsys, "--data", tmp_path, *period, "--json")[1])["bars"] == 3


def test_progress_goes_to_standard_error(capsys, bars_file):
    _, text, errors = _run(capsys, "--data", bars_file)
    assert "100%" in errors
    assert text.startswith("bars: 11\n")


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            [HEADER, build_line(0, "1/1/1/1"), build_line(0, "1/1/1/0")],
            "bars.csv: line 3: `close` must be positive",
        ),
        (["time,open"], "bars.csv: line 1: the header must be symbol,start"),
        ([HEADER], "There are no bars"),
    ],
)
def test_bad_data_is_an_error_with_its_line(capsys, bars_file, lines, problem):
    bars_file.write_text(join_lines(lines), encoding="utf-8")
    status, text, errors = _run(capsys, "--data", bars_file)
    assert (status, text) == (CANNOT, "")
    assert problem in errors


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--param", "fast=0"], "`fast` must be at least 1"),
        (["--costs", "cheap"], "--costs or --limit: 'cheap' is not a valid Schedule."),
        (["--symbols", "MSFT"], "There are no bars of these symbols"),
    ],
)
def test_wrong_argument_is_an_error(capsys, bars_file, arguments, problem):
    status, _, errors = _run(capsys, "--data", bars_file, *arguments)
    assert status == CANNOT
    assert problem in errors


@pytest.mark.parametrize("name", ["nowhere:Strategy", "json:dumps", "json", "slackoms_strategy:Nothing"])
def test_unknown_strategy_is_an_error(capsys, bars_file, name):
    assert main([name, "--data", str(bars_file)]) == CANNOT
    assert name.partition(":")[0] in capsys.readouterr().err


def test_failing_strategy_is_status_1(capsys, bars_file):
    assert main(["slackoms_strategy.examples.pairs:Pairs", "--data", str(bars_file)]) == FAILED
    assert "failed in on_start: ValueError: Pairs needs two symbols." in capsys.readouterr().err


def test_code_outside_this_project_runs_in_a_sandbox(capsys, bars_file, tmp_path, monkeypatch):
    code = (
        "from slackoms_strategy import Strategy\n\nclass Mine(Strategy):\n    def on_stop(self, context):\n"
    )
    (tmp_path / "foreign_code.py").write_text(
        f"{code}        __import__('os').listdir('/proc')\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["foreign_code:Mine", "--data", str(bars_file), "--json"]
    assert main(arguments) == FAILED
    errors = capsys.readouterr().err
    refusals = ("PermissionError: [Errno 13]", "FileNotFoundError: [Errno 2]")  # without bubblewrap, with it
    assert any(f"failed in on_stop: {refusal}" in errors for refusal in refusals)
    assert "(foreign_code.py, line 5)" in errors
    assert main([*arguments, "--sandbox", "off"]) == DONE
