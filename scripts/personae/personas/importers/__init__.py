"""Other people's persona sets, read into the library's own records.

Each reader takes a source (an entry of ``library.imports`` in a study) and yields records by name.
A file that does not fit is refused by file, place and reason, like the library's own.
"""

from personae.personas.importers.dispatch import FORMATS, read_source

__all__ = ["FORMATS", "read_source"]
