"""Frames between worker processes keep what they carry, however the system splits them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forwarding.frames import (
    MAX_FRAME_BYTES,
    FrameReader,
    InvalidForwardedFrame,
    RequestFrame,
    ResponseFrame,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)

NUMBERS = st.integers(0, 2**32 - 1)
LINES = st.binary(max_size=20).map(lambda value: value.replace(b"\n", b""))
HEADERS = st.dictionaries(LINES, LINES, max_size=5)
RESPONSES = st.builds(
    ResponseFrame, NUMBERS, st.integers(0, 599), st.binary(max_size=30), st.binary(max_size=50)
)


@given(NUMBERS, HEADERS, st.binary(max_size=200))
def test_a_request_is_decoded_as_it_was_encoded(number, headers, body):
    frame = encode_request(number, "POST", "/api/v1/trade", "10.0.0.1", headers, body)
    assert frame is not None
    assert decode_request(frame) == RequestFrame(number, "POST", "/api/v1/trade", "10.0.0.1", headers, body)


@given(st.lists(RESPONSES, max_size=5), st.integers(1, 40))
def test_responses_are_read_from_pieces_of_any_size(responses, size):
    stream = b"".join(map(encode_response, responses))
    reader = FrameReader()
    frames: list[ResponseFrame] = []
    for start in range(0, len(stream), size):
        frames += map(decode_response, reader.feed(stream[start : start + size]))
    assert frames == responses


@pytest.mark.parametrize(
    "headers", [{b"x-request-id": b"1\nx-on-behalf-of\nslack:T1:U1"}, {b"a\nb": b"1"}], ids=["value", "name"]
)
def test_a_line_feed_in_a_header_cannot_add_another_header(headers):
    assert encode_request(1, "POST", "/api/v1/trade", "", headers, b"") is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        struct.pack(">III", 8, 1, 0),
        struct.pack(">III", 8, 1, 9) + b"POST\n/\n\nx",
        struct.pack(">III", 8, 1, 8) + b"\xff\n\xff\n\xff\n",
    ],
    ids=["empty", "no head", "a header without a value", "no text"],
)
def test_an_invalid_request_frame_is_refused(frame):
    with pytest.raises(InvalidForwardedFrame):
        decode_request(frame)


def test_an_invalid_response_frame_is_refused():
    with pytest.raises(InvalidForwardedFrame):
        decode_response(b"\x00\x00\x00\x01\x00")


def test_a_frame_that_is_too_long_is_refused_before_it_is_received():
    with pytest.raises(InvalidForwardedFrame):
        list(FrameReader().feed(struct.pack(">I", MAX_FRAME_BYTES + 1)))
