"""Run nbval in a process of its own, as the tests of the lectures do."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def nbval(path: Path) -> dict[str, str]:
    """Run a notebook, or a folder of them, under the course's own nbval.

    Returns the cells that failed, as ``file::cell``, each with what is said about it.
    """
    report = (path.parent if path.is_file() else path) / "report.xml"
    options = ["--numprocesses=0", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-p", "conftest"]
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--junit-xml={report}", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([*command, str(path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout}\n{run.stderr}")
    failed = {}
    for case in ElementTree.parse(report).iter("testcase"):
        said = [
            (problem.get("message") or "") + (problem.text or "")
            for problem in (*case.iter("failure"), *case.iter("error"))
        ]
        if said:
            failed[f"{case.get('classname')}::{case.get('name')}"] = "\n".join(said)
    assert bool(failed) == bool(run.returncode), run.stdout
    return failed
