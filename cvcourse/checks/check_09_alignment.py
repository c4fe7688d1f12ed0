"""Checks of exercise 09_alignment, the mistakes they know, and second solutions.

Oracles: ``scipy.linalg`` on equations written as Kronecker products, ``scipy.optimize`` for the
geometric error, the complex step for derivatives; else truth by construction and laws.
"""

import math

import numpy as np
import pytest
from scipy import linalg, optimize

from cvcourse.checks import StudentError, expect, right, wrong

GEOMETRY = ("homogeneous", "transforms", "warping", "alignment", "ransac", "panoramas", "calibration", "two_view")
LIBRARIES = (*(f"cvcourse.{name}" for name in GEOMETRY), "scipy", "skimage", "sklearn", "cv2", "PIL", "torch")
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5")}


def carried(T, points):
    """Carry (N, 2) points by a 3 x 3 matrix; infinity and NaN stay what they are."""
    with np.errstate(all="ignore"):
        u, v, w = np.asarray(T, dtype=np.float64) @ np.column_stack([points, np.ones(len(points))]).T
        return np.column_stack([u / w, v / w])


def matrix3(answer, what="the result"):
    """Read an answer as a 3 x 3 matrix, or say what it is instead."""
    assert answer is not None, f"{what} is None: does the function end with a return?"
    assert np.shape(answer) == (3, 3), f"{what} should be an array of shape (3, 3), got {np.shape(answer)}"
    return np.asarray(answer, dtype=np.float64)


def places(looks, points):
    """Give where the mistakes' transforms carry points; those that are no 3 x 3 matrix are left out."""
    return {says: carried(T, points) for says, T in looks.items() if np.shape(T) == (3, 3)}


def collected(student, atlas, name, cases):
    """Give the answers to several calls together, and what each wrong version gives to all of them."""
    answers, looks = [], {}
    for case in cases:
        answers.append(getattr(student, name)(*case))
        for says, result in atlas(name, *case).items():
            looks.setdefault(says, []).append(result)
    return answers, {says: results for says, results in looks.items() if len(results) == len(cases)}


def refusal(call, *arguments):
    """Give what was raised, as text; "nothing was raised" if nothing was."""
    try:
        call(*arguments)
    except StudentError as problem:
        return str(problem)
    return "nothing was raised"


# ---------------------------------------------------------------------------------------------
# Question 1: an affine transform by least squares

ONE_LINE = (
    "source points on one line, or fewer than three, leave many answers: raise a ValueError instead of choosing one"
)
LOST_DIGITS = (
    "far from the origin the digits are lost: AᵀA has the square of A's condition number; solve without it, or move "
    "the points to their mean first"
)
ARGUMENTS_CHANGED = "the arguments are overwritten: `src -= …` writes into the array of the caller, `src - …` does not"


def random_affine(rng):
    """Draw an affine transform that is neither symmetric nor near a similarity."""
    turn, scale, shear = rng.uniform(0.3, 1.0), rng.uniform(0.7, 1.4), rng.uniform(0.3, 0.6)
    cos, sin = scale * math.cos(turn), scale * math.sin(turn)
    T = np.eye(3)
    T[:2, :2] = np.array([[cos, -sin], [sin, cos]]) @ [[1, shear], [0, 1.2]]
    T[:2, 2] = rng.uniform(20, 80, 2) * (1, -1)
    return T


@pytest.mark.q("q1", 1)
def test_three_pairs(student, atlas, rng):
    """Three pairs give the affine transform that made them."""
    T = random_affine(rng)
    src = np.array([[40.0, 60], [310, 95], [130, 270]]) + rng.uniform(-25, 25, (3, 2))
    dst = carried(T, src)
    answer = student.fit_affine(src, dst)
    assert not student.changed, ARGUMENTS_CHANGED
    # numbers of some hundreds, a condition number of 1e3: even normal equations lose no more than 1e-7
    expect(answer, T, atlas("fit_affine", src, dst), atol=1e-6, what="T")


@pytest.mark.q("q1", 2)
def test_least_squares(student, atlas, rng):
    """Many pairs with errors: the smallest sum of squared distances."""
    T = random_affine(rng)
    for n in (4, 13):
        src = rng.uniform((20, 40), (400, 260), (n, 2))
        dst = carried(T, src) + rng.normal(0, 5, (n, 2))
        # all six unknowns in one system: the Kronecker product of the two rows' unit matrix and [x y 1]
        A = np.kron(np.column_stack([src, np.ones(n)]), np.eye(2))
        truth = np.vstack([linalg.lstsq(A, dst.ravel())[0].reshape(3, 2).T, [0, 0, 1]])
        expect(
            student.fit_affine(src, dst), truth, atlas("fit_affine", src, dst), atol=1e-6, what=f"T of {n} noisy pairs"
        )


@pytest.mark.q("q1", 1)
def test_map_coordinates(student, atlas, rng):
    """Points some metres apart and millions of metres from the origin keep their digits."""
    near, T = rng.uniform((0, 0), (8, 6), (11, 2)), random_affine(rng) @ np.diag([50, 50, 1])  # 50 pixels a metre
    src, dst = near + np.array([4e5, 5e6]) + rng.uniform(0, 1e4, 2), carried(T, near)
    at_home = carried(matrix3(student.fit_affine(near, dst), "T"), near)
    try:
        away = carried(matrix3(student.fit_affine(src, dst), "T"), src)
    except StudentError as problem:
        if "LinAlgError" in str(problem):
            raise AssertionError(f"{LOST_DIGITS} ({problem})") from None
        raise
    looks = places(atlas("fit_affine", src, dst), src)
    # 5e6 m · 50 px/m known to 16 digits: 3e-8 px, some ten times that by solving; normal equations: above 5e-3 px
    if not any(np.allclose(away, there, rtol=0, atol=1e-4) for there in (dst, *looks.values())):
        assert not np.allclose(at_home, dst, rtol=0, atol=1e-4), LOST_DIGITS
    expect(away, dst, looks, atol=1e-4, what="where T carries the points")


@pytest.mark.q("q1", 1)
def test_points_that_leave_it_open(student, rng):
    """Two pairs, or source points on one line, raise a ValueError."""
    k = np.arange(6.0)
    x, y = rng.integers(3, 20, 2)
    lines = {
        "two pairs": np.array([[3.0, 5], [40, 17]]),
        "a level line": np.column_stack([x + 8 * k, 0 * k + y]),
        "an upright line": np.column_stack([0 * k + x, y + 4 * k]),
        "a slanted line": np.column_stack([x + 4 * k, y + 12 * k]),
    }
    for what, src in lines.items():
        happened = refusal(student.fit_affine, src, rng.uniform(0, 50, src.shape))
        assert "ValueError" in happened or "LinAlgError" in happened, f"{ONE_LINE} ({what}: {happened})"
    src = np.array([[0.0, 0], [40, 0], [80, 1], [120, 0]])  # nearly on a line is not on a line
    student.fit_affine(src, rng.uniform(0, 50, src.shape))


def _affine(linear, translation):
    T = np.eye(3)
    T[:2, :2], T[:2, 2] = linear, translation
    return T


def _refuse_lines(src):
    if len(src) < 3 or np.linalg.matrix_rank(src - src.mean(axis=0)) < 2:
        raise ValueError("not unique")


def _fit_affine(src, dst):
    _refuse_lines(src)
    return _fit_any(src, dst)


def _fit_any(src, dst):
    p, q = src.mean(axis=0), dst.mean(axis=0)
    linear = np.linalg.lstsq(src - p, dst - q)[0].T
    return _affine(linear, q - linear @ p)


@wrong(
    "q1",
    says="this matrix acts on rows, (x, y, 1) T: here transforms act on columns, so it must be transposed, with 0 0 1 "
    "below",
)
def fit_affine(src, dst):
    return _fit_affine(src, dst).T


@wrong("q1", says="the transform is fitted to (y, x): points are (x, y), x first")
def fit_affine(src, dst):
    return _fit_affine(src[:, ::-1], dst[:, ::-1])


@wrong("q1", says="this is the way back, from dst to src: asked is the T with dst = T src")
def fit_affine(src, dst):
    _refuse_lines(src)
    return _fit_any(dst, src)


@wrong(
    "q1",
    says="T is the inverse of a fit from dst to src: it makes the distances among the source points small, not those of "
    "Eq. (2)",
)
def fit_affine(src, dst):
    _refuse_lines(src)
    return np.linalg.inv(_fit_any(dst, src))


@wrong("q1", says="the column of ones is missing: without it the origin must stay where it is")
def fit_affine(src, dst):
    _refuse_lines(src)
    return _affine(np.linalg.lstsq(src, dst)[0].T, 0)


@wrong(
    "q1",
    says="the translation is the plain difference of the means: it must bring the *transformed* mean of src onto that "
    "of dst",
)
def fit_affine(src, dst):
    T = _fit_affine(src, dst)
    T[:2, 2] = dst.mean(axis=0) - src.mean(axis=0)
    return T


@wrong("q1", says="the means were taken off and not put back: T carries the moved points, not the given ones")
def fit_affine(src, dst):
    T = _fit_affine(src, dst)
    T[:2, 2] = 0
    return T


@wrong("q1", says="only the first three pairs count: every pair should have its say, Eq. (2)")
def fit_affine(src, dst):
    _refuse_lines(src)
    return _fit_any(src[:3], dst[:3])


@wrong(
    "q1",
    says="this is a similarity, with four unknowns: an affine transform may shear, and stretch x and y differently",
)
def fit_affine(src, dst):
    _refuse_lines(src)
    p, q = ((points - points.mean(axis=0)) @ [1, 1j] for points in (src, dst))
    z = np.vdot(p, q) / np.vdot(p, p)
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    return _affine(linear, dst.mean(axis=0) - linear @ src.mean(axis=0))


@wrong("q1", says="the two rows are exchanged: the first row of T gives x'")
def fit_affine(src, dst):
    return _fit_affine(src, dst)[[1, 0, 2]]


@wrong("q1", says="the last row, 0 0 1, is missing: T should be 3 × 3")
def fit_affine(src, dst):
    return _fit_affine(src, dst)[:2]


@wrong(
    "q1",
    says="this is the smallest singular vector of a homogeneous system: it lets the unit of length in dst decide; solve "
    "for the six unknowns",
)
def fit_affine(src, dst):
    _refuse_lines(src)
    rows = [np.kron(np.eye(2), [*p, 1]) for p in src]
    A = np.column_stack([np.vstack(rows), -dst.ravel()])
    h = np.linalg.svd(A)[2][-1]
    return np.vstack([h[:6].reshape(2, 3) / h[6], [0, 0, 1]])


@wrong("q1", says=LOST_DIGITS)
def fit_affine(src, dst):
    _refuse_lines(src)
    A = np.column_stack([src, np.ones(len(src))])
    return np.vstack([np.linalg.solve(A.T @ A, A.T @ dst).T, [0, 0, 1]])


@wrong("q1", says=ONE_LINE)
def fit_affine(src, dst):
    return _fit_any(src, dst)


@wrong("q1", says=ARGUMENTS_CHANGED)
def fit_affine(src, dst):
    T = _fit_affine(src, dst)
    src -= src.mean(axis=0)
    return T


@right("q1")
def fit_affine(src, dst):
    """Moments about the mean: dst's moments with src are the linear part times src's own."""
    n = len(src)
    mx, my = sum(src[:, 0]) / n, sum(src[:, 1]) / n
    dx, dy = src[:, 0] - mx, src[:, 1] - my
    sxx, sxy, syy = sum(dx * dx), sum(dx * dy), sum(dy * dy)
    det = sxx * syy - sxy**2
    if n < 3 or det <= 1e-12 * (sxx + syy) ** 2:
        raise ValueError("the source points lie on a line")
    T = np.eye(3)
    for row in (0, 1):
        c = dst[:, row] - sum(dst[:, row]) / n
        tx, ty = sum(dx * c), sum(dy * c)
        T[row, 0], T[row, 1] = (tx * syy - ty * sxy) / det, (ty * sxx - tx * sxy) / det
        T[row, 2] = sum(dst[:, row]) / n - T[row, 0] * mx - T[row, 1] * my
    return T


# ---------------------------------------------------------------------------------------------
# Question 2: the DLT on small numbers

NORM = "the squares of the nine entries of H should sum to 1"
DIVIDED = (
    "H is divided by H[2, 2], which may be 0: then the origin is carried to infinity; the free scale should be fixed by "
    "the norm of h"
)
THIN = (
    "from four pairs the thin SVD gives only eight right singular vectors, and the ninth is the solution; ask for all"
)


def random_homography(rng):
    """Draw a homography of points about 1, far from affine, with w between 0.5 and 3."""
    H = np.array([[1.2, 0.4, 0.3], [-0.3, 0.9, 0.5], [0.25, 0.12, 1.0]])
    return H + rng.uniform(-0.1, 0.1, (3, 3))


def points_about_1(rng, n):
    """Draw the corners of a slanted quadrangle and n - 4 points in it; coordinates 0.3 to 3."""
    corners = np.array([[0.5, 0.6], [2.6, 0.4], [2.9, 1.9], [0.8, 2.3]]) + rng.uniform(-0.1, 0.1, (4, 2))
    return np.vstack([corners, rng.uniform((0.6, 0.6), (2.6, 1.9), (n - 4, 2))])


def equations(src, dst):
    """Write p' x H p = 0 as a Kronecker product: row 2 of [p']x gives x', minus row 1 gives y'."""
    rows = []
    for (x, y), (a, b) in zip(src, dst, strict=True):
        rows += [np.kron([1, 0, -a], [x, y, 1]), np.kron([0, 1, -b], [x, y, 1])]
    return np.array(rows)


def aligned(H, truth):
    """Give H the norm 1 and the sign of the truth; what is no finite matrix stays as it is."""
    if np.shape(H) != (3, 3) or not np.isfinite(H).all() or not np.any(H):
        return H
    H = np.asarray(H, dtype=np.float64) / np.linalg.norm(H)
    return -H if np.sum(H * truth) < 0 else H


def expect_homography(answer, truth, looks, what, atol=1e-7):
    """Compare up to the scale, to rounding (coordinates about 1: 1e-12, squared by eigenvectors of AᵀA)."""
    truth = truth / np.linalg.norm(truth)
    looks = {says: aligned(H, truth) for says, H in looks.items()}
    expect(aligned(matrix3(answer, what), truth), truth, looks, atol=atol, what=f"{what}, scaled to norm 1,")


def expect_unit_norm(answer):
    """Norm 1; a last entry of 1 tells how it was scaled instead."""
    H = matrix3(answer, "H")
    with np.errstate(all="ignore"):
        norm = np.linalg.norm(H)
    divided = not np.isfinite(H).all() or (np.isclose(H[2, 2], 1) and not np.isclose(norm, 1))
    assert not divided, DIVIDED
    assert np.isclose(norm, 1, rtol=0, atol=1e-9), f"{NORM}, got {norm**2:.6g}"


@pytest.mark.q("q2", 1)
def test_rows(student, atlas, rng):
    """Two rows a pair: first the equation of x', then that of y'."""
    src, dst = rng.uniform(0.3, 3, (2, 5, 2))
    answer = student.dlt_matrix(src, dst)
    assert not student.changed, "dlt_matrix overwrites its arguments"
    expect(answer, equations(src, dst), atlas("dlt_matrix", src, dst), what="A")


@pytest.mark.q("q2", 1)
def test_equations_hold(student, atlas, rng):
    """For exact pairs A h = 0, and but for the scale only h has this property."""
    H, src = random_homography(rng), points_about_1(rng, 7)
    dst = carried(H, src)
    answer = student.dlt_matrix(src, dst)
    looks = {says: A @ H.ravel() for says, A in atlas("dlt_matrix", src, dst).items() if np.shape(A) == (14, 9)}
    looks = {says: left for says, left in looks.items() if not np.allclose(left, 0, atol=1e-9)}
    assert np.shape(answer) == (14, 9), f"A of 7 pairs should have shape (14, 9), got {np.shape(answer)}"
    expect(np.asarray(answer, dtype=np.float64) @ H.ravel(), np.zeros(14), looks, what="A h for the true h")
    rank = np.linalg.matrix_rank(answer)
    assert rank == 8, f"A should leave one vector h (rank 8), but its rank is {rank}"


@pytest.mark.q("q2", 1)
def test_four_pairs(student, atlas, rng):
    """Four pairs give the homography that made them."""
    H, src = random_homography(rng), points_about_1(rng, 4)
    dst = carried(H, src)
    expect_homography(student.plain_dlt(src, dst), H, atlas("plain_dlt", src, dst), "H of four pairs")


@pytest.mark.q("q2", 2)
def test_many_pairs(student, atlas, rng):
    """Many pairs with errors: the unit vector with the smallest |A h|."""
    H, src = random_homography(rng), points_about_1(rng, 12)
    dst = carried(H, src) + rng.normal(0, 0.03, src.shape)
    A = equations(src, dst)
    truth = linalg.eigh(A.T @ A, subset_by_index=[0, 0])[1].reshape(3, 3)
    answer = student.plain_dlt(src, dst)
    assert not student.changed, "plain_dlt overwrites its arguments"
    expect_homography(answer, truth, atlas("plain_dlt", src, dst), "H of twelve noisy pairs")


@pytest.mark.q("q2", 1)
def test_last_entry_zero(student, atlas, rng):
    """A homography whose last entry is 0 is found too, and H has norm 1 whatever it is."""
    H, src = random_homography(rng), points_about_1(rng, 6)
    H[2] = rng.uniform(0.3, 0.6), rng.uniform(0.2, 0.4), 0
    dst = carried(H, src)
    answer = student.plain_dlt(src, dst)
    with np.errstate(all="ignore"):
        expect_unit_norm(answer)
        expect_homography(answer, H, atlas("plain_dlt", src, dst), "H, whose last entry is 0,")


def _rows(src, dst, dtype=np.float64):
    p = np.column_stack([src, np.ones(len(src))])
    A = np.zeros((2 * len(src), 9), dtype=dtype)
    A[0::2, 0:3], A[1::2, 3:6] = p, p
    A[0::2, 6:], A[1::2, 6:] = -dst[:, :1] * p, -dst[:, 1:] * p
    return A


@wrong(
    "q2",
    says="the sign of the last three columns is wrong: brought to the side of the numerator, x' times the denominator "
    "is subtracted",
)
def dlt_matrix(src, dst):
    return _rows(src, -dst)


@wrong(
    "q2",
    says="only h₂₀ x and h₂₁ y are multiplied by x': the whole denominator is, h₂₂ as well",
)
def dlt_matrix(src, dst):
    A = _rows(src, dst)
    A[:, 8] = -1
    return A


@wrong("q2", says="these columns belong to h in column order, h₀₀, h₁₀, h₂₀, …: it runs along the rows of H")
def dlt_matrix(src, dst):
    return _rows(src, dst).reshape(-1, 3, 3).transpose(0, 2, 1).reshape(-1, 9)


@wrong("q2", says="the points are taken as (y, x): x comes first, in the points and in h")
def dlt_matrix(src, dst):
    return _rows(src[:, ::-1], dst[:, ::-1])


@wrong("q2", says="src and dst are exchanged: these are the equations of the inverse of H")
def dlt_matrix(src, dst):
    return _rows(dst, src)


@wrong("q2", says="first come all equations of x', then all of y': rows 2k and 2k + 1 should belong to pair k")
def dlt_matrix(src, dst):
    A = _rows(src, dst)
    return np.vstack([A[0::2], A[1::2]])


@wrong("q2", says="the two rows of a pair are exchanged: first the equation of x', which begins with x, y, 1")
def dlt_matrix(src, dst):
    A = _rows(src, dst)
    return A.reshape(-1, 2, 9)[:, ::-1].reshape(-1, 9)


@wrong("q2", says="the equation of y' also has x' in its last three columns: there y' belongs")
def dlt_matrix(src, dst):
    return _rows(src, dst[:, [0, 0]])


@wrong("q2", says="the ninth column is missing: this presumes h₂₂ = 1")
def dlt_matrix(src, dst):
    return _rows(src, dst)[:, :8]


@right("q2")
def dlt_matrix(src, dst):
    """Number by number."""
    A = []
    for (x, y), (a, b) in zip(src.tolist(), dst.tolist(), strict=True):
        A.append([x, y, 1, 0, 0, 0, -a * x, -a * y, -a])
        A.append([0, 0, 0, x, y, 1, -b * x, -b * y, -b])
    return np.array(A)


def _smallest(A):
    return np.linalg.svd(A)[2][-1]


@wrong(
    "q2", says="this is the vector with the *largest* |A h|: singular values are sorted downwards, eigenvalues upwards"
)
def plain_dlt(src, dst):
    return np.linalg.svd(_rows(src, dst))[2][0].reshape(3, 3)


@wrong("q2", says="this is the last column of Vᵀ; NumPy returns V transposed, so the singular vectors are its rows")
def plain_dlt(src, dst):
    return np.linalg.svd(_rows(src, dst))[2][:, -1].reshape(3, 3)


@wrong("q2", says=THIN)
def plain_dlt(src, dst):
    return np.linalg.svd(_rows(src, dst), full_matrices=False)[2][-1].reshape(3, 3)


@wrong("q2", says="H is filled column by column, so it is transposed: h runs along the rows of H")
def plain_dlt(src, dst):
    return _smallest(_rows(src, dst)).reshape(3, 3).T


@wrong("q2", says="this homography carries dst onto src, the wrong way")
def plain_dlt(src, dst):
    return _smallest(_rows(dst, src)).reshape(3, 3)


@wrong("q2", says="only four of the pairs count: all of them belong into A")
def plain_dlt(src, dst):
    return _smallest(_rows(src[:4], dst[:4])).reshape(3, 3)


@wrong(
    "q2",
    says="h₂₂ is set to 1 and the other eight are solved for: that is another minimum, and none at all where h₂₂ is 0",
)
def plain_dlt(src, dst):
    A = _rows(src, dst)
    H = np.append(np.linalg.lstsq(A[:, :8], -A[:, 8])[0], 1.0).reshape(3, 3)
    return H / np.linalg.norm(H)


@wrong("q2", says=DIVIDED)
def plain_dlt(src, dst):
    H = _smallest(_rows(src, dst)).reshape(3, 3)
    with np.errstate(all="ignore"):
        return H / H[2, 2]


@wrong("q2", says="this H acts on (y, x): points are (x, y), x first")
def plain_dlt(src, dst):
    return _smallest(_rows(src[:, ::-1], dst[:, ::-1])).reshape(3, 3)


@wrong("q2", says=NORM)
def plain_dlt(src, dst):
    H = _smallest(_rows(src, dst)).reshape(3, 3)
    return H / np.abs(H).max()


@right("q2")
def plain_dlt(src, dst):
    """The eigenvector of the smallest eigenvalue of the sum of a aᵀ over the rows."""
    S = np.zeros((9, 9))
    for (x, y), (a, b) in zip(src, dst, strict=True):
        p, zero = np.array([x, y, 1]), np.zeros(3)
        for row in (np.hstack([p, zero, -a * p]), np.hstack([zero, p, -b * p])):
            S += np.outer(row, row)
    return -np.linalg.eigh(S)[1][:, 0].reshape(3, 3)


# ---------------------------------------------------------------------------------------------
# Question 3: normalisation

RAW = (
    "the answer depends on where the origin lies: in pixels the norm of h adds up different units; normalise both sets of "
    "points before A is built"
)


def random_view(rng):
    """Draw a homography of a 640 x 480 image, in pixels, with w between 0.8 and 1.3."""
    H = np.array([[0.9, 0.2, 40.0], [-0.15, 1.05, 25.0], [4e-4, -2e-4, 1.0]])
    return H + rng.uniform(-1, 1, (3, 3)) * [[0.1, 0.1, 20], [0.1, 0.1, 20], [5e-5, 5e-5, 0]]


def points_of_image(rng, n):
    """Draw the corners of a quadrangle in a 640 x 480 image and n - 4 points in it."""
    corners = np.array([[60.0, 50], [580, 80], [600, 400], [90, 430]]) + rng.uniform(-30, 30, (4, 2))
    return np.vstack([corners, rng.uniform((90, 80), (550, 400), (n - 4, 2))])


def normalisation_truth(points):
    """Measure mean and mean distance point by point."""
    n = len(points)
    mx, my = math.fsum(points[:, 0]) / n, math.fsum(points[:, 1]) / n
    s = math.sqrt(2) * n / math.fsum(math.hypot(x - mx, y - my) for x, y in points.tolist())
    return np.array([[s, 0, -s * mx], [0, s, -s * my], [0, 0, 1]])


def normalised_truth(src, dst):
    """Solve Eq. (4) with SciPy on normalised points."""
    N1, N2 = normalisation_truth(src), normalisation_truth(dst)
    h = linalg.svd(equations(carried(N1, src), carried(N2, dst)))[2][-1]
    return linalg.solve(N2, h.reshape(3, 3) @ N1)


@pytest.mark.q("q3", 1)
def test_normalisation(student, atlas, rng):
    """N moves the mean to the origin and scales the mean distance to sqrt(2)."""
    for center, size in [((420, 180), (90, 40)), ((-3, 7), (0.02, 0.01)), ((5e4, 8e4), (300, 500))]:
        points = np.array(center) + rng.uniform(0.8, 1.2, 2) * size * rng.normal(size=(9, 2))
        answer = student.normalisation(points)
        assert not student.changed, "normalisation overwrites the points"
        truth = normalisation_truth(points)
        atol = 1e-9 * np.abs(truth).max()  # the last column is as large as the points are far and near together
        expect(answer, truth, atlas("normalisation", points), atol=atol, what="N")


@pytest.mark.q("q3", 1)
def test_exact_pairs(student, atlas, rng):
    """Exact pairs in pixels give the homography that made them, with norm 1."""
    H, src = random_view(rng), points_of_image(rng, 4)
    dst = carried(H, src)
    answer = matrix3(student.normalised_dlt(src, dst), "H")
    # H of norm 1 rounds at 1e-16; a pixel's worth of it is 1e-16 · 640 / w, with some hundred times that by solving
    looks = places(atlas("normalised_dlt", src, dst), src)
    expect(carried(answer, src), dst, looks, atol=1e-6, what="where H carries the four points")
    expect_unit_norm(answer)


@pytest.mark.q("q3", 2)
def test_noisy_pairs(student, atlas, rng):
    """Pairs with errors: the solution of Eq. (4) on normalised points."""
    H, src = random_view(rng), points_of_image(rng, 11)
    dst = carried(H, src) + rng.normal(0, 4, src.shape)
    answer = matrix3(student.normalised_dlt(src, dst), "H")
    assert not student.changed, "normalised_dlt overwrites the points"
    looks = places(atlas("normalised_dlt", src, dst), src)
    truth = carried(normalised_truth(src, dst), src)
    expect(carried(answer, src), truth, looks, atol=1e-6, what="where H carries the points")


@pytest.mark.q("q3", 1)
def test_far_from_the_origin(student, atlas, rng):
    """Both images moved by thousands of pixels: the fitted positions move along, and nothing else happens."""
    H, src = random_view(rng), points_of_image(rng, 11)
    dst = carried(H, src) + rng.normal(0, 1, src.shape)
    move1, move2 = rng.uniform(6000, 9000, (2, 2)) * [[1, 1], [1, -1]]
    at_home = carried(matrix3(student.normalised_dlt(src, dst), "H"), src)
    away = carried(matrix3(student.normalised_dlt(src + move1, dst + move2), "H"), src + move1) - move2
    truth = carried(normalised_truth(src, dst), src)
    good_at_home = np.allclose(at_home, truth, rtol=0, atol=1e-2)
    # numbers of 1e4, w a difference of such: 1e-16 · 1e4 · 1e4
    good_away = np.allclose(away, truth, rtol=0, atol=1e-5)
    assert good_away or not good_at_home, RAW
    moved = atlas("normalised_dlt", src + move1, dst + move2)
    looks = {says: there - move2 for says, there in places(moved, src + move1).items()}
    expect(away, truth, looks, atol=1e-5, what="where H carries the moved points, moved back,")


@pytest.mark.q("q3", 1)
def test_turned_and_enlarged(student, atlas, rng):
    """Images turned, moved, and in other units: the fitted positions go along."""
    H, src = random_view(rng), points_of_image(rng, 9)
    dst = carried(H, src) + rng.normal(0, 2, src.shape)
    S = []
    for scale in (0.01, 30.0):
        turn = rng.uniform(0.5, 2.5)
        c, s = scale * math.cos(turn), scale * math.sin(turn)
        S.append(np.array([[c, -s, scale * 300], [s, c, -scale * 200], [0, 0, 1]]))
    new1, new2 = carried(S[0], src), carried(S[1], dst)
    truth = carried(S[1], carried(normalised_truth(src, dst), src))
    looks = places(atlas("normalised_dlt", new1, new2), new1)
    answer = matrix3(student.normalised_dlt(new1, new2), "H")
    expect(carried(answer, new1), truth, looks, atol=1e-5, what="where H carries the points in other units")


def _similar(s, center):
    return np.array([[s, 0, -s * center[0]], [0, s, -s * center[1]], [0, 0, 1]])


def _spread(points, power=1.0):
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return np.mean(distance**power) ** (1 / power)


def _hartley(points):
    return _similar(np.sqrt(2) / _spread(points), points.mean(axis=0))


@wrong("q3", says="the *root of the mean square* distance is made √2 here: asked is the mean distance")
def normalisation(points):
    return _similar(np.sqrt(2) / _spread(points, 2.0), points.mean(axis=0))


@wrong("q3", says="the mean distance becomes 1: it should be √2, so that a typical point is (1, 1)")
def normalisation(points):
    return _similar(1 / _spread(points), points.mean(axis=0))


@wrong("q3", says="the scale is upside down: it should shrink points that are far apart")
def normalisation(points):
    return _similar(_spread(points) / np.sqrt(2), points.mean(axis=0))


@wrong("q3", says="x and y are scaled by their own deviations: N has one scale s for both")
def normalisation(points):
    N = np.diag([*(1 / points.std(axis=0)), 1.0])
    N[:2, 2] = -points.mean(axis=0) / points.std(axis=0)
    return N


@wrong("q3", says="the translation is −mean: but the points are moved first and scaled then, so it is scaled as well")
def normalisation(points):
    N = _hartley(points)
    N[:2, 2] = -points.mean(axis=0)
    return N


@wrong("q3", says="the translation has the wrong sign: the mean must land at the origin")
def normalisation(points):
    N = _hartley(points)
    N[:2, 2] *= -1
    return N


@wrong("q3", says="distances are taken from the origin: take off the mean before you measure them")
def normalisation(points):
    return _similar(np.sqrt(2) / np.linalg.norm(points, axis=1).mean(), points.mean(axis=0))


@wrong("q3", says="this is the inverse of N: it carries normalised points back")
def normalisation(points):
    return np.linalg.inv(_hartley(points))


@wrong("q3", says="N is transposed: the translation stands in the last column")
def normalisation(points):
    return _hartley(points).T


@right("q3")
def normalisation(points):
    """Scale times shift, with complex numbers."""
    z = points[:, 0] + 1j * points[:, 1]
    mean = np.sum(z) / len(z)
    s = np.sqrt(2) * len(z) / np.sum(np.abs(z - mean))
    return np.diag([s, s, 1.0]) @ [[1, 0, -mean.real], [0, 1, -mean.imag], [0, 0, 1]]


def _between(N1, N2, src, dst):
    return _smallest(_rows(carried(N1, src), carried(N2, dst))).reshape(3, 3)


def _unit(H):
    return H / np.linalg.norm(H)


@wrong("q3", says=RAW)
def normalised_dlt(src, dst):
    return _between(np.eye(3), np.eye(3), src, dst)


@wrong("q3", says="this H belongs to the normalised points: it still has to be carried back to pixels")
def normalised_dlt(src, dst):
    return _between(_hartley(src), _hartley(dst), src, dst)


@wrong(
    "q3",
    says="denormalised with N on the left and N' on the right: a point goes through the right factor first, and it is a "
    "point of src",
)
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return _unit(np.linalg.inv(N1) @ _between(N1, N2, src, dst) @ N2)


@wrong(
    "q3", says="the inverse stands at the wrong end: src is normalised by N itself, and dst wants to be un-normalised"
)
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return _unit(N2 @ _between(N1, N2, src, dst) @ np.linalg.inv(N1))


@wrong("q3", says="N of src is used on both sides to get back: dst was normalised by another one")
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return _unit(np.linalg.inv(N1) @ _between(N1, N2, src, dst) @ N1)


@wrong("q3", says="only the destination is undone: H still expects normalised source points")
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return _unit(np.linalg.inv(N2) @ _between(N1, N2, src, dst))


@wrong("q3", says="N' is transposed instead of inverted: it is no rotation")
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return _unit(N2.T @ _between(N1, N2, src, dst) @ N1)


@wrong("q3", says="both sets are moved by N of src: the destination is not normalised by it, each set needs its own")
def normalised_dlt(src, dst):
    N = _hartley(src)
    return _unit(np.linalg.inv(N) @ _between(N, N, src, dst) @ N)


@wrong("q3", says=NORM)
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    return np.linalg.inv(N2) @ _between(N1, N2, src, dst) @ N1


@wrong("q3", says=DIVIDED)
def normalised_dlt(src, dst):
    N1, N2 = _hartley(src), _hartley(dst)
    H = np.linalg.inv(N2) @ _between(N1, N2, src, dst) @ N1
    return H / H[2, 2]


@right("q3")
def normalised_dlt(src, dst):
    """With eigenvectors, and the way back written out for the points 0, (1, 0) and (0, 1)."""
    moved, back = [], []
    for points in (src, dst):
        mean = np.array([math.fsum(points[:, k]) / len(points) for k in (0, 1)])
        s = math.sqrt(2) / float(np.mean(np.hypot(*(points - mean).T)))
        moved.append((points - mean) * s)
        back.append((s, mean))
    A = np.vstack([np.kron([[1, 0, -q[0]], [0, 1, -q[1]]], [*p, 1]) for p, q in zip(*moved, strict=True)])
    h = np.linalg.eigh(A.T @ A)[1][:, 0].reshape(3, 3)
    (s1, m1), (s2, m2) = back
    columns = [h[:, 0] * s1, h[:, 1] * s1, h[:, 2] - s1 * (h[:, 0] * m1[0] + h[:, 1] * m1[1])]
    u, v, w = np.array(columns).T
    H = np.array([u / s2 + m2[0] * w, v / s2 + m2[1] * w, w])
    return H / np.sqrt(np.sum(H * H))


# ---------------------------------------------------------------------------------------------
# Question 4: the geometric error

UNFINISHED = (
    "after these steps the error could still fall: does every step renew r and J, take all of δ, and take the shortest δ "
    "of the *normalised* points?"
)
HIGHER = "one step makes the error larger: H(p) + J δ should come nearer to p', so mind the sign of r in the system"
IN_PIXELS = (
    "the steps are taken in pixels: the shortest δ then adds up entries of different units, and steps go astray; take "
    "them on normalised points"
)


def jacobian_truth(H, src):
    """Differentiate by the complex step: f(h + i ε) = f(h) + i ε f'(h), without rounding."""
    J = np.zeros((2 * len(src), 9))
    for column in range(9):
        moved = np.array(H, dtype=complex)
        moved.flat[column] += 1e-30j
        u, v, w = moved @ np.column_stack([src, np.ones(len(src))]).T
        J[0::2, column], J[1::2, column] = (u / w).imag / 1e-30, (v / w).imag / 1e-30
    return J


def least_error(H, src, dst):
    """Minimise E with SciPy's Levenberg–Marquardt, on normalised points; give the fitted positions."""
    N1, N2 = normalisation_truth(src), normalisation_truth(dst)
    p, q = carried(N1, src), carried(N2, dst)
    G = N2 @ H @ linalg.inv(N1)
    best = optimize.least_squares(
        lambda h: (carried(h.reshape(3, 3), p) - q).ravel(),
        G.ravel() / linalg.norm(G),
        jac=lambda h: jacobian_truth(h.reshape(3, 3), p),
        method="lm",
        xtol=1e-14,
        ftol=1e-15,
        gtol=1e-14,
    )
    return carried(linalg.solve(N2, best.x.reshape(3, 3) @ N1), src)


def tilted_view(rng):
    """Draw a homography of a 640 x 480 image with w from 1 to about 3."""
    H = np.array([[2.4, 0.3, 20.0], [0.4, 2.1, 15.0], [3e-3, 6e-4, 1.0]])
    return H * (1 + 0.1 * rng.uniform(-1, 1, (3, 3)))


@pytest.mark.q("q4", 1)
def test_residuals(student, atlas, rng):
    """Carried point minus partner, in pixels, at any scale of H."""
    src = points_of_image(rng, 7)
    for scale in (1.0, -0.004):
        H = scale * tilted_view(rng)
        dst = carried(H, src) + rng.normal(0, 6, src.shape)
        answer = student.residuals(H, src, dst)
        assert not student.changed, "residuals overwrites its arguments"
        expect(answer, carried(H, src) - dst, atlas("residuals", H, src, dst), what="the residuals")


@pytest.mark.q("q4", 1)
def test_jacobian(student, atlas, rng):
    """The derivatives of u/w and v/w with respect to the nine entries."""
    H, src = tilted_view(rng), points_of_image(rng, 5)
    # entries up to x'x / w, some 1e5: 1e-10 by rounding
    expect(student.jacobian(H, src), jacobian_truth(H, src), atlas("jacobian", H, src), atol=1e-6, what="J")


@pytest.mark.q("q4", 1)
def test_jacobian_at_another_scale(student, atlas, rng):
    """At k H the derivatives are those at H divided by k, and J h = 0: a new scale moves no point."""
    H, src = tilted_view(rng), points_of_image(rng, 6)
    H[2, 2] = 0
    for k in (3.0, -0.5):
        answer = student.jacobian(k * H, src)
        truth = jacobian_truth(H, src) / k
        expect(answer, truth, atlas("jacobian", k * H, src), atol=1e-5, what=f"J at {k:g} H, where H[2, 2] = 0,")


def error(H, src, dst):
    return np.sum((carried(H, src) - dst) ** 2)


def expect_least_error(student, atlas, H, src, dst, what):
    """Compare the fitted positions with those of SciPy's minimum."""
    truth = least_error(H, src, dst)
    answer = matrix3(student.refine(H, src, dst), "H")
    assert not student.changed, "refine overwrites its arguments"
    looks = places(atlas("refine", H, src, dst), src)
    looks = {says: there for says, there in looks.items() if says not in (UNFINISHED, HIGHER)}
    found = carried(answer, src)
    # E is flat at its minimum: SciPy stops some 1e-7 px away; ten good steps come as near
    known = any(np.allclose(found, there, rtol=0, atol=2e-5) for there in (truth, *looks.values()))
    if not known and np.isfinite(found).all():
        near = np.array([[1, 0, 0.5], [0, 1, -0.5], [0, 0, 1]]) @ normalised_truth(src, truth)
        once = matrix3(student.refine(near, src, dst, 1), "H")
        assert error(once, src, dst) <= error(near, src, dst), HIGHER
        assert error(answer, src, dst) <= np.sum((truth - dst) ** 2) + 1e-6, UNFINISHED
    expect(found, truth, looks, atol=2e-5, what=what)
    return answer


@pytest.mark.q("q4", 1)
def test_refined(student, atlas, rng):
    """From a start some pixels away ten steps reach the least geometric error; H has norm 1."""
    H, src = tilted_view(rng), points_of_image(rng, 12)
    dst = carried(H, src) + rng.normal(0, 3, src.shape)
    start = normalised_truth(src, dst + rng.normal(0, 3, src.shape))
    what = "where the refined H carries the points"
    answer = expect_least_error(student, atlas, start / start[2, 2], src, dst, what)
    expect_unit_norm(answer)


@pytest.mark.q("q4", 1)
def test_refined_from_afar(student, atlas, rng):
    """From a start many pixels away, too, and where H[2, 2] is 0."""

    def draw():
        H, src = tilted_view(rng), points_of_image(rng, 10) + np.array([150, 100])
        H[2] = rng.uniform(1.2e-3, 2e-3), rng.uniform(1e-3, 2e-3), 0
        dst = carried(H, src)
        start = normalised_truth(src, dst + rng.normal(0, 8, src.shape))
        return start / np.linalg.norm(start), src, dst + rng.normal(0, 2, src.shape)

    def gain_of_normalising(pairs):
        return error(_steps_in_pixels(*pairs, 10), *pairs[1:]) - error(_steps(*pairs, 10), *pairs[1:])

    pairs = max((draw() for _ in range(12)), key=gain_of_normalising)  # where it matters most
    expect_least_error(student, atlas, *pairs, "where the refined H carries the points")


@pytest.mark.q("q4", 1)
def test_steps_count(student, atlas, rng):
    """No step gives the start back; on exact pairs each step squares what is wrong, and few suffice."""
    H, src = tilted_view(rng), points_of_image(rng, 9)
    dst = carried(H, src)
    start = normalised_truth(src, dst + rng.normal(0, 6, src.shape))
    begin = carried(start, src)
    looks = places(atlas("refine", start, src, dst, 0), src)
    answer = matrix3(student.refine(start, src, dst, 0), "H")
    expect(carried(answer, src), begin, looks, atol=1e-6, what="where H carries the points after no step")
    # steps that square the error make of 10 px among 400: 0.2, 1e-4, 1e-11; the rest is rounding
    looks = places(atlas("refine", start, src, dst, 4), src)
    answer = matrix3(student.refine(start, src, dst, 4), "H")
    expect(carried(answer, src), dst, looks, atol=1e-4, what="where H carries exact points after four steps")


@wrong("q4", says="w is not divided out, so these are no pixels: the algebraic residual is w times the distance")
def residuals(H, src, dst):
    u = np.column_stack([src, np.ones(len(src))]) @ np.asarray(H).T
    return u[:, :2] - dst * u[:, 2:]


@wrong("q4", says="u and v are not divided by w: (u, v, w) is the point (u/w, v/w)")
def residuals(H, src, dst):
    return (np.column_stack([src, np.ones(len(src))]) @ np.asarray(H).T)[:, :2] - dst


@wrong("q4", says="the sign is turned round: Eq. (6) has the carried point minus its partner")
def residuals(H, src, dst):
    return dst - carried(H, src)


@wrong("q4", says="the differences are squared: r itself is asked, Gauss and Newton need its sign")
def residuals(H, src, dst):
    return (carried(H, src) - dst) ** 2


@wrong("q4", says="these are lengths, one a pair: the residual of a pair has two parts, x and y")
def residuals(H, src, dst):
    return np.linalg.norm(carried(H, src) - dst, axis=1)


@wrong("q4", says="only the x part is there: a pair has a residual in y, too")
def residuals(H, src, dst):
    return (carried(H, src) - dst)[:, :1]


@wrong("q4", says="dst is carried back by the inverse: these distances lie in the source image, not in the other")
def residuals(H, src, dst):
    return carried(np.linalg.inv(H), dst) - src


@wrong("q4", says="H acts on rows here, p H: points are columns, H p")
def residuals(H, src, dst):
    return carried(np.asarray(H).T, src) - dst


@wrong("q4", says="the points are taken as (y, x): x comes first")
def residuals(H, src, dst):
    return carried(H, src[:, ::-1])[:, ::-1] - dst


@right("q4")
def residuals(H, src, dst):
    """Pair by pair, row by row."""
    result = []
    for (x, y), (a, b) in zip(src.tolist(), dst.tolist(), strict=True):
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in np.asarray(H).tolist())
        result.append([u / w - a, v / w - b])
    return np.array(result)


def _jacobian(H, src):
    w = src @ H[2, :2] + H[2, 2]
    return _rows(src, carried(H, src)) / np.repeat(w, 2)[:, None]


@wrong("q4", says="the factor 1/w is missing: these are the rows of the DLT for the carried points")
def jacobian(H, src):
    return _rows(src, carried(H, src))


@wrong("q4", says="the last three columns have the wrong sign: if w grows, u/w becomes smaller")
def jacobian(H, src):
    return _jacobian(H, src) * np.repeat([1, 1, -1], 3)


@wrong("q4", says="w is treated as a constant: the last row of H moves the points, too")
def jacobian(H, src):
    return _jacobian(H, src) * np.repeat([1, 1, 0], 3)


@wrong("q4", says="the last three columns hold −u x / w: the quotient rule gives −u x / w², that is −x' x / w")
def jacobian(H, src):
    J = _jacobian(H, src)
    w = np.repeat(src @ H[2, :2] + H[2, 2], 2)[:, None]
    return np.hstack([J[:, :6], J[:, 6:] * w])


@wrong("q4", says="all columns are divided by w²: only those of the last row are, where u or v is in the numerator")
def jacobian(H, src):
    w = np.repeat(src @ H[2, :2] + H[2, 2], 2)[:, None]
    return _jacobian(H, src) / w


@wrong("q4", says="first come the rows of all u/w, then of all v/w: rows 2k and 2k + 1 should belong to point k")
def jacobian(H, src):
    J = _jacobian(H, src)
    return np.vstack([J[0::2], J[1::2]])


@wrong("q4", says="the columns are in the order h₀₀, h₁₀, h₂₀, …: they should run along the rows of H")
def jacobian(H, src):
    return _jacobian(H, src).reshape(-1, 3, 3).transpose(0, 2, 1).reshape(-1, 9)


@wrong("q4", says="the ninth column is missing: h₂₂ is an unknown like the others")
def jacobian(H, src):
    return _jacobian(H, src)[:, :8]


@wrong(
    "q4",
    says="these are difference quotients with a step that is too coarse for the last row of H, whose entries are a "
    "thousand times smaller: differentiate by the quotient rule",
)
def jacobian(H, src):
    J = np.zeros((2 * len(src), 9))
    for column in range(9):
        moved = np.array(H, dtype=float)
        moved.flat[column] += 1e-6
        J[:, column] = (carried(moved, src) - carried(H, src)).ravel() / 1e-6
    return J


@right("q4")
def jacobian(H, src):
    """The quotient rule, number by number."""
    J = np.zeros((2 * len(src), 9))
    for k, (x, y) in enumerate(src.tolist()):
        u, v, w = (float(value) for value in H @ [x, y, 1])
        for column, p in enumerate([x, y, 1]):
            J[2 * k, column] = J[2 * k + 1, 3 + column] = p / w
            J[2 * k, 6 + column] = -u * p / w**2
            J[2 * k + 1, 6 + column] = -v * p / w**2
    return J


def _steps(H, src, dst, steps, used=slice(None), factor=1.0, fresh=True):
    N1, N2 = _hartley(src), _hartley(dst)
    G = _steps_in_pixels(N2 @ H @ np.linalg.inv(N1), carried(N1, src), carried(N2, dst), steps, used, factor, fresh)
    return _unit(np.linalg.inv(N2) @ G @ N1)


def _steps_in_pixels(H, src, dst, steps, used=slice(None), factor=1.0, fresh=True):
    H = _unit(H)
    J = _jacobian(H, src)
    for _ in range(steps):
        J = _jacobian(H, src) if fresh else J
        r = (carried(H, src) - dst).ravel()
        if np.isfinite(J).all() and np.isfinite(r).all():
            H = _unit(H - factor * np.linalg.lstsq(J[used], r[used])[0].reshape(3, 3))
    return H


@wrong("q4", says=IN_PIXELS)
def refine(H, src, dst, steps=10):
    return _steps_in_pixels(H, src, dst, steps)


@wrong("q4", says="only one step is made, whatever `steps` says")
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, 1)


@wrong("q4", says="`steps` is not used: there are always ten")
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, 10)


@wrong("q4", says=HIGHER)
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, steps, factor=-1.0)


@wrong("q4", says="J is computed once, at the start: it belongs to a place, and each step needs that of its own")
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, steps, fresh=False)


@wrong("q4", says="only the x parts of the residuals take part")
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, steps, used=slice(None, None, 2))


@wrong("q4", says="only a half of each δ is added: near the minimum the whole step is right")
def refine(H, src, dst, steps=10):
    return _steps(H, src, dst, steps, factor=0.5)


@wrong("q4", says=UNFINISHED)
def refine(H, src, dst, steps=10):
    H = _unit(H)
    for _ in range(steps):
        J = _jacobian(H, src)
        slope = J.T @ (carried(H, src) - dst).ravel()
        size = slope @ slope / max(np.sum((J @ slope) ** 2), 1e-300)
        H = _unit(H - size * slope.reshape(3, 3))
    return H


@wrong("q4", says="this minimises the algebraic error, |A h|: it is the DLT once more; Eq. (6) is in pixels")
def refine(H, src, dst, steps=10):
    return _unit(normalised_truth(src, dst)) if steps else _unit(H)


@wrong("q4", says="the start is handed back: add δ to H in each step")
def refine(H, src, dst, steps=10):
    return _unit(H)


@wrong("q4", says="the distances in the *source* image are made small: Eq. (6) measures those in the other")
def refine(H, src, dst, steps=10):
    return _unit(np.linalg.inv(_steps(np.linalg.inv(H), dst, src, steps)))


@wrong("q4", says=NORM)
def refine(H, src, dst, steps=10):
    H = _steps(H, src, dst, steps)
    return H / np.abs(H).max()


@wrong("q4", says=DIVIDED)
def refine(H, src, dst, steps=10):
    H = _steps(H, src, dst, steps)
    return H / H[2, 2]


@right("q4")
def refine(H, src, dst, steps=10):
    """On normalised points, at right angles to h: a system of eight unknowns."""
    N1, N2 = _hartley(src), _hartley(dst)
    p, q = carried(N1, src), carried(N2, dst)
    G = N2 @ H @ np.linalg.inv(N1)
    for _ in range(steps):
        h = G.ravel() / np.linalg.norm(G)
        B = np.linalg.qr(np.column_stack([h, np.eye(9)]))[0][:, 1:]  # eight directions at right angles to h
        J = _jacobian(h.reshape(3, 3), p) @ B
        r = (carried(G, p) - q).ravel()
        G = (h - B @ np.linalg.solve(J.T @ J, J.T @ r)).reshape(3, 3)
    return _unit(np.linalg.solve(N2, G @ N1))


# ---------------------------------------------------------------------------------------------
# Question 5: how large is the noise, how many pairs?

NOTHING_LEFT = (
    "an exact fit (2n ≤ p) leaves no residuals and says nothing about the noise: raise a ValueError instead of returning "
    "something"
)
WHOLE = "the number of pairs should be an int: np.ceil gives a float"


@pytest.mark.q("q5", 1)
def test_noise_level(student, atlas, rng):
    """From the residuals and the number of unknowns, by the second half of Eq. (7)."""
    cases = [(rng.normal(1, 3, (n, 2)), p) for n, p in [(5, 2), (9, 6), (7, 8), (30, 4)]]
    truth = [math.sqrt(math.fsum((r * r).ravel()) / (2 * len(r) - p)) for r, p in cases]
    answers, looks = collected(student, atlas, "noise_level", cases)
    assert not student.changed, "noise_level overwrites the residuals"
    expect(answers, truth, looks, what="[σ of four fits]")


@pytest.mark.q("q5", 1)
def test_noise_on_the_average(student, atlas, rng):
    """Over many affine fits the mean of its square is σ², within four standard errors; exact fits are refused."""
    n, sigma, fits = 7, rng.uniform(0.5, 2), 300
    A = np.column_stack([rng.uniform(0, 100, (n, 2)), np.ones(n)])
    project = np.eye(n) - A @ linalg.pinv(A)  # the residuals of a fit are its errors, projected
    cases = [(project @ rng.normal(0, sigma, (n, 2)), 6) for _ in range(fits)]
    square = np.mean([np.asarray(student.noise_level(*case), dtype=np.float64) ** 2 for case in cases])
    # (2n - p) s² / σ² has a χ² distribution with 2n - p degrees of freedom: variance 2 (2n - p)
    bound = 4 * sigma**2 * math.sqrt(2 / (2 * n - 6) / fits)
    expect(square, sigma**2, None, atol=bound, what=f"the mean square of noise_level over {fits} fits")
    for n, p in [(4, 8), (3, 6), (1, 2), (2, 6)]:
        happened = refusal(student.noise_level, np.zeros((n, 2)) + 1e-13, p)
        assert "ValueError" in happened, f"{NOTHING_LEFT} (n = {n}, p = {p}: {happened})"


def fewest(sigma, target, unknowns):
    """Count upwards until p σ² ≤ n target²."""
    n = unknowns // 2
    while unknowns * sigma**2 > n * target**2:
        n += 1
    return n


def expect_counts(student, atlas, cases, what):
    answers, looks = collected(student, atlas, "pairs_needed", cases)
    expect(answers, [fewest(*case) for case in cases], looks, what=what)
    return answers


@pytest.mark.q("q5", 1)
def test_pairs_for_a_target(student, atlas, rng):
    """Translation, similarity, affine transform and homography, for 0.2 px and other targets."""
    cases = []
    while len(cases) < 6:
        p, sigma, target = (2, 4, 6, 8)[len(cases) % 4], round(rng.uniform(0.7, 3), 2), (0.2, 0.35)[len(cases) // 4]
        if 0.1 < (p * (sigma / target) ** 2) % 1 < 0.9:  # no case of rounding
            cases.append((sigma, target, p))
    expect_counts(student, atlas, cases, "[the number of pairs, six times]")


@pytest.mark.q("q5", 1)
def test_whole_numbers(student, atlas, rng):
    """Where the law gives a whole number it is that, as an int."""
    # powers of two: no rounding anywhere
    cases = [(0.5, 0.25, 6), (1.0, 0.25, 2), (2.0, 0.5, 8), (0.75, 0.125, 4)]
    answers = expect_counts(student, atlas, cases, "[the number of pairs, four times]")
    assert all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in answers), WHOLE


@pytest.mark.q("q5", 1)
def test_enough_for_a_fit(student, atlas, rng):
    """However large the target: with fewer than p / 2 pairs there is no fit."""
    cases = [(0.3, 7.0, p) for p in (2, 4, 6, 8)] + [(round(rng.uniform(0.78, 0.88), 2), 0.3, 8)]
    expect_counts(student, atlas, cases, "[the number of pairs, five times]")


def _refuse_exact(r, unknowns):
    if r.size <= unknowns:
        raise ValueError("exact")


@wrong("q5", says="the sum is divided by 2n: p directions of the errors have been fitted away, so it is too small")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sqrt(np.sum(r**2) / r.size)


@wrong("q5", says="the sum is divided by n − p: each of the n pairs has two coordinates")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    with np.errstate(all="ignore"):
        return np.sqrt(np.sum(r**2) / np.float64(len(r) - unknowns))


@wrong(
    "q5",
    says="the sum is divided by n − p/2, as for whole points: σ belongs to one coordinate, this is √2 times as much",
)
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sqrt(np.sum(r**2) / (len(r) - unknowns / 2))


@wrong("q5", says="this is the RMS length of the residuals: it is no σ, neither per coordinate nor corrected for p")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sqrt(np.sum(r**2) / len(r))


@wrong("q5", says="this is the variance, in px²: take the root")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sum(r**2) / (r.size - unknowns)


@wrong("q5", says="lengths are averaged, not squares: Eq. (7) speaks of squares")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sum(np.linalg.norm(r, axis=1)) / (r.size - unknowns)


@wrong("q5", says="the mean is taken off: errors have the mean 0 by themselves, and what is not 0 must count")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sqrt(np.sum((r - r.mean()) ** 2) / (r.size - unknowns))


@wrong("q5", says="only the residuals in x are summed")
def noise_level(r, unknowns):
    _refuse_exact(r, unknowns)
    return np.sqrt(np.sum(r[:, 0] ** 2) / (r.size - unknowns))


@wrong("q5", says=NOTHING_LEFT)
def noise_level(r, unknowns):
    return np.sqrt(np.sum(r**2) / max(r.size - unknowns, 1))


@right("q5")
def noise_level(r, unknowns):
    """Pair by pair."""
    total, left = 0.0, -unknowns
    for x, y in r.tolist():
        total += x * x + y * y
        left += 2
    if left <= 0:
        raise ValueError("no residuals are left")
    return math.sqrt(total / left)


def _whole(n, unknowns):
    return max(math.ceil(n), unknowns // 2)


@wrong(
    "q5", says="the error falls with the root of n: for half the error four times as many pairs are needed, not twice"
)
def pairs_needed(sigma, target, unknowns):
    return _whole(unknowns * sigma / target, unknowns)


@wrong("q5", says="the number of unknowns does not matter here: but each unknown takes up its share of σ²")
def pairs_needed(sigma, target, unknowns):
    return _whole((sigma / target) ** 2, unknowns)


@wrong(
    "q5", says="the errors of x and y are taken for one: a distance has both parts, so these are half as many as needed"
)
def pairs_needed(sigma, target, unknowns):
    return _whole(unknowns * (sigma / target) ** 2 / 2, unknowns)


@wrong("q5", says="p is squared as well: p stands under the root with n")
def pairs_needed(sigma, target, unknowns):
    return _whole((unknowns * sigma / target) ** 2, unknowns)


@wrong(
    "q5", says="this counts until the *residuals* are small: they don't shrink, they tend to σ; the fitted positions do"
)
def pairs_needed(sigma, target, unknowns):
    return _whole(unknowns / 2 * (1 + (sigma / target) ** 2), unknowns)


@wrong("q5", says="σ and the target are exchanged: the larger the noise, the more pairs")
def pairs_needed(sigma, target, unknowns):
    return _whole(unknowns * (target / sigma) ** 2, unknowns)


@wrong("q5", says="rounded down: with this number the error is still above the target")
def pairs_needed(sigma, target, unknowns):
    return max(int(unknowns * (sigma / target) ** 2), unknowns // 2)


@wrong("q5", says="rounded down and one added: where the law gives a whole number, that is one too many")
def pairs_needed(sigma, target, unknowns):
    return max(int(unknowns * (sigma / target) ** 2) + 1, unknowns // 2)


@wrong("q5", says="fewer pairs than a fit needs: p unknowns take p equations, and each pair gives two")
def pairs_needed(sigma, target, unknowns):
    return math.ceil(unknowns * (sigma / target) ** 2)


@wrong("q5", says="at least p pairs are demanded: each gives two equations, so p / 2 are enough for a fit")
def pairs_needed(sigma, target, unknowns):
    return max(math.ceil(unknowns * (sigma / target) ** 2), unknowns)


@wrong("q5", says=WHOLE)
def pairs_needed(sigma, target, unknowns):
    return np.maximum(np.ceil(unknowns * (sigma / target) ** 2), unknowns / 2)


@right("q5")
def pairs_needed(sigma, target, unknowns):
    """Add pairs until it is enough."""
    n = unknowns // 2
    while unknowns / n * sigma**2 > target**2 * (1 + 1e-12):
        n += 1
    return n
