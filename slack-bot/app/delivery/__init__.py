"""Everything that is said to Slack: the Web API, response URLs, and the queue in front of them."""
