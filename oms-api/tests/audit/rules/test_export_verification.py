"""The verification of an export finds every change of it.

A changed, removed, inserted or swapped line is found, and the first bad line is named. Lines that
are cut off at the end are found by the detached head.
"""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.rules.chain import COLUMNS, START, ChainedEntry, Head, compute_hash
from app.audit.rules.export_verification import AUDIT_LOG, ExportChain, ExportVerifier, serialize_line
from app.ledger.rules import chain as ledger
from app.ledger.rules.exports import EARLIER_LEDGER, LEDGER
from tests.audit.entries import build_chain, serialize_rows
from tests.factories import build_trade_row

ROWS = build_chain(12)
LINES = serialize_rows(ROWS)
FIXED = {"tenant_id", "sequence", "hash_version", "hash"}  # have separate tests
HEAD = {ExportChain(1): Head(12, ROWS[-1].hash)}
places = st.integers(0, len(LINES) - 1)


def find_first_problem(export, heads=None):
    """Return the first finding, None where the export is clean."""
    verifier = ExportVerifier((AUDIT_LOG, LEDGER, EARLIER_LEDGER), heads or {})
    for line in export:
        finding = verifier.verify_line(line)
        if finding:
            return finding
    return verifier.verify_end()


def verify_export(export, heads=None):
    verifier = ExportVerifier((AUDIT_LOG, LEDGER, EARLIER_LEDGER), heads or {})
    assert [verifier.verify_line(line) for line in export] == [None] * len(export)
    assert verifier.verify_end() is None
    return verifier


def test_intact_export_passes_with_and_without_its_head():
    assert (verify_export(LINES).lines, verify_export(LINES).chains) == (12, 1)
    assert verify_export(LINES, HEAD).uncovered_lines == 0


def test_empty_export_passes_and_proves_nothing():
    assert (verify_export([]).lines, verify_export([], {ExportChain(1): START}).lines) == (0, 0)


def test_earlier_head_verifies_the_lines_before_it():
    earlier = {ExportChain(1): Head(5, ROWS[4].hash)}
    assert verify_export(LINES, earlier).uncovered_lines == 7
    assert find_first_problem(LINES[:5], earlier) is None


@given(places, st.data())
def test_any_changed_byte_is_reported_at_its_line(place, replacement):
    line = LINES[place]
    at = replacement.draw(st.integers(0, len(line) - 1))
    byte = replacement.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    finding = find_first_problem(
        [*LINES[:place], line[:at] + bytes([byte]) + line[at + 1 :], *LINES[place + 1 :]]
    )
    assert finding is not None
    assert finding.line == place + 1


@given(places, st.data())
def test_any_missing_or_added_byte_is_reported_at_its_line(place, replacement):
    line = LINES[place]
    at = replacement.draw(st.integers(0, len(line) - 1))
    added = replacement.draw(st.binary(max_size=3))
    changed = line[:at] + added + line[at + (not added) :]
    finding = find_first_problem([*LINES[:place], changed, *LINES[place + 1 :]])
    assert finding is not None
    assert finding.line == place + 1


@given(st.integers(0, len(LINES) - 2))
def test_missing_line_is_reported_at_its_position(place):
    finding = find_first_problem([*LINES[:place], *LINES[place + 1 :]])
    assert finding is not None
    assert (finding.line, finding.problem.split(",")[0]) == (place + 1, f"sequence is {place + 2}")


@given(places, places)
def test_inserted_line_is_reported(place, copied):
    finding = find_first_problem([*LINES[:place], LINES[copied], *LINES[place:]])
    assert finding is not None
    assert finding.line in {place + 1, place + 2}


@given(st.tuples(places, places).filter(lambda line_numbers: line_numbers[0] < line_numbers[1]))
def test_swapped_lines_are_reported_at_the_first(line_numbers):
    first, second = line_numbers
    swapped = list(LINES)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    finding = find_first_problem(swapped)
    assert finding is not None
    assert finding.line == first + 1


@given(st.integers(0, len(LINES) - 1))
def test_truncated_export_is_detected_only_with_the_head(line_count):
    assert find_first_problem(LINES[:line_count]) is None
    finding = find_first_problem(LINES[:line_count], HEAD)
    assert finding is not None
    assert finding.line == line_count + 1
    assert f"sequence {line_count + 1} is missing" in finding.problem
    assert "tenant 1 is at 12" in finding.problem


@given(places, st.sampled_from([name for name in COLUMNS if name not in FIXED]))
def test_export_with_recomputed_hashes_is_detected_only_with_the_head(place, field):
    rows, last = [*ROWS[:place]], ROWS[place - 1].hash if place else START.hash
    for index, row in enumerate(ROWS[place:]):
        forged = ChainedEntry(**(row._asdict() | {field: "forged"})) if index == 0 else row
        rows.append(forged._replace(hash=compute_hash(forged[:-1], last)))
        last = rows[-1].hash
    assert find_first_problem(serialize_rows(rows)) is None
    finding = find_first_problem(serialize_rows(rows), HEAD)
    assert finding is not None
    assert finding.line == 12
    assert "the head says" in finding.problem


def recompute_hash(row):
    return serialize_line(COLUMNS, row._replace(hash=compute_hash(row[:-1], START.hash)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "line is incomplete"),
        (LINES[0].rstrip(b"\n"), "line is incomplete"),
        (b"\n", "not a JSON object"),
        (b"{}\n", "writes a line"),
        (b"[]\n", "not a JSON object"),
        (b'{"a":1}\n', "writes a line"),
        (b"\xff\n", "not a JSON"),
        (LINES[0].replace(b'"count":1', b'"count":1,"count":1'), "writes entries of the audit log"),
        (LINES[0].replace(b'":', b'": ', 1), "writes entries of the audit log"),
        (recompute_hash(ROWS[0]._replace(sequence=True)), "must be a whole number"),
        (recompute_hash(ChainedEntry(**(ROWS[0]._asdict() | {"tenant_id": "1"}))), "must be a whole number"),
        (recompute_hash(ROWS[0]._replace(sequence=2)), "sequence is 2, must be 1 (tenant 1)"),
        (recompute_hash(ROWS[0]._replace(hash_version=2)), "hash_version is 2, must be 1"),
        (LINES[0].replace(b'"action":"user.changed"', b'"action":"user.chanted"'), "must be"),
    ],
)
def test_malformed_line_is_reported_with_the_reason(line, message):
    finding = find_first_problem([line])
    assert finding is not None
    assert finding.line == 1
    assert message in finding.problem


def test_lines_of_another_tenant_are_rejected():
    finding = find_first_problem([*LINES, *serialize_rows(build_chain(3, tenant_id=2))])
    assert finding == (13, "tenant 2 cannot follow on tenant 1")


def test_lines_of_another_kind_are_rejected():
    finding = find_first_problem([*LINES, *BOOKS])
    assert finding is not None
    assert finding.line == 13


def parse_ledgers(*portfolios, version=2):
    """Return lines of ledgers: (portfolio id, rows)."""
    written = []
    for portfolio_id, count in portfolios:
        last = ledger.GENESIS
        for sequence in range(1, count + 1):
            row = build_trade_row(portfolio_id=portfolio_id, sequence=sequence, hash_version=version)
            row = row._replace(hash=ledger.compute_row_hash(row[:-1], last))
            last = row.hash
            written.append(serialize_line(ledger.COLUMNS, row))
    return written


BOOKS = parse_ledgers((7, 3), (9, 2))


def build_head(line):
    row = orjson.loads(line)
    return {ExportChain(row["tenant_id"], row["portfolio_id"]): Head(row["sequence"], row["hash"])}


def test_ledgers_are_verified_portfolio_by_portfolio():
    verifier = verify_export(BOOKS, build_head(BOOKS[2]) | build_head(BOOKS[4]))
    assert (verifier.lines, verifier.chains, verifier.uncovered_lines) == (5, 2, 0)
    assert verify_export(BOOKS, build_head(BOOKS[2])).uncovered_lines == 2


@pytest.mark.parametrize("version", [1, 2, 3])
def test_rows_of_an_older_hash_version_are_verified(version):
    assert verify_export(parse_ledgers((7, 3), version=version)).lines == 3


@pytest.mark.parametrize("change", [{"actor": "alice@desk.example"}, {"request_id": "r1"}])
def test_field_not_covered_by_an_older_hash_version_is_rejected(change):
    (line,) = parse_ledgers((7, 1), version=1)
    finding = find_first_problem(
        [serialize_line(ledger.COLUMNS, list((orjson.loads(line) | change).values()))]
    )
    (name,) = change
    assert finding == (1, f"{name} must be null: a hash of version 1 does not cover it")


def test_future_hash_version_is_reported():
    finding = find_first_problem(parse_ledgers((7, 1), version=5))
    assert finding == (1, "hash_version is 5, must be 1 to 4")


def to_previous_format(line):
    """Return a line as the release before wrote it, which did not know the last column."""
    row = orjson.loads(line)
    del row["backdated_reason"]
    return serialize_line(tuple(row), list(row.values()))


def test_export_of_the_previous_release_is_verified():
    lines = [to_previous_format(line) for line in parse_ledgers((7, 3), version=3)]
    assert verify_export(lines, build_head(lines[2])).uncovered_lines == 0
    forged = lines[1].replace(b'"AAPL"', b'"MSFT"')
    finding = find_first_problem([lines[0], forged])
    assert finding is not None
    assert finding.line == 2


@pytest.mark.parametrize(
    ("export", "line", "message"),
    [
        (BOOKS[:2] + BOOKS[3:], 3, "sequence 3 is missing here: the head of tenant 1, portfolio 7 is at 3"),
        (BOOKS[:4], 5, "sequence 2 is missing here: the head of tenant 1, portfolio 9 is at 2"),
        (BOOKS[:3], 4, "sequence 1 is missing here: the head of tenant 1, portfolio 9 is at 2"),
        (BOOKS[3:], 3, "sequence 1 is missing here: the head of tenant 1, portfolio 7 is at 3"),
        (BOOKS[3:] + BOOKS[:3], 3, "tenant 1, portfolio 7 cannot follow on tenant 1, portfolio 9"),
        (BOOKS[:3] + BOOKS[:1], 4, "sequence is 1, must be 4 (tenant 1, portfolio 7)"),
        (BOOKS[:2] + BOOKS[3:4] + BOOKS[2:3] + BOOKS[4:], 3, "sequence 3 is missing here"),
    ],
)
def test_missing_ledger_rows_are_reported_by_the_heads(export, line, message):
    finding = find_first_problem(export, build_head(BOOKS[2]) | build_head(BOOKS[4]))
    assert finding is not None
    assert finding.line == line
    assert message in finding.problem
