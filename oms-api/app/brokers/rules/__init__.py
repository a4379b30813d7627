"""Broker messages and the matching of the paper market, without I/O.

The rest of the application exchanges these messages with brokers.
"""
