"""Read what a notebook's source says, without running it.

The worker does this before it runs the first cell, so that no code of the student's can speak for
itself.  It finds what a function reaches of other modules, as far as names tell: through imports,
aliases and the notebook's own functions.  It can't see through strings that become code; of these
it only tells where they are (`suspicions`), and people judge.
"""

import ast
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

ODD_NAMES = {"eval", "exec", "compile", "__import__", "globals", "vars", "__builtins__", "get_ipython"}
ODD_MODULES = {"importlib", "builtins", "ctypes", "subprocess", "gc", "inspect", "pickle", "socket", "multiprocessing"}
ODD_PARTS = {"modules", "__dict__", "__globals__", "__subclasses__", "f_back", "_getframe"}
GRAM, WINDOW, MAX_PRINTS = 12, 6, 400


def parse(cells: list[str]) -> list[tuple[int, ast.Module]]:
    """Parse what can be parsed, each tree with the number of its cell; magics are understood."""
    from IPython.core.inputtransformer2 import TransformerManager

    trees = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, cell in enumerate(cells):
            for transform in (str, TransformerManager().transform_cell) if cell.strip() else ():
                try:
                    trees.append((number, ast.parse(transform(cell))))
                    break
                except (SyntaxError, ValueError, RecursionError, MemoryError):
                    continue
    return trees


class Source:
    """What the names of a notebook stand for."""

    def __init__(self, trees: list[tuple[int, ast.Module]]) -> None:
        self.modules: dict[str, set[str]] = {}  # name -> dotted paths that it may stand for
        self.bodies: dict[str, list[ast.AST]] = {}  # name -> the definitions and values that it was given
        self.where: dict[str, int] = {}  # name -> the cell that defined it last
        for number, tree in trees:
            for node in ast.walk(tree):
                for name, dotted in _imports(node):
                    self.modules.setdefault(name, set()).add(dotted)
            for statement in _outer(tree.body):
                for name, body in _defines(statement):
                    self.bodies.setdefault(name, []).append(body)
                    self.where[name] = number

    def reaches(self, name: str) -> list[str]:
        """List the dotted paths that the last definition of `name` leads to, its helpers' included."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            step = waiting.pop()
            if step in seen:
                continue
            seen.add(step)
            found |= self.modules.get(step, set())
            for body in self.bodies.get(step, [])[-1:]:
                for parts in _chains(body):
                    waiting.append(parts[0])
                    found |= {".".join([dotted, *parts[1:]]) for dotted in self.modules.get(parts[0], ())}
                found |= {dotted for node in ast.walk(body) for _, dotted in _imports(node)}
        return sorted(found)


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Give the names that an import statement binds, with what they stand for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
            yield "", alias.name
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _outer(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Go through statements, into blocks such as if and try, but not into functions."""
    for statement in statements:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _outer(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []):
                yield from _outer(handler.body)


def _defines(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name, statement
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    yield node.id, statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        yield statement.target.id, statement.value


def _chains(tree: ast.AST) -> Iterator[list[str]]:
    """Give every name that is read, with its attributes: np.linalg.det is [np, linalg, det]."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield [node.id]
        elif isinstance(node, ast.Attribute):
            parts: list[str] = []
            step: ast.AST = node
            while isinstance(step, ast.Attribute):
                parts.append(step.attr)
                step = step.value
            if isinstance(step, ast.Name):
                yield [step.id, *reversed(parts)]


def suspicions(trees: list[tuple[int, ast.Module]]) -> list[str]:
    """Say where code hides from this reading: for people to look at, never for a mark."""
    found = []
    for number, tree in trees:
        odd = set()
        for node in ast.walk(tree):
            odd |= {dotted for _, dotted in _imports(node) if dotted.split(".")[0] in ODD_MODULES}
            if isinstance(node, ast.Name) and node.id in ODD_NAMES:
                odd.add(node.id)
            elif isinstance(node, ast.Attribute) and node.attr in ODD_PARTS:
                odd.add(f".{node.attr}")
            elif isinstance(node, ast.Call) and _names_attribute(node):
                odd.add("getattr of a computed name")
        magic = isinstance(tree.body[0] if tree.body else None, ast.Expr) and "get_ipython" in odd
        odd -= {"get_ipython"} if magic else set()
        found += [f"code cell {number + 1} uses {name}" for name in sorted(odd)[:5]]
    return found[:20]


def _names_attribute(call: ast.Call) -> bool:
    is_getattr = isinstance(call.func, ast.Name) and call.func.id == "getattr"
    return is_getattr and len(call.args) > 1 and not isinstance(call.args[1], ast.Constant)


def prints(trees: list[tuple[int, ast.Module]]) -> list[int]:
    """Give the fingerprints of code, for finding look-alikes: names, layout and comments don't count.

    Winnowing (Schleimer, Wilkerson, Aiken 2003): of every `WINDOW` hashes of `GRAM` nodes in a row
    the smallest is kept.
    """
    nodes = [_kind(node) for _, tree in trees for node in _in_order(tree)]
    hashes = [zlib.crc32(" ".join(nodes[k : k + GRAM]).encode()) for k in range(len(nodes) - GRAM + 1)]
    kept = {min(hashes[k : k + WINDOW]) for k in range(max(len(hashes) - WINDOW + 1, 0))}
    return sorted(kept)[:MAX_PRINTS]


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree as it is written, without documentation."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        if not isinstance(node, ast.expr_context | ast.arguments):
            yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return repr(node.value)[:20]
    if isinstance(node, ast.Attribute):
        return f".{node.attr}"
    return type(node).__name__


def read(cells: list[str], answers: list[int], names: list[str]) -> dict[str, Any]:
    """Read a notebook: what its functions reach, what hides, and fingerprints of the cells `answers`."""
    trees = parse(cells)
    source = Source(trees)
    wanted = [name for name in names if name in source.bodies]
    return {
        "reaches": {name: source.reaches(name)[:200] for name in wanted},
        "defined": sorted(source.bodies)[:1000],
        "where": {name: source.where[name] for name in wanted},
        "suspicions": suspicions(trees),
        "prints": prints([(number, tree) for number, tree in trees if number in set(answers)]),
    }
