"""``python -m gateway.simulators seed|serve``."""

from __future__ import annotations

from gateway.simulators.cli import main

if __name__ == "__main__":
    main()
