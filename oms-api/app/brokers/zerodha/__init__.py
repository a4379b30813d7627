"""Zerodha's Kite Connect as a broker: REST requests, and order frames of the ticker socket."""
