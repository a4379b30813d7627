"""The rows of a chain that a run verifies, and the errors that it finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.rules.chain import START, ChainedEntry, EntryContent, Head, build_chained_entry
from app.chain_verification.rules.segments import (
    MIN_REPEATED_ROWS,
    REPEATED_PARTS,
    BrokenChain,
    ChainKind,
    ChainSegment,
    Checkpoint,
    plan_new_rows,
    plan_repeated_rows,
    split_segment,
    verify_rows,
)
from app.ledger.rules.cash import CASH_COLUMNS, build_cash_row
from app.timestamps import format_timestamp
from tests.factories import NOON

AT = format_timestamp(NOON)


def build_entries(count, start=START):
    entries: list[ChainedEntry] = []
    for number in range(count):
        content = EntryContent(AT, "key:a", "a", "user.created", f"user:{number}", None, None, None, None, 1)
        entries.append(build_chained_entry(start, 1, content))
        start = Head(entries[-1].sequence, entries[-1].hash)
    return entries


ENTRIES = build_entries(5)
END = Head(5, ENTRIES[-1].hash)
ALL = ChainSegment(START, 5, END.hash)


def test_correct_rows_lead_to_the_end_of_their_segment():
    assert verify_rows(ChainKind.AUDIT, ENTRIES, ALL) == END
    third = Head(3, ENTRIES[2].hash)
    assert verify_rows(ChainKind.AUDIT, ENTRIES[3:], ChainSegment(third, 5, END.hash)) == END
    assert verify_rows(ChainKind.AUDIT, ENTRIES[:3], ChainSegment(START, 3, None)) == third
    assert verify_rows(ChainKind.AUDIT, [], ChainSegment(third, 3, third.hash)) == third


@pytest.mark.parametrize(
    ("rows", "segment", "sequence", "reason"),
    [
        ([*ENTRIES[:2], ENTRIES[2]._replace(actor="nobody"), *ENTRIES[3:]], ALL, 3, "hash is .*, must be"),
        ([*ENTRIES[:2], ENTRIES[2]._replace(hash="f" * 64), *ENTRIES[3:]], ALL, 3, "hash is ffff"),
        ([*ENTRIES[:2], ENTRIES[2]._replace(hash_version=2), *ENTRIES[3:]], ALL, 3, "hash_version is 2"),
        ([*ENTRIES[:2], *ENTRIES[3:]], ALL, 3, "row 3 is missing"),
        (ENTRIES[:4], ALL, 5, "row 5 is missing"),
        (ENTRIES, ChainSegment(START, 5, "e" * 64), 5, "but eeee.* was stored for it"),
        ([], ChainSegment(END, 5, "e" * 64), 5, "but eeee.* was stored for it"),
    ],
)
def test_first_wrong_or_missing_row_is_named(rows, segment, sequence, reason):
    with pytest.raises(BrokenChain, match=reason) as raised:
        verify_rows(ChainKind.AUDIT, rows, segment)
    assert raised.value.sequence == sequence


def test_cash_movements_are_verified_by_their_own_hash():
    values = dict.fromkeys(CASH_COLUMNS[:-2]) | {"tenant_id": 1, "portfolio_id": 2, "sequence": 1}
    values |= {"kind": "deposit", "amount": "5.00000000", "created_at": AT}
    row = build_cash_row(tuple(values.values()), START.hash)
    segment = ChainSegment(START, 1, row.hash)
    assert verify_rows(ChainKind.CASH, [row], segment) == Head(1, row.hash)
    for forged in (row._replace(amount="6.00000000"), row._replace(hash_version=9)):
        with pytest.raises(BrokenChain, match="must be"):
            verify_rows(ChainKind.CASH, [forged], segment)


def test_new_rows_are_those_after_the_verified_ones():
    checkpoint = Checkpoint(verified=Head(3, "c"))
    assert plan_new_rows(checkpoint, Head(7, "g")) == ChainSegment(Head(3, "c"), 7, "g")
    assert plan_new_rows(checkpoint, Head(3, "x")) == ChainSegment(Head(3, "c"), 3, "x")  # which is compared
    with pytest.raises(BrokenChain, match="ends at 2, but was verified up to 3") as raised:
        plan_new_rows(checkpoint, Head(2, "b"))
    assert raised.value.sequence == 3


def test_short_chain_is_read_again_completely_at_each_run():
    verified = Head(MIN_REPEATED_ROWS, "v")
    for repeated in (START, Head(10, "r"), verified):
        assert plan_repeated_rows(Checkpoint(verified, repeated)) == ChainSegment(START, *verified)


@given(rows=st.integers(MIN_REPEATED_ROWS, 1_000_000), growth=st.integers(0, 10_000))
def test_each_row_of_a_long_chain_is_read_again_after_some_runs(rows, growth):
    """A round takes a run for each part, and more while the chain grows."""
    checkpoint, runs = Checkpoint(Head(rows, "v")), 0
    while runs == 0 or checkpoint.repeated.sequence < rows:
        segment = plan_repeated_rows(checkpoint)
        assert segment.start == checkpoint.repeated
        assert segment.end > segment.start.sequence
        checkpoint = checkpoint._replace(
            verified=Head(checkpoint.verified.sequence + growth, "v"), repeated=Head(segment.end, "r")
        )
        runs += 1
    assert runs <= REPEATED_PARTS
    finished = Checkpoint(Head(rows, "v"), Head(rows, "v"))
    assert plan_repeated_rows(finished).start == START


def test_segment_is_split_into_parts():
    assert split_segment(ALL, 2) == ChainSegment(START, 2, None)
    assert split_segment(ALL, 5) == ALL
    assert split_segment(ALL, 9) == ALL
