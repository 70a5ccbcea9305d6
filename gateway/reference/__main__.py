"""``python -m gateway.reference [--check]``: write the generated documents, or list the stale ones."""

from __future__ import annotations

import argparse
import sys

from gateway.reference.documents import find_stale, render_all, write


def main(arguments: list[str]) -> int:
    """Exit code: 1 when ``--check`` finds a stale document."""
    parser = argparse.ArgumentParser(prog="python -m gateway.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="只列出过期的文件 only list what is stale; exit 1 if any")
    checking = parser.parse_args(arguments).check
    documents = render_all()
    stale = find_stale(documents) if checking else write(documents)
    outcome = "过期 stale" if checking else "已更新 written"
    for path in stale:
        sys.stdout.write(f"{outcome}: {path}\n")
    sys.stdout.write(f"{len(documents)} 个生成文件 generated files, {len(stale)} 个{outcome}\n")
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
