"""A file of splits and dividends: its values, and the lines of its errors."""

from decimal import Decimal

import pytest

from app.backtests.rules.action_files import InvalidActions, parse_actions
from app.ledger.rules.corporate_actions import ActionKind, Ratio

HEADER = "symbol,ex_date,kind,new_units,old_units,amount,currency,withholding_percent"


def test_actions_take_effect_when_their_date_begins_at_the_exchange():
    text = f"{HEADER}\nmsft,2026-11-23,split,2,1,,,\nBTC/USD,2026-11-24,dividend,,,0.25,USD,15\n"
    actions = parse_actions(text, "NASDAQ")
    assert [(action.kind, action.symbol, action.effective_at) for action in actions] == [
        (ActionKind.SPLIT, "MSFT", "2026-11-23T05:00:00.000000Z"),
        (ActionKind.DIVIDEND, "BTC/USD", "2026-11-24T00:00:00.000000Z"),
    ]
    assert actions[0].ratio == Ratio(Decimal(2), Decimal(1))
    assert (actions[1].amount, actions[1].currency, actions[1].withholding_percent) == (
        Decimal("0.25"), "USD", Decimal(15),
    )  # fmt: skip
    assert parse_actions("symbol,ex_date,kind\n", "") == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("§,2026-11-23,split,2,1,,,", "line 2: `symbol` is not a symbol"),
        ("A,2026-11-23,merger,2,1,,,", "line 2: `kind` must be one of split, dividend"),
        ("A,tomorrow,split,2,1,,,", "line 2: `ex_date` must be a date"),
        ("A,2026-11-23,split,2,,,,", "line 2: a split needs `old_units`"),
        ("A,2026-11-23,split,2,2,,,", "line 2: `new_units` must differ"),
        ("A,2026-11-23,split,2,1,3,,", "line 2: a split has no `amount`"),
        ("A,2026-11-23,split,0,1,,,", "line 2: `new_units` must be a positive number"),
        ("A,2026-11-23,split,1e3,1,,,", "line 2: `new_units` must be a positive number"),
        ("A,2026-11-23,dividend,,,1,DOLLAR,", "line 2: `currency` must be a code"),
        ("A,2026-11-23,dividend,,,1,USD,101", "line 2: `withholding_percent` must be at most 100"),
        ("A,2026-11-23,dividend,,,1", "line 2: the number of cells"),
        ('A,2026-11-23,dividend,,,1,"USD"x,', "line 2: "),
    ],
)
def test_wrong_row_is_named_by_its_line(row, problem):
    with pytest.raises(InvalidActions, match=problem):
        parse_actions(f"{HEADER}\n{row}\n", "NYSE")


@pytest.mark.parametrize("header", ["", "symbol,ex_date", f"{HEADER},price"])
def test_wrong_header_is_line_one(header):
    with pytest.raises(InvalidActions, match="line 1: the header must have the columns symbol,ex_date,kind"):
        parse_actions(f"{header}\n", "NYSE")
