"""Describe exceptions of strategies: the error, and its place in the strategy's own code."""

import traceback
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from app.sandbox.errors import Failure
from app.text import replace_unprintable

MAX_MESSAGE_CHARACTERS = 500
_MAX_LINES = 20


def describe_failure(error: BaseException, source: str, callback: str = "") -> Failure:
    """Return the failure of an exception. `source` is the file or the folder of the strategy's code."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if is_inside(frame.filename, source)
    ]
    lines = [
        f"{_get_name(frame.filename)}, line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames
    ]
    file, number = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
    if isinstance(error, SyntaxError) and is_inside(error.filename or "", source):
        file, number = error.filename or "", error.lineno or 0
    message = _shorten_text(str(error.msg if isinstance(error, SyntaxError) else error))
    last_lines = tuple(map(_shorten_text, lines[-_MAX_LINES:]))
    return Failure(type(error).__name__[:100], message, _get_name(file), number, callback, last_lines)


def parse_failure(fields: Mapping[str, Any]) -> Failure:
    """Return the failure that a child reports. Its texts are cut, and contain no control characters."""
    line, lines = fields.get("line"), fields.get("lines")
    texts = [_clean_text(fields.get(name)) for name in ("type", "message", "file", "callback")]
    first_lines = tuple(map(_clean_text, lines[:_MAX_LINES])) if isinstance(lines, list) else ()
    return Failure(
        texts[0] or "Exception",
        texts[1],
        texts[2],
        line if isinstance(line, int) else 0,
        texts[3],
        first_lines,
    )


def is_inside(filename: str, source: str) -> bool:
    """Return whether a file is the strategy's file, or one in its folder."""
    return bool(source) and PurePath(filename).is_relative_to(source)


def _get_name(file: str) -> str:
    return PurePath(file).name


def _clean_text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return _shorten_text(replace_unprintable(text[: 2 * MAX_MESSAGE_CHARACTERS]))


def _shorten_text(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else f"{text[:MAX_MESSAGE_CHARACTERS]}…"
