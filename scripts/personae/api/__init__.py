"""What nodes and the model server exchange: requests, rollouts, and streams of results."""
