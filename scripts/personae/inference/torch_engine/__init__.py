"""The engine behind the model server: generation, extraction and likelihood with interventions.

Importing this package is cheap; its modules need torch.
"""
