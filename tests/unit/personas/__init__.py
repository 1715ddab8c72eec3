"""Published vectors: read, turned, refused, and written again."""
