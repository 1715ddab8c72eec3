"""Running a model: engines, the server that keeps one loaded, and the client that nodes use."""
