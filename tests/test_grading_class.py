"""A generated class of exercise 04 from the inbox to the report: the truth about each submission is known."""

import csv
import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from cvcourse.grading.batch import rows_of
from cvcourse.grading.report import named
from tests import grading_generated
from tests.grading_class import as_normal_user, make_place, right, rows

COUNT = 20


class Class:
    """The class, graded by a run that is killed in the middle and two shards that finish it."""

    def __init__(self) -> None:
        self.place = place = make_place()
        private = place.folder / "hidden"
        private.mkdir()
        (private / "check_04_corners.py").write_text(grading_generated.HIDDEN, "utf-8")
        self.students = grading_generated.generate(COUNT, private)
        grading_generated.write(place.inbox, self.students)
        self.results = place.folder / "res"
        arguments = ["grade", grading_generated.NAME, place.inbox, "--private", private, "--out", self.results]
        arguments += ["--seed", grading_generated.SEED, "--jobs", 2]
        self.killed = self._kill_in_the_middle(place.command(*arguments))
        self.done = [place.run(*arguments, "--shard", f"{part}/2") for part in (1, 2)]

    def _kill_in_the_middle(self, command: list[str]) -> bytes:
        """Start a run, kill it when it has written three lines, and leave a torn line behind."""
        path, quiet = self.results / "results.jsonl", subprocess.DEVNULL
        process = subprocess.Popen(command, env=self.place.environment(), cwd="/", stdout=quiet, stderr=quiet)
        until = time.monotonic() + 300
        while not path.exists() or path.read_bytes().count(b"\n") < 3:
            assert process.poll() is None and time.monotonic() < until, "the run ended too early"
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        written = path.read_bytes()
        with path.open("ab") as file:
            file.write(b'{"file": "right-0')
        return written[: written.rfind(b"\n") + 1]


@pytest.fixture(scope="module")
def graded():
    return Class()


@pytest.fixture(scope="module")
def marked(graded):
    """The rows by id; the torn line of the killed run is passed over."""
    return {row["id"]: row for row in rows_of(graded.results)}


def test_a_killed_run_goes_on_and_nothing_is_graded_twice_or_lost(graded, marked):
    assert [done.returncode for done in graded.done] == [0, 0], [done.stderr for done in graded.done]
    assert (graded.results / "results.jsonl").read_bytes().startswith(graded.killed)
    lines = []
    for path in graded.results.glob("results*.jsonl"):
        lines += [json.loads(line)["file"] for line in path.read_bytes().split(b"\n")[:-1]]
    assert sorted(lines) == sorted(f"{student.id}.ipynb" for student in graded.students)
    assert len(marked) == COUNT
    assert 3 <= graded.killed.count(b"\n") < COUNT


def test_each_gets_the_points_that_the_checks_give_without_a_sandbox(graded, marked):
    wrong = {s.id: (marked[s.id]["score"], s.score) for s in graded.students if marked[s.id]["score"] != s.score}
    assert not wrong
    assert {s.id.split("-")[0] for s in graded.students} == {"right", "wrong", "untouched", "hostile", "damaged"}


def test_each_mistake_is_named_as_the_checks_name_it(graded, marked):
    for student in graded.students:
        says = {check["mistake"] for check in marked[student.id]["rows"]} - {""}
        assert says == set(student.says), student.id
    assert sum(bool(student.says) for student in graded.students) >= COUNT // 4


def test_the_report_counts_the_mistakes(graded, marked):
    assert graded.place.run("report", graded.results).returncode == 0
    page = (graded.results / "report.html").read_text("utf-8")
    counts = named(list(marked.values()))
    for student in graded.students:
        for says in student.says:
            assert sum(counts[question][says] for question in counts) >= 1
            assert says.replace("'", "&#x27;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;") in page


def test_students_get_other_numbers_and_the_same_ones_again(marked):
    seeds = {row["seed"] for row in marked.values()}
    assert len(seeds) == COUNT
    assert {row["seed"] for id_, row in marked.items() if id_ == "right-000"} == {
        grading_generated.seed_of(grading_generated.SEED, "right-000")
    }


def test_grades_and_feedback(graded, marked):
    assert graded.place.run("finish", graded.results).returncode == 0
    with (graded.results / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        table = {line["id"]: line for line in csv.DictReader(file)}
    for student in graded.students:
        assert float(table[student.id]["points"]) == student.score
        assert table[student.id]["max"] == "26"
        feedback = (graded.results / "feedback" / f"{student.id}.md").read_text("utf-8")
        assert all(says.split("`")[0][:30].split("*")[0] in feedback.replace("\\", "") for says in student.says)


def test_dask_grades_all_once_though_a_worker_is_killed():
    pytest.importorskip("distributed", reason="the optional extra `distributed` is not installed")
    place = make_place()
    for k in range(10):
        (place.inbox / f"s{k}.ipynb").write_text(right())
    python = [*as_normal_user(place.folder), sys.executable, "-m"]
    options = {
        "env": place.environment(),
        "cwd": place.folder,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    scheduler = [
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        address.split(":")[1],
        "--no-dashboard",
    ]
    worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    started = [subprocess.Popen([*python, *scheduler], **options)]
    started += [subprocess.Popen([*python, *worker, "--name", str(k)], **options) for k in range(2)]
    try:
        arguments = ["grade", "00_trial", place.inbox, "--private", place.private, "--out", place.folder / "res"]
        process = subprocess.Popen(place.command(*arguments, "--scheduler", address), **options)
        until, path = time.monotonic() + 200, place.folder / "res" / "results.jsonl"
        while not path.exists() or path.read_bytes().count(b"\n") < 2:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        started[-1].kill()
        assert path.read_bytes().count(b"\n") < 10, "killed too late to show anything"
        assert process.wait(200) == 0
    finally:
        for one in started:
            one.kill()
            one.wait()
    assert {row["score"] for row in rows(place.folder / "res").values()} == {7}
    assert len(rows(place.folder / "res")) == 10
