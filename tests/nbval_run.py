"""Run nbval on one notebook, as the tests of the lectures do."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def nbval(path: Path) -> list[str]:
    """Run a notebook under the course's own nbval; give the lines that pytest reports as failed."""
    options = ["--numprocesses=0", "-q", "-rfE", "-p", "no:cacheprovider", f"--rootdir={ROOT}", "-p", "conftest"]
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, str(path)]
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    if run.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {run.returncode}:\n{run.stdout}\n{run.stderr}")
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert bool(failed) == bool(run.returncode), run.stdout
    return [*failed, run.stdout] if failed else []
