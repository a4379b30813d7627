"""Alerts: conditions on prices and portfolios that publish an event when they become true."""
