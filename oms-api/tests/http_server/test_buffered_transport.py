"""The head and the body of an answer are sent together, and nothing stays in the buffer."""

import asyncio

import pytest

from app.http_server.buffered_transport import BufferedTransport


class Pipe:
    """A transport that records the sent bytes."""

    def __init__(self):
        self.sent = []
        self.is_open = True
        self.unread, self.is_aborted = 0, False

    def write(self, chunk):
        self.sent.append(chunk)

    def close(self):
        self.is_open = False

    def is_closing(self):
        return not self.is_open

    def get_write_buffer_size(self):
        return self.unread

    def abort(self):
        self.is_aborted = True


@pytest.fixture
def transport_pipe():
    return Pipe()


def run_in_loop(pipe, act):
    async def run_once():
        act(BufferedTransport(pipe, asyncio.get_running_loop()))
        before = list(pipe.sent)
        await asyncio.sleep(0)
        return before

    return asyncio.run(run_once())


def test_head_and_body_are_sent_in_one_write(transport_pipe):
    def answer(transport):
        transport.write(b"head ")
        transport.write(b"body")

    assert run_in_loop(transport_pipe, answer) == [b"head body"]
    assert transport_pipe.sent == [b"head body"]


def test_single_piece_is_sent_at_the_end_of_the_loop_iteration(transport_pipe):
    assert run_in_loop(transport_pipe, lambda transport: transport.write(b"alone")) == []
    assert transport_pipe.sent == [b"alone"]


def test_buffered_data_is_sent_before_the_close(transport_pipe):
    def cut(transport):
        transport.write(b"half")
        transport.close()

    assert run_in_loop(transport_pipe, cut) == [b"half"]
    assert transport_pipe.is_closing()


def test_empty_body_leaves_nothing_in_the_buffer(transport_pipe):
    def answer(transport):
        transport.write(b"head")
        transport.write(b"")

    assert run_in_loop(transport_pipe, answer) == [b"head"]


def test_other_calls_are_passed_to_the_transport(transport_pipe):
    run_in_loop(
        transport_pipe,
        lambda transport: (transport.close(), transport_pipe.sent.append(transport.is_closing())),
    )
    assert transport_pipe.sent == [True]


@pytest.mark.parametrize("unread", [0, 100])
def test_closing_connection_waits_a_limited_time_for_its_client(transport_pipe, unread):
    async def write_and_close():
        transport_pipe.unread = unread
        transport = BufferedTransport(transport_pipe, asyncio.get_running_loop(), 0)
        transport.write(b"answer")
        transport.close()
        await asyncio.sleep(0.01)

    asyncio.run(write_and_close())
    assert (transport_pipe.sent, transport_pipe.is_open, transport_pipe.is_aborted) == (
        [b"answer"],
        False,
        bool(unread),
    )
