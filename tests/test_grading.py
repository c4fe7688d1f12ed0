"""The grader on hostile and damaged submissions: none gains a point, escapes, or harms another."""

import csv
import hashlib
import json
import os
import re
import socket
import stat
import threading
from pathlib import Path

import pytest

from cvcourse.grading import exercise, reader, sandbox, source
from cvcourse.grading.batch import RunError, Writer, rehearse, rows_of, settle, to_do
from cvcourse.grading.finish import finish, harmless, told
from cvcourse.grading.one import Task
from cvcourse.grading.report import discrimination, named
from tests import grading_attacks
from tests.grading_class import CHECKS, Place, empty, make_place, private_folder, right, rows

LIMITS = ["--call-seconds", "2", "--cell-seconds", "2", "--seconds", "20", "--memory", "2048"]


class Graded:
    """One run over all hostile and damaged submissions, and what it left behind."""

    def __init__(self, place: Place) -> None:
        self.place, self.calls = place, []
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
        self.cases = grading_attacks.hostile(place.folder, listener.getsockname()[1]) | grading_attacks.damaged()
        grading_attacks.write(place.inbox, self.cases)
        self._others()
        home = place.folder / "home"
        home.mkdir()
        (home / ".bashrc").write_text("# secret\n")
        for path in place.folder.rglob("*"):
            if not path.is_symlink() and os.geteuid() == 0:
                os.chown(path, 65534, 65534)
        os.chmod(place.inbox / "unreadable.ipynb", 0)
        self.before = self.hashes()
        self.results = place.folder / "res"
        private = ["--private", place.private, "--out", self.results, "--seed", "7", "--jobs", "2"]
        self.done = place.run("grade", "00_trial", place.inbox, *private, *LIMITS)
        listener.close()
        assert self.done.returncode == 1, self.done.stderr  # some files are no fault of their students
        self.rows = rows(self.results)

    def _listen(self, listener: socket.socket) -> None:
        try:
            while True:
                self.calls.append(listener.accept())
        except OSError:
            return

    def _others(self) -> None:
        """What is no notebook of an attack: links, pipes, folders, and honest neighbours."""
        inbox = self.place.inbox
        (inbox / "link.ipynb").symlink_to(self.place.private / "00_trial.py")
        (inbox / "link-to-right.ipynb").symlink_to(inbox / "honest-0.ipynb")
        (inbox / "link-to-nothing.ipynb").symlink_to("/root/.ssh/id_rsa")
        (inbox / "linked").symlink_to(self.place.private)
        os.mkfifo(inbox / "pipe.ipynb")
        (inbox / "unreadable.ipynb").write_text(right())
        (inbox / "folder.ipynb").mkdir()
        (inbox / "platform_export_1234").mkdir()
        (inbox / "platform_export_1234" / "00_trial.ipynb").write_text(right())
        for k in range(3):
            (inbox / f"honest-{k}.ipynb").write_text(right())
        (inbox / "untouched.ipynb").write_text(empty())
        (inbox / "notes.txt").write_text("no notebook")

    def hashes(self) -> dict[str, str]:
        found = {}
        for folder in ("inbox", "private", "home"):
            for path in sorted((self.place.folder / folder).rglob("*")):
                mode = path.lstat().st_mode
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else str(mode)
        return found


@pytest.fixture(scope="module")
def graded():
    return Graded(make_place())


NAMES = [*grading_attacks.hostile(Path("/anywhere"), 0), *grading_attacks.damaged()]


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_or_damaged_submission_gets_what_it_deserves(graded, name):
    case, row = graded.cases[name], graded.rows[f"{name}.ipynb"]
    assert row["failure"] == ""
    assert row["score"] == case.score, [check["message"] for check in row["rows"]]
    assert row["max"] == 7
    assert any(case.says in check["message"] for check in row["rows"]), [check["message"] for check in row["rows"]]
    if case.score < 7:
        assert row["note"] or any(check["message"] for check in row["rows"]), "points are lost without a word"


@pytest.mark.parametrize("name", ["honest-0", "honest-1", "honest-2", "platform_export_1234/00_trial"])
def test_honest_neighbours_keep_their_marks(graded, name):
    assert graded.rows[f"{name}.ipynb"]["score"] == 7


def test_an_untouched_notebook_gets_nothing(graded):
    assert graded.rows["untouched.ipynb"]["score"] == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("link", "it is a link"),
        ("link-to-right", "it is a link"),
        ("link-to-nothing", "it is a link"),
        ("pipe", "no ordinary file"),
        ("unreadable", "Permission denied"),
    ],
)
def test_what_is_no_fault_of_the_student_is_no_mark(graded, name, why):
    row = graded.rows[f"{name}.ipynb"]
    assert row["score"] is None
    assert why in row["failure"]
    assert f"no mark for {name}: " in graded.done.stderr


def test_linked_folders_are_not_entered(graded):
    assert graded.rows["linked"]["score"] is None
    assert not any(file.startswith("linked/") for file in graded.rows)


def test_every_file_has_one_row_and_every_id_is_its_own(graded):
    ids = [row["id"].casefold() for row in graded.rows.values()]
    assert len(set(ids)) == len(ids) == len(NAMES) + 4 + 1 + 6
    for id_ in ids:
        assert re.fullmatch(r"[\w.@+~-][\w .@+~-]*", id_), id_
        assert len(id_.encode()) <= 110


def test_nothing_of_others_was_changed_read_or_left_behind(graded):
    assert graded.hashes() == graded.before
    assert graded.calls == [], "a submission reached the network"
    assert not Path("/tmp/escaped").exists()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(b"left-behind" in line for line in lines)
    assert b"forged" not in (graded.results / "results.jsonl").read_bytes().replace(b"forged-", b"")


def test_no_stage_is_left_behind(graded):
    assert list(graded.place.temporary.glob("cvcourse-stage-*")) == []


def test_damaged_files_are_told_why(graded):
    for name, why in [
        ("truncated", "cannot be read as a notebook"),
        ("not-utf8", "no text"),
        ("deep-json", "nested too deeply"),
        ("one-hundred-mb", "larger than 20 MB"),
        ("wrong-exercise", "it looks like exercise 04_corners"),
    ]:
        assert why in graded.rows[f"{name}.ipynb"]["note"]


def test_students_who_hide_their_code_are_listed_but_lose_nothing(graded):
    row = graded.rows["extra-and-magics.ipynb"]
    assert row["review"] == []
    assert "code cell 2 uses ctypes" in str(graded.rows["namespaces.ipynb"]["review"])
    assert "source could not be read" not in str([row["review"] for row in graded.rows.values() if row["score"]])


def test_finish_writes_marks_and_feedback_without_harm(graded):
    finished = graded.place.run("finish", graded.results)
    assert finished.returncode == 0, finished.stderr
    with (graded.results / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        table = {line["id"]: line for line in csv.DictReader(file)}
    assert len(table) == len(graded.rows)
    for line in table.values():
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in line.values())
    assert table["honest-0"]["points"] == "7"
    assert table["honest-0"]["max"] == "9"
    assert table["link"]["points"] == ""
    assert table["link"]["open"].startswith("not graded: link.ipynb was not read")
    by_id = {row["id"]: row for row in graded.rows.values()}
    feedback = {path.stem: path.read_text("utf-8") for path in (graded.results / "feedback").iterdir()}
    assert set(feedback) == {id_ for id_, row in by_id.items() if row["score"] is not None}
    assert not any("<script" in said or "<img" in said for said in feedback.values())
    leaked = feedback["carries-inputs-out"]
    assert "input [" not in leaked.lower()
    assert "secret" not in leaked
    assert "double raised ValueError" in leaked
    with (graded.results / "manual.csv").open(encoding="utf-8-sig", newline="") as file:
        manual = {line["id"]: line for line in csv.DictReader(file)}
    assert manual["html"]["answer"].startswith("'=cmd|")
    assert manual["html"]["points"] == ""
    assert manual["honest-0"]["points"] == "0"
    assert manual["honest-0"]["comment"] == "no answer"


def test_the_report_runs_nothing_and_counts_no_invented_mistake(graded):
    assert graded.place.run("report", graded.results).returncode == 0
    page = (graded.results / "report.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<b>bold" not in page
    scored = [row for row in graded.rows.values() if row["score"] is not None]
    assert "this is the half" not in named(scored)["q1"]


def test_running_again_grades_only_what_has_no_mark(graded):
    lines = (graded.results / "results.jsonl").read_bytes()
    again = graded.place.run(
        "grade", "00_trial", graded.place.inbox, "--private", graded.place.private, "--out", graded.results, *LIMITS
    )
    assert again.returncode == 1
    assert "0 graded, 6 without a mark" in again.stdout
    assert (graded.results / "results.jsonl").read_bytes().startswith(lines)


# --- the parts


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("ann", "ann"),
        ("王小明", "王小明"),
        ("a b", "a b"),
        ("../../etc/passwd", r"_.._etc_passwd-\w{6}"),
        ("..", r"-?\w{6}"),
        ("-rf", r"rf-\w{6}"),
        ("=1+1", r"_1\+1-\w{6}"),
        ("a\nb\u202e", r"a_b_-\w{6}"),
        ("x" * 300, r"x{90}-\w{6}"),
        ("\udcff", r"_-\w{6}"),
    ],
)
def test_ids_are_safe_names(name, id_):
    assert re.fullmatch(id_, reader.safe_id(name)), reader.safe_id(name)


def test_different_names_never_share_an_id(tmp_path):
    for name in ("a*b", "a?b", "a_b", "A_b"):
        (tmp_path / f"{name}.ipynb").touch()
    ids = [submission.id.casefold() for submission in reader.submissions(tmp_path)]
    assert len(set(ids)) == 4
    assert any(id_.startswith("a_b~2") for id_ in ids)


def test_a_folder_for_each_student_names_the_student(tmp_path):
    for file in ("ann_1/04.ipynb", "bob_2/04.ipynb", "bob_2/old.ipynb", "ann_1/.ipynb_checkpoints/04.ipynb"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    found = {s.file: s.id for s in reader.submissions(tmp_path)}
    assert found["ann_1/04.ipynb"] == "ann_1"
    assert set(found) == {"ann_1/04.ipynb", "bob_2/04.ipynb", "bob_2/old.ipynb"}
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1"])
def test_no_cell_is_a_formula(text):
    assert harmless(text) == f"'{text}"


def test_text_of_a_cell_stays_as_it_is():
    assert harmless("a = b") == "a = b"


def reaches(*cells, name="f"):
    return source.Source(source.parse(list(cells))).reaches(name)


@pytest.mark.parametrize(
    "cells",
    [
        ["import scipy.ndimage\ndef f(a): return scipy.ndimage.zoom(a, 2)"],
        ["from scipy import ndimage as nd", "def f(a): return nd.zoom(a, 2)"],
        ["def f(a):\n    from scipy.ndimage import zoom\n    return zoom(a, 2)"],
        ["from scipy.ndimage import zoom as z", "def g(a): return z(a)", "def f(a): return [g(b) for b in a]"],
        ["from scipy.ndimage import zoom", "f = zoom"],
        ["import scipy.ndimage as n", "other = n", "f = lambda a: other.zoom(a)"],
        ["import scipy.ndimage as n", "%matplotlib inline\nif True:\n    try:\n        f = n.zoom\n    except: pass"],
    ],
)
def test_borrowing_is_found_in_the_source(cells):
    assert any(path.startswith("scipy") for path in reaches(*cells))


def test_what_a_function_does_not_reach_is_not_held_against_it():
    assert reaches("import scipy.ndimage as n\ndef g(a): return n.zoom(a)\ndef f(a): return 2 * a") == []
    assert reaches("import scipy.ndimage as n\ndef f(a): return n.zoom(a)", "def f(a): return a") == []


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("m = __import__('sci' + 'py')", "__import__"),
        ("exec('import scipy')", "exec"),
        ("import importlib", "importlib"),
        ("import sys\nsys.modules['scipy']", ".modules"),
        ("getattr(np, 'con' + 'volve')", "computed name"),
    ],
)
def test_hidden_code_is_pointed_at(cell, word):
    assert word in str(source.suspicions(source.parse([cell])))


def test_fingerprints_ignore_names_layout_and_comments_but_not_the_code():
    one = "def f(a, b):\n    total = 0\n    for k in range(len(a)):\n        total += a[k] * b[k] - 1\n    return np.sqrt(total)"
    copy = "# mine\ndef f(x, y):\n    '''My own.'''\n    s = 0\n    for i in range(len(x)):\n        s += x[i] * y[i] - 1  # so\n\n    return np.sqrt(s)"
    other = "def f(a, b):\n    return np.sqrt(np.vdot(a, b) - len(a)) if len(a) == len(b) else None or np.nan + a.max()"

    def prints(text):
        return set(source.prints(source.parse([text])))

    assert prints(one) == prints(copy) != set()
    assert not prints(one) & prints(other)


# --- command lines of other sandboxes


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_the_command_line_of_a_container(kind, tmp_path):
    line = sandbox.command(sandbox.Setup(kind, tmp_path, "class:1", sandbox.Limits(memory=1000, processes=32)), "box-1")
    text = " ".join(line)
    assert line[:3] == [kind, "run", "--rm"]
    assert line[-5:] == ["class:1", "python", "-m", "cvcourse.grading.worker", "/course/compiled"]
    for words in (
        "--interactive",
        "--name box-1",
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 65534:65534",
        "--memory 1000m --memory-swap 1000m",
        "--pids-limit 32",
        f"--volume {tmp_path}:/course:ro",
        "--env PYTHONPATH=/course",
    ):
        assert f" {words} " in text
    assert "--privileged" not in text and text.count("--volume") == 1


def test_the_command_line_of_bubblewrap_shows_python_and_the_stage_only(tmp_path):
    line = sandbox.command(sandbox.Setup("bwrap", tmp_path))
    for words in ("--unshare-all", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"):
        assert words in line
    shown = {line[k + 1] for k, word in enumerate(line) if word in ("--ro-bind", "--bind", "--dev-bind")}
    allowed = {"/usr", "/lib", "/lib64", "/bin", "/sbin", str(tmp_path), os.path.abspath(os.sys.prefix)}
    assert shown <= allowed | {os.path.abspath(os.sys.base_prefix)}
    assert "--bind" not in line and "--share-net" not in line


def test_the_command_line_of_sandlock(tmp_path):
    limits = sandbox.Limits(memory=1000, processes=32)
    line = sandbox.command(sandbox.Setup("sandlock", tmp_path, limits=limits))
    assert line[1:] == ["-m", "cvcourse.grading.locked", str(tmp_path), "32", "1000"]


def test_sandlock_grades_and_hides_the_same():
    pytest.importorskip("sandlock", reason="the optional extra `grading` is not installed")
    place = make_place()
    cases = grading_attacks.hostile(place.folder, 9)
    chosen = {name: cases[name] for name in ("reads", "network", "forks", "stalled", "course-files", "patch-grader")}
    grading_attacks.write(place.inbox, chosen)
    (place.inbox / "ann.ipynb").write_text(right())
    arguments = ["--private", place.private, "--out", place.folder / "res", "--sandbox", "sandlock", *LIMITS]
    done = place.run("grade", "00_trial", place.inbox, *arguments)
    assert done.returncode == 0, done.stderr
    found = rows(place.folder / "res")
    assert found["ann.ipynb"]["score"] == 7
    for name, case in chosen.items():
        row = found[f"{name}.ipynb"]
        assert row["score"] == case.score
        assert any(case.says in check["message"] for check in row["rows"]), name


def test_the_stage_holds_no_check_and_no_solution():
    with sandbox.staged() as stage:
        names = {str(path.relative_to(stage)) for path in stage.rglob("*")}
    assert not any("check_" in name or "exercises" in name or "atlas" in name for name in names)
    assert {"cvcourse/corners.py", "cvcourse/grading/worker.py", "data/README.md"} <= names
    assert not any(name.startswith(("cvcourse/authoring", "cvcourse/grading/one")) for name in names)


def test_an_unknown_sandbox_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a sandbox is one of bwrap, docker, podman, sandlock, not 'none'"):
        sandbox.command(sandbox.Setup("none", tmp_path))


# --- results on disk


def row(file, score=1.0, **more):
    return {"file": file, "id": file, "sha256": "", "note": "", "score": score, "failure": "", **more}


def test_a_torn_line_is_passed_over_and_written_again(tmp_path):
    path = tmp_path / "results.jsonl"
    writer = Writer(path)
    writer.write(row("a"))
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"file": "b", "sco')
    assert [r["file"] for r in rows_of(tmp_path)] == ["a"]
    writer = Writer(path)
    writer.write(row("b"))
    writer.close()
    assert [r["file"] for r in rows_of(tmp_path)] == ["a", "b"]
    assert path.read_bytes().count(b"\n") == 2


def test_a_damaged_line_in_the_middle_is_no_silent_loss(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"file": "a"\n' + json.dumps(row("b")) + "\n")
    with pytest.raises(RunError, match="line 1 of .* is damaged"):
        rows_of(tmp_path)


def test_two_runs_do_not_write_one_file(tmp_path):
    writer = Writer(tmp_path / "results.jsonl")
    with pytest.raises(RunError, match="another run is writing"):
        Writer(tmp_path / "results.jsonl")
    writer.close()
    Writer(tmp_path / "results.jsonl").close()


def test_a_results_folder_belongs_to_one_run(tmp_path):
    begun = settle(tmp_path, {"exercise": "04_corners", "seed": None})
    assert settle(tmp_path, {"exercise": "04_corners", "seed": None}) == begun
    assert settle(tmp_path, {"exercise": "04_corners", "seed": begun["seed"]}) == begun
    with pytest.raises(RunError, match="begun with exercise 04_corners, not 05_blobs"):
        settle(tmp_path, {"exercise": "05_blobs", "seed": None})
    with pytest.raises(RunError, match="begun with seed"):
        settle(tmp_path, {"exercise": "04_corners", "seed": begun["seed"] + 1})


def test_shards_divide_the_class_and_a_new_version_is_graded_again(tmp_path):
    for k in range(50):
        (tmp_path / f"{k}.ipynb").write_text(str(k))
    found = reader.submissions(tmp_path)
    parts = [{s.file for s in to_do(found, [], tmp_path, (i, 3))} for i in (1, 2, 3)]
    assert sum(map(len, parts)) == 50 and len(set.union(*parts)) == 50 and min(map(len, parts)) > 5
    marked = [row(s.file, sha256=hashlib.sha256(s.file[:-6].encode()).hexdigest()) for s in found]
    assert to_do(found, marked, tmp_path, (1, 1)) == []
    marked[3]["score"] = None
    (tmp_path / found[8].file).write_text("handed in again")
    assert to_do(found, marked, tmp_path, (1, 1)) == [found[3], found[8]]


def results_folder(tmp_path, *made):
    (tmp_path / "run.json").write_text(json.dumps({"exercise": "x", "by_hand": {"q4": 2.0}}))
    check = {
        "question": "q1",
        "test": "t",
        "title": "It is so.",
        "points": 1,
        "passed": True,
        "message": "",
        "mistake": "",
    }
    more = {"rows": [check | {"hidden": False}], "cells": [], "max": 1}
    lines = [json.dumps(row(r.pop("file"), **more, **r)) for r in map(dict, made)]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")


def test_marks_by_hand_are_kept_checked_and_counted(tmp_path):
    results_folder(tmp_path, {"file": "ann", "text": {"q4": "because"}}, {"file": "bob", "text": {}})
    assert finish(tmp_path) == ["ann: q4 to be marked in manual.csv"]
    path = tmp_path / "manual.csv"
    text = path.read_text("utf-8-sig")
    path.write_text(text.replace("ann,q4,2,,,", "ann,q4,2,1.5,half of it,"), "utf-8")
    assert finish(tmp_path) == []
    assert "half of it" in path.read_text("utf-8-sig")
    assert "half of it" in (tmp_path / "feedback" / "ann.md").read_text()
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig") as file:
        assert [line["points"] for line in csv.DictReader(file)] == ["2.5", "1"]
    for wrong in ("3", "-1", "good"):
        path.write_text(text.replace("ann,q4,2,,,", f"ann,q4,2,{wrong},,"), "utf-8")
        with pytest.raises(RunError, match=f"ann q4: points must be a number from 0 to 2, not '{wrong}'"):
            finish(tmp_path)


def test_hidden_checks_show_only_words_of_their_author():
    hidden = {"hidden": True, "mistake": "", "message": "f raised ValueError: [0.1, 0.2]"}
    assert told(hidden) == "f raised ValueError"
    assert "0.1" not in told(hidden | {"message": "f raised E0_1: x"})
    assert "0.1" not in told(hidden | {"message": "the result is wrong: it should be 3, got 0.1"})
    assert told(hidden | {"mistake": "this is the half"}) == "this is the half"


def test_the_questions_that_separate_are_found():
    def student(score, good, bad, same):
        checks = [("q1", "good", good), ("q2", "bad", bad), ("q3", "same", same)]
        keys = ("question", "test", "passed")
        made = [dict(zip(keys, c, strict=True)) | {"points": 1.0, "title": "", "mistake": ""} for c in checks]
        return row(str(score), score=float(score + good + bad + same), rows=made)

    found = discrimination([student(k, k > 4, k < 5, True) for k in range(10)])
    assert found["q1", "good"][0] == 0.5
    assert found["q1", "good"][1] > 0.5
    assert found["q2", "bad"][1] < -0.5
    assert found["q3", "same"][1] != found["q3", "same"][1]


# --- the grader's own faults


def test_the_grader_refuses_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can try this")
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "cvcourse.grading",
        "grade",
        "04_corners",
        str(tmp_path),
        "--out",
        str(tmp_path / "r"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "does not run as root" in done.stderr
    assert not (tmp_path / "r").exists()


def fake_bwrap(place, script):
    folder = place.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "bwrap").write_text(f"#!/bin/bash\n{script}\n")
    (folder / "bwrap").chmod(0o755)
    return folder


def test_a_sandbox_that_does_not_start_stops_the_run_and_names_the_remedy():
    place = make_place()
    (place.inbox / "ann.ipynb").write_text(right())
    path = fake_bwrap(place, "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    arguments = ["grade", "00_trial", place.inbox, "--private", place.private, "--out", place.folder / "res"]
    done = place.run(*arguments, path=path)
    assert done.returncode == 2
    for words in (
        "setting up uid map: Permission denied",
        "sudo apt install bubblewrap",
        "apparmor",
        "--sandbox docker",
    ):
        assert words in done.stderr
    assert not list(place.folder.glob("res/*"))

    # it breaks in the middle: no mark, and the next run makes it good
    path = fake_bwrap(place, f"n=$(cat {place.folder}/n 2>/dev/null || echo 0); echo $((n+1)) > {place.folder}/n\n"
                      "[ $n -ge 2 ] && { echo broken >&2; exit 1; }\nexec /usr/bin/bwrap \"$@\"")  # fmt: skip
    done = place.run(*arguments, path=path)
    assert done.returncode == 1, done.stderr
    assert "no mark for ann: the sandbox did not start (bwrap): broken" in done.stderr
    assert rows(place.folder / "res")["ann.ipynb"]["score"] is None
    done = place.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert [r["score"] for r in rows_of(place.folder / "res")] == [7]


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ("import no_such_module", "did not run"),
        ("def broken(a): return a", "did not run"),
        (CHECKS.replace("def test_double(student, atlas, rng)", "def test_double(student, nothing)"), "did not run"),
        (
            CHECKS.replace("expect(student.double(a), 2 * a, atlas", "expect(student.double(a), 3 * a, atlas"),
            "test_double: ",
        ),
        (CHECKS.replace("a = rng.normal(size=5)", "open('/no/such/file')"), "FileNotFoundError"),
    ],
)
def test_broken_checks_stop_the_run(checks, words, tmp_path):
    make_place()
    private = private_folder(tmp_path)
    (private / "check_00_trial.py").write_text(checks)
    with sandbox.staged() as stage:
        task = Task(exercise.load("00_trial", private), tmp_path, sandbox.Setup("bwrap", stage), 0)
        with pytest.raises(RunError, match="nothing was graded") as refusal:
            rehearse(task)
    assert words in str(refusal.value)


def test_wrong_arguments_are_told(tmp_path):
    with pytest.raises(exercise.NoExercise, match="no exercise is called '99_none'; there are 01_filtering"):
        exercise.load("99_none")
    with pytest.raises(exercise.NoExercise, match="holds no check_04_corners.py"):
        exercise.load("04_corners", tmp_path)
    with pytest.raises(RunError, match="holds no results"):
        finish(tmp_path)
