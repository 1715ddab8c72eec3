"""The persona library, importers of other libraries, and published vectors."""
