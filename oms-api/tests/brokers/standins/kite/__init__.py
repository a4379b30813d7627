"""A stand-in of Kite Connect: its REST interface, its ticker socket and faults on request.

`python -m tests.brokers.standins.kite` starts it by hand. It listens on the loopback address only.
"""
