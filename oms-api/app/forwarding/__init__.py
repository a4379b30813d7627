"""Forwarding of direct requests between the worker processes of a server.

Each portfolio is assigned to one worker process. A worker forwards the orders of another worker's
portfolios over a Unix socket. Workers therefore seldom wait for each other's row locks, and a worker's
cache of a portfolio stays current. Locks and versions in the database still make every write correct: a
worker that cannot reach the other one serves the request itself.
"""

from app.forwarding.forwarder import Forwarder
from app.forwarding.peer_listener import ForwardedExchange, ServeExchange
from app.forwarding.worker_slots import WorkerSlots, worker_directory

__all__ = ["ForwardedExchange", "Forwarder", "ServeExchange", "WorkerSlots", "worker_directory"]
