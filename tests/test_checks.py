"""The machinery of the checks, on an exercise of one question."""

import numpy as np
import pytest

from cvcourse import checks
from cvcourse.checks import expect, run, wire
from cvcourse.checks.student import LocalStudent, borrows

CHECKS = '''
import numpy as np
import pytest
from cvcourse.checks import expect, right, wrong

FORBIDDEN = {"q1": ("scipy", "cvcourse.filtering")}


@pytest.mark.q("q1", 2)
def test_double(student, atlas, rng):
    """Every entry is doubled."""
    a = rng.normal(size=(3, 4))
    expect(student.double(a), 2 * a, atlas("double", a))
    assert not student.changed, "double overwrites its argument"


@pytest.mark.q("q2", 1)
def test_name(student):
    """The name is right."""
    assert student.name() == "double", "no"


@wrong("q1", says="this is the half")
def double(a):
    return a / 2
'''


@pytest.fixture
def path(tmp_path):
    (tmp_path / "check_00_trial.py").write_text(CHECKS)
    return tmp_path / "check_00_trial.py"


def answer(path, function, **namespace):
    (row,) = run.run_checks(path, LocalStudent({"double": function, **namespace}), "q1")
    assert row.points == 2
    return row


def test_a_right_answer_passes(path):
    row = answer(path, lambda a: 2 * a)
    assert row.passed
    assert row.message == ""
    assert row.title == "Every entry is doubled."


def overwrites(a):
    a *= 2
    return a


def unwritten(a):
    raise NotImplementedError


def double(a):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda a: a / 2, "this is the half"),
        (lambda a: 3 * a, "the result is wrong: it should be "),
        (lambda a: 2 * a[:2], "should be an array of shape (3, 4), got an array of shape (2, 4)"),
        (lambda a: 2 * a + np.nan, "holds NaN"),
        (lambda a: None, "end with a return"),
        (lambda a: "text", "not str"),
        (lambda a: [[1], [2, 3]], "not list"),
        (lambda a: 2 * a[0, 0], "got one number"),
        (lambda a: object(), "returned what cannot be checked: a object"),
        (lambda a: 1 / 0, "double raised ZeroDivisionError"),
        (overwrites, "double overwrites its argument"),
        (double, "double is still to be written"),
    ],
)
def test_what_is_wrong_is_said(path, function, message):
    row = answer(path, function)
    assert not row.passed
    assert message in row.message


def test_a_gap_in_another_function_is_named(path):
    row = answer(path, lambda a: unwritten(a))
    assert row.message == "unwritten, which double calls, is still to be written"


def test_a_missing_function_is_named(path):
    rows = run.run_checks(path, LocalStudent({}))
    assert [row.message for row in rows] == [
        f"{n} is not defined: run the cell that defines it" for n in ("double", "name")
    ]


def test_an_object_that_equals_everything_is_no_answer(path):
    class Always(np.ndarray):
        def __eq__(self, other):
            return True

    row = answer(path, lambda a: np.zeros((3, 4)).view(Always))
    assert "cannot be checked" in row.message


def test_forbidden_libraries_are_found_through_helpers_aliases_and_imports(path):
    import scipy
    import scipy.ndimage as short

    namespace = {"scipy": scipy, "short": short, "zoom": short.zoom}
    exec("def helper(a): return short.zoom(a, 2)", namespace)

    def uses(source):
        exec(source, namespace)
        return next(borrows(namespace["double"], namespace, ("scipy",)), None)

    assert uses("def double(a): return helper(a)") == "scipy.ndimage"
    assert uses("def double(a): return scipy.ndimage.zoom(a, 2)") == "scipy"
    assert uses("def double(a): return zoom(a, 2)").startswith("scipy.ndimage")
    assert uses("def double(a):\n    import scipy.ndimage\n    return a") == "scipy.ndimage"
    assert uses("def double(a):\n    from scipy import ndimage\n    return a") == "scipy"
    assert uses("def double(a): return [helper(row) for row in a]") == "scipy.ndimage"
    assert uses("double = zoom").startswith("scipy.ndimage")
    assert uses("def double(a): return 2 * a") is None
    assert uses("def double(a): return a.zoom") is None, "an attribute of that name is another thing"


def test_a_single_function_of_a_library_can_be_forbidden():
    namespace = {"np": np}
    exec("def f(a): return np.convolve(a, a)\ndef g(a): return np.sum(a)", namespace)
    assert list(borrows(namespace["f"], namespace, ("numpy.convolve",))) == ["numpy.convolve"]
    assert list(borrows(namespace["g"], namespace, ("numpy.convolve",))) == []


def test_check_prints_points_and_messages(path, capsys):
    check = run.Exercise(path, {"double": lambda a: a / 2, "name": lambda: "double"})
    check()
    assert capsys.readouterr().out.splitlines() == [
        "✗ Every entry is doubled.",
        "     this is the half",
        "✓ The name is right.",
        "q1: 0 of 2 points",
        "q2: 1 of 1 points",
    ]
    check("q2")
    assert capsys.readouterr().out.splitlines() == ["✓ The name is right.", "q2: 1 of 1 points"]


def test_an_unknown_question_or_exercise_is_refused(path):
    with pytest.raises(run.CheckFailure, match="did not run"):
        run.Exercise(path, {})("q9")
    with pytest.raises(KeyError, match="no exercise is called '99_none'"):
        checks.exercise("99_none")


def test_broken_checks_are_no_mark(path):
    path.write_text("import no_such_module")
    with pytest.raises(run.CheckFailure, match="did not run"):
        run.run_checks(path, LocalStudent({}))
    path.write_text(CHECKS.replace("def test_double(student, atlas, rng)", "def test_double(student, no_fixture)"))
    with pytest.raises(run.CheckFailure):
        run.run_checks(path, LocalStudent({"double": lambda a: 2 * a}), "q1")


def test_the_seed_changes_the_data_and_nothing_else(path):
    seen = []

    def double(a):
        seen.append(a)
        return 2 * a

    for seed in (0, 0, 1):
        assert run.run_checks(path, LocalStudent({"double": double}), "q1", seed)[0].passed
    np.testing.assert_array_equal(seen[0], seen[1])
    assert np.abs(seen[0] - seen[2]).max() > 0.1


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -2.5, "text", 1 + 2j, [1, [2, "a"]], (1, (2,)), {"a": [1], 2: (3,)}],
)
def test_plain_data_survives_the_wire(value):
    back = wire.decode(wire.encode(value))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f4", "f8", "c16"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_survive_the_wire(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    back = wire.decode(wire.encode(array))
    assert back.dtype == array.dtype
    assert back.shape == shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"raw", np.array(["a"]), np.array([object()]), len])
def test_other_things_do_not_pass(value):
    with pytest.raises(TypeError, match="cannot be checked"):
        wire.encode(value)


@pytest.mark.parametrize("data", [{"x": 1}, {"a": ["O", [], ""]}, {"a": [], "t": []}])
def test_forged_messages_are_refused(data):
    with pytest.raises(ValueError, match=r"not|unknown"):
        wire.decode(data)


def test_expect_names_a_mistake_only_where_it_differs_from_the_truth():
    expect([1.0, 2.0], [1.0, 2.0], {"a mistake that makes no difference here": [1.0, 2.0]})
    with pytest.raises(AssertionError, match="upside down"):
        expect([2.0, 1.0], [1.0, 2.0], {"upside down": [2.0, 1.0]})
    with pytest.raises(AssertionError, match="should be 2 at \\[1\\], got 5"):
        expect([1.0, 5.0], [1.0, 2.0])
