"""Order execution: the broker interface, its adapters, and the rules of the paper market."""
