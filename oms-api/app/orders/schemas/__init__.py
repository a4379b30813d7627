"""Request and response bodies of the order routes."""
