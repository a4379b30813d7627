"""FastAPI dependencies of the routes: authenticated callers, and changes that administrators request."""
