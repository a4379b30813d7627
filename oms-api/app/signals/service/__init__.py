"""Accept signals and turn them into orders."""
