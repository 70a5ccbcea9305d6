"""A second, independent implementation of what is computed (semantics §1-§3), in plain Python.

Written from the specification and the model grammar, row by row, with exact decimals: it shares no code with
the compiler, so that a mistake would have to be made twice to stay hidden. ``python -m tests.oracle 200000``
scores that many random subjects of every model both ways and names every difference.
"""
