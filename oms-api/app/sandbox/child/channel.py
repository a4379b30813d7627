"""The child's end of its two pipes."""

import os

from app.sandbox.errors import InvalidFrame
from app.sandbox.rules.frames import HEADER, Frame, pack_frame, parse_frame, parse_lengths


class ChildChannel:
    """Reads frames of the service, and writes frames to it. Both operations block."""

    def __init__(self, incoming: int, outgoing: int, max_bytes: int) -> None:
        self._incoming, self._outgoing, self._max_bytes = incoming, outgoing, max_bytes

    def receive(self) -> Frame:
        """Return the next frame. Raises EOFError if the service has closed the pipe."""
        lengths = parse_lengths(self._read_bytes(HEADER.size), self._max_bytes)
        return parse_frame(self._read_bytes(lengths.fields), self._read_bytes(lengths.body))

    def send(self, frame: Frame) -> None:
        """Write a frame. Raises InvalidFrame if it is too large."""
        unsent = memoryview(pack_frame(frame))
        if len(unsent) - HEADER.size > self._max_bytes:
            raise InvalidFrame(f"A response has {len(unsent)} bytes; at most {self._max_bytes} are allowed.")
        while unsent:
            unsent = unsent[os.write(self._outgoing, unsent) :]

    def _read_bytes(self, size: int) -> bytes:
        parts, missing = list[bytes](), size
        while missing:
            part = os.read(self._incoming, missing)
            if not part:
                raise EOFError
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
