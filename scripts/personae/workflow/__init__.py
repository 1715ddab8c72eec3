"""Used by the Snakemake rules: configuration, node parameters, provenance, cluster."""
