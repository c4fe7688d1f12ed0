"""The authors' commands; see ``cvcourse.authoring``."""

import argparse
import sys
from pathlib import Path

from cvcourse.authoring import EXERCISES, NOTEBOOKS, ROOT


def found(names: list[str]) -> list[Path]:
    """Turn lecture names into notebook paths; no names mean every lecture and the index."""
    if not names:
        return sorted(NOTEBOOKS.glob("*.ipynb"))
    paths = [NOTEBOOKS / f"{name.removesuffix('.ipynb')}.ipynb" for name in names]
    if missing := [path.stem for path in paths if not path.exists()]:
        sys.exit(f"no lecture {', '.join(missing)}; there are {', '.join(p.stem for p in found([]))}")
    return paths


def record(arguments: argparse.Namespace) -> int:
    from cvcourse.authoring import record as recorder

    for path in found(arguments.names):
        try:
            changed = recorder.record(path)
        except recorder.CellFailed as problem:
            sys.exit(f"{path.relative_to(ROOT)}: {problem}")
        print(f"{path.relative_to(ROOT)}: {'changed' if changed else 'as it was'}, {path.stat().st_size // 1024} kB")
    return 0


def release(arguments: argparse.Namespace) -> int:
    from cvcourse.authoring import release as releaser

    stale = releaser.release_all(write=not arguments.check)
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'differs from its source' if arguments.check else 'written'}")
    if arguments.check and stale:
        print("run  python -m cvcourse.authoring release", file=sys.stderr)
        return 1
    print(f"{len(list(EXERCISES.glob('*.ipynb')))} exercise notebooks are in step with their sources")
    return 0


def links(arguments: argparse.Namespace) -> int:
    from cvcourse.authoring import links as checker

    broken = checker.broken_links(ROOT)
    print("\n".join(broken) if broken else "all links inside the course lead somewhere")
    return bool(broken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cvcourse.authoring", description=__doc__)
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record", help="run lectures in fresh kernels and store their outputs")
    recording.add_argument("names", nargs="*", metavar="NAME", help="as 01_filtering; all if none is given")
    recording.set_defaults(run=record)
    releasing = commands.add_parser("release", help="make the students' exercise notebooks from their sources")
    releasing.add_argument("--check", action="store_true", help="write nothing; fail if one is out of step")
    releasing.set_defaults(run=release)
    commands.add_parser("links", help="check the links inside the course").set_defaults(run=links)
    arguments = parser.parse_args()
    result: int = arguments.run(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
