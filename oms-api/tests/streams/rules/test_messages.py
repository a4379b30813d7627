"""The messages of clients, without I/O."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.streams.errors import MessageRefused
from app.streams.rules.messages import (
    MAX_CHANNELS_IN_MESSAGE,
    Authenticate,
    ChannelKind,
    Ping,
    StreamChannel,
    Subscribe,
    Unsubscribe,
    is_origin_allowed,
    parse_channel,
    parse_message,
)

ORDERS = StreamChannel(ChannelKind.ORDERS)


def test_messages_are_parsed():
    assert parse_message('{"action":"auth","key":"k"}') == Authenticate("k", None, None)
    assert parse_message('{"action":"auth","token":"t"}') == Authenticate(None, "t", None)
    subscribe = parse_message(
        '{"action":"subscribe","channels":["orders","quotes:aapl","orders"],"after":"x"}'
    )
    assert subscribe == Subscribe((ORDERS, StreamChannel(ChannelKind.QUOTES, "AAPL")), "x")
    assert parse_message('{"action":"unsubscribe","channels":["orders"]}') == Unsubscribe((ORDERS,))
    assert parse_message('{"action":"ping"}') == Ping()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "malformed"),
        ("[]", "malformed"),
        ("[" * 100_000, "malformed"),
        ("{}", "unknown_action"),
        ('{"action":["auth"]}', "unknown_action"),
        ('{"action":"delete"}', "unknown_action"),
        ('{"action":"ping","channels":[]}', "unknown_field"),
        ('{"action":"auth","key":1}', "malformed"),
        ('{"action":"subscribe"}', "malformed"),
        ('{"action":"subscribe","channels":[]}', "malformed"),
        ('{"action":"subscribe","channels":[1]}', "malformed"),
        ('{"action":"subscribe","channels":["orders"],"after":1}', "malformed"),
        ('{"action":"subscribe","channels":["weather"]}', "unknown_channel"),
        ('{"action":"subscribe","channels":["orders:AAPL"]}', "unknown_channel"),
        ('{"action":"subscribe","channels":["quotes"]}', "unknown_channel"),
        ('{"action":"subscribe","channels":["quotes:?"]}', "unknown_channel"),
        ('{"action":"subscribe","channels":["pnl:"]}', "unknown_channel"),
    ],
)
def test_message_that_cannot_be_understood_is_refused(text, code):
    with pytest.raises(MessageRefused) as caught:
        parse_message(text)
    assert caught.value.code == code


def test_unknown_field_is_named_in_ascii():
    with pytest.raises(MessageRefused) as caught:
        parse_message('{"action":"ping","\\ud800":1}')
    assert caught.value.detail == "Unknown field `\\ud800` in `ping`."


def test_message_with_too_many_channels_is_refused():
    channels = [f"quotes:S{number}" for number in range(MAX_CHANNELS_IN_MESSAGE + 1)]
    with pytest.raises(MessageRefused) as caught:
        parse_message(json.dumps({"action": "subscribe", "channels": channels}))
    assert caught.value.code == "too_many"


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    with suppress(MessageRefused):  # any other error fails
        parse_message(text)


@given(st.sampled_from(["orders", "events", "pnl", "pnl:Growth", "quotes:AAPL"]))
def test_channel_keeps_its_spelling(text):
    assert str(parse_channel(text)) == text


def test_pages_of_this_host_and_allowed_ones_may_connect():
    assert is_origin_allowed(None, "oms.example", ())
    assert is_origin_allowed("https://oms.example", "OMS.example", ())
    assert is_origin_allowed("https://desk.example", "oms.example", ("https://desk.example",))
    assert not is_origin_allowed("https://evil.example", "oms.example", ("https://desk.example",))
    assert not is_origin_allowed("null", "oms.example", ())
    assert not is_origin_allowed("https://oms.example", None, ())
