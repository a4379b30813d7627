"""The WebSocket: events, quotes and P&L as they change."""
