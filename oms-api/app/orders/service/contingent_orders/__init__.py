"""Orders that depend on others: brackets, OCO and OTO groups, and exits within the position."""
