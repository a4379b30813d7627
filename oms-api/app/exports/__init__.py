"""Downloads of trades, orders, positions, P&L, cash and charges as CSV or XLSX."""
