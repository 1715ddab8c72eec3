"""What the Snakemake rules need: configuration, node parameters, provenance, cluster."""
