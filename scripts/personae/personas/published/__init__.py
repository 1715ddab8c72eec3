"""Import and export of published vectors and capping configurations."""
