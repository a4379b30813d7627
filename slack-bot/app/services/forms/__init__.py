"""Open, fill in and submit forms of any kind."""
