"""``python -m tests.oracle [SUBJECTS] [DOMAIN …]``: score random subjects of every model twice; 1 on a difference."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.oracle.agreement import Agreement, compare_all


def main() -> int:
    """Write one line a domain, and its first differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("subjects", type=int, nargs="?", default=20_000)
    parser.add_argument("domains", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=3, help="differences shown a domain")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    started = time.monotonic()
    whole = Agreement()
    for domain, found in compare_all(given.subjects, given.domains, seed=given.seed, jobs=given.jobs):
        whole.add(found)
        sys.stdout.write(f"{domain:40}{found}\n")
        sys.stdout.writelines(f"  {difference}\n" for difference in found.differences[: given.show])
        sys.stdout.flush()
    sys.stdout.write(f"{'all':40}{whole}, {time.monotonic() - started:.0f} s\n")
    return 1 if whole.differences or not whole.subjects else 0


if __name__ == "__main__":
    sys.exit(main())
