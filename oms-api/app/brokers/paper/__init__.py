"""The paper broker: fills are worked out in memory, against quotes or bars."""
