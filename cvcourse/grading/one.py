"""Grade one notebook: its cells run in a sandbox, the checks compare here."""

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cvcourse.checks.run import UNREADABLE, CheckFailure, run_checks
from cvcourse.grading import exercise as exercises
from cvcourse.grading.exercise import Exercise
from cvcourse.grading.reader import NotTaken, Submission, Unreadable, parse, take
from cvcourse.grading.sandbox import SandboxError, Setup
from cvcourse.grading.student import SandboxedStudent, clean

# Raised while an answer is compared, these are the grader's own troubles, not the student's.
TROUBLES = ("OSError", "FileNotFoundError", "PermissionError", "ImportError", "ModuleNotFoundError", "MemoryError")
COMPARE_SECONDS = 180  # above the student's own time
_ONE_AT_A_TIME = threading.Lock()  # pytest is not for threads


class Task(NamedTuple):
    """What is the same for all notebooks of a run."""

    exercise: Exercise
    inbox: Path
    setup: Setup
    seed: int


def seed_of(seed: int, id_: str) -> int:
    """Give a student's seed: other numbers for each, the same again for the same."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{id_}".encode(), digest_size=4).digest(), "big")


def grade(task: Task, submission: Submission) -> dict[str, Any]:
    """Grade a notebook of the inbox; the row says all about it.

    ``score`` is None if it was not graded; then ``failure`` tells why, and it is no fault of the student's.
    """
    started = time.monotonic()
    row: dict[str, Any] = {"file": submission.file, "id": submission.id, "sha256": "", "note": ""}
    cells: list[str] = []
    texts: dict[str, str] = {}
    try:
        raw = take(task.inbox / submission.file)
        row["sha256"] = hashlib.sha256(raw).hexdigest()
        cells, texts = parse(raw)
    except Unreadable as problem:
        row["note"] = clean(str(problem))
    except NotTaken as problem:
        return row | {"score": None, "failure": str(problem)}
    seed = seed_of(task.seed, submission.id)
    row |= grade_cells(task.exercise, cells, task.setup, seed)
    row["text"] = {q: t for q, t in texts.items() if q in task.exercise.by_hand and t != task.exercise.unanswered[q]}
    if cells and not row["note"]:
        row["note"] = exercises.looks_like(task.exercise, set(row.pop("defined", [])))
    row.pop("defined", None)
    return row | {"seed": seed, "seconds": round(time.monotonic() - started, 2)}


def grade_cells(exercise: Exercise, cells: list[str], setup: Setup, seed: int) -> dict[str, Any]:
    """Grade code cells: points, messages, and what their source tells."""
    given = {_stripped(cell) for cell in exercise.given}
    answers = [number for number, cell in enumerate(cells) if _stripped(cell) not in given]
    student = SandboxedStudent(cells, answers, list(exercise.names), setup)
    rows: list[dict[str, Any]] = []
    failure = ""
    try:
        with _ONE_AT_A_TIME, _deadline(setup.limits.seconds + COMPARE_SECONDS, student):
            if cells:
                student.prepare()
            for path, hidden in exercise.checks:
                rows += [row._asdict() | {"hidden": hidden} for row in run_checks(path, student, seed=seed)]
    except (CheckFailure, SandboxError) as problem:
        failure = str(problem)
    finally:
        student.close()
    for row in rows:
        troubled = row["message"].removeprefix(f"{UNREADABLE}: ").split(":")[0] if not row["passed"] else ""
        if row["message"].startswith(UNREADABLE) and troubled in TROUBLES:
            failure = failure or f"{row['test']}: {clean(row['message'])}"
        row["message"] = clean(row["message"])
    failure = student.failure or failure
    reading = student.reading
    return {
        "score": None if failure else sum(row["points"] for row in rows if row["passed"]),
        "max": sum(row["points"] for row in rows),
        "failure": failure[:2000],
        "rows": rows,
        "cells": [[number + 1, error] for number, error in sorted(student.cell_errors.items())],
        "review": reading.get("suspicions", []),
        "prints": reading.get("prints", []),
        "defined": reading.get("defined", []),
    }


@contextmanager
def _deadline(seconds: float, student: SandboxedStudent) -> Iterator[None]:
    """End comparisons that take for ever: then there is no mark, and people look."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        student.failure = f"grading took longer than {seconds:g} seconds"
        student.close()
        raise SandboxError(student.failure)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stripped(cell: str) -> str:
    return "\n".join(line.rstrip() for line in cell.strip().splitlines())
