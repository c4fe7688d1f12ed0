#!/usr/bin/env python3
"""Open the course, or test it; needs nothing but Python 3.11 to 3.13.

    python course.py lab      set up what is needed, then open JupyterLab on the map of the course
    python course.py test     set up what is needed, then run every test
    python course.py check    the fast part of the tests: style, types, links

What comes after the command is passed on: to JupyterLab (`lab --no-browser`), to pytest (`test -k edges`).
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = VENV / "course-installed"
WARMED = VENV / "course-warmed"
# JupyterLab asks nobody for news or updates: no pop-up at the first start, no network needed.
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def stop(message):
    """End with a message that says what is wrong and how to mend it."""
    sys.exit("course.py: " + message)


def fingerprint(*parts):
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def is_stamped(stamp, value):
    return stamp.exists() and stamp.read_text() == value


def require_python():
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        version = "{}.{}".format(*sys.version_info[:2])
        stop(
            f"this is Python {version}, the course needs 3.11, 3.12 or 3.13.\n"
            "Install one (python.org, or your system's package manager) and call course.py with it, as in\n"
            "    python3.13 course.py lab"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "this Python can make no virtual environment: its modules venv and ensurepip are missing.\n"
            "On Debian and Ubuntu they are a package of their own:\n"
            "    sudo apt install python{}.{}-venv".format(*sys.version_info[:2])
        )


def install():
    """Make `.venv` with exactly the packages of requirements.lock and the course itself on its path."""
    wanted = fingerprint(LOCK.read_text(), sys.version, ROOT)
    if is_stamped(INSTALLED, wanted) and PYTHON.exists():
        return
    print(f"Setting up the course in {VENV.relative_to(ROOT)} (once; about 1.1 GB, a few minutes)", flush=True)
    import venv

    venv.EnvBuilder(clear=True, with_pip=True).create(VENV)
    command = [PYTHON, "-m", "pip", "install", "--quiet", "--progress-bar=on", "--disable-pip-version-check"]
    if subprocess.call([*command, "--require-hashes", "-r", LOCK]):
        stop(
            "pip could not install the packages (its message is above).\n"
            "The set-up needs the network once: connect, check that `pip download numpy` works (behind a proxy:\n"
            "set HTTPS_PROXY), see that 2 GB of disk are free, and call this again."
        )
    site = subprocess.check_output([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    Path(site.strip(), "cvcourse.pth").write_text(f"{ROOT}\n", "utf-8")
    settings = VENV / "share" / "jupyter" / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "overrides.json").write_text(json.dumps(LAB_SETTINGS), "utf-8")
    INSTALLED.write_text(wanted)


def warm():
    """Compile the kernels, unless these very files were compiled before."""
    sources = sorted((ROOT / "cvcourse").glob("*.py"))
    wanted = fingerprint(INSTALLED.read_text(), *((path.name, path.stat().st_mtime_ns) for path in sources))
    if is_stamped(WARMED, wanted):
        return
    print("Compiling the course's kernels for this machine (once; three or four minutes)", flush=True)
    if subprocess.call([PYTHON, "-m", "cvcourse.warm"], cwd=ROOT):
        stop("the kernels could not be compiled; the message is above")
    WARMED.write_text(wanted)


def lab(options):
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [PYTHON, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}", *root, *options]
    try:
        return subprocess.call([*command, ROOT / "notebooks" / "index.ipynb"], cwd=ROOT)
    except KeyboardInterrupt:  # the reader's way to end it
        return 0


def check(options):
    steps = {
        "style of the code": ["ruff", "check", "."],
        "form of the code": ["ruff", "format", "--check", "."],
        "types": ["mypy"],
        "exercises in step with their sources": ["cvcourse.authoring", "release", "--check"],
        "links inside the course": ["cvcourse.authoring", "links"],
    }
    failed = []
    for name, command in steps.items():
        print(f"--- {name}", flush=True)
        if subprocess.call([PYTHON, "-m", *command], cwd=ROOT):
            failed.append(name)
    print(f"--- {'failed: ' + ', '.join(failed) if failed else 'all is well'}", flush=True)
    return 1 if failed else 0


def test(options):
    failed = check([])
    tests = subprocess.call([PYTHON, "-m", "pytest", *options], cwd=ROOT)
    return failed or tests


def main():
    commands = {"lab": lab, "test": test, "check": check}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        stop(f"say what to do.\n{__doc__.strip()}")
    require_python()
    install()
    warm()
    sys.exit(commands[sys.argv[1]](sys.argv[2:]))


if __name__ == "__main__":
    main()
