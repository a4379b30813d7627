"""Broker messages and the matching of the paper market, without I/O.

The messages are those between brokers and the rest of the application.
"""
