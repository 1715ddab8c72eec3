"""Command-line tools beside the workflow: export, benchmark, generated documents."""
