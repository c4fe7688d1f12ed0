"""Make of the results what students and learning platforms get: marks, feedback, and the list to mark by hand."""

import builtins
import csv
import html
import json
import re
from pathlib import Path
from typing import Any

from cvcourse.checks.run import CheckFailure
from cvcourse.grading.batch import Row, RunError, rows_of

MANUAL = ["id", "question", "max", "points", "comment", "answer"]
BUILTIN = {name for name in vars(builtins) if name.endswith(("Error", "Exception", "Interrupt", "Iteration", "Exit"))}


def finish(results: Path) -> list[str]:
    """Write ``manual.csv``, ``grades.csv`` and ``feedback/ID.md``; give what is still to be done.

    Points and comments that were written into ``manual.csv`` are read, kept and counted.

    Raises
    ------
    RunError
        If there are no results, or ``manual.csv`` holds what is no mark; the message names its line.
    """
    if not (results / "run.json").is_file():
        raise RunError(f"{results} holds no results: run  python -m cvcourse.grading grade  first")
    by_hand: dict[str, float] = json.loads((results / "run.json").read_text("utf-8"))["by_hand"]
    rows = rows_of(results)
    marks = _by_hand(results / "manual.csv", rows, by_hand)
    folder = results / "feedback"
    folder.mkdir(exist_ok=True)
    table, left = [], []
    for row in rows:
        state = _state(row, by_hand, marks)
        table.append(_line(row, by_hand, marks, state))
        if state:
            left.append(f"{row['id']}: {state}")
        if row["score"] is not None:
            (folder / f"{row['id']}.md").write_text(feedback(row, by_hand, marks), "utf-8")
    _write(results / "grades.csv", list(table[0]) if table else ["id", "points"], table)
    return left


def questions(row: Row) -> dict[str, tuple[float, float]]:
    """Give points and the largest number of points, question by question."""
    found: dict[str, tuple[float, float]] = {}
    for check in row.get("rows", []):
        got, most = found.get(check["question"], (0.0, 0.0))
        found[check["question"]] = (got + check["points"] * check["passed"], most + check["points"])
    return found


def _state(row: Row, by_hand: dict[str, float], marks: dict[tuple[str, str], dict[str, Any]]) -> str:
    if row["score"] is None:
        return f"not graded: {' '.join(row['failure'].split())[:300]}"
    open_ = [q for q in by_hand if marks[row["id"], q]["points"] is None]
    return f"{', '.join(open_)} to be marked in manual.csv" if open_ else ""


def _line(row: Row, by_hand: dict[str, float], marks: dict[tuple[str, str], dict[str, Any]], state: str) -> Row:
    line: Row = {"id": row["id"], "points": "", "max": "", "percent": ""}
    if row["score"] is not None:
        parts = {question: points for question, (points, _) in questions(row).items()}
        parts |= {question: marks[row["id"], question]["points"] for question in by_hand}
        total, most = sum(points or 0 for points in parts.values()), row["max"] + sum(by_hand.values())
        line |= {"points": f"{total:g}", "max": f"{most:g}", "percent": f"{100 * total / most:.1f}"}
        line |= {question: "" if points is None else f"{points:g}" for question, points in parts.items()}
    note = "; ".join([row["note"], *row.get("review", [])]).strip("; ")
    return line | {"file": row["file"], "open": state, "note": note}


# --- marks by hand


def _by_hand(path: Path, rows: list[Row], by_hand: dict[str, float]) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the marks that were written into manual.csv, and list there all answers in words."""
    filled = _filled(path, by_hand)
    marks: dict[tuple[str, str], dict[str, Any]] = {}
    table = []
    for row in rows:
        for question, most in by_hand.items():
            answer = row.get("text", {}).get(question, "")
            given = filled.get((row["id"], question), {"points": None, "comment": ""})
            if given["points"] is None and not answer and row["score"] is not None:
                given = {"points": 0.0, "comment": given["comment"] or "no answer"}
            marks[row["id"], question] = given
            if row["score"] is not None:
                points = "" if given["points"] is None else f"{given['points']:g}"
                cells = (row["id"], question, f"{most:g}", points, given["comment"], answer)
                table.append(dict(zip(MANUAL, cells, strict=True)))
    if by_hand:
        _write(path, MANUAL, table)
    return marks


def _filled(path: Path, by_hand: dict[str, float]) -> dict[tuple[str, str], dict[str, Any]]:
    if not path.exists():
        return {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if not set(MANUAL[:-1]) <= set(reader.fieldnames or []):
            raise RunError(f"{path} has no columns {', '.join(MANUAL[:-1])}: save it as CSV with commas")
        for line in reader:
            id_, question, said = _plain(line["id"]), line["question"], line["points"].strip().replace(",", ".")
            most = by_hand.get(question, 0.0)
            try:
                points = float(said) if said else None
                if points is not None and not 0 <= points <= most:
                    raise ValueError
            except ValueError:
                raise RunError(
                    f"{path}, {id_} {question}: points must be a number from 0 to {most:g}, not {said!r}"
                ) from None
            found[id_, question] = {"points": points, "comment": _plain(line["comment"])}
    return found


# --- tables


def _write(path: Path, fields: list[str], table: list[Row]) -> None:
    for line in table:
        fields += [name for name in line if name not in fields]
    order = sorted(fields, key=lambda name: (name in ("file", "open", "note"),))
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8-sig", newline="") as file:  # with the mark by which Excel knows UTF-8
        writer = csv.DictWriter(file, order, restval="")
        writer.writeheader()
        writer.writerows({name: harmless(str(value)) for name, value in line.items()} for line in table)
    new.replace(path)


def harmless(text: str) -> str:
    """Keep a table program from taking text for a formula."""
    text = text.replace("\0", "").encode("utf-8", "replace").decode()
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) or text.startswith(("\t", "\r", "\n")) else text


def _plain(text: str) -> str:
    return text[1:] if text.startswith("'") and harmless(text[1:]) == text else text


# --- feedback


def feedback(row: Row, by_hand: dict[str, float], marks: dict[tuple[str, str], dict[str, Any]]) -> str:
    """Write what a student is told.  Of hidden checks only what their author wrote is shown.

    Raises
    ------
    CheckFailure
        If the notebook was not graded.
    """
    if row["score"] is None:
        raise CheckFailure(row["failure"])
    hand = {question: marks[row["id"], question] for question in by_hand}
    total = row["score"] + sum(mark["points"] or 0 for mark in hand.values())
    lines = [f"# {_markdown(row['id'])}: {total:g} of {row['max'] + sum(by_hand.values()):g} points", ""]
    if row["note"]:
        lines += [f"**Note.** {_markdown(row['note'])}", ""]
    for question, (got, most) in questions(row).items():
        lines += [f"## {question}: {got:g} of {most:g}", ""]
        for check in row["rows"]:
            if check["question"] == question:
                lines.append(f"- {'✓' if check['passed'] else '✗'} {check['title']}")
                if not check["passed"]:
                    lines.append(f"  — {_markdown(told(check))}")
        lines.append("")
    for question, mark in hand.items():
        points = "not marked yet" if mark["points"] is None else f"{mark['points']:g}"
        lines += [f"## {question}: {points} of {by_hand[question]:g}, by hand", "", _markdown(mark["comment"]), ""]
    errors = [f"- code cell {number}: {_markdown(error)}" for number, error in row["cells"] if not _wanted(error)]
    if errors:
        lines += ["## Cells that stopped with an error", "", *errors[:20], ""]
    return "\n".join(lines)


def told(check: Row) -> str:
    """Give the message of a check; of a hidden one no word that the student's code could have chosen."""
    if not check["hidden"]:
        return str(check["message"])
    if check["mistake"]:
        return str(check["mistake"])
    raised = re.match(r"(\w+) raised (\w+)\b", check["message"])
    if raised and raised[2] in BUILTIN:
        return f"{raised[1]} raised {raised[2]}"
    return "not as it should be (a hidden check)"


def _wanted(error: str) -> bool:
    return error.startswith("NotImplementedError")


def _markdown(text: str) -> str:
    """Show text as it is: no HTML, no links, no pictures."""
    return re.sub(r"([\\`*_\[\]!|])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
