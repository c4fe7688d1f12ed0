"""One source, two notebooks: the student's with gaps, and the solved one.

A source ``notebooks/exercises/source/NN_name.py`` is a py:percent file.  A cell tagged ``stub`` is
what the student gets, the cell tagged ``solution`` after it what replaces it.
"""

import hashlib
from pathlib import Path

import jupytext
import nbformat
from nbconvert.preprocessors import TagRemovePreprocessor

from cvcourse.authoring import EXERCISES, SOURCE
from cvcourse.authoring.record import tidy


def build(source: Path, drop: str) -> nbformat.NotebookNode:
    """Make a notebook from a source, without the cells tagged `drop` ("solution" or "stub").

    Raises
    ------
    ValueError
        If the source's stubs and solutions don't come in pairs.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", []) if tag in ("stub", "solution")]
    if tags != ["stub", "solution"] * (len(tags) // 2):
        raise ValueError(f"{source.name}: after every cell tagged stub comes one tagged solution; got {tags}")
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={drop}, enabled=True).preprocess(notebook, {})
    tidy(notebook)
    for number, cell in enumerate(notebook.cells):  # jupytext's own ids are random
        cell["id"] = hashlib.sha256(f"{number}{cell.source}".encode()).hexdigest()[:8]
    nbformat.validate(notebook)
    return notebook


def student_version(source: Path) -> nbformat.NotebookNode:
    """Make the student's notebook."""
    return build(source, drop="solution")


def solved_version(source: Path) -> nbformat.NotebookNode:
    """Make the notebook with the solutions filled in."""
    return build(source, drop="stub")


def release_all(write: bool) -> list[Path]:
    """Compare every student's notebook with its source; list, and if asked rewrite, the stale ones."""
    wanted = {EXERCISES / f"{source.stem}.ipynb": source for source in sorted(SOURCE.glob("*.py"))}
    stale = [path for path in EXERCISES.glob("*.ipynb") if path not in wanted]
    for path in stale:
        if write:
            path.unlink()
    for path, source in wanted.items():
        text = nbformat.writes(student_version(source), indent=1, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(path)
            if write:
                path.write_text(text, "utf-8", newline="\n")
    return stale
