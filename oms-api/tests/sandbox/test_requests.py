"""A child answers requests until it fails, and is slow or lies only once."""

import sys

import pytest

from app.sandbox.errors import ChildFailed, ChildKilled, InvalidFrame
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.service.children import SandboxSpec, launch_child
from app.sandbox.service.requests import send_request
from app.sandbox.service.sources import find_file, find_source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")
CODE = """
from slackoms_strategy import Strategy


class Mine(Strategy):
    @staticmethod
    def answer(number):
        print("asked", number)
        while number == 5:
            pass
        return 10 // number
"""


@pytest.fixture
def start_child(tmp_path, monkeypatch):
    """Return a function that starts a child with the code in a package."""
    folder = tmp_path / "answering_code"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "mine.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    source = find_source("answering_code.mine:Mine")
    assert find_file(source) == folder / "mine.py"
    spec = SandboxSpec(source, "tests.sandbox.echo_child:prepare", {"more": 1})
    return lambda: launch_child(spec, SandboxLimits(callback_seconds=0.2))


def test_each_request_has_a_reply_until_the_strategy_fails(start_child):
    with start_child() as child:
        assert send_request(child, {"n": 2}) == ({"n": 6}, "asked 2\n")
        assert send_request(child, {"n": 3}) == ({"n": 4}, "asked 3\n")
        with pytest.raises(ChildFailed, match=r"ZeroDivisionError: .* \(mine.py, line 11\)"):
            send_request(child, {"n": 0})
        with pytest.raises(ChildKilled):
            send_request(child, {"n": 2})


def test_a_slow_answer_and_a_wrong_one_end_the_child(start_child):
    with (
        start_child() as child,
        pytest.raises(ChildFailed, match=r"CallbackTooLong: .* \(mine.py, line 9|10\)"),
    ):
        send_request(child, {"n": 5})
    with start_child() as child:
        with pytest.raises(InvalidFrame, match="a message that is not a reply"):
            send_request(child, {"n": -1})
        with pytest.raises(ChildKilled):
            send_request(child, {"n": 2})
