"""Interventions as tables and buffers on a device, as steps of fixed shape read them.

vLLM's workers and the torch engine's recorded decoding steps share them.
"""
