"""What a batch system needs of the workflow: site settings, resources, one head, kept work."""
