"""Use cases that compose connectors, scoring and exchange formats; the command line and the local stack."""
