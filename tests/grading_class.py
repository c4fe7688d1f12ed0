"""For the tests of the grader: an exercise of its own, notebooks for it, and a normal user to grade as."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534

SOURCE = """# %% [markdown]
# # Exercise 00 — a trial

# %%
import numpy as np

from cvcourse import checks

check = checks.exercise("00_trial")


# %% tags=["stub"]
def double(a):
    raise NotImplementedError


# %% tags=["solution"]
def double(a):
    return 2 * a


# %%
check("q1")


# %% tags=["stub"]
def middle(a):
    raise NotImplementedError


# %% tags=["solution"]
def middle(a):
    return a.sum() / a.size


# %%
check("q2")


# %% tags=["stub"]
def place(a):
    raise NotImplementedError


# %% tags=["solution"]
def place(a):
    return np.unravel_index(np.argmax(a), a.shape)


# %%
check("q3")

# %% [markdown]
# ## Question 4 — in words (2 points, marked by hand)

# %% [markdown] tags=["stub", "text:q4"]
# **Answer q4:** (write here)

# %% [markdown] tags=["solution", "text:q4"]
# **Answer q4:** because it is so
"""

CHECKS = '''"""Checks of the trial."""

import numpy as np
import pytest

from cvcourse.checks import expect, right, wrong

FORBIDDEN = {"q1": ("scipy",), "q2": ("numpy.mean", "numpy.average"), "q3": ("scipy", "cvcourse.corners")}


@pytest.mark.q("q1", 2)
def test_double(student, atlas, rng):
    """Every entry is doubled."""
    a = rng.normal(size=(3, 4))
    expect(student.double(a), 2 * a, atlas("double", a))


@pytest.mark.q("q1", 1)
def test_unchanged(student, rng):
    """The argument stays as it was."""
    a = rng.normal(size=5)
    expect(student.double(a), 2 * a)
    assert not student.changed, "double overwrites its argument"


@pytest.mark.q("q2", 2)
def test_middle(student, atlas, rng):
    """The mean of all entries."""
    a = rng.normal(size=(4, 6))
    expect(student.middle(a), a.mean(), atlas("middle", a))


@pytest.mark.q("q3", 2)
def test_place(student, rng):
    """Row and column of the largest entry."""
    a = rng.permutation(20).reshape(4, 5) * 1.0
    row, col = np.argwhere(a == a.max())[0]
    expect(student.place(a), [row, col])


@wrong("q1", says="this is the half")
def double(a):
    return a / 2


@wrong("q2", says="this is the median, not the mean")
def middle(a):
    return np.median(a)


@right("q1")
def double(a):
    return a + a
'''

SETUP = "import numpy as np\nfrom cvcourse import checks\ncheck = checks.exercise('00_trial')"
DOUBLE = "def double(a):\n    return 2 * a"
MIDDLE = "def middle(a):\n    return a.sum() / a.size"
PLACE = "def place(a):\n    return np.unravel_index(np.argmax(a), a.shape)"
STUB = "def {}(a):\n    raise NotImplementedError"
EMPTY = [STUB.format(name) for name in ("double", "middle", "place")]


def code(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "id": f"c{abs(hash(source)) % 10**8}", "metadata": {}, "outputs": [], "source": source}


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"m{abs(hash(source)) % 10**8}", "metadata": {}, "source": source}


def notebook(cells: Iterable[Any], **more: Any) -> str:
    made = [cell if isinstance(cell, dict) else code(cell) for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more)


def right(*before: str, answers: Iterable[str] = (DOUBLE, MIDDLE, PLACE)) -> str:
    """A notebook with all answers right, after other cells."""
    return notebook([SETUP, *before, *answers])


def empty(*before: str, **answers: str) -> str:
    """A notebook with nothing written but what is said; double=..., and cells before."""
    cells = [answers.get(name, STUB.format(name)) for name in ("double", "middle", "place")]
    return notebook([SETUP, *before, *cells])


def private_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "00_trial.py").write_text(SOURCE, "utf-8")
    (folder / "check_00_trial.py").write_text(CHECKS, "utf-8")
    return folder


class Place:
    """A folder that a normal user can work in, and commands run as that user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        self.inbox, self.private = folder / "inbox", private_folder(folder / "private")
        self.inbox.mkdir()
        self.temporary = folder / "tmp"
        self.temporary.mkdir(mode=0o1777)
        self.temporary.chmod(0o1777)

    def command(self, *arguments: Any) -> list[str]:
        python = [sys.executable, "-m", "cvcourse.grading", *map(str, arguments)]
        return [*as_normal_user(self.folder), *python]

    def run(self, *arguments: Any, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the grader to its end."""
        environment = self.environment(path)
        return subprocess.run(
            self.command(*arguments), env=environment, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def environment(self, path: Path | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k.endswith("_NUM_THREADS") or k.startswith(("LD_", "OPENBLAS_"))}
        first = f"{path}:" if path else ""
        python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        places = {"PATH": f"{first}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": python_path}
        return kept | places | {"HOME": str(self.folder), "TMPDIR": str(self.temporary), "PYTHONDONTWRITEBYTECODE": "1"}


def as_normal_user(folder: Path) -> list[str]:
    """Give the words before a command that run it as a normal user, also where everything belongs to root.

    Where the course or its Python lies in a folder that only root may enter, the command gets a view of
    the file system in which it can be entered.
    """
    if os.geteuid() != 0:
        return []
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    user += ["--inh-caps=-all", "--bounding-set=-all", "--"]
    needed = [ROOT, Path(sys.prefix), Path(sys.base_prefix)]
    closed = {gate for path in needed if (gate := _gate(path))}
    if not closed:
        return user
    lines = ["set -e"]
    inside = [(gate, path) for gate in sorted(closed) for path in needed if path.is_relative_to(gate)]
    keeps = {path: folder / f".keep{k}" for k, (_, path) in enumerate(inside)}
    lines += [f"mkdir -p '{keeps[path]}' && mount --bind '{path}' '{keeps[path]}'" for _, path in inside]
    lines += [f"mount -t tmpfs -o mode=755 none '{gate}'" for gate in sorted(closed)]
    lines += [f"mkdir -p '{path}' && mount --bind '{keeps[path]}' '{path}'" for _, path in inside]
    return ["unshare", "--mount", "bash", "-c", "; ".join([*lines, 'exec "$@"']), "sh", *user]


def _gate(path: Path) -> Path | None:
    """Find the outermost folder on the way to a path that others may not enter."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & 0o001:
            return folder
    return None


def make_place() -> Place:
    """Make a place; without a sandbox the tests can't run, which on a CI machine is a failure."""
    folder = tempfile.mkdtemp(prefix="grading-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    place = Place(Path(folder))
    probe = [*as_normal_user(place.folder), "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(probe, env=place.environment(), cwd="/", capture_output=True, text=True, check=False)
        problem = done.stderr if done.returncode else ""
    except OSError as missing:
        problem = str(missing)
    if problem:
        message = f"no sandbox can be started here, bubblewrap is needed: {problem.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return place


def rows(results: Path) -> dict[str, dict[str, Any]]:
    """The rows of a results folder by file, each file once."""
    lines = [
        json.loads(line) for path in results.glob("results*.jsonl") for line in path.read_text("utf-8").splitlines()
    ]
    found = {line["file"]: line for line in lines}
    assert len(found) == len(lines), "a notebook was graded twice"
    return found
