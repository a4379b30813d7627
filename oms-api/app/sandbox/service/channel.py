"""The service's end of the pipes to a child. Nothing here waits without a limit."""

import os
import select
from collections import deque
from collections.abc import Callable

from app.sandbox.errors import ChildKilled
from app.sandbox.rules.frames import HEADER, Frame, pack_frame, parse_frame, parse_lengths

_READ_BYTES = 1 << 20
_MAX_WAITING_FRAMES = 64  # responses of a child that were not read yet
GetSecondsLeft = Callable[[], float]  # returns the seconds to wait at most; raises ChildKilled after the last


class ParentChannel:
    """Writes frames to a child, and reads its frames. It reads while it writes, to avoid a deadlock."""

    def __init__(self, incoming: int, outgoing: int, max_bytes: int) -> None:
        self._incoming, self._outgoing, self._max_bytes = incoming, outgoing, max_bytes
        self._buffer = bytearray()
        self._frames: deque[Frame] = deque()
        for descriptor in (incoming, outgoing):
            os.set_blocking(descriptor, False)
        self._poll = select.poll()
        self._poll.register(incoming, select.POLLIN)

    def send(self, frame: Frame, get_seconds_left: GetSecondsLeft) -> None:
        """Write a frame. Raises InvalidFrame if the child sends nonsense, and ChildKilled."""
        unsent = memoryview(pack_frame(frame))
        while unsent:
            try:
                unsent = unsent[os.write(self._outgoing, unsent) :]
            except BlockingIOError:
                self._wait_to_write(get_seconds_left())
            except BrokenPipeError:
                return  # the last frame of the child states why it has ended

    def receive(self, get_seconds_left: GetSecondsLeft) -> Frame:
        """Return the next frame. Raises InvalidFrame, and ChildKilled if the child has ended."""
        while not self._frames:
            if self._poll.poll(1000 * get_seconds_left()) and not self._read_available():
                raise ChildKilled("The strategy process exited unexpectedly.")
        return self._frames.popleft()

    def _wait_to_write(self, seconds: float) -> None:
        """Wait until the pipe has room, and read meanwhile."""
        self._poll.register(self._outgoing, select.POLLOUT)
        try:
            ready = self._poll.poll(1000 * seconds)
        finally:
            self._poll.unregister(self._outgoing)
        if any(descriptor == self._incoming for descriptor, _ in ready):
            self._read_available()

    def _read_available(self) -> bool:
        """Read the available bytes. Return false at the end of the pipe."""
        try:
            chunk = os.read(self._incoming, _READ_BYTES)
        except BlockingIOError:
            return False
        self._buffer += chunk
        self._split_frames()
        return bool(chunk)

    def _split_frames(self) -> None:
        """Move whole frames out of the buffer."""
        while len(self._buffer) >= HEADER.size:
            lengths = parse_lengths(bytes(self._buffer[: HEADER.size]), self._max_bytes)
            middle = HEADER.size + lengths.fields
            end = middle + lengths.body
            if len(self._buffer) < end:
                return
            text, body = bytes(self._buffer[HEADER.size : middle]), bytes(self._buffer[middle:end])
            del self._buffer[:end]
            if len(self._frames) >= _MAX_WAITING_FRAMES:
                raise ChildKilled("The strategy process sent more responses than requested.")
            self._frames.append(parse_frame(text, body))
