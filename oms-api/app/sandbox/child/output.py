"""The output and the log of a strategy. It is stored up to a limit, and sent with the next response."""

from io import TextIOBase

from typing_extensions import override


class LogBuffer(TextIOBase):
    """The output of a strategy. The start is kept, and the characters beyond the limit are counted."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._parts: list[str] = []
        self._size = self._dropped_characters = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, text: str) -> int:
        """Keep a text, or count it if there is too much."""
        if self._size + len(text) > self._max_bytes:
            self._dropped_characters += len(text)
        else:
            self._parts.append(text)
            self._size += len(text)
        return len(text)

    def take(self) -> str:
        """Return the kept text, and clear it."""
        if not self._size and not self._dropped_characters:
            return ""
        omission = f"\n… and {self._dropped_characters} more characters\n" if self._dropped_characters else ""
        text = "".join(self._parts) + omission
        self._parts.clear()
        self._size = self._dropped_characters = 0
        return text
