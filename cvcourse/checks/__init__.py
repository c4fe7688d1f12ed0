"""Check the answers of an exercise notebook and name the mistake.

    from cvcourse import checks
    check = checks.exercise("01_filtering")
    check("q1")

The checks of an exercise are the pytest functions of ``check_NN_name.py`` beside this file.  The
student's code computes, the check compares: only plain data passes between them (`wire`), so that
the same checks can mark a notebook that runs elsewhere.
"""

from cvcourse.checks.atlas import expect, right, wrong
from cvcourse.checks.run import Exercise, Row, exercise
from cvcourse.checks.student import StudentError

__all__ = ["Exercise", "Row", "StudentError", "exercise", "expect", "right", "wrong"]
