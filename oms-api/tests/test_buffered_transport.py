"""The head and the body of an answer are sent together, and nothing stays in the buffer."""

import asyncio

import pytest

from app.buffered_transport import BufferedTransport


class Pipe:
    """What a transport would send."""

    def __init__(self):
        self.sent = []
        self.is_open = True
        self.unread, self.is_aborted = 0, False

    def write(self, data):
        self.sent.append(data)

    def close(self):
        self.is_open = False

    def is_closing(self):
        return not self.is_open

    def get_write_buffer_size(self):
        return self.unread

    def abort(self):
        self.is_aborted = True


@pytest.fixture
def pipe():
    return Pipe()


def in_a_turn(pipe, act):
    async def run_once():
        act(BufferedTransport(pipe, asyncio.get_running_loop()))
        before = list(pipe.sent)
        await asyncio.sleep(0)
        return before

    return asyncio.run(run_once())


def test_head_and_body_are_sent_in_one_write(pipe):
    def answer(transport):
        transport.write(b"head ")
        transport.write(b"body")

    assert in_a_turn(pipe, answer) == [b"head body"]
    assert pipe.sent == [b"head body"]


def test_single_piece_is_sent_at_the_end_of_the_loop_iteration(pipe):
    assert in_a_turn(pipe, lambda transport: transport.write(b"alone")) == []
    assert pipe.sent == [b"alone"]


def test_buffered_data_is_sent_before_the_close(pipe):
    def cut(transport):
        transport.write(b"half")
        transport.close()

    assert in_a_turn(pipe, cut) == [b"half"]
    assert pipe.is_closing()


def test_empty_body_leaves_nothing_in_the_buffer(pipe):
    def answer(transport):
        transport.write(b"head")
        transport.write(b"")

    assert in_a_turn(pipe, answer) == [b"head"]


def test_other_calls_are_passed_to_the_transport(pipe):
    in_a_turn(pipe, lambda transport: (transport.close(), pipe.sent.append(transport.is_closing())))
    assert pipe.sent == [True]


@pytest.mark.parametrize("unread", [0, 100])
def test_closing_connection_waits_a_limited_time_for_its_client(pipe, unread):
    async def write_and_close():
        pipe.unread = unread
        transport = BufferedTransport(pipe, asyncio.get_running_loop(), 0)
        transport.write(b"answer")
        transport.close()
        await asyncio.sleep(0.01)

    asyncio.run(write_and_close())
    assert (pipe.sent, pipe.is_open, pipe.is_aborted) == ([b"answer"], False, bool(unread))
