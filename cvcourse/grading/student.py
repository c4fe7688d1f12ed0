"""The `student` that checks talk to when a notebook is graded: its functions run in a sandbox."""

import difflib
import re
import time
from typing import Any

from cvcourse.checks import wire
from cvcourse.checks.student import Student, StudentError
from cvcourse.grading.channel import MAX_REPLY
from cvcourse.grading.sandbox import Box, SandboxError, Setup

MAX_SAID = 400
READ_SECONDS = 30  # for reading the source
UNREADABLE = f"the result cannot be read: numbers, text, lists and arrays are, up to {MAX_REPLY >> 20} MB"


class SandboxedStudent(Student):
    """The functions of a notebook whose cells run in a sandbox.

    A function or cell that ends the process costs its own points only: the sandbox is started
    again, without the cell that ended it.  If a sandbox cannot be started, ``failure`` says why,
    and no mark may come of it.
    """

    def __init__(self, cells: list[str], answers: list[int], names: list[str], setup: Setup) -> None:
        super().__init__()
        self.failure = ""
        self.cell_errors: dict[int, str] = {}
        self.reading: dict[str, Any] = {}
        self._cells, self._answers, self._names, self._setup = cells, answers, names, setup
        self._box: Box | None = None
        self._starts = 0
        self._ended: set[int] = set()  # cells that ended the process
        self._spent = 0.0  # seconds of the student's; starting a sandbox is not

    def close(self) -> None:
        """End the sandbox."""
        if self._box is not None:
            self._box.close()
            self._box = None

    def prepare(self) -> None:
        """Read the notebook and run its cells."""
        try:
            self._started()
        except StudentError:
            return  # each call will say so

    def _run(self, name: str, arguments: Any, keywords: Any) -> tuple[Any, Any]:
        __tracebackhide__ = True
        if borrowed := self._borrowed(name):
            raise StudentError(f"{name} uses {borrowed}; write this one yourself")
        box = self._started()
        request = {"name": name, "arguments": arguments, "keywords": keywords, "forbidden": list(self.forbidden)}
        try:
            reply = self._ask(box, self._setup.limits.call_seconds, do="call", **request)
            if "failed" in reply:
                raise StudentError(self._said(name, str(reply["failed"])))
            if "error" in reply:
                raise StudentError(f"{name} gave no result: {clean(str(reply['error']))}")
            result, after = reply["result"], reply["after"]
            wire.decode(result)  # so that a forged one is refused here
            if len(after["t"]) != len(arguments["t"]):
                raise ValueError("not a result")
        except TimeoutError:
            raise StudentError(f"{name} took longer than {self._setup.limits.call_seconds:g} seconds") from None
        except (EOFError, OSError):
            self.close()
            raise StudentError(f"{name} ended the Python process") from None
        except (ValueError, TypeError, KeyError, RecursionError, MemoryError, OverflowError) as problem:
            self.close()
            large = str(problem) if "too large" in str(problem) else UNREADABLE
            raise StudentError(f"{name}: {large}") from None
        return result, after

    def _started(self) -> Box:
        """Give the running sandbox; start it and run the cells if there is none."""
        while self._box is None or self._box.process.poll() is not None:
            self.close()
            if self.failure:
                raise StudentError(self.failure)
            if self._starts == self._setup.limits.starts:
                raise StudentError("the notebook ended its Python process too often")
            self._starts += 1
            try:
                self._box = Box(self._setup)
            except SandboxError as problem:
                self.failure = str(problem)
                raise StudentError(self.failure) from None
            if not self.reading:
                self._read(self._box)
            self._run_cells()
        return self._box

    def _read(self, box: Box) -> None:
        """Have the source read, before any of it runs: what comes are words of our own code."""
        self.reading = {"reaches": {}, "defined": [], "where": {}, "suspicions": [], "prints": []}
        request = {"cells": self._cells, "answers": self._answers, "names": self._names}
        try:
            found = box.ask(min(self._setup.limits.start_seconds, READ_SECONDS), do="read", **request)
            problem = str(found.get("error", ""))
            if not problem:
                self.reading = found
        except (EOFError, OSError, ValueError) as ended:
            problem = str(ended)
            self.close()
        if problem:
            self.reading["suspicions"] = [f"the source could not be read: {clean(problem)}"]

    def _run_cells(self) -> None:
        """Run the cells one by one; one that ends the process is left out from then on."""
        for number, source in enumerate(self._cells):
            if self._box is None:
                return
            if number in self._ended or not source.strip():
                continue
            try:
                reply = self._ask(self._box, self._setup.limits.cell_seconds, do="cell", source=source)
            except (EOFError, OSError, ValueError, RecursionError, MemoryError) as ended:
                late = isinstance(ended, TimeoutError)
                self._ended.add(number)
                self.cell_errors[number] = "it took too long" if late else "it ended the Python process"
                self.close()
                return
            if "error" in reply:
                self.cell_errors.setdefault(number, clean(str(reply["error"])))

    def _ask(self, box: Box, seconds: float, **request: Any) -> dict[str, Any]:
        left = self._setup.limits.seconds - self._spent
        if left <= 0:
            raise StudentError(f"the notebook used up its {self._setup.limits.seconds:g} seconds")
        started = time.monotonic()
        try:
            return box.ask(min(seconds, left), **request)
        finally:
            self._spent += time.monotonic() - started

    def _borrowed(self, name: str) -> str:
        """Name what the function reaches of the forbidden modules, as far as its source tells."""
        if not self.forbidden:
            return ""
        if not self.reading:
            self._started()
        reaches = self.reading["reaches"].get(name, [])
        found = [path for path in reaches for ban in self.forbidden if path == ban or path.startswith(f"{ban}.")]
        return clean(min(found, key=len)) if found else ""

    def _said(self, name: str, message: str) -> str:
        """Complete the worker's message where the notebook as a whole tells more."""
        if message.startswith(f"{name} is not defined"):
            for number, source in enumerate(self._cells):
                if number in self.cell_errors and re.search(rf"^\s*def {re.escape(name)}\b", source, re.MULTILINE):
                    return f"{name} is not defined: its cell stops with {self.cell_errors[number]}"
            close = difflib.get_close_matches(name, self.reading.get("defined", []), 1, 0.75)
            near = f"; there is {clean(close[0])}, but the names are to be kept as they were given" if close else ""
            return f"{name} is not defined in the notebook{near}"
        return clean(message)


def clean(text: str, size: int = MAX_SAID) -> str:
    """Make one line of text that cannot do harm where it is shown."""
    text = "".join(c if c.isprintable() else " " for c in text[: 4 * size])
    return " ".join(text.split())[:size]
