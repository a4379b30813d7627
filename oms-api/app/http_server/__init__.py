"""The HTTP server: connections, the outermost ASGI middleware, body limits and timeouts."""
