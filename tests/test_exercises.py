"""The graders are graded: what each exercise's checks say to right, wrong and empty answers."""

import copy
import importlib.util
import sys
from collections import defaultdict
from types import ModuleType
from typing import Any

import nbformat
import numpy as np
import pytest

from cvcourse import checks, controls
from cvcourse.authoring import SOURCE, record, release
from cvcourse.checks import run
from cvcourse.checks.atlas import Version
from cvcourse.checks.student import LocalStudent
from tests.nbval_run import nbval

NAMES = sorted(path.stem for path in SOURCE.glob("*.py"))


def checks_of(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"checks_of_{name}", run.FOLDER / f"check_{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CHECKS = {name: checks_of(name) for name in NAMES}
WRONG = [(name, version) for name in NAMES for version in CHECKS[name].WRONG]
RIGHT = [(name, version) for name in NAMES for version in CHECKS[name].RIGHT]
QUESTIONS = sorted({(name, version.question) for name, version in WRONG})


def label(value: Any) -> str:
    return f"{value.question}-{value.says[:40]}" if isinstance(value, Version) else str(value)


@pytest.fixture(scope="module")
def namespaces():
    """Namespaces after running an exercise: by (name, solved)."""
    made: dict[tuple[str, bool], dict[str, Any]] = {}

    def namespace(name: str, solved: bool) -> dict[str, Any]:
        if (name, solved) not in made:
            source = SOURCE / f"{name}.py"
            notebook = release.solved_version(source) if solved else release.student_version(source)
            made[name, solved] = execute(notebook)
        return dict(made[name, solved])

    return namespace


def execute(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Run a notebook's code cells here, without its checks and controls."""
    found: dict[str, Any] = {"__name__": "student"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "exercise", lambda name: lambda question=None: None)
        patch.setattr(controls, "explore", lambda *positional, **named: None)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                try:
                    exec(compile(cell.source, "<cell>", "exec"), found)
                except NotImplementedError:
                    pass
    return found


def result(name: str, namespace: dict[str, Any], question: str | None = None, seed: int = 0) -> list[run.Row]:
    return run.run_checks(run.FOLDER / f"check_{name}.py", LocalStudent(namespace), question, seed)


def points(rows: list[run.Row]) -> float:
    return sum(row.points for row in rows if row.passed)


def test_students_notebooks_are_made_from_their_sources():
    assert release.release_all(write=False) == [], "run  python -m cvcourse.authoring release"


@pytest.mark.parametrize("name", NAMES)
def test_an_untouched_notebook_gets_no_points(name, namespaces):
    rows = result(name, namespaces(name, solved=False))
    assert points(rows) == 0
    assert all("still to be written" in row.message for row in rows), [r.message for r in rows]


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_gets_all_points(name, namespaces):
    rows = result(name, namespaces(name, solved=True))
    assert all(row.passed for row in rows), [f"{r.test}: {r.message}" for r in rows if not r.passed]
    assert 4 <= len({row.question for row in rows}) <= 6


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", NAMES)
def test_the_solution_gets_all_points_on_other_numbers(name, seed, namespaces):
    """A class is graded on numbers of its own for each student."""
    rows = result(name, namespaces(name, solved=True), seed=seed)
    assert all(row.passed for row in rows), [f"{r.test}: {r.message}" for r in rows if not r.passed]


@pytest.mark.parametrize(("name", "version"), RIGHT, ids=label)
def test_a_second_solution_gets_all_points(name, version, namespaces):
    rows = result(name, namespaces(name, solved=True) | {version.name: version.function}, version.question)
    assert all(row.passed for row in rows), [f"{r.test}: {r.message}" for r in rows if not r.passed]


@pytest.mark.parametrize(("name", "version"), WRONG, ids=label)
def test_a_mistake_loses_points_and_is_named(name, version, namespaces):
    rows = result(name, namespaces(name, solved=True) | {version.name: version.function}, version.question)
    assert not all(row.passed for row in rows), "this mistake keeps all points"
    messages = [row.message for row in rows if not row.passed]
    assert any(version.says in message for message in messages), messages


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_each_question_knows_five_mistakes_and_two_solutions(name, question):
    says = [version.says for version in CHECKS[name].WRONG if version.question == question]
    assert len(set(says)) == len(says) >= 5
    functions = {version.name for version in CHECKS[name].WRONG if version.question == question}
    second = {version.name for version in CHECKS[name].RIGHT if version.question == question}
    assert functions == second, "every function of a question has a second solution"


def blank(value: Any, number: float) -> Any:
    """The value's shape, filled with one number; text and other things become nothing."""
    if isinstance(value, tuple | list):
        return type(value)(blank(item, number) for item in value)
    if isinstance(value, dict):
        return {key: blank(item, number) for key, item in value.items()}
    if isinstance(value, str) or value is None:
        return ""
    filled = np.full(np.shape(value), number)
    return filled if filled.shape else float(number)


@pytest.mark.parametrize("trick", ["zeros", "NaN", "input"])
@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_zeros_nan_and_the_input_handed_back_fail(name, question, trick, namespaces):
    solved = namespaces(name, solved=True)

    def cheat(function):
        def replacement(*arguments, **keywords):
            if trick == "input":
                return copy.deepcopy(arguments[0]) if arguments else None
            return blank(function(*arguments, **keywords), 0.0 if trick == "zeros" else np.nan)

        return replacement

    replaced = {v.name: cheat(solved[v.name]) for v in CHECKS[name].WRONG if v.question == question}
    rows = result(name, solved | replaced, question)
    assert points(rows) <= sum(row.points for row in rows) / 2


def test_every_function_that_checks_call_is_known_to_the_atlas():
    """Else a question's mistakes could all be about another function."""
    by_question = defaultdict(set)
    for name, version in WRONG:
        by_question[name, version.question].add(version.name)
    for name in NAMES:
        marked = {
            function.pytestmark[0].args[0]
            for key, function in vars(CHECKS[name]).items()
            if key.startswith("test_") and getattr(function, "pytestmark", None)
        }
        assert marked == {question for known, question in by_question if known == name}


@pytest.mark.parametrize("name", NAMES)
def test_the_solved_notebook_runs_and_nbval_finds_the_same_again(name, tmp_path, monkeypatch):
    notebook = release.solved_version(SOURCE / f"{name}.py")
    with monkeypatch.context() as recording:
        recording.delenv("CVCOURSE_SWEEP")  # nbval moves the controls; once is enough
        record.run(notebook, tmp_path)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "✓" in printed
    assert "✗" not in printed
    nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    assert nbval(tmp_path / f"{name}.ipynb") == {}


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_runs_but_for_what_is_to_be_written(name, tmp_path, monkeypatch):
    monkeypatch.delenv("CVCOURSE_SWEEP")  # the controls show what is still to be written
    notebook = release.student_version(SOURCE / f"{name}.py")
    record.run(notebook, tmp_path, may_raise=("NotImplementedError",))
