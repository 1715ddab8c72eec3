"""Data exchanged by nodes and the model server: requests, rollouts, streams of results."""
