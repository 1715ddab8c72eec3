"""Declared schemas, tables on disk and in memory, and checks of their integrity."""
