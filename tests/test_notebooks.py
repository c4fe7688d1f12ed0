"""The lectures' form, and tests of the test: what the comparing nbval must refuse.

The lectures themselves are run by nbval: ``pytest notebooks``.
"""

import ast
import base64
import copy
import io
import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from PIL import Image

from cvcourse import figures
from cvcourse.authoring import NOTEBOOKS, comparing, record
from tests.nbval_run import nbval

LECTURES = sorted(path for path in NOTEBOOKS.glob("*.ipynb") if re.match(r"\d\d_", path.name))
STORED = [*LECTURES, NOTEBOOKS / "index.ipynb"]

TRIAL = [
    "import numpy as np\nfrom cvcourse import figures\nfrom cvcourse.controls import FloatSlider, explore",
    "print(f'the mean is {np.arange(7).mean():.3f}')",
    "def show_level(level=0.25):\n    return np.full((64, 64), level)",
    "explore(show_level, level=FloatSlider(0.25, min=0, max=1, step=0.25))",
    "figures.row([np.eye(5)], ['identity'])",
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A small lecture, recorded."""
    folder = tmp_path_factory.mktemp("trial")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in TRIAL])
    path = folder / "00_trial.ipynb"
    nbformat.write(notebook, path)
    record.record(path)
    return path


def wrong_number(notebook):
    notebook.cells[1].outputs[0].text = "the mean is 3.001\n"


def last_digits(notebook):
    notebook.cells[1].outputs[0].text = "the mean is 3.000000001\n"


def wrong_picture(notebook, cell=4):
    data = notebook.cells[cell].outputs[0].data
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("L")) / 255
    fig = figures.plt.figure(figsize=(image.shape[1] / 80, image.shape[0] / 80))
    fig.figimage(1 - image, vmin=0, vmax=1)
    data["image/png"] = base64.b64encode(figures.png(fig)).decode()


def wrong_picture_of_a_control(notebook):
    wrong_picture(notebook, cell=3)


def missing_picture(notebook):
    del notebook.cells[4].outputs[0].data["image/png"]


def stripped(notebook):
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None


def breaks_away_from_its_start(notebook):
    notebook.cells[2].source = TRIAL[2].replace("return", "assert level < 1\n    return")


def compiles(notebook):
    notebook.cells[1].source = (
        "import numba\nfrom cvcourse import filtering\nnumba.njit(lambda x: x + 1)(1)\n" + TRIAL[1]
    )


MUTATIONS = {
    "untouched": (lambda notebook: None, None),
    "last_digits": (last_digits, None),
    "wrong_number": (wrong_number, "3.001"),
    "wrong_picture": (wrong_picture, "they differ by"),
    "wrong_picture_of_a_control": (wrong_picture_of_a_control, "they differ by"),
    "missing_picture": (missing_picture, "0 stored pictures, 1 drawn"),
    "stripped": (stripped, "stored without having been run"),
    "breaks_away_from_its_start": (breaks_away_from_its_start, "fails away from its start"),
    "compiles": (compiles, "is not compiled yet"),
}


@pytest.fixture(scope="module")
def report(recorded, tmp_path_factory):
    """What nbval prints about each mutation of the recorded lecture."""
    folder = tmp_path_factory.mktemp("mutations")
    for name, (change, _) in MUTATIONS.items():
        notebook = nbformat.read(recorded, as_version=4)
        change(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    return nbval(folder)


@pytest.mark.parametrize("name", MUTATIONS)
def test_nbval_refuses_what_a_reader_would_see(name, report):
    expected = MUTATIONS[name][1]
    failed = [text for cell, text in report.items() if f"{name}.ipynb" in cell]
    if expected is None:
        assert failed == []
    else:
        assert any(expected in text for text in failed), failed
    if name == "stripped":
        assert len(failed) == len(TRIAL)


def test_a_second_recording_changes_no_byte(recorded):
    before = recorded.read_bytes()
    assert record.record(recorded) is False
    assert recorded.read_bytes() == before


def test_a_cell_that_prints_times_keeps_them_until_it_prints_something_else(tmp_path):
    cell = nbformat.v4.new_code_cell("import time\nprint(f'{time.perf_counter():.6f} ms')")
    cell.metadata["tags"] = ["nbval-ignore-output"]
    path = tmp_path / "times.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    record.record(path)
    assert record.record(path) is False
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\nprint('more')"
    nbformat.write(notebook, path)
    assert record.record(path) is True
    assert "more" in nbformat.read(path, as_version=4).cells[0].outputs[0].text


def test_compilations_are_counted_and_the_cache_is_none():
    code = (
        "import numba, numpy as np; from numba.core import event; from cvcourse import compiled, filtering\n"
        "counted = compiled.Compilations(); event.register('numba:compile', counted)\n"
        "filtering.gaussian(np.zeros((9, 9)), 1.0); print(len(counted.names))\n"
        "double = numba.njit(lambda x: 2 * x); double(3); double(4); print(len(counted.names))\n"
    )
    environment = {**os.environ, "CVCOURSE_NO_COMPILE": "0"}
    printed = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert printed.split() == ["0", "1"]


def test_a_picture_of_another_size_differs():
    def output(shape):
        return [{"data": {"image/png": base64.b64encode(figures.png(np.zeros(shape))).decode()}}]

    assert comparing.picture_difference(output((400, 400)), output((400, 400))) == ""
    assert "inf" in comparing.picture_difference(output((400, 400)), output((400, 420)))


def test_a_recording_stops_at_an_error(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(record.CellFailed, match="ZeroDivisionError"):
        record.run(copy.deepcopy(notebook), tmp_path)
    record.run(notebook, tmp_path, may_raise=("ZeroDivisionError",))
    assert notebook.cells[0].outputs[0].ename == "ZeroDivisionError"


# --- the form of what is stored


def source(cell: dict) -> str:
    return "".join(cell["source"])


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_notebooks_hold_nothing_of_their_author(path):
    notebook = json.loads(path.read_text("utf-8"))
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    assert path.stat().st_size <= 1_500_000
    counts = []
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags", "slideshow"}
        if cell["cell_type"] == "code" and source(cell).strip():
            counts.append(cell["execution_count"])
    assert counts == list(range(1, len(counts) + 1))
    text = json.dumps([cell.get("outputs", []) for cell in notebook["cells"]])
    assert not re.search(r"/home/|/Users/|/tmp/|[A-Z]:\\\\|site-packages", re.sub(r'"image/png": "[^"]*"', "", text))


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_a_lecture_is_built_like_the_others(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    prose = "\n\n".join(source(cell) for cell in cells if cell["cell_type"] == "markdown")
    code = [source(cell) for cell in cells if cell["cell_type"] == "code"]
    for heading in ("## Summary", "## Review questions", "## Exercises", "## Further reading"):
        assert len(re.findall(rf"^{heading}", prose, re.M)) == 1, heading
    assert "**You will**" in prose
    assert "**You need**" in prose
    assert re.search(r"[\u4e00-\u9fff]", prose), "terms are given in Chinese too"
    twin = NOTEBOOKS / "exercises" / path.name
    assert (f"](exercises/{path.name})" in prose) == twin.exists(), "it links its exercises once they are there"
    assert len(re.findall(r"\*\*Careful\.\*\*", prose)) >= 2
    assert prose.count("<details>") == prose.count("</details>") == prose.count("<summary>Answer</summary>") >= 6
    number = path.stem[:2].lstrip("0")
    tags = re.findall(r"\\tag\{([^}]*)\}", prose)
    assert tags == [f"{number}.{k}" for k in range(1, len(tags) + 1)], "equations are numbered in order"
    used = {int(k) for k in re.findall(rf"Eqs?\. \({number}\.(\d+)\)", prose + "\n".join(code))}
    assert used <= set(range(1, len(tags) + 1)), "a reference leads to no equation"
    assert sum("explore(" in text for text in code) >= 3
    assert not any(re.search(r"\binteract\b|interactive_output|widgets\.Output|^%|^!", text, re.M) for text in code)
    assert not any(re.search(r"\bimport \*|\.\./|read_text|imread", text) for text in code)


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_the_equations_that_the_kernels_name_are_in_the_lecture(path):
    number = path.stem[:2].lstrip("0")
    module = (NOTEBOOKS.parent / "cvcourse" / f"{path.stem[3:]}.py").read_text("utf-8")
    prose = "\n".join(source(cell) for cell in json.loads(path.read_text("utf-8"))["cells"])
    named = set(re.findall(rf"\(({number}\.\d+)\)", module))
    assert named, "a kernel names the equation that it computes"
    assert all(rf"\tag{{{equation}}}" in prose for equation in named), named


def test_few_cells_are_exempt_from_comparison():
    """A cell that prints times cannot be compared; each one is counted here."""
    exempt = {
        path.stem: sum(
            "nbval-ignore-output" in c["metadata"].get("tags", []) for c in json.loads(path.read_text())["cells"]
        )
        for path in STORED
    }
    assert all(count <= 2 for count in exempt.values()), exempt
    everything = "".join(path.read_text("utf-8") for path in STORED)
    assert "nbval-skip" not in everything
    assert not re.search(r"#\s*NBVAL", everything)


def test_the_map_lists_twenty_lectures_and_links_those_that_are_there():
    text = "\n".join(source(cell) for cell in json.loads((NOTEBOOKS / "index.ipynb").read_text("utf-8"))["cells"])
    listed = re.findall(r"^\| (\d\d) \|", text, re.M)
    assert listed == [f"{k:02d}" for k in range(1, 21)]
    for path in LECTURES:
        row = next(line for line in text.splitlines() if line.startswith(f"| {path.name[:2]} |"))
        assert f"]({path.name})" in row
        there = (NOTEBOOKS / "exercises" / path.name).exists()
        assert (f"](exercises/{path.name})" if there else "| planned |") in row


def global_uses(node: ast.AST) -> set[str]:
    """Names that a function reads and doesn't bind itself."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    functions = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.Lambda)]
    own = {a.arg for f in functions for a in (*f.args.args, *f.args.kwonlyargs)}
    own |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return {n.id for n in names if isinstance(n.ctx, ast.Load)} - own


def bound_at_top(node: ast.stmt) -> set[str]:
    """Names that a statement of a cell binds; those of comprehensions are their own."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    inner = {
        name
        for part in ast.walk(node)
        if isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        for loop in part.generators
        for name in ast.walk(loop.target)
    }
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n not in inner}


def overwritten(cells: list[str]) -> list[str]:
    """Names that a control's function reads, directly or through others, and that a later cell binds anew."""
    trees = [ast.parse(cell) for cell in cells]
    bound = [set().union(*map(bound_at_top, tree.body)) for tree in trees]
    found = []
    for j, tree in enumerate(trees):
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "explore"]
        waiting, seen = [call.args[0].id for call in calls], set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            found += [name] if any(name in later for later in bound[j + 1 :]) else []
            known = [n for t in trees[: j + 1] for n in t.body if isinstance(n, ast.FunctionDef) and n.name == name]
            waiting += [use for function in known[-1:] for use in global_uses(function)]
    return found


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_no_control_depends_on_what_a_later_cell_changes(path):
    """A reader runs all cells and then moves the controls; the sweep moves them when they are made."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert overwritten(cells) == []


def test_a_control_that_a_later_cell_breaks_is_found():
    cells = ["f = 2", "def half(x):\n    return x / f", "def show(x=1):\n    return half(x)", "explore(show, x=1)"]
    assert overwritten(cells) == []
    assert overwritten([*cells, "squares = [f for f in range(3)]"]) == []
    assert overwritten([*cells, "for f in range(3):\n    print(f)"]) == ["f"]
