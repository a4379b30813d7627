"""Parts of the adapters of brokers that are reached over REST and a WebSocket."""
