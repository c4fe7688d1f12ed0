"""What is graded: an exercise's checks, open and private, and what its source tells about it."""

import functools
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from cvcourse.authoring import SOURCE
from cvcourse.checks.run import FOLDER
from cvcourse.grading.reader import ANSWER

HEADING = re.compile(r"^#+ Question (\d+)\b.*\((\d+(?:\.\d+)?) points?, marked by hand\)", re.MULTILINE)


class Exercise(NamedTuple):
    """An exercise as it is graded.

    ``checks`` are the files of its checks, each with whether it is hidden from the students.
    """

    name: str
    checks: tuple[tuple[Path, bool], ...]
    source: Path
    given: tuple[str, ...]  # code cells that the student got
    solved: tuple[str, ...]  # code cells with the solutions filled in
    names: tuple[str, ...]  # the functions that are to be written
    by_hand: dict[str, float]  # questions in words, with their points
    unanswered: dict[str, str]  # what stands there before a student answers


class NoExercise(ValueError):
    """There is no such exercise, or a part of it is missing."""


def load(name: str, private: Path | None = None) -> Exercise:
    """Find an exercise.

    A folder `private` with ``check_NAME.py`` adds hidden checks.  If it also holds ``NAME.py``, a
    variant of the source, then that is the exercise, and only its own checks count.

    Raises
    ------
    NoExercise
        If the checks or the source are missing.
    """
    checks, source = [(FOLDER / f"check_{name}.py", False)], SOURCE / f"{name}.py"
    if private is not None:
        hidden = private / f"check_{name}.py"
        if not hidden.is_file():
            raise NoExercise(f"{private} holds no check_{name}.py")
        if (private / f"{name}.py").is_file():
            checks, source = [], private / f"{name}.py"
        checks.append((hidden, True))
    if not all(path.is_file() for path, _ in checks) or not source.is_file():
        raise NoExercise(f"no exercise is called {name!r}; there are {', '.join(known())}")
    return _loaded(name, tuple(checks), source)


def known() -> list[str]:
    """List the open exercises."""
    return sorted(path.stem for path in SOURCE.glob("*.py"))


def _loaded(name: str, checks: tuple[tuple[Path, bool], ...], source: Path) -> Exercise:
    from cvcourse.authoring import release

    student, solved = release.student_version(source), release.solved_version(source)
    given, answers = ([cell.source for cell in book.cells if cell.cell_type == "code"] for book in (student, solved))
    words = "\n".join(cell.source for cell in student.cells if cell.cell_type == "markdown")
    texts = [cell.source.lstrip() for cell in student.cells if cell.source.lstrip().startswith(ANSWER)]
    parts = [text.removeprefix(ANSWER).partition(":**") for text in texts]
    points = {f"q{number}": float(count) for number, count in HEADING.findall(words)}
    unanswered = {question.strip(): text.strip() for question, _, text in parts}
    return Exercise(
        name=name,
        checks=checks,
        source=source,
        given=tuple(given),
        solved=tuple(answers),
        names=tuple(written(source)),
        by_hand={question: points.get(question, 0.0) for question in unanswered},
        unanswered=unanswered,
    )


def written(source: Path) -> list[str]:
    """List the functions that a source asks for: those of its cells tagged stub."""
    cells = re.split(r"^# %%", source.read_text("utf-8"), flags=re.MULTILINE)
    stubs = [cell for cell in cells if re.match(r'.*"stub"', cell)]
    return list(dict.fromkeys(re.findall(r"^def (\w+)", "\n".join(stubs), re.MULTILINE)))


@functools.cache
def asked() -> dict[str, set[str]]:
    """Give, for every open exercise, the functions that it asks for."""
    return {path.stem: set(written(path)) for path in SOURCE.glob("*.py")}


def looks_like(exercise: Exercise, defined: set[str]) -> str:
    """Say which exercise a notebook without any of the asked functions is, if that can be told."""
    if not exercise.names or defined & set(exercise.names):
        return ""
    counts = {name: len(functions & defined) / len(functions) for name, functions in asked().items() if functions}
    best = max(counts, key=lambda name: counts[name], default="")
    guess = f"; it looks like exercise {best}" if best and best != exercise.name and counts[best] >= 0.5 else ""
    return f"no function of exercise {exercise.name} is in this notebook{guess}"


def digest(exercise: Exercise) -> str:
    """Give the hash of all that decides about points, so that a run is not continued with other checks."""
    parts = [path.read_bytes() for path, _ in exercise.checks] + [exercise.source.read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
