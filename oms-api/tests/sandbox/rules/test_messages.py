"""Frames, failures and layers: what a child sends is checked, and never executed."""

import pickle
from typing import Any

import pytest

from app.sandbox.errors import ChildFailed, InvalidFrame
from app.sandbox.rules.failures import describe_failure, parse_failure
from app.sandbox.rules.frames import HEADER, Frame, pack_frame, parse_frame, parse_lengths
from app.sandbox.rules.layers import Layer, find_missing_layers
from app.sandbox.rules.sources import StrategySource


def test_frame_round_trips():
    packed = pack_frame(Frame("block", {"a": [1, "x", None]}, b"\x00\x01"))
    lengths = parse_lengths(packed[: HEADER.size], 1000)
    middle = HEADER.size + lengths.fields
    assert parse_frame(packed[HEADER.size : middle], packed[middle:]) == Frame(
        "block", {"a": [1, "x", None]}, b"\x00\x01"
    )


@pytest.mark.parametrize(
    "text",
    [
        pickle.dumps({"a": 1}), b"", b"[", b"\xff", b"{}", b'["a"]', b"[1,{}]", b'["a",[]]',
        b'["a",{"b":NaN}]',
        b"[" * 100_000, b'["a",{"b":' + b"9" * 5000 + b"}]",
    ],
)  # fmt: skip
def test_invalid_frame_is_refused(text):
    with pytest.raises(InvalidFrame):
        parse_frame(text, b"")


def test_a_frame_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(InvalidFrame, match="2000 bytes at once; at most 1000"):
        parse_lengths(HEADER.pack(1500, 500), 1000)


def _raise(source):
    code = compile("def callback():\n    return 1 / 0\n", source, "exec")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the file of the code is needed
    try:
        names["callback"]()
    except ZeroDivisionError as error:
        return error


def test_a_failure_names_the_file_and_the_line_of_the_strategy():
    error = _raise("/code/mine/trend.py")
    failure = describe_failure(error, "/code/mine", "on_bar")
    assert (failure.type, failure.file, failure.line) == ("ZeroDivisionError", "trend.py", 2)
    assert failure.callback == "on_bar"
    assert str(ChildFailed(failure)) == "ZeroDivisionError: division by zero (trend.py, line 2)"
    elsewhere = describe_failure(error, "/code/other")
    assert (elsewhere.file, elsewhere.line, elsewhere.lines) == ("", 0, ())
    assert str(ChildFailed(elsewhere)) == "ZeroDivisionError: division by zero"


def test_a_syntax_error_names_its_line():
    try:
        compile("a = 1\nb = (\n", "/code/trend.py", "exec")
    except SyntaxError as error:
        failure = describe_failure(error, "/code/trend.py")
    assert (failure.message, failure.file, failure.line) == ("'(' was never closed", "trend.py", 2)


def test_a_reported_failure_is_cut_and_has_no_control_characters():
    failure = parse_failure(
        {"type": 5, "message": "a\x1b[31m\n" + "b" * 5000, "line": "9", "lines": [1, "x"]}
    )
    assert (failure.type, failure.line, failure.lines) == ("Exception", 0, ("", "x"))
    assert failure.message.startswith("a [31m b")
    assert len(failure.message) == 501
    assert parse_failure({"file": "a.py", "line": 3}).line == 3


def test_untrusted_code_needs_seccomp_limits_and_one_file_restriction():
    assert find_missing_layers([]) == ["seccomp", "Landlock or bubblewrap", "resource limits"]
    enough = [Layer.SECCOMP, Layer.RESOURCE_LIMITS]
    assert find_missing_layers([*enough, Layer.LANDLOCK]) == []
    assert find_missing_layers([*enough, Layer.BUBBLEWRAP]) == []
    assert find_missing_layers(enough) == ["Landlock or bubblewrap"]


def test_a_source_has_a_name_and_a_top_level_module():
    source = StrategySource("mine.trend", "Trend", "/code/mine")
    assert (source.name, source.top_level) == ("mine.trend:Trend", "mine")
