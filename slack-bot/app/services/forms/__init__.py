"""Open, fill in and answer forms of any kind."""
