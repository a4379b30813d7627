"""`python -m app.sweep`: its file is the same for any number of workers."""

import csv
import json
import sys

import pytest

from app.backtest import CANNOT, DONE, FAILED
from app.sweep import COLUMNS, main
from slackoms_strategy.examples import sample_bars

CROSS = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
GRID = ["--grid", "fast=2,3", "--grid", "slow=5,8"]


@pytest.fixture(scope="module")
def bars_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "bars.csv"
    path.write_text("".join(f"{line}\n" for line in sample_bars.list_bars(("AAA",), 500)), "utf-8")
    return path


def _run(bars_file, out, *arguments, name=CROSS):
    status = main([name, "--data", str(bars_file), "--interval", "1h", "--out", str(out), *arguments])
    return status, (out / "sweep.csv").read_text(encoding="utf-8") if status == DONE else ""


def test_the_file_does_not_depend_on_the_number_of_workers(bars_file, tmp_path, capsys):
    arguments = [*GRID, "--walk-forward", "8,3", "--json", "--seed", "4"]
    status, text = _run(bars_file, tmp_path, *arguments, "--workers", "1")
    assert status == DONE
    summary = json.loads(capsys.readouterr().out)
    assert summary["sets"] == 4
    assert float(summary["walk_forward_sharpe"])
    assert _run(bars_file, tmp_path, *arguments, "--workers", "2")[1] == text
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [json.loads(row["parameters"])["fast"] for row in rows] == ["2", "2", "3", "3"]
    assert all(0 < float(row["deflated_sharpe"]) < 1 and row["seed"] == "4" for row in rows)


def test_random_sets_are_drawn_from_the_declared_ranges(bars_file, tmp_path, capsys):
    arguments = ["--random", "3", "--param", "slow=30", "--grid", "quantity=1,2", "--workers", "1"]
    status, text = _run(bars_file, tmp_path, *arguments)
    assert status == DONE
    sets = [json.loads(row["parameters"]) for row in csv.DictReader(text.splitlines())]
    assert [set(parameters) for parameters in sets] == [{"slow", "quantity", "fast"}] * 3
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--grid", "fast=0,2"], "`fast` must be at least 1"),
        (["--grid", "speed=0,2"], "`speed` does not exist"),
        ([], "Name the values of a parameter with --grid"),
        ([*GRID, "--symbols", "MSFT"], "There are no bars"),
        ([*GRID, "--walk-forward", "90,30", "--workers", "1"], "--walk-forward needs more than 90"),
        ([*GRID, "--costs", "cheap"], "--costs or --limit"),
    ],
)
def test_wrong_argument_is_status_2_with_its_reason(bars_file, tmp_path, capsys, arguments, problem):
    assert _run(bars_file, tmp_path, *arguments)[0] == CANNOT
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "65"], ["--walk-forward", "9"]])
def test_wrong_number_is_status_2(bars_file, tmp_path, arguments):
    with pytest.raises(SystemExit) as stopped:
        _run(bars_file, tmp_path, *GRID, *arguments)
    assert stopped.value.code == CANNOT


def test_failing_strategy_is_status_1(bars_file, tmp_path, capsys):
    name = "slackoms_strategy.examples.pairs:Pairs"
    assert _run(bars_file, tmp_path, "--grid", "length=5,6", "--workers", "1", name=name)[0] == FAILED
    assert "Pairs needs two symbols. (pairs.py, line " in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is that of Linux")
def test_code_outside_this_project_is_inspected_and_run_in_sandboxes(
    bars_file, tmp_path, monkeypatch, capsys
):
    text = (
        "from slackoms_strategy import IntegerParameter, Side, Strategy\n\n"
        "class Mine(Strategy):\n"
        "    size = IntegerParameter(5, 'Units.', minimum=1, maximum=9)\n\n"
        "    def on_bar(self, context, bar):\n"
        "        context.order(bar.symbol, Side.BUY, self.size)\n"
    )
    (tmp_path / "swept_code.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    status, text = _run(bars_file, tmp_path, "--random", "1", "--workers", "1", name="swept_code:Mine")
    assert status == DONE
    (row,) = csv.DictReader(text.splitlines())
    assert 1 <= int(json.loads(row["parameters"])["size"]) <= 9
    assert "swept_code" not in sys.modules
    assert _run(bars_file, tmp_path, "--grid", "size=0", name="swept_code:Mine")[0] == CANNOT
    assert "`size` must be at least 1" in capsys.readouterr().err
