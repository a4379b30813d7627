"""Request and response bodies of identity."""
