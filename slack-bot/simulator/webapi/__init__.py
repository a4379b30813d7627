"""The Web API methods. Each is a function from arguments to Slack's response."""
