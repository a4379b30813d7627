"""The paper broker: orders are matched in memory against quotes or bars."""
