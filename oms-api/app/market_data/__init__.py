"""What things cost now, and did: quotes, bars, and the sources they come from."""
