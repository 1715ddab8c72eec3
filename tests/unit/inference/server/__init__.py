"""Tests of the model server and its client; most run a server process with a stand-in engine."""
