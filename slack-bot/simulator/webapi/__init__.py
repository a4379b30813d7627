"""The Web API methods, one function each: arguments in, Slack's answer out."""
