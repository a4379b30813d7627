"""Who may do what, as plain values."""
