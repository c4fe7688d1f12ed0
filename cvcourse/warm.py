"""Compile every kernel once: ``python -m cvcourse.warm``.

Numba keeps the compiled code beside the source, so this is a wait of a minute or two once per
machine; afterwards nothing in a lecture compiles.  Each entry of `CALLS` is called with tiny
arrays of float64 and of float32.
"""

import sys
from collections.abc import Callable

import numpy as np

from cvcourse.images import Array

CALLS: list[tuple[str, Callable[[Array], object]]] = []
"""(label, function of a tiny image): together they reach every specialisation a lecture can."""


def main() -> None:
    """Run all of `CALLS`, with a progress bar on standard error."""
    image = np.random.default_rng(0).random((32, 40))
    jobs = [(label, call, image.astype(dtype)) for label, call in CALLS for dtype in (np.float64, np.float32)]
    for done, (label, call, tiny) in enumerate(jobs, start=1):
        bar = "#" * (30 * done // len(jobs))
        print(f"\rcompiling kernels [{bar:<30}] {done}/{len(jobs)} {label:<32}", end="", file=sys.stderr, flush=True)
        call(tiny)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
