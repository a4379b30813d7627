"""The daily statement as HTML and as rows of CSV, and the digest of a day."""

from app.day_close.rules.serialization import serialize_day
from app.day_close.rules.statements import StatementRows, build_statement, format_html, list_csv_rows
from app.day_close.rules.values import (
    DayClose,
    DayFigures,
    OpenBreak,
    SignedDay,
    build_closed_payload,
    build_closed_values,
    compute_digest,
    sign_day,
)

DAY = DayClose(1, "2026-11-20", "key:ops", "ops", "2026-11-20T21:05:00.000000Z", None, "USD", "[]", "")
EVIL = '<script>alert("x")</script>'
NOTHING = StatementRows([], [], [])


def build_figures(portfolio_id=1, name="Growth", currency="USD", day_pnl="10.00000000", started_at=None):
    amounts = ["1.50000000"] * 13
    times = (started_at, "2026-11-20T21:00:00.000000Z")
    return DayFigures._make((1, DAY.date, portfolio_id, name, currency, *times, 3, *amounts, day_pnl))


def build_issue(kind="working_order", subject="O1", detail="BUY 10 AAPL"):
    return OpenBreak(1, DAY.date, 1, 1, "Growth", kind, subject, detail)


def test_digest_covers_every_field_and_no_order():
    signed = sign_day(DAY, [build_figures(), build_figures(2)], [build_issue()])
    assert (
        compute_digest(signed.day, [build_figures(2), build_figures()], [build_issue()]) == signed.day.digest
    )
    for other in (
        (DAY._replace(note="x"), signed.figures, signed.breaks),
        (DAY, [build_figures(day_pnl="10.00000001"), build_figures(2)], signed.breaks),
        (DAY, signed.figures, [build_issue(detail="BUY 11 AAPL")]),
        (DAY, [build_figures()], signed.breaks),
    ):
        assert compute_digest(*other) != signed.day.digest


def test_payload_names_the_signer_and_the_digest():
    signed = sign_day(DAY, [build_figures()], [build_issue()])
    assert build_closed_values(signed)["digest"] == signed.day.digest
    assert '"signed_by":"key:ops"' in build_closed_payload(signed)


def test_total_is_converted_at_the_stored_rates():
    rates = '[{"currency":"INR","rate":"0.01250000","age_seconds":"0.25"}]'
    signed = SignedDay(DAY._replace(rates=rates), [build_figures(), build_figures(2, "India", "INR")], [])
    day = serialize_day(signed)
    assert (day["day_pnl"], day["rates"][0]["rate"]) == ("10.125", "0.0125")
    assert serialize_day(signed._replace(day=DAY))["day_pnl"] is None


def test_restricted_caller_gets_own_portfolios_and_no_total():
    signed = SignedDay(DAY, [build_figures(), build_figures(2, "Secret")], [build_issue()])
    day = serialize_day(signed, {1})
    assert [figure["portfolio_name"] for figure in day["figures"]] == ["Growth"]
    assert (day["day_pnl"], len(day["breaks"])) == (None, 1)
    assert serialize_day(signed, {2})["breaks"] == []


def test_statement_escapes_every_text():
    rows = StatementRows([(EVIL, None)], [(EVIL,)], [(EVIL,)])
    day = DAY._replace(note=EVIL, signed_by=EVIL)
    breaks = [build_issue(EVIL, EVIL, EVIL)]
    page = format_html(build_statement(day, build_figures(name=EVIL), breaks, rows))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 10


def test_rows_of_a_statement_name_their_section():
    statement = build_statement(DAY, build_figures(), [build_issue()], NOTHING)
    rows = list_csv_rows(statement)
    assert rows[0] == ["Statement", "Growth: 2026-11-20"]
    assert ["P&L of the day", "Day P&L", "10.00"] in rows
    assert rows[-1] == ["Open when signed off", "working_order", "O1", "BUY 10 AAPL"]
