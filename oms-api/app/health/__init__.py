"""Whether the service lives, whether it can do its work, and what it counts."""
