"""Place orders, match them against quotes, and record their fills."""
