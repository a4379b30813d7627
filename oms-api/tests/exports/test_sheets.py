"""`python -m app.sheets` writes an export by one request, against a stand-in of Google's REST interface."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from app import sheets
from app.exports.rules.tables import CellKind, Column, build_sheet_rows
from tests.support.service import build_settings


class Google(BaseHTTPRequestHandler):
    """Gives tokens, and records the requests to spreadsheets."""

    requests: list = []  # noqa: RUF012  # cleared by the fixture
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/token":
            return self._answer(200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
        Google.requests.append((self.path, self.headers["authorization"], json.loads(body)))
        error = {"error": {"code": 403, "message": "The caller does not have permission", "status": "DENIED"}}
        return self._answer(Google.status, {} if Google.status == 200 else error)

    def _answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    @override
    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def google(monkeypatch):
    """Run the stand-in, and let the library call it. Provide its address."""
    client = pytest.importorskip("gspread.http_client")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Google)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(client, "SPREADSHEET_VALUES_BATCH_UPDATE_URL", f"{url}/v4/%s/values:batchUpdate")
    Google.requests, Google.status = [], 200
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(api, google, tmp_path, monkeypatch):
    """Provide the settings of the service, with the key of a service account."""
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "oms@example.com", "private_key": pem.decode()}
    file = tmp_path / "sheets.json"
    file.write_text(json.dumps({**account, "token_uri": f"{google}/token"}))
    settings = build_settings(api.service.database_url, sheets_credentials_file=file)
    monkeypatch.setattr("app.sheets.load_settings", lambda: settings)
    return settings


def export_to_sheet(api, *arguments):
    slug = api.get("/tenants").json()[0]["slug"]
    return sheets.main(["trades", "--spreadsheet", "S1", "--tenant", slug, *arguments])


@pytest.mark.any_database
def test_export_is_one_request_of_raw_values(api, settings, capsys):
    api.buy("10", "99.5", note="=1+1", portfolio_name="Growth")
    api.buy("1", "12.34567891", portfolio_name="Income")
    assert export_to_sheet(api, "--worksheet", "Bob's", "--portfolio", "growth") == sheets.WRITTEN
    assert capsys.readouterr().out.endswith("1 rows written\n")
    [(path, authorization, body)] = Google.requests
    assert (path, authorization) == ("/v4/S1/values:batchUpdate", "Bearer t")
    [bar_file] = body["data"]
    assert (body["valueInputOption"], bar_file["range"]) == ("RAW", "'Bob''s'!A1")
    heading, row = bar_file["values"]
    cells = dict(zip(heading, row, strict=True))
    assert (cells["price"], cells["quantity"], cells["note"]) == (99.5, 10.0, "=1+1")
    assert (cells["portfolio_name"], cells["reverses"]) == ("Growth", "")


@pytest.mark.any_database
def test_refusal_of_google_is_an_exit_status_with_its_reason(api, settings, capsys):
    Google.status = 403
    assert export_to_sheet(api) == sheets.REFUSED
    assert "does not have permission" in capsys.readouterr().err


@pytest.mark.any_database
def test_missing_package_credentials_and_tenant_are_named(api, monkeypatch, capsys):
    settings = build_settings(api.service.database_url)
    monkeypatch.setattr("app.sheets.load_settings", lambda: settings)
    monkeypatch.setattr("app.sheets.find_spec", lambda _: None)
    assert export_to_sheet(api) == sheets.INVALID
    assert "requirements-sheets.txt" in capsys.readouterr().err
    monkeypatch.setattr("app.sheets.find_spec", lambda _: object())
    assert export_to_sheet(api) == sheets.INVALID
    assert "SHEETS_CREDENTIALS_FILE must name" in capsys.readouterr().err


def test_cells_of_a_sheet_are_exact():
    columns = (
        Column("a", CellKind.MONEY),
        Column("b", CellKind.MONEY),
        Column("c"),
        Column("d", CellKind.FLAG),
    )
    rows = [["-5.00000000", "1234567890123456.00000000", None, True]]
    assert build_sheet_rows(columns, rows) == [[-5.0, "1234567890123456.00", "", "true"]]
