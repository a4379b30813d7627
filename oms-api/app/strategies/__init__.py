"""The registry of strategies, the host that runs them on paper and live, and the journal of their inputs."""
