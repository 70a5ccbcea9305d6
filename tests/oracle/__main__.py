"""``python -m tests.oracle [SUBJECTS] [NAME …]``: score random subjects of every model twice; 1 on a difference."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.oracle.agreement import Agreement, compare_all, contenders


def main() -> int:
    """Write one line a domain, and its first differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("subjects", type=int, nargs="?", default=20_000)
    parser.add_argument("names", nargs="*", help="domains, or models of the workshop; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=3, help="differences shown a domain")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    started = time.monotonic()
    domains, workshop = Agreement(), Agreement()
    for name, found in compare_all(given.subjects, given.names, seed=given.seed, jobs=given.jobs):
        (domains if contenders()[name] is None else workshop).add(found)
        sys.stdout.write(f"{name:40}{found}\n")
        sys.stdout.writelines(f"  {difference}\n" for difference in found.differences[: given.show])
        sys.stdout.flush()
    sys.stdout.write(f"{'all domains':40}{domains}\n{'models of the workshop':40}{workshop}\n")
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    return 1 if domains.differences or workshop.differences else 0


if __name__ == "__main__":
    sys.exit(main())
