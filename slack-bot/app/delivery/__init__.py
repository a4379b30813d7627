"""Send messages and views to Slack: the Web API, response URLs and the queue in front of them."""
