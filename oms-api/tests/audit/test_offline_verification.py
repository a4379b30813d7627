"""`python -m app.verify --audit FILE [--head FILE]` works without the database and without settings."""

import subprocess
import sys

import orjson
import pytest

from app import verify as command
from tests.audit.entries import build_chain, serialize_rows
from tests.support.processes import HOME

ROWS = build_chain(12)


@pytest.fixture(autouse=True)
def block_network(monkeypatch):
    def fail_if_called(*_, **__):
        raise AssertionError("the verifier of exports needs neither settings nor a database")

    monkeypatch.setattr(command, "load_settings", fail_if_called)
    monkeypatch.setattr(command, "connect_engine", fail_if_called)


@pytest.fixture
def export(tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(serialize_rows(ROWS)))
    return path


@pytest.fixture
def head_file(tmp_path):
    path = tmp_path / "head.json"
    path.write_bytes(orjson.dumps(compute_row_hash(ROWS[-1])))
    return path


def compute_row_hash(row):
    return {"tenant": row.tenant_id, "sequence": row.sequence, "hash": row.hash, "at": row.at}


def truncate_export(export, keep):
    export.write_bytes(b"".join(serialize_rows(ROWS)[:keep]))


def test_intact_export_exits_with_0_and_lists_unproven_properties(export, capsys):
    assert command.main(["--audit", str(export)]) == command.CLEAN
    out = capsys.readouterr().out
    assert "Clean: 12 entries of the audit log, 1 unbroken chain." in out
    assert "does not show whether lines are missing at the end" in out


def test_head_verifies_the_end_of_the_export(export, head_file, capsys):
    assert command.main(["--audit", str(export), "--head", str(head_file)]) == command.CLEAN
    assert capsys.readouterr().out == "Clean: 12 entries of the audit log, 1 unbroken chain.\n"


def test_lines_past_an_earlier_head_are_counted(export, head_file, capsys):
    head_file.write_bytes(orjson.dumps(compute_row_hash(ROWS[6])) + b"\n")
    assert command.main(["--audit", str(export), "--head", str(head_file)]) == command.CLEAN
    assert "No head covers 5 of the lines" in capsys.readouterr().out


def test_first_invalid_line_is_named_with_exit_status_1(export, capsys):
    export.write_bytes(export.read_bytes().replace(b"user 4", b"user 5"))
    assert command.main(["--audit", str(export)]) == command.LIES
    assert capsys.readouterr().out.startswith("The first bad line is 5: hash is ")


def test_truncated_export_is_reported_by_the_head(export, head_file, capsys):
    truncate_export(export, 7)
    assert command.main(["--audit", str(export), "--head", str(head_file)]) == command.LIES
    assert capsys.readouterr().out.startswith("The first bad line is 8: sequence 8 is missing")


def test_endless_line_is_read_in_bounded_memory(export, capsys):
    with export.open("ab") as file:
        file.write(b"x" * 3_000_000)
    assert command.main(["--audit", str(export)]) == command.LIES
    assert "The first bad line is 13: the last line is incomplete" in capsys.readouterr().out


def test_empty_export_is_reported(export, capsys):
    truncate_export(export, 0)
    assert command.main(["--audit", str(export)]) == command.CLEAN
    assert "Clean: 0 lines, 0 unbroken chains." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "there is no head in it"),
        (b"no JSON", "each line must be"),
        (b"[]", "each line must be"),
        (b"7", "each line must be"),
        (b'{"tenant":1,"sequence":2}', "each line must be"),
        (b'{"tenant":"1","sequence":2,"hash":"x"}', "whole numbers"),
        (b'{"tenant":1,"sequence":2.5,"hash":"x"}', "whole numbers"),
    ],
)
def test_malformed_head_exits_with_2(export, head_file, text, message, capsys):
    head_file.write_bytes(text)
    assert command.main(["--audit", str(export), "--head", str(head_file)]) == command.CANNOT
    assert message in capsys.readouterr().err


def test_missing_file_exits_with_2(export, tmp_path, capsys):
    missing = str(tmp_path / "missing")
    assert command.main(["--audit", missing]) == command.CANNOT
    assert command.main(["--audit", str(export), "--head", missing]) == command.CANNOT
    assert capsys.readouterr().err.count("missing cannot be read: No such file or directory.") == 2


def test_head_without_an_export_is_rejected(head_file, capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["--head", str(head_file)])
    assert caught.value.code == command.CANNOT
    assert "--head needs --audit" in capsys.readouterr().err


def test_command_needs_no_environment(export, head_file, tmp_path):
    completed = subprocess.run(
        [sys.executable, "-m", "app.verify", "--audit", str(export), "--head", str(head_file)],
        cwd=HOME,
        env={"PATH": "", "OMS_API_KEY": "short", "DATABASE_URL": "nowhere"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (command.CLEAN, b"")
    assert completed.stdout.startswith(b"Clean: 12 entries")
