"""Judges behind one interface: likelihood and embedding offline, any chat endpoint online."""
