"""The warm model server: one model, loaded once, for all nodes of a workflow on this machine."""
