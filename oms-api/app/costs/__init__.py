"""Trading costs: dated schedules of fees and taxes, and the charges of a fill."""
