"""The starter: what it says when something is missing, and when it has nothing to do."""

import builtins
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of course.py's functions that works in an empty folder."""
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    for name, path in {"ROOT": tmp_path, "VENV": venv, "LOCK": tmp_path / "requirements.lock"}.items():
        monkeypatch.setattr(module, name, path)
    monkeypatch.setattr(module, "INSTALLED", venv / "course-installed")
    monkeypatch.setattr(module, "WARMED", venv / "course-warmed")
    monkeypatch.setattr(module, "PYTHON", venv / "bin" / "python")
    (tmp_path / "requirements.lock").write_text("numpy==0\n")
    return module


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 14)])
def test_another_python_is_told_which_are_needed(course, version, monkeypatch):
    monkeypatch.setattr(course.sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(SystemExit) as stopped:
        course.require_python()
    assert f"this is Python {version[0]}.{version[1]}, the course needs 3.11, 3.12 or 3.13" in str(stopped.value)


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_these_pythons_are_welcome(course, version, monkeypatch):
    monkeypatch.setattr(course.sys, "version_info", (*version, 0, "final", 0))
    course.require_python()


def test_a_python_without_ensurepip_is_told_the_package(course, monkeypatch):
    plain = builtins.__import__

    def without(name, *arguments, **keywords):
        if name == "ensurepip":
            raise ImportError(name)
        return plain(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit) as stopped:
        course.require_python()
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in str(stopped.value)


def test_a_failed_download_says_what_to_look_at_and_is_tried_again(course, monkeypatch):
    monkeypatch.setattr("venv.EnvBuilder.create", lambda self, folder: None)
    monkeypatch.setattr(course.subprocess, "call", lambda command, **keywords: 1)
    for _ in range(2):
        with pytest.raises(SystemExit) as stopped:
            course.install()
        assert "needs the network once" in str(stopped.value)


def test_installing_is_stamped_and_a_new_lock_installs_again(course, monkeypatch):
    calls = []

    def create(self, folder):
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()

    monkeypatch.setattr("venv.EnvBuilder.create", create)
    monkeypatch.setattr(course.subprocess, "call", lambda command, **keywords: calls.append(command) or 0)
    monkeypatch.setattr(course.subprocess, "check_output", lambda command, **keywords: str(course.VENV))
    course.install()
    assert "--require-hashes" in calls[0]
    assert (course.VENV / "cvcourse.pth").read_text() == f"{course.ROOT}\n"
    assert "fetchNews" in (course.VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json").read_text()
    course.install()
    assert len(calls) == 1, "a second call has nothing to do"
    course.LOCK.write_text("numpy==1\n")
    course.install()
    assert len(calls) == 2


def test_kernels_are_compiled_again_only_when_a_source_changed(course, monkeypatch):
    calls = []
    monkeypatch.setattr(course.subprocess, "call", lambda command, **keywords: calls.append(command) or 0)
    (course.ROOT / "cvcourse").mkdir()
    (course.ROOT / "cvcourse" / "filtering.py").write_text("a = 1\n")
    course.VENV.mkdir()
    course.INSTALLED.write_text("stamp")
    course.warm()
    course.warm()
    assert len(calls) == 1
    (course.ROOT / "cvcourse" / "edges.py").write_text("b = 1\n")
    course.warm()
    assert len(calls) == 2


@pytest.mark.parametrize("arguments", [[], ["open"]])
def test_without_a_command_it_says_what_there_is(arguments):
    run = subprocess.run([sys.executable, ROOT / "course.py", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    for command in ("lab", "test", "check"):
        assert f"python course.py {command}" in run.stderr


def test_it_needs_the_standard_library_only():
    code = "import sys; sys.path.insert(0, '.'); import course; print(sorted(set(sys.modules) & {'numpy', 'pip', 'pytest'}))"
    printed = subprocess.check_output([sys.executable, "-S", "-c", code], cwd=ROOT, text=True)
    assert printed.strip() == "[]"
