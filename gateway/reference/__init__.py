"""Reference pages, schemas and templates: rendered from the catalogue, the models and the types, never written by hand.

``python -m gateway.reference`` writes them; with ``--check`` it lists what is stale and exits with 1.
"""
