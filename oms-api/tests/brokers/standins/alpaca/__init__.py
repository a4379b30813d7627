"""A stand-in of Alpaca: its REST interface, its stream `trade_updates` and faults on request.

`python -m tests.brokers.standins.alpaca` starts it by hand. It listens on the loopback address only.
"""
