"""What brokers and the rest of the house say to each other, and how a paper market matches: pure."""
