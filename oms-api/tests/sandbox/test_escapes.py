"""All attempts to leave the sandbox fail, and the command says which layers hold."""

import json
import platform
import sys

import pytest

import app.sandbox.service.check
from app.sandbox.__main__ import CANNOT, SAFE, UNSAFE, main
from app.sandbox.errors import SandboxError
from app.sandbox.rules.layers import Layer
from app.sandbox.service.bubblewrap import build_wrapper, find_bubblewrap
from app.sandbox.service.check import SandboxCheck, list_available_layers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")


def test_each_attempt_fails_in_a_child_of_this_machine(capsys):
    status = main(["--json"])
    body = json.loads(capsys.readouterr().out)
    assert [name for name, refusal in body["attempts"].items() if refusal is None] == []
    assert len(body["attempts"]) == 28
    assert (status, body["is_safe"], body["missing"]) == (SAFE, True, [])
    assert set(list_available_layers()) == set(body["layers"])


def test_missing_layer_is_reported(capsys, monkeypatch):
    check = SandboxCheck([Layer.SECCOMP], {"fork": "OSError: no", "read a file": None})
    monkeypatch.setattr("app.sandbox.__main__.run_attempts", lambda: check)
    assert main([]) == UNSAFE
    text = capsys.readouterr().out
    assert "yes  seccomp\n" in text
    assert "no   Landlock\n" in text
    assert "read a file: NOT REFUSED\n" in text
    assert "Untrusted strategies are refused: Landlock or bubblewrap and resource limits is missing." in text


def test_child_that_does_not_start_is_reported(capsys, monkeypatch):
    def fail():
        raise SandboxError("The strategy process exited unexpectedly.")

    monkeypatch.setattr("app.sandbox.__main__.run_attempts", fail)
    assert main([]) == CANNOT
    assert capsys.readouterr().err == "The strategy process exited unexpectedly.\n"


def test_a_machine_without_the_kernel_interfaces_offers_fewer_layers(monkeypatch):
    monkeypatch.setattr(app.sandbox.service.check, "get_landlock_version", lambda: 0)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(app.sandbox.service.check, "find_bubblewrap", lambda: "/usr/bin/bwrap")
    layers = list_available_layers()
    assert Layer.LANDLOCK not in layers
    assert Layer.SECCOMP not in layers
    assert Layer.BUBBLEWRAP in layers


def test_sandbox_is_unavailable_on_systems_other_than_linux(monkeypatch, capsys):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert list_available_layers() == [Layer.ISOLATED_INTERPRETER, Layer.RESOURCE_LIMITS]
    assert main([]) == CANNOT
    assert capsys.readouterr().err == "The sandbox needs Linux.\n"


def test_bubblewrap_is_used_only_where_it_works(tmp_path, monkeypatch):
    program = tmp_path / "bwrap"
    for script, expected in (("exit 1", None), ("exit 0", str(program))):
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        find_bubblewrap.cache_clear()
        assert find_bubblewrap() == expected
    program.unlink()
    find_bubblewrap.cache_clear()
    assert find_bubblewrap() is None
    command = build_wrapper("bwrap", [tmp_path])
    assert command[:2] == ["bwrap", "--unshare-all"]
    assert command[-4:] == ["--ro-bind-try", str(tmp_path), str(tmp_path), "--"]
    monkeypatch.undo()
    find_bubblewrap.cache_clear()
