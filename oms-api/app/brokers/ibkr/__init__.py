"""Interactive Brokers as a broker, over TWS or IB Gateway."""
