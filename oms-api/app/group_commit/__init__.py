"""One writer thread for many requests: all waiting commands are written in one transaction.

A durable commit costs one disk flush, however many commands it contains. The writer takes all waiting
commands, runs the handler once, commits, and only then responds. If a statement fails before COMMIT, the
writer retries the batch, then each half on its own, and so on: one failing command does not affect the
others, and is found in few transactions. If the connection is lost before COMMIT, nothing was recorded. If it
is lost during COMMIT, the writer checks the transaction's status and one of its rows.
"""

from app.group_commit.handler import BatchHandler, BatchMetrics, BatchResult, CommitCheck, RetainedState
from app.group_commit.queue import GroupCommit

__all__ = ["BatchHandler", "BatchMetrics", "BatchResult", "CommitCheck", "GroupCommit", "RetainedState"]
