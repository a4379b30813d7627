"""Order processing: the service that receives requests, and the writer's part in its transaction."""
