"""GET /exports/{name}, and `Accept: text/csv` on the lists."""

import asyncio
import csv
import io
import resource
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from app.exports.rules.tables import Column
from app.exports.service import xlsx_export
from app.exports.service.csv_export import CsvExport, read_chunk
from app.exports.service.pages import ExportSource, Page
from app.exports.service.sources import EXPORT_BUILDERS
from app.http.csv_format import format_rows, guard_text, join_columns

TABLES = list(EXPORT_BUILDERS)
CSV = {"Accept": "text/csv"}
FORMULA = "=HYPERLINK(1)"


def parse_rows(response):
    assert response.status_code == 200, response.text
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def request_export(api, name, **params):
    return parse_rows(api.get(f"/exports/{name}", **params))


@pytest.fixture
def workspace(api):
    """Provide trades in two portfolios, an order and cash movements."""
    api.buy("10", "100", portfolio_name="Growth", charges="1.5", note="first")
    api.sell("10", "99", portfolio_name="Growth", charges="1.5")
    api.buy("5", "20", portfolio_name="Income", symbol="MSFT")
    api.set_quote("AAPL", "101", "102", "101.5")
    api.set_quote("MSFT", "20", "20", "20")
    api.place_order(portfolio_name="Growth", symbol="AAPL", quantity="3")
    deposit = {"kind": "deposit", "amount": "500", "currency": "USD", "reason": "Capital"}
    assert api.post("/portfolios/Growth/cash", deposit).status_code == 201
    return api


@pytest.mark.any_database
def test_exported_trades_are_the_listed_trades(workspace):
    exported, listed = request_export(workspace, "trades"), workspace.list_trades()
    same = (
        "trade_id",
        "symbol",
        "side",
        "quantity",
        "price",
        "gmv",
        "charges",
        "realized_pnl",
        "executed_at",
    )
    assert [[row[name] for name in same] for row in exported] == [
        [trade[name] for name in same] for trade in listed
    ]


def test_every_export_has_a_heading_and_the_rows_of_its_list(workspace):
    body = {name: request_export(workspace, name) for name in TABLES}
    assert len(body["trades"]) == 4
    assert [row["status"] for row in body["orders"]] == ["FILLED"]
    assert [(row["portfolio_name"], row["symbol"]) for row in body["positions"]] == [
        ("Growth", "AAPL"), ("Income", "MSFT"),
    ]  # fmt: skip
    assert {row["portfolio_name"] for row in body["pnl"]} == {"Growth", "Income"}
    growth = [row["kind"] for row in body["cash"] if row["portfolio_name"] == "Growth"]
    assert growth == ["deposit", "trade", "trade", "trade", "opening"]
    assert [row["charges"] for row in body["charges"]] == ["1.50", "1.50"]


@pytest.mark.any_database
@pytest.mark.parametrize("name", TABLES)
def test_empty_export_has_only_a_heading(api, name):
    response = api.get(f"/exports/{name}")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert response.text.endswith("\r\n")
    assert response.text.count("\n") == 1


@pytest.mark.parametrize("name", TABLES)
def test_filters_of_an_export_are_portfolio_and_period(workspace, name):
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert request_export(workspace, name, from_=soon) == [] or name == "risk"  # which is that of now
    assert request_export(workspace, name, portfolio="unknown") == []
    whole = request_export(workspace, name, to=soon)
    chosen = request_export(workspace, name, portfolio="growth")
    assert [row for row in whole if row["portfolio_name"] == "Growth"] == chosen or name == "positions"
    assert {row["portfolio_name"] for row in chosen} == {"Growth"}


@pytest.mark.parametrize("name", TABLES)
def test_pages_of_an_export_leave_nothing_out(workspace, name, monkeypatch):
    whole = request_export(workspace, name)
    monkeypatch.setattr(CsvExport.__init__, "__defaults__", (1,))
    paged = request_export(workspace, name)
    for row in (*whole, *paged):
        row.pop("mark_age_seconds", None)
    assert paged == whole


@pytest.mark.any_database
@pytest.mark.parametrize("name", TABLES)
def test_export_shows_only_the_portfolios_of_a_restricted_caller(workspace, name):
    key = workspace.post(
        "/api-keys", {"name": "income", "scopes": ["read"], "portfolios": ["Income"]}
    ).json()["key"]
    rows = request_export(workspace.with_key(key), name)
    assert {row["portfolio_name"] for row in rows} <= {"Income"}
    assert request_export(workspace.with_key(key), name, portfolio="Growth") == []
    assert request_export(workspace.service.create_client(), name) == []


@pytest.mark.parametrize("start", ["\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_line_breaks_and_full_width_signs_start_no_formula(start):
    assert guard_text(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("separator", [";", "|", "\t", "\r\n", "\n", ';"', ';""'])
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d"])
def test_part_after_another_separator_starts_no_formula(separator, start):
    """A spreadsheet with another list separator splits a cell of ours into several."""
    assert guard_text(f"a{separator}{start}1+1{separator}{start}2*3") == (
        f"a{separator}'{start}1+1{separator}'{start}2*3"
    )
    assert guard_text(f"={separator}{start}1+1") == f"'={separator}'{start}1+1"


def test_plain_numbers_after_another_separator_stay_as_they_are():
    assert guard_text("a;-5.00;+3;b") == "a;-5.00;+3;b"
    assert guard_text("a;-5.00x") == "a;'-5.00x"


@pytest.mark.any_database
@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_text_of_a_file_is_a_formula(api, start):
    """Every free text of a trade, an order and a cash movement begins like a formula."""
    text = f"{start}1+1|cmd"
    api.buy("1", "10", key=text, portfolio_name=f"{text} book", user_id=text, note=text, charges="1")
    api.set_quote("AAPL", "10", "10", "10")
    text_fields = {"user_id": text, "strategy": text, "client_order_id": text}
    placed = api.post_order(portfolio_name=f"{text} book", **text_fields)
    assert placed.status_code == 201, placed.text
    deposit = {"kind": "deposit", "amount": "5", "currency": "USD", "reason": text}
    assert api.post(f"/portfolios/{text} book/cash", deposit, {"Idempotency-Key": text}).status_code == 201
    for path in [
        *(f"/exports/{name}" for name in TABLES),
        "/trades",
        "/orders",
        "/positions",
        "/daily-stats",
    ]:
        response = api.get(path, CSV)
        cells = [cell for row in csv.reader(io.StringIO(response.text, newline="")) for cell in row]
        assert any(cell.startswith(f"'{text}") for cell in cells), path
        assert not any(cell.startswith(text) for cell in cells), path


@pytest.mark.any_database
def test_lists_answer_in_csv_if_the_client_prefers_it(workspace):
    response = workspace.get("/trades", CSV, limit=2)
    rows = parse_rows(response)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert [row["trade_id"] for row in rows] == [
        trade["trade_id"] for trade in workspace.list_trades(limit=2)
    ]
    assert 'rel="next"' in response.headers["link"]
    assert parse_rows(workspace.get("/portfolios", CSV)) == [{"value": "Growth"}, {"value": "Income"}]
    assert {row["kind"] for row in parse_rows(workspace.get("/portfolios/Growth/cash", CSV))} == {
        "deposit", "trade", "opening",
    }  # fmt: skip
    both = {"Accept": "application/json, text/csv;q=0.5"}
    assert workspace.get("/trades", both).json() == workspace.list_trades()


@pytest.mark.any_database
def test_responses_that_are_not_lists_are_unchanged(workspace):
    assert workspace.get("/portfolio/Growth", CSV).json()["positions"]["AAPL"]
    response = workspace.get("/trades", CSV, limit=0)
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.any_database
def test_xlsx_has_amounts_as_numbers_and_long_ones_as_exact_text(api):
    pytest.importorskip("xlsxwriter")
    api.buy("99.9", "999999.12345679", note=FORMULA, charges="1.5")
    response = api.get("/exports/trades", {"Accept": xlsx_export.XLSX})
    assert response.headers["content-type"] == xlsx_export.XLSX
    sheet = zipfile.ZipFile(io.BytesIO(response.content)).read("xl/worksheets/sheet1.xml").decode()
    assert f"<t>{FORMULA}</t>" in sheet
    assert "<f>" not in sheet
    assert "<t>99899912.43333332</t>" in sheet
    assert "<v>1.5</v>" in sheet


@pytest.mark.any_database
def test_xlsx_without_its_package_is_refused_with_a_remedy(api, monkeypatch):
    monkeypatch.setattr(xlsx_export, "find_spec", lambda _: None)
    response = api.get("/exports/trades", format="xlsx")
    assert response.status_code == 501
    assert "xlsxwriter" in response.json()["detail"]
    assert "text/csv" in response.json()["detail"]


NOTES = (
    *("plain", 'a "quoted", one', "a;b", "=1+1", "-5.00", "a;=1", 'a;"=1'),
    *("\uff1d1", "\u00fc"),
)


def test_lines_of_the_database_equal_lines_of_cells(api, monkeypatch):
    """PostgreSQL writes pages of trades itself, unless a cell must be guarded."""
    for number, note in enumerate(NOTES):
        name = f"A, B {number}"
        api.buy("1.5", "0.12345678", note=note, charges="0.1", portfolio_name=name)
        api.sell("2", "123456.1", note="second", portfolio_name=name)

    def read():
        texts = [api.get("/exports/trades", portfolio=f"A, B {number}").text for number in range(len(NOTES))]
        return [list(csv.reader(io.StringIO(text, newline=""))) for text in texts]

    written = read()
    monkeypatch.setattr("app.exports.queries.read_trade_lines", lambda *_: None)
    assert written == read()
    for note, rows in zip(NOTES, written, strict=True):
        assert any(guard_text(note) in row for row in rows), note


def test_memory_of_an_export_does_not_grow_with_its_rows():
    """The source is endless; the export holds a few pages at a time, and each piece has the same size."""
    row = ["x" * 50] * 2

    def measure(pages):
        remaining_pages = [pages]

        def read_page(_connection, _position, limit):
            remaining_pages[0] -= 1
            return Page([row] * limit, None if remaining_pages[0] == 0 else "next")

        export_of_pages = CsvExport(ExportSource((Column("a"), Column("b")), read_page), 200)
        sizes = []

        async def drain():
            async def read():
                return export_of_pages.read_page(cast("Connection", None))

            while piece := await read_chunk(export_of_pages, read):
                sizes.append(len(piece))

        tracemalloc.start()
        asyncio.run(drain())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, sizes

    small, _ = measure(8)
    large, sizes = measure(400)
    assert sum(sizes) == 400 * 200 * 103 + len("a,b\r\n")
    assert large < 2 * small + 100_000, (small, large)


@pytest.mark.long
def test_process_that_exports_many_rows_needs_no_more_memory_than_for_few(api):
    """From 1,000 to 100,000 trades, the peak of the process grows by less than 32 MB."""
    tickets = [
        {
            "symbol": "AAPL",
            "side": "BUY",
            "quantity": "1",
            "price": "1",
            "portfolio_name": "Many",
            "note": "n" * 50,
        }
    ] * 500

    def export_all():
        lines = 0
        with api.service.client.stream(
            "GET", "/api/v1/exports/trades", headers={"X-API-Key": api.key}
        ) as response:
            for piece in response.iter_raw():
                lines += piece.count(b"\r\n")
        return lines - 1

    for _ in range(2):
        assert api.post("/trades:batch", {"trades": tickets}).status_code == 201
    assert export_all() == 1_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(198):
        assert api.post("/trades:batch", {"trades": tickets}).status_code == 201
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert export_all() == 100_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - max(before, peak) < 32 * 1024


@pytest.mark.any_database
def test_unknown_export_is_not_found(api):
    response = api.get("/exports/secrets")
    assert response.status_code == 404
    assert response.json()["detail"].endswith("trades, orders, positions, pnl, cash, charges, risk.")


@given(st.lists(st.tuples(*[st.none() | st.integers() | st.text(alphabet='a,"\r\n= é')] * 3)))
def test_columns_are_formatted_as_rows_are(rows):
    assert join_columns(zip(*rows, strict=True)) == format_rows(rows)
