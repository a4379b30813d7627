"""Request and response bodies of signals."""
