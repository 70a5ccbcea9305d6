"""Scoring, pure: models → SQL → grades, evidence, warnings. No network, no clock, no randomness."""
