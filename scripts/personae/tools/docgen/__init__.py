"""Generated files: the JSON schema, the reference in config/README.md, the conda environment.

``python -m personae.tools.docgen`` writes them; with ``--check`` it only lists those that are out
of date.
"""
