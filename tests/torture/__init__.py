"""Robustness tests: damaged and swapped files, and processes killed at random moments.

``python -m tests.torture`` (`make torture`) repeats all of it, seeded, and prints a table.
"""
