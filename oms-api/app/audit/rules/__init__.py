"""What an entry of the trail may hold, how entries are chained, gathered and proven."""
