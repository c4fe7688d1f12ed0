"""Run the checks of an exercise with pytest and collect points and messages."""

import contextlib
import io
import os
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from cvcourse.checks import atlas
from cvcourse.checks.student import LocalStudent, Student, StudentError

FOLDER = Path(__file__).parent
UNREADABLE = "the check could not work with what your function returned"


class Row(NamedTuple):
    """What one check found: `message` is empty if it passed.

    `mistake` is the sentence of the atlas in the message, if the check recognised a mistake.
    """

    question: str
    test: str
    title: str
    points: float
    passed: bool
    message: str
    mistake: str = ""


class CheckFailure(RuntimeError):
    """The checks themselves did not run: no fault of the student, and never a mark."""


class _Plugin:
    """Give checks their fixtures; turn each into a `Row`."""

    def __init__(self, student: Student, question: str | None, seed: int) -> None:
        self.student, self.question, self.seed = student, question, seed
        self.rows: list[Row] = []

    def pytest_configure(self, config: Any) -> None:
        config.addinivalue_line("markers", "q(question, points): the question that a check belongs to, and its points")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if self.question in (None, item.get_closest_marker("q").args[0])]

    @pytest.fixture(name="student")
    def _student(self, request: Any) -> Student:
        question = request.node.get_closest_marker("q").args[0]
        self.student.forbidden = tuple(getattr(request.module, "FORBIDDEN", {}).get(question, ()))
        return self.student

    @pytest.fixture(name="rng")
    def _rng(self, request: Any) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(request.node.name.encode())])

    @pytest.fixture(name="atlas")
    def _atlas(self, request: Any) -> Any:
        """``atlas("name", *arguments)``: what the wrong versions of `name` give, by message."""
        question = request.node.get_closest_marker("q").args[0]
        versions = [v for v in getattr(request.module, "WRONG", []) if v.question == question]
        return lambda name, *arguments, **keywords: atlas.mistakes(versions, name, arguments, keywords)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        report = yield
        if report.when != "call" and not report.failed:
            return report
        question, points = item.get_closest_marker("q").args
        message = mistake = ""
        if report.failed:
            if report.when != "call":
                raise CheckFailure(f"{item.name} broke: {call.excinfo.exconly()}")
            message = str(call.excinfo.value).split("\nassert ")[0].strip()
            if not call.excinfo.errisinstance(AssertionError):
                message = f"{UNREADABLE}: {call.excinfo.typename}: {message}"
            elif not call.excinfo.errisinstance(StudentError):  # whose words may be the student's own
                says = [v.says for v in getattr(item.module, "WRONG", []) if v.question == question]
                mistake = max((sentence for sentence in says if sentence in message), key=len, default="")
        title = (item.function.__doc__ or item.name).strip().splitlines()[0]
        self.rows.append(Row(question, item.name, title, points, report.passed, message, mistake))
        return report


def run_checks(path: Path, student: Student, question: str | None = None, seed: int = 0) -> list[Row]:
    """Run the checks in `path` on `student`: all, or those of one question.

    Raises
    ------
    CheckFailure
        If the checks themselves cannot run, or there are none.
    """
    plugin = _Plugin(student, question, seed)
    options = ["-q", "--disable-plugin-autoload", "--noconftest", "--import-mode=importlib"]
    options.append("--tb=native")  # nobody reads the traceback, and pytest's own form takes most of a check's time
    # the last two would collect all garbage after each check, most of its time
    for needless in ("cacheprovider", "unraisableexception", "threadexception"):
        options += ["-p", f"no:{needless}"]
    sys.modules.pop(path.stem, None)  # pytest would take another folder's checks of this name from there
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = pytest.main([str(path), *options, "-c", os.devnull, "--rootdir", str(path.parent)], plugins=[plugin])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not plugin.rows:
        raise CheckFailure(
            f"the checks of {path.stem} did not run (pytest exit {int(code)}):\n{output.getvalue()[-2000:]}"
        )
    return plugin.rows


class Exercise:
    """``check("q1")`` checks one question of this notebook, ``check()`` all."""

    def __init__(self, path: Path, namespace: dict[str, Any] | None = None) -> None:
        self.path, self.namespace = path, namespace

    def __call__(self, question: str | None = None) -> None:
        """Print what holds, what doesn't and why, and the points."""
        namespace = self.namespace
        if namespace is None:
            from IPython import get_ipython

            namespace = get_ipython().user_ns
        rows = run_checks(self.path, LocalStudent(namespace), question)
        for row in rows:
            print("✓" if row.passed else "✗", row.title)
            if not row.passed:
                print(f"     {row.message}")
        for name in dict.fromkeys(row.question for row in rows):
            got = sum(row.points for row in rows if row.question == name and row.passed)
            print(f"{name}: {got:g} of {sum(row.points for row in rows if row.question == name):g} points")


def exercise(name: str) -> Exercise:
    """Open the checks of an exercise notebook.

    Raises
    ------
    KeyError
        If there are no checks of that name; the message lists them.
    """
    path = FOLDER / f"check_{name}.py"
    if not path.exists():
        there = ", ".join(sorted(p.stem.removeprefix("check_") for p in FOLDER.glob("check_*.py")))
        raise KeyError(f"no exercise is called {name!r}; there are {there}")
    return Exercise(path)
