"""One page about a class: where it stands, which mistakes it made, what to explain next.

A single HTML file without scripts and without anything from elsewhere.
"""

import html
import itertools
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

from cvcourse.grading.batch import Row, RunError, rows_of
from cvcourse.grading.finish import questions

COMMON = 0.1  # prints that more of the class than this share say nothing about copying
ALIKE = 0.7  # share of the rarer prints that two have in common, from which they look alike
FEW = 6  # rare prints that both must have
LARGEST = 60  # pairs that are listed

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
td, th { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; }
.bar { background: #0072b2; height: .9rem; min-width: 1px; } .bars { display: inline-block; width: 16rem; }
.low { color: #b00020; font-weight: 600; } small { color: #555; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def report(results: Path) -> Path:
    """Write ``report.html`` into a results folder.

    Raises
    ------
    RunError
        If nothing was graded yet.
    """
    graded = [row for row in rows_of(results) if row["score"] is not None]
    if not graded:
        raise RunError(f"{results} holds no marks yet: run  python -m cvcourse.grading grade  first")
    run = json.loads((results / "run.json").read_text("utf-8"))
    path = results / "report.html"
    path.write_text(page(graded, run["exercise"], len(rows_of(results)) - len(graded)), "utf-8")
    return path


def page(rows: list[Row], title: str, unmarked: int) -> str:
    """Build the page; every text of students or file names is escaped."""
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_e(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body>'
    )
    scores = sorted(row["score"] for row in rows)
    middle = (scores[(len(scores) - 1) // 2] + scores[len(scores) // 2]) / 2
    said = f"{len(rows)} graded, {unmarked} without a mark. Median {middle:g} of {_most(rows):g} points (checks only)."
    parts = [head, f"<h1>Exercise {_e(title)}</h1><p>{said}</p>"]
    parts += ["<h2>Points</h2>", _distribution(rows)]
    parts += ["<h2>What to explain next: the mistakes, by question</h2>", _mistakes(rows)]
    parts += ["<h2>What separates the class</h2>", _separation(rows)]
    parts += ["<h2>Submissions that look alike</h2>", _alike(rows)]
    parts += ["<h2>To be looked at</h2>", _review(rows), "</body></html>"]
    return "\n".join(parts)


def _e(text: object) -> str:
    return html.escape(str(text))


def _table(heads: list[str], lines: list[list[str]]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><tr>{top}</tr>{body}</table>"


def _bar(share: float) -> str:
    return f'<div class="bar" style="width:{100 * share:.1f}%"></div>'


def _most(rows: list[Row]) -> float:
    return float(max(row["max"] for row in rows))


def _distribution(rows: list[Row]) -> str:
    most = _most(rows)
    bins = min(12, max(1, round(most)))
    counts = Counter(min(int(row["score"] * bins / most), bins - 1) if most else 0 for row in rows)
    largest = max(counts.values())
    lines = []
    for k in range(bins):
        last = "" if k == bins - 1 else "below "
        label = f"{most * k / bins:.3g} to {last}{most * (k + 1) / bins:.3g}"
        lines.append([label, str(counts[k]), _bar(counts[k] / largest)])
    return _table(["points", "students", '<span class="bars"></span>'], lines)


def named(rows: list[Row]) -> dict[str, Counter[str]]:
    """Count, question by question, the students who made each mistake that the checks could name.

    One who lost points without one is counted under "written, but no known mistake" or "not written, or it does not run".
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        lost: dict[str, list[Row]] = defaultdict(list)
        for check in row["rows"]:
            if not check["passed"]:
                lost[check["question"]].append(check)
        for question, checks in lost.items():
            says = {check["mistake"] for check in checks if check["mistake"]}
            if not says:
                says = {UNWRITTEN if all(_runs_not(check["message"]) for check in checks) else UNKNOWN}
            counts[question].update(says)
    return counts


UNKNOWN = "(wrong, but no mistake that the checks know)"
UNWRITTEN = "(not written, or it does not run)"


def _runs_not(message: str) -> bool:
    words = (
        "still to be written",
        "is not defined",
        " raised ",
        "ended the Python",
        "took longer",
        "used up",
        "too often",
    )
    return any(word in message for word in words)


def _mistakes(rows: list[Row]) -> str:
    parts = []
    counts = named(rows)
    for question in dict.fromkeys(check["question"] for row in rows for check in row["rows"]):
        right = sum(got == most for row in rows for q, (got, most) in questions(row).items() if q == question)
        parts.append(f"<h3>{_e(question)} <small>{right} of {len(rows)} got all its points</small></h3>")
        lines = [[_e(says), str(n), _bar(n / len(rows))] for says, n in counts[question].most_common()]
        parts.append(_table(["mistake", "students", '<span class="bars"></span>'], lines) if lines else "<p>None.</p>")
    return "\n".join(parts)


def discrimination(rows: list[Row]) -> dict[tuple[str, str], tuple[float, float]]:
    """Give each check's share of students who passed it and how it goes with their other points.

    The second is the correlation of a check with the points without it (item–rest correlation); NaN
    where all, or none, passed.
    """
    found = {}
    tests = {(check["question"], check["test"]): check for row in rows for check in row["rows"]}
    passed = [{(c["question"], c["test"]): bool(c["passed"]) for c in row["rows"]} for row in rows]
    for key, check in tests.items():
        mine = [float(row.get(key, False)) for row in passed]
        rest = [row["score"] - check["points"] * got for row, got in zip(rows, mine, strict=True)]
        found[key] = (sum(mine) / len(mine), _correlation(mine, rest))
    return found


def _correlation(a: list[float], b: list[float]) -> float:
    u, v = ([value - sum(x) / len(x) for value in x] for x in (a, b))
    size = math.sqrt(sum(x * x for x in u) * sum(y * y for y in v))
    return sum(x * y for x, y in zip(u, v, strict=True)) / size if size > 1e-12 else math.nan


def _separation(rows: list[Row]) -> str:
    titles = {(check["question"], check["test"]): check["title"] for row in rows for check in row["rows"]}
    lines = []
    found = discrimination(rows)
    for key in sorted(found, key=lambda key: -found[key][1] if found[key][1] == found[key][1] else 2):
        share, r = found[key]
        shown = "–" if r != r else f'<span class="low">{r:.2f}</span>' if r < 0.15 else f"{r:.2f}"
        lines.append([_e(key[0]), _e(titles[key]), f"{100 * share:.0f} %", shown])
    note = (
        "<p>How a check goes with the other points of the same students: near 1 it separates, near 0 it tells nothing, "
        "below 0 good students fail it more often than others: look at the check, or at how it was asked.</p>"
    )
    return note + _table(["question", "check", "passed", "separates"], lines)


def alike(rows: list[Row]) -> list[tuple[float, int, str, str]]:
    """List the pairs that share rare pieces of code: share, number of pieces, and both ids; most alike first.

    Names, layout, comments and what everybody was given don't count, nor what many write the same way.
    """
    holders: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        for mark in row.get("prints", []):
            holders[mark].append(number)
    rare = {mark: who for mark, who in holders.items() if len(who) <= max(2, COMMON * len(rows))}
    own = Counter(number for who in rare.values() for number in who)
    shared = Counter(pair for who in rare.values() for pair in itertools.combinations(who, 2))
    found = []
    for (a, b), count in shared.items():
        share = count / max(min(own[a], own[b]), 1)
        if share >= ALIKE and count >= FEW:
            found.append((share, count, str(rows[a]["id"]), str(rows[b]["id"])))
    return sorted(found, key=lambda pair: (-pair[0], -pair[1], pair[2:]))


def _alike(rows: list[Row]) -> str:
    pairs = alike(rows)
    if not pairs:
        return "<p>None share more than what many write the same way.</p>"
    lines = [[_e(a), _e(b), f"{100 * share:.0f} %", str(count)] for share, count, a, b in pairs[:LARGEST]]
    more = f"<p>{len(pairs) - LARGEST} more pairs are not shown.</p>" if len(pairs) > LARGEST else ""
    note = (
        "<p>The share of the rarer pieces of code that two have in common, with names, layout and comments left out. It is "
        "a reason to look at both, not a proof: short functions have few right forms.</p>"
    )
    return note + _table(["", "", "in common", "pieces"], lines) + more


def _review(rows: list[Row]) -> str:
    lines = [
        [_e(row["id"]), "<br>".join(_e(text) for text in [row["note"], *row.get("review", [])] if text)]
        for row in rows
        if row["note"] or row.get("review")
    ]
    note = "<p>Damaged files, and code that may hide what it uses. No points were taken for these.</p>"
    return note + _table(["student", "what"], lines) if lines else "<p>Nothing.</p>"
