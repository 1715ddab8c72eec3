"""Rollouts of every arm, conversations, and the tables of responses and activations."""
