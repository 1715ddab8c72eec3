"""The stages of the workflow, each declared once."""
