"""Receive signals over Redis: from a stream with a consumer group, and from a pub/sub channel."""
