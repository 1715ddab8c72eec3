"""The engine behind the model server: generation, extraction and likelihood with interventions.

Importing this package loads nothing heavy; its modules, `errors` and `manifest` apart, need torch.
"""
