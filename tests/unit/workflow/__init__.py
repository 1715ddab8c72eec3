"""Tests of studies, the library, the model table, tables on disk and generated files."""
