"""Generated files: the schema, the reference in config/README.md, and the conda environment.

``python -m personae.tools.docgen`` writes them anew; with ``--check`` it names those that are out
of date and changes nothing.
"""
