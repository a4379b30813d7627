"""The moving-average cross trades as backtesting.py 0.6.6 does: at the same bars and prices.

The reference was computed without fees, with fills at the next open, and with means of whole cents. With
rolling means of floats it differs where both means are equal, since one then has a rounding error.
"""

from app.backtest import DONE, main
from slackoms_strategy.examples import sample_bars
from tests.backtests.support import read_rows

# Entry and exit price, entry and exit time.
REFERENCE = """\
97.63,95.98,2026-01-06T16:00:00Z,2026-01-07T12:00:00Z
93.68,94.91,2026-01-08T19:00:00Z,2026-01-10T02:00:00Z
95.58,93.49,2026-01-11T02:00:00Z,2026-01-11T09:00:00Z
94.38,92.55,2026-01-12T09:00:00Z,2026-01-12T17:00:00Z
93.55,91.97,2026-01-13T10:00:00Z,2026-01-14T01:00:00Z
92.02,91.89,2026-01-14T17:00:00Z,2026-01-15T01:00:00Z
92.88,92.72,2026-01-15T12:00:00Z,2026-01-16T10:00:00Z
94.73,94.46,2026-01-16T18:00:00Z,2026-01-18T03:00:00Z
94.67,94.31,2026-01-19T02:00:00Z,2026-01-19T11:00:00Z
95.27,95.43,2026-01-19T14:00:00Z,2026-01-20T21:00:00Z
"""
STRATEGY = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"


def test_trades_equal_the_trades_of_backtesting_py(capsys, tmp_path):
    bars_file = tmp_path / "bars.csv"
    bars_file.write_text(
        "".join(f"{line}\n" for line in sample_bars.list_bars(("AAA",), 400)), encoding="utf-8"
    )
    assert main([STRATEGY, "--data", str(bars_file), "--interval", "1h", "--out", str(tmp_path)]) == DONE
    assert "equity_final: 999332.00" in capsys.readouterr().out
    fills = [(fill["price"], fill["at"]) for fill in read_rows(tmp_path / "fills.csv")]
    pairs = zip(fills[::2], fills[1::2], strict=True)
    rows = [f"{entry[0]},{end[0]},{entry[1]},{end[1]}" for entry, end in pairs]
    assert rows == REFERENCE.splitlines()
