"""The mistake atlas: wrong versions that students really write, kept beside the checks.

``@wrong("q1", says="the kernel is not flipped")`` registers a wrong version of a question's
function.  A check runs the wrong versions on its own data and so recognises the mistake in an
answer; the tests of the exercises hand each of them in and see that it loses points and is told
its own message.  ``@right("q1")`` registers a second correct solution, which must get all points.
"""

import copy
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Function = Callable[..., Any]


class Version(NamedTuple):
    """A version of a student's function, right or wrong (then `says` names the mistake)."""

    question: str
    name: str
    function: Function
    says: str


def _register(list_name: str, question: str, says: str) -> Callable[[Function], Function]:
    def keep(function: Function) -> Function:
        versions = sys.modules[function.__module__].__dict__.setdefault(list_name, [])
        versions.append(Version(question, function.__name__, function, says))
        return function

    return keep


def wrong(question: str, says: str) -> Callable[[Function], Function]:
    """Register the decorated function as a wrong version of the student's function of its name."""
    return _register("WRONG", question, says)


def right(question: str) -> Callable[[Function], Function]:
    """Register the decorated function as a further correct solution."""
    return _register("RIGHT", question, "")


def mistakes(versions: list[Version], name: str, arguments: Any, keywords: Any) -> dict[str, Any]:
    """Run the wrong versions of function `name` on copies of the arguments: message -> result."""
    found = {}
    for version in versions:
        if version.name == name:
            try:
                found[version.says] = version.function(*copy.deepcopy(arguments), **copy.deepcopy(keywords))
            except Exception:  # a wrong version may well crash where it is not meant for
                continue
    return found


def expect(
    answer: Any,
    truth: ArrayLike,
    looks_like: dict[str, Any] | None = None,
    atol: float = 1e-9,
    what: str = "the result",
) -> None:
    """Assert that an answer equals the truth; else name the mistake that it looks like.

    Parameters
    ----------
    answer
        What the student's function returned.
    truth : array
        From construction, a law or an independent library.
    looks_like : dict of str -> result, optional
        Results of wrong versions, as the fixture ``atlas`` gives; those that equal the truth here
        are passed over.
    atol : float
        Largest absolute difference; say in the check where it comes from if not rounding.
    what : str
        What the answer is, for the message.

    Raises
    ------
    AssertionError
        With a message that names the mistake, as far as it can be known.
    """
    __tracebackhide__ = True
    truth = np.asarray(truth)
    if truth.size == 0:
        raise ValueError("a check needs a truth to compare with, got an empty array")
    if _same(answer, truth, atol):
        return
    for says, result in (looks_like or {}).items():
        assert not (_same(answer, result, atol) and not _same(truth, result, atol)), says
    assert answer is not None, f"{what} is None: does the function end with a return?"
    try:
        got = np.asarray(answer, dtype=np.complex128 if np.iscomplexobj(answer) else np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"{what} should be {_shape(truth.shape)}, not {type(answer).__name__}") from None
    assert got.shape == truth.shape, f"{what} should be {_shape(truth.shape)}, got {_shape(got.shape)}"
    assert np.isfinite(got).all(), f"{what} holds NaN or infinity"
    difference = np.abs(got - truth)
    worst = np.unravel_index(int(np.argmax(difference)), truth.shape) if truth.ndim else ()
    place = f" at {[int(k) for k in worst]}" if worst else ""
    assert np.max(difference, initial=0) <= atol, (
        f"{what} is wrong: it should be {truth[worst]:.6g}{place}, got {got[worst]:.6g}"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return f"an array of shape {shape}" if shape else "one number"


def _same(a: Any, b: Any, atol: float) -> bool:
    try:
        x, y = np.asarray(a, dtype=np.complex128), np.asarray(b, dtype=np.complex128)
    except (TypeError, ValueError):
        return False
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=0, atol=atol, equal_nan=True))
