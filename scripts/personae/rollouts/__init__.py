"""From personas and studies to responses and activations."""
