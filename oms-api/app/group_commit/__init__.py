"""One writer thread, many requests: everything that waits is written in one transaction.

A durable commit costs one disk flush however many items it carries. The writer takes all that waits, runs the
handler once, commits, and only then answers. A statement that fails before COMMIT makes the writer try the
batch again, then each half by itself, and so on: a bad item harms no other, and is found in few transactions.
A connection lost before COMMIT recorded nothing. A connection lost at COMMIT leaves the outcome open; then
the handler's own `recover` says what is true.
"""

from app.group_commit.handler import Gauges, Handler
from app.group_commit.queue import GroupCommit

__all__ = ["Gauges", "GroupCommit", "Handler"]
