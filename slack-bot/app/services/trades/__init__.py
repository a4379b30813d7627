"""Report trades: open the form, submit it, confirm the trade, and reverse it."""
