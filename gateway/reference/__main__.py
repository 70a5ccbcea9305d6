"""``python -m gateway.reference``: write the generated documents.

``--check`` lists the stale ones; ``--release`` writes down what a release promises, at release time only.
"""

from __future__ import annotations

import argparse
import sys

from exchange_formats.errors import ConfigurationError
from gateway.reference.documents import find_stale, render_all, write
from gateway.reference.releases import describe_current, write_release


def main(arguments: list[str]) -> int:
    """Exit code: 1 when ``--check`` finds a stale document, or ``--release`` a breaking change."""
    parser = argparse.ArgumentParser(prog="python -m gateway.reference", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="只列出过期的文件 only list what is stale; exit 1 if any")
    mode.add_argument("--release", action="store_true", help="写下本次发布的承诺 write down what this release promises")
    chosen = parser.parse_args(arguments)
    if chosen.release:
        return _release()
    checking = chosen.check
    documents = render_all()
    stale = find_stale(documents) if checking else write(documents)
    outcome = "过期 stale" if checking else "已更新 written"
    for path in stale:
        sys.stdout.write(f"{outcome}: {path}\n")
    sys.stdout.write(f"{len(documents)} 个生成文件 generated files, {len(stale)} 个{outcome}\n")
    return 1 if checking and stale else 0


def _release() -> int:
    try:
        changed = write_release(describe_current())
    except ConfigurationError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    for name in changed:
        sys.stdout.write(f"已承诺 promised: {name}\n")
    sys.stdout.write(f"{len(changed)} 个承诺有变化 promises changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
