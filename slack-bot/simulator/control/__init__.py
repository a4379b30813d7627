"""The control API: acting as people, making things go wrong, and looking at what happened."""
