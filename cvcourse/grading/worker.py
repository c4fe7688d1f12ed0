"""Runs inside the sandbox: runs a notebook's code cells, then calls its functions, as it is asked to.

From the first cell on this process is in the student's hands.  Nothing that it says is believed
but the data that it returns, and these are compared outside.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from cvcourse.grading import channel

MAX_REQUEST = 256 << 20
MAX_MESSAGE = 500


def main() -> None:
    """Answer requests on the standard input until it ends."""
    input_, output = os.dup(0), os.dup(1)
    for number in (0, 1, 2):  # what the student prints or reads goes nowhere
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    requests, replies = os.fdopen(input_, "rb"), os.fdopen(output, "wb")
    if len(sys.argv) > 1:
        _link_compiled(Path(sys.argv[1]))
    answer = _Answers()

    def send(message: dict[str, Any]) -> None:
        replies.write(channel.pack(message))
        replies.flush()

    send({"hello": 1})
    while True:
        try:
            request = channel.unpack(requests.read, MAX_REQUEST)
        except EOFError:
            os._exit(0)
        try:
            signal.setitimer(signal.ITIMER_REAL, request["seconds"])
            reply = getattr(answer, request["do"])(request)
        except BaseException as problem:
            reply = {"error": said(problem)}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        reply["n"] = request["n"]
        send(reply)


class _Answers:
    """What the worker can be asked to do."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        from cvcourse.checks.student import LocalStudent

        class Shell(InteractiveShell):
            def enable_gui(self, gui: Any = None) -> None:
                """Let ``%matplotlib inline`` pass."""

        self.shell = Shell.instance()
        self.shell.run_line_magic("colors", "nocolor")
        self.student = LocalStudent(self.shell.user_ns)
        signal.signal(signal.SIGALRM, _alarm)

    def limit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set the limits of this process and its children; they can't be raised again."""
        import resource

        for name, value in request["limits"].items():
            number = getattr(resource, name)
            _, hard = resource.getrlimit(number)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
        return {"limited": 1}

    def read(self, request: dict[str, Any]) -> dict[str, Any]:
        """Read the source of the cells; done before the first of them runs."""
        from cvcourse.grading import source

        return source.read(request["cells"], request["answers"], request["names"])

    def cell(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a cell."""
        result = self.shell.run_cell(request["source"], silent=True, store_history=False)
        problem = result.error_before_exec or result.error_in_exec
        return {"error": said(problem)} if problem is not None else {"ran": 1}

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call a function on encoded data."""
        from cvcourse.checks.student import StudentError

        self.student.forbidden = tuple(request["forbidden"])
        try:
            result, after = self.student._run(request["name"], request["arguments"], request["keywords"])
        except StudentError as problem:
            return {"failed": str(problem)[:MAX_MESSAGE]}
        return {"result": result, "after": after}


def _alarm(*_: Any) -> None:
    raise TimeoutError("it took too long")


def said(problem: BaseException) -> str:
    """Say what an exception says, in one line."""
    return f"{type(problem).__name__}: {problem}"[:MAX_MESSAGE]


def _link_compiled(compiled: Path) -> None:
    """Link what was compiled outside into folders that can be written: only there Numba and Matplotlib look."""
    import cvcourse

    bytecode, fonts = Path(str(cvcourse.__file__)).parent / "__pycache__", Path(os.environ["MPLCONFIGDIR"])
    fonts.mkdir(parents=True, exist_ok=True)
    for path in compiled.iterdir():
        ((fonts if path.name.startswith("fontlist") else bytecode) / path.name).symlink_to(path)


if __name__ == "__main__":
    main()
