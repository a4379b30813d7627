"""Alpaca as a broker: REST requests, and the stream `trade_updates`."""
