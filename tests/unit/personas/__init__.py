"""Published vectors: read, reoriented, rejected, and written."""
