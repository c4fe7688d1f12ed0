"""Stands in for `cvcourse.checks` in the sandbox: ``check("q1")`` does nothing."""

from collections.abc import Callable


def exercise(name: str) -> Callable[..., None]:
    """Give a ``check`` that checks nothing."""
    return lambda question=None: None
