"""Command-line tools: persona library, export, benchmark, generated documentation."""
