"""Write events to the outbox and read them as a stream."""
