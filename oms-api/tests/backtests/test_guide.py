"""The guide's strategy runs, and its table shows the results of the examples."""

import json
import re
import shlex
from pathlib import Path

import pytest

from app.backtest import DONE, main
from slackoms_strategy.examples import sample_bars

GUIDE = (Path(__file__).parents[3] / "docs/strategies.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+:\w+)`.*? \| `(.*)` \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$", GUIDE, re.MULTILINE)


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    path = tmp_path_factory.mktemp("guide") / "bars.csv"
    path.write_text("".join(f"{line}\n" for line in sample_bars.list_bars(("AAA", "BBB"), 2_000)), "utf-8")
    return path


def _run(capsys, name, bars, *arguments):
    assert main([name, "--data", str(bars), "--interval", "1h", "--json", *arguments]) == DONE
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_table_shows_the_results_of_the_examples(capsys, bars, row):
    name, arguments, fills, charges, equity = row
    result = _run(capsys, f"slackoms_strategy.examples.{name}", bars, *shlex.split(arguments))
    assert (str(result["fills"]), result["charges"], result["equity_final"]) == (fills, charges, equity)


def test_table_lists_every_example():
    assert len(ROWS) == 4


def test_strategy_of_the_guide_runs(capsys, bars, tmp_path, monkeypatch):
    source = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert source is not None
    (tmp_path / "guide_strategy.py").write_text(source[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    result = _run(capsys, "guide_strategy:Trend", bars, "--symbols", "AAA", "--param", "length=30")
    assert result["fills"] > 10


def test_sample_bars_are_written_to_standard_output(capsys):
    sample_bars.main(["--count", "2", "--symbols", "AAA"])
    assert capsys.readouterr().out.splitlines()[0] == sample_bars.HEADER
