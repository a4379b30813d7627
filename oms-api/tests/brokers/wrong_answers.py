"""Answers that no broker documents. Nothing but the documented errors of an adapter may follow."""

from collections.abc import Callable
from typing import Any

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable

BODIES = (
    *(b"", b"<html>502 Bad Gateway</html>", b"null", b"[]", b"{}", b"[null]", b"[[]]", b"[1e400]", b'"x"'),
    *(b'[{"id":NaN}]', b'{"id":"1', b"\xff\xfe", b"9" * 5000, b"[" * 5000, b'{"id":"?","order_id":"../x"}'),
    *(b'{"code":40010001,"message":"internal error"}', b'{"status":"error","data":null}'),
)
ENVELOPES = tuple(b'{"status":"success","data":%s}' % body for body in BODIES)
UNUSABLE = (BrokerUnavailable, BrokerOutcomeUnknown)


def get_error(call: Callable[[], Any]) -> type[Exception] | None:
    """Return the documented error that a call raises, None if it returns. Any other error is not caught."""
    try:
        call()
    except UNUSABLE as error:
        return type(error)
    return None
