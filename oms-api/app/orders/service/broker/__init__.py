"""Orders at a broker: requests to it, and exits that it holds."""
