"""Published vectors and capping configurations, into the workflow's own tables and back."""
