"""Verify: walk the chains, check every object by digest, recompute runs, and name what is wrong (semantics §6)."""
