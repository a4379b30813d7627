"""Signals in messages of Redis."""

from app.errors import Malformed
from app.http.body import validate_model
from app.http.json import parse_json
from app.signals.errors import build_field_error
from app.signals.rules.values import SignalChannel, SignalRequest
from app.signals.schemas.signals import SignalIn

MAX_MESSAGE_BYTES = 16_384


def parse_message(message: bytes) -> SignalRequest:
    """Parse a message: JSON with the fields of a signal and its `id`. Raises Malformed or Invalid."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise Malformed(f"A message has at most {MAX_MESSAGE_BYTES:,} bytes; send a shorter one.")
    payload = parse_json(message)
    if not isinstance(payload, dict):
        raise Malformed("Send a JSON object.")
    signal = validate_model(SignalIn, payload)
    if signal.id is None:
        raise build_field_error("id", "Send an `id`, by which a repeat counts once.", "missing")
    return signal.build_request(SignalChannel.REDIS, signal.id)
