"""Portfolios, trades, positions, cash and P&L: one package, because one transaction writes them."""
