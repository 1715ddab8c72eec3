"""Chat models behind OpenAI-compatible endpoints: asked within limits, answers kept for good."""
