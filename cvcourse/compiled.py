"""How the heavy loops are compiled: one set of Numba options, and a guard that forbids compiling.

A kernel is a textbook loop under ``@njit(**FAST)``; ``kernel.py_func`` is the same code as plain
Python.  Numba keeps what it compiled beside the source, so only the first run on a machine waits:
``python -m cvcourse.warm`` takes that wait at set-up.  With ``CVCOURSE_NO_COMPILE=1`` in the
environment (the tests of the notebooks set it) compiling anything more is an error.
"""

import os
from typing import Any

from numba.core import event

FAST: dict[str, Any] = {"parallel": True, "fastmath": True, "cache": True}
SERIAL: dict[str, Any] = {"fastmath": True, "cache": True}
EXACT: dict[str, Any] = {"parallel": True, "cache": True, "error_model": "numpy"}
"""Without fastmath sums are rounded in the order in which they are written: where a law must hold bit for bit."""


class CompilingForbidden(RuntimeError):
    """A call compiled a kernel that the warm-up had not compiled."""


class Compilations(event.Listener):
    """Collect the names of the functions that Numba compiles; loading from the cache is none."""

    def __init__(self, forbid: bool = False) -> None:
        self.names: list[str] = []
        self.forbid = forbid

    def on_start(self, event: event.Event) -> None:
        """Note, or forbid, a compilation that begins."""
        function = event.data["dispatcher"].py_func
        signature = ", ".join(map(str, event.data["args"]))
        self.names.append(f"{function.__module__}.{function.__qualname__}({signature})")
        if self.forbid:
            raise CompilingForbidden(f"{self.names[-1]} is not compiled yet: add a call to cvcourse/warm.py")

    def on_end(self, event: event.Event) -> None:
        """Nothing is to be done when it ends."""


if os.environ.get("CVCOURSE_NO_COMPILE") == "1":
    event.register("numba:compile", Compilations(forbid=True))
