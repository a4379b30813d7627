"""Keep the state of the bot in memory: caches, registries and thread pools."""
