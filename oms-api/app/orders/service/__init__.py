"""Order processing: the service that receives requests, and what the writer does in its transaction."""
