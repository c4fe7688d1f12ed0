"""A generated class for exercise 04: right, wrong by each mistake that the checks know, hostile and damaged.

    python -m tests.grading_generated FOLDER COUNT

writes the notebooks and ``truth.json``, the points of each by the checks alone, without a sandbox.
"""

import ast
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from cvcourse import checks, controls
from cvcourse.checks import run
from cvcourse.checks.student import LocalStudent
from cvcourse.grading import exercise
from cvcourse.grading.one import seed_of
from tests.grading_class import notebook

NAME = "04_corners"
SEED = 11
ATTACKS = {  # before the answers, right in the first list, not written in the second
    "right": [
        "import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(600)",
        "import sys\nsys.exit(3)",
        "import os\nos.kill(-1, 9)",
        "for _ in range(30): print('x' * 1_000_000)",
        "import os\nos._exit(1)",
        "import shutil\nshutil.rmtree('/course/data', ignore_errors=True)\nshutil.rmtree('/usr', ignore_errors=True)",
    ],
    "empty": [
        "from cvcourse.checks import student, wire\nstudent.LocalStudent._run = lambda *a: ({'passed': 1}, a[2])",
        "import numpy as np\nnp.allclose = lambda *a, **k: True",
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'\\0\\0\\0\\2{}')\n    except OSError: pass",
        "raise SystemExit",
    ],
}


class Student(NamedTuple):
    """A submission and the truth about it: points, and the sentences of its mistakes."""

    id: str
    content: str
    score: float
    says: tuple[str, ...] = ()


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("checks_of_the_class", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Versions:
    """The wrong and right versions of the checks as source text, with the helpers that they need."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        self.module = module_of(path)
        self.tree = ast.parse(self.text)
        self.tops: dict[str, list[ast.stmt]] = {}
        for node in self.tree.body:
            names = [node.name] if isinstance(node, ast.FunctionDef) else []
            if isinstance(node, ast.Assign):
                names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            for name in names:
                self.tops.setdefault(name, []).append(node)

    def source(self, version: Any) -> str:
        """The text of a version and its helpers."""
        line = version.function.__code__.co_firstlineno
        node = next(n for n in self.tree.body if isinstance(n, ast.FunctionDef) and _first(n) <= line <= n.end_lineno)
        needed, waiting = {}, [node]
        while waiting:
            for name in ast.walk(waiting.pop()):
                if (
                    isinstance(name, ast.Name)
                    and name.id in self.tops
                    and name.id not in needed
                    and name.id != node.name
                ):
                    (needed[name.id],) = self.tops[name.id][-1:]
                    waiting.append(needed[name.id])
        parts = sorted({id(n): n for n in needed.values()}.values(), key=lambda n: n.lineno)
        bare = ast.FunctionDef(**{**dict(ast.iter_fields(node)), "decorator_list": []})
        return "\n\n".join([*map(ast.unparse, parts), ast.unparse(ast.fix_missing_locations(bare))])


def _first(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def namespace(cells: list[str]) -> dict[str, Any]:
    """Run cells here, without checks and controls."""
    made: dict[str, Any] = {"__name__": "student"}
    exercise_, explore = checks.exercise, controls.explore
    checks.exercise, controls.explore = (lambda name: lambda question=None: None), (lambda *a, **k: None)
    try:
        for cell in cells:
            try:
                exec(compile(cell, "<cell>", "exec"), made)
            except NotImplementedError:
                pass
    finally:
        checks.exercise, controls.explore = exercise_, explore
    return made


HIDDEN = '''"""A hidden check."""

import numpy as np
import pytest

from cvcourse.checks import expect, wrong


@pytest.mark.q("q1", 2)
def test_hidden_scale(student, atlas, rng):
    """R of a matrix three times as large is nine times as large."""
    entries = tuple(rng.uniform(1, 2, (3, 5)))
    more = student.harris(*(3 * entry for entry in entries))
    truth = 9 * (entries[0] * entries[2] - entries[1] ** 2 - 0.05 * (entries[0] + entries[2]) ** 2)
    expect(more, truth, atlas("harris", *(3 * entry for entry in entries)))


@wrong("q1", says="R has the wrong sign: corners are where it is large and positive")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return alpha * (Sxx + Syy) ** 2 - Sxx * Syy + Sxy**2
'''


def generate(count: int, private: Path | None = None) -> list[Student]:
    """A class of `count`, always the same one."""
    made = exercise.load(NAME, private)
    most = 22.0 + (2 if private else 0)
    path = run.FOLDER / f"check_{NAME}.py"
    versions, chance = Versions(path), random.Random(count)
    solved, given = list(made.solved), list(made.given)
    full = namespace(solved)
    # what draws needs no run to know the truth: only what defines a function is kept, as students hand in less
    wrong = list(versions.module.WRONG)
    chance.shuffle(wrong)
    students: list[Student] = []

    def truth(id_: str, changed: dict[str, Any]) -> tuple[float, tuple[str, ...]]:
        student, seed = LocalStudent(full | changed), seed_of(SEED, id_)
        rows = [row for checked, _ in made.checks for row in run.run_checks(checked, student, seed=seed)]
        return sum(row.points for row in rows if row.passed), tuple({row.mistake for row in rows if row.mistake})

    def answers(chosen: list[Any]) -> list[str]:
        return [*solved, *map(versions.source, chosen)]

    quota = {"right": 0.25, "wrong": 0.45, "untouched": 0.06, "hostile": 0.12}
    parts = {name: round(share * count) for name, share in quota.items()}
    for k in range(parts["right"]):
        id_ = f"right-{k:03}"
        chosen = [chance.choice(versions.module.RIGHT)] if k % 2 else []
        students.append(Student(id_, notebook(answers(chosen)), most))
    for k in range(parts["wrong"]):
        id_ = f"wrong-{k:03}"
        chosen = [wrong[k % len(wrong)]]
        other = chance.choice(wrong)
        if k % 3 == 0 and other.question != chosen[0].question:
            chosen.append(other)
        score, says = truth(id_, {version.name: version.function for version in chosen})
        students.append(Student(id_, notebook(answers(chosen)), score, says))
    students += [Student(f"untouched-{k:03}", notebook(given), 0.0) for k in range(parts["untouched"])]
    attacks = [(kind, attack) for kind, list_ in ATTACKS.items() for attack in list_]
    for k in range(parts["hostile"]):
        kind, attack = attacks[k % len(attacks)]
        cells = [attack, *(solved if kind == "right" else given)]
        students.append(Student(f"hostile-{k:03}", notebook(cells), most if kind == "right" else 0.0))
    for k in range(count - len(students)):
        content = notebook(solved)
        damages = {
            "truncated": (content[:-9], 0.0),
            "bare": (json.dumps({"cells": [{"cell_type": "code", "source": c} for c in solved]}), most),
            "twice": (notebook([c for c in solved for _ in (0, 1)][: 2 * len(solved)]), most),
            "no-json": ("<html>Please log in</html>", 0.0),
        }
        name, (text, score) = list(damages.items())[k % len(damages)]
        students.append(Student(f"damaged-{k:03}-{name}", text, score))
    return students


def write(folder: Path, students: list[Student]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for student in students:
        (folder / f"{student.id}.ipynb").write_text(student.content, "utf-8")


if __name__ == "__main__":
    target, size = Path(sys.argv[1]), int(sys.argv[2])
    class_ = generate(size)
    write(target / "inbox", class_)
    (target / "truth.json").write_text(json.dumps([student._asdict() | {"content": ""} for student in class_]))
