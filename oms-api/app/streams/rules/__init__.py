"""Business rules of the WebSocket, without I/O."""
