"""The house: which module may import which, what is documented, what is installed."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cvcourse"

GROUND = ["compiled", "images", "homogeneous"]
LECTURES = (
    "filtering edges sampling corners blobs descriptors transforms warping alignment ransac cameras panoramas "
    "single_view calibration stereo two_view structure_from_motion photometric_stereo classification neural_networks"
).split()
TEACHING = ["scenes", "figures", "controls", "checks"]
WORKSHOP = ["warm", "authoring", "grading"]


def imported(path: Path) -> set[str]:
    """Names of the course's modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cvcourse":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("cvcourse.")}
    return found


def allowed(name: str) -> set[str]:
    """What a module may import: the ground, and lectures before its own; checks of lectures nothing but checks."""
    if name in GROUND:
        return set(GROUND[: GROUND.index(name)])
    if name in LECTURES:
        return {*GROUND, *LECTURES[: LECTURES.index(name)]}
    if name in TEACHING:
        return {*GROUND, *TEACHING[: TEACHING.index(name)], name}
    return {*GROUND, *LECTURES, *TEACHING, *WORKSHOP}


def modules() -> dict[Path, str]:
    return {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}


def test_every_module_has_its_place():
    assert set(modules().values()) <= {"__init__", *GROUND, *LECTURES, *TEACHING, *WORKSHOP}


@pytest.mark.parametrize("path", sorted(modules()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_data_flows_down_the_syllabus(path):
    name = modules()[path]
    if name == "__init__":
        assert imported(path) == set(), "importing the package must load nothing"
    else:
        assert imported(path) <= allowed(name), f"{name} imports a module that comes later in the course"


def test_the_direction_of_imports_would_be_noticed(tmp_path):
    (tmp_path / "edges.py").write_text("from cvcourse import corners\nimport cvcourse.figures\n")
    assert imported(tmp_path / "edges.py") - allowed("edges") == {"corners", "figures"}


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, cvcourse; print(sorted({'numpy', 'numba', 'scipy', 'matplotlib', 'ipywidgets'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def public_functions() -> list[tuple[str, object]]:
    """List what a notebook may call; the compiled loops that modules share aren't among them."""
    found = []
    for name in [*GROUND, *LECTURES, *TEACHING]:
        if (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir():
            module = importlib.import_module(f"cvcourse.{name}")
            for key, value in vars(module).items():
                mine = getattr(value, "__module__", "").startswith(f"cvcourse.{name}")
                if inspect.isfunction(value) and mine and not key.startswith("_"):
                    found.append((f"{name}.{key}", value))
    return found


@pytest.mark.parametrize(("name", "function"), public_functions())
def test_public_functions_are_documented_and_typed(name, function):
    signature = inspect.signature(function)
    unhinted = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert not unhinted
    assert signature.return_annotation is not signature.empty
    assert function.__doc__
    summary = function.__doc__.splitlines()[0]
    assert summary.endswith((".", ":", "…"))


# --- three lists of what is installed


def in_project() -> dict[str, SpecifierSet]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return {Requirement(line).name: Requirement(line).specifier for line in lines}


def in_environment() -> dict[str, SpecifierSet]:
    found = {}
    for entry in yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            if line.startswith("-e "):
                continue
            name, range_ = re.match(r"([\w-]+)(.*)", line).groups()
            range_ = f"={range_}" if re.match(r"=\d", range_) else range_  # conda writes one = for two
            found[{"matplotlib-base": "matplotlib"}.get(name, name)] = SpecifierSet(range_)
    return found


def in_lock() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text("utf-8"), re.M):
        found.setdefault(name, set()).add(version)
    return found


def test_environment_and_project_ask_for_the_same():
    environment = in_environment()
    python = environment.pop("python")
    environment.pop("pip")
    assert environment == in_project()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert python == SpecifierSet(project["project"]["requires-python"])


def test_environment_uses_conda_forge_first():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["channels"][0] == "conda-forge"


def test_the_lock_lies_within_the_ranges_and_is_hashed():
    lock = in_lock()
    for name, range_ in in_project().items():
        assert lock[name], f"{name} is not locked"
        assert all(version in range_ for version in lock[name]), f"{name} {lock[name]} is outside {range_}"
    text = (ROOT / "requirements.lock").read_text("utf-8")
    pins = re.findall(r"^[\w.-]+==.*(?:\n    --hash.*)*", text, re.M)
    assert len(pins) == sum(map(len, lock.values()))
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text


def test_ci_runs_what_the_developer_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert workflow["jobs"]["test"]["steps"][-1]["run"] == "bash .ci/run"
    assert "course.py test" in (ROOT / ".ci" / "run").read_text("utf-8")
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert all(version in in_environment()["python"] for version in pythons)
    assert len(pythons) == 3
