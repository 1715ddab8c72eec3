"""Running on a batch system: site settings, resources, the head process, finished nodes."""
