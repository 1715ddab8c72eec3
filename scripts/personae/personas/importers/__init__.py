"""Importers: read persona sets in external formats into the library's records.

Each reader takes a source (an entry of ``library.imports`` in a study) and yields named records. A
malformed file raises `LibraryError` with file, place and reason, as for the library's own files.
"""

from personae.personas.importers.dispatch import FORMATS, read_source

__all__ = ["FORMATS", "read_source"]
