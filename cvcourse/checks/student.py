"""The `student` that checks talk to: here, the functions of a running notebook."""

import dis
import types
from collections.abc import Callable, Iterator
from typing import Any

from cvcourse.checks import wire


class StudentError(AssertionError):
    """The student's code failed in a way that the student can mend."""


class Student:
    """``student.name(arguments)`` calls the student's function `name` on copies of plain data.

    A subclass says in `_run` where the code lives.  After a call, ``student.changed`` lists the
    numbers of the arguments that the function overwrote.
    """

    __test__ = False

    def __init__(self) -> None:
        self.changed: list[int] = []
        self.forbidden: tuple[str, ...] = ()

    def _run(self, name: str, arguments: Any, keywords: Any) -> tuple[Any, Any]:
        """Run a function on encoded data; give its encoded result and its arguments afterwards."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            __tracebackhide__ = True
            sent = wire.encode(arguments)
            result, after = self._run(name, sent, wire.encode(keywords))
            self.changed = [k for k, (a, b) in enumerate(zip(sent["t"], after["t"], strict=True)) if a != b]
            return wire.decode(result)

        return call


class LocalStudent(Student):
    """The functions of a namespace of this process: a running notebook's, or a test's."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__()
        self._namespace = namespace

    def _run(self, name: str, arguments: Any, keywords: Any) -> tuple[Any, Any]:
        __tracebackhide__ = True
        function = self._namespace.get(name)
        if not callable(function):
            raise StudentError(f"{name} is not defined: run the cell that defines it")
        if borrowed := next(borrows(function, self._namespace, self.forbidden), None):
            raise StudentError(f"{name} uses {borrowed}; write this one yourself")
        values, options = wire.decode(arguments), wire.decode(keywords)
        try:
            result = function(*values, **options)
        except NotImplementedError as gap:
            raise StudentError(f"{_unwritten(gap, name)} is still to be written") from None
        except Exception as problem:
            raise StudentError(f"{name} raised {type(problem).__name__}: {problem}") from None
        try:
            return wire.encode(result), wire.encode(values)
        except TypeError as problem:
            raise StudentError(f"{name} returned what cannot be checked: {problem}") from None


def _unwritten(gap: NotImplementedError, name: str) -> str:
    """Name the function that raised: another one, if the student's function calls it."""
    step = gap.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    innermost = step.tb_frame.f_code.co_name if step is not None else name
    return name if innermost == name or innermost.startswith("<") else f"{innermost}, which {name} calls,"


def borrows(function: Any, namespace: dict[str, Any], forbidden: tuple[str, ...]) -> Iterator[str]:
    """Find what a function uses of forbidden modules, through the notebook's own functions too.

    `forbidden` holds prefixes such as ``"scipy"``, ``"cvcourse.filtering"`` or ``"numpy.convolve"``.
    """

    def is_forbidden(dotted: str) -> bool:
        return any(dotted == prefix or dotted.startswith(f"{prefix}.") for prefix in forbidden)

    seen: set[int] = set()
    waiting = [function]
    while waiting:
        thing = waiting.pop()
        home = str(getattr(thing, "__module__", ""))
        if is_forbidden(home):
            yield f"{home}.{getattr(thing, '__name__', '')}"
        code = getattr(thing, "__code__", None)
        if code is None or id(code) in seen or home.startswith(("numpy", "cvcourse")):
            continue
        seen.add(id(code))
        for name, dotted in _uses(code, namespace):
            if is_forbidden(dotted):
                yield dotted
            waiting.append(namespace.get(name))


def _uses(code: types.CodeType, namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """List the global names that code reads, each with the dotted path it leads to: np, numpy.convolve."""
    name = dotted = ""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            name = str(step.argval)
            dotted = getattr(namespace.get(name), "__name__", "") if _is_module(namespace.get(name)) else ""
        elif step.opname == "IMPORT_NAME":
            name, dotted = "", str(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM") and dotted:
            dotted = f"{dotted}.{step.argval}"
        else:
            continue
        yield name, dotted
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _uses(constant, namespace)


def _is_module(thing: Any) -> bool:
    return isinstance(thing, types.ModuleType)
