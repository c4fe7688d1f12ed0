"""Find the notebooks of an inbox and read them, whatever was done to them.

Nothing is believed but the cells' types and texts: ids, metadata and outputs are not looked at.
"""

import hashlib
import json
import os
import stat
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

MAX_FILE = 20 << 20
MAX_TEXT = 20_000
ANSWER = "**Answer "


class Unreadable(Exception):
    """The student handed in what is no notebook: no points, and a note that says so."""


class NotTaken(Exception):
    """The file cannot be taken from the inbox, which is not the student's fault: no mark."""


class Submission(NamedTuple):
    """A file of the inbox: its path in there, and the id of its student."""

    file: str
    id: str


class Notebook(NamedTuple):
    """The code cells and the texts of the answers in words."""

    code: list[str]
    texts: dict[str, str]


def submissions(inbox: Path) -> list[Submission]:
    """List the notebooks of a folder, each with an id.

    The id is the name of the file; where every student has a folder, as learning platforms export
    them, the name of the folder.
    """
    files: list[str] = []
    for folder, folders, names in os.walk(inbox):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(folder)
        files += [
            os.path.relpath(here / name, inbox)
            for name in [*names, *(name for name in folders if (here / name).is_symlink())]
            if (name.endswith(".ipynb") and not name.startswith("._")) or (here / name).is_symlink()
        ]
    files.sort()
    alone = [os.path.dirname(file) for file in files]
    taken: dict[str, int] = {}
    found = []
    for file, folder in zip(files, alone, strict=True):
        name = folder if folder and alone.count(folder) == 1 else file.removesuffix(".ipynb")
        safe = safe_id(name)
        taken[safe.casefold()] = count = taken.get(safe.casefold(), 0) + 1
        found.append(Submission(file, safe if count == 1 else f"{safe}~{count}"))
    return found


def safe_id(name: str) -> str:
    """Turn the name of a file into an id that is safe as a file name, in a table and on a page."""
    name = unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    safe = "".join(c if c.isalnum() or c in "-_.@+ " else "_" for c in name).strip(". ")
    if safe != name or len(safe.encode()) > 100 or safe.startswith(("-", "+", "@")):
        digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
        safe = safe.lstrip("-+@").encode()[:90].decode("utf-8", "ignore").strip(". ") + f"-{digest}"
    return safe.lstrip("-")


def take(path: Path) -> bytes:
    """Read a regular file without following a link or waiting for a pipe; no more than can be used of it.

    Raises
    ------
    NotTaken
        If it is a link, no file, or not ours to read; the message is for the grader.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as problem:
        what = "it is a link; put the file itself there" if path.is_symlink() else problem.strerror
        raise NotTaken(f"{path.name} was not read: {what}") from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotTaken(f"{path.name} was not read: it is no ordinary file")
        return file.read(MAX_FILE + 1)


def parse(raw: bytes) -> Notebook:
    """Read a notebook.

    Raises
    ------
    Unreadable
        If it is damaged beyond use; the message is for the student.
    """
    if len(raw) > MAX_FILE:
        raise Unreadable(
            f"the file is larger than {MAX_FILE >> 20} MB: clear the outputs (Edit → Clear Outputs of All Cells)"
        )
    try:
        return _cells(json.loads(raw))
    except RecursionError:
        problem = "it is nested too deeply"
    except UnicodeDecodeError:
        problem = "it is no text (UTF-8)"
    except ValueError as said:
        problem = str(said)[:200]
    raise Unreadable(f"the file cannot be read as a notebook: {problem}")


def _cells(content: Any) -> Notebook:
    """Take the code cells and the marked texts out of a notebook of any format from 3 on."""
    if not isinstance(content, dict):
        raise ValueError("it holds no cells")
    cells = content.get("cells")
    if cells is None and isinstance(sheets := content.get("worksheets"), list):  # format 3
        cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
    if not isinstance(cells, list):
        raise ValueError("it holds no cells")
    code: list[str] = []
    texts: dict[str, str] = {}
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        source = cell.get("source", cell.get("input", ""))
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        if cell.get("cell_type") == "code":
            code.append(source)
        elif source.lstrip().startswith(ANSWER):
            question, _, answer = source.lstrip().removeprefix(ANSWER).partition(":**")
            texts[question.strip()[:20]] = answer.strip()[:MAX_TEXT]
    return Notebook(code, texts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
