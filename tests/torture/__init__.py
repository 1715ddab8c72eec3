"""What the project must survive: damaged and swapped files, and processes killed at any moment.

``python -m tests.torture`` (`make torture`) repeats all of it, seeded, and prints a table.
"""
