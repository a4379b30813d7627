"""Stop and resume trading, with a banner in the channel."""
