"""Checks of exercise 14_calibration, the mistakes they know, and second solutions.

Oracles: truth by construction, ``scipy.linalg`` (singular values, RQ, inverses), equations written as
Kronecker products, ``scipy.optimize`` for the reprojection error; else laws.
"""

import math

import numpy as np
import pytest
from scipy import linalg, optimize
from scipy.spatial.transform import Rotation

from cvcourse.checks import StudentError, expect, right, wrong

GEOMETRY = ("transforms", "warping", "alignment", "ransac", "cameras", "panoramas", "single_view", "calibration")
LATER = ("stereo", "two_view", "structure_from_motion")
LIBRARIES = (*(f"cvcourse.{name}" for name in GEOMETRY + LATER), "scipy", "skimage", "sklearn", "cv2", "PIL", "torch")
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5")}


def array_of(answer, shape, what):
    """Read an answer as an array of finite numbers of this shape, or say what it is instead."""
    assert answer is not None, f"{what} is None: does the function end with a return?"
    assert not isinstance(answer, tuple | str | dict), f"{what} should be one array, not {type(answer).__name__}"
    assert np.shape(answer) == shape, f"{what} should be an array of shape {shape}, got {np.shape(answer)}"
    result = np.asarray(answer, dtype=np.float64)
    assert np.isfinite(result).all(), f"{what} holds NaN or infinity"
    return result


def parts(answer, shapes, names):
    """Read a tuple of arrays, in one row of numbers."""
    assert isinstance(answer, tuple | list), f"the result should be the tuple ({names}), got {type(answer).__name__}"
    assert len(answer) == len(shapes), f"the result should be the tuple ({names}), got {len(answer)} parts"
    found = zip(answer, shapes, names.split(", "), strict=True)
    return np.concatenate([array_of(part, shape, name).ravel() for part, shape, name in found])


def parts_of_looks(looks, shapes, names):
    """Give the mistakes' tuples as rows of numbers; what has other shapes is left out."""
    rows = {}
    for says, answer in looks.items():
        try:
            rows[says] = parts(answer, shapes, names)
        except (AssertionError, TypeError, ValueError):
            continue
    return rows


def refusal(call, *arguments):
    """Give what was raised, as text; "nothing was raised" if nothing was."""
    try:
        call(*arguments)
    except StudentError as problem:
        return str(problem)
    return "nothing was raised"


def random_rotation(rng, most=1.0):
    """Draw a rotation by an angle between 0.4 and `most` radians about any axis."""
    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / linalg.norm(axis) * rng.uniform(0.4, most)).as_matrix()


def random_intrinsics(rng, skew=True):
    fx = rng.uniform(700, 900)
    return np.array(
        [[fx, skew * rng.uniform(8, 30), rng.uniform(280, 360)], [0, fx * 1.1, rng.uniform(200, 270)], [0, 0, 1]]
    )


def seen(P, X):
    """Project (N, 3) points; infinity and NaN stay what they are."""
    with np.errstate(all="ignore"):
        u, v, w = np.asarray(P, dtype=np.float64) @ np.column_stack([X, np.ones(len(X))]).T
        return np.column_stack([u / w, v / w])


def random_view(rng, n, thickness=1.0):
    """Draw a camera, points of a box about 6 units in front of it, away from the origin, and their pixels."""
    K, R, origin = random_intrinsics(rng), random_rotation(rng), rng.uniform(-4, 4, 3)
    X = rng.uniform(-1, 1, (n, 3)) * (1.3, 0.9, thickness)
    t = np.array([*rng.uniform(-0.4, 0.4, 2), rng.uniform(5, 7)])
    P = K @ np.column_stack([R, t - R @ origin])
    return P, X + origin, seen(P, X + origin)


# ---------------------------------------------------------------------------------------------
# Question 1: the projection matrix

REFUSE = (
    "points that leave P open (fewer than six, or all on a plane) give some matrix, but not the camera: raise a "
    "ValueError"
)
SIGN = (
    "the sign is wrong: the points should be in front of the camera, so the last row of P times (X, 1) must be above 0"
)
NORM = "the squares of the twelve entries of P should sum to 1"
CHANGED = "the arguments are overwritten: `x -= …` writes into the array of the caller, `x - …` does not"
NOT_INT = "the number of open directions should be an int"


def equations(X, x):
    """Write x × P (X, 1) = 0 as Kronecker products."""
    rows = []
    for point, (a, b) in zip(X, x, strict=True):
        rows += [np.kron([1, 0, -a], [*point, 1]), np.kron([0, 1, -b], [*point, 1])]
    return np.array(rows)


def hartley(points):
    """Normalise to mean 0 and mean distance √D: the moved points and the matrix."""
    dim, mean = points.shape[1], points.mean(axis=0)
    s = math.sqrt(dim) / np.mean([math.dist(p, mean) for p in points])
    T = np.diag([s] * dim + [1.0])
    T[:dim, dim] = -s * mean
    return (points - mean) * s, T


def dlt_truth(X, x):
    """Find P on normalised points by the smallest eigenvector."""
    (p, U), (q, T) = hartley(X), hartley(x)
    A = equations(p, q)
    P = linalg.solve(T, linalg.eigh(A.T @ A, subset_by_index=[0, 0])[1].reshape(3, 4)) @ U
    return P * np.sign(P[2, :3] @ X.mean(axis=0) + P[2, 3]) / linalg.norm(P)


@pytest.mark.q("q1", 1)
def test_rows(student, atlas, rng):
    """Two rows a point: first the equation of x, then that of y."""
    X, x = rng.uniform(-2, 2, (5, 3)), rng.uniform(1, 9, (5, 2))
    answer = student.projection_rows(X, x)
    assert not student.changed, "projection_rows overwrites its arguments"
    expect(answer, equations(X, x), atlas("projection_rows", X, x), what="A")


def nearly_flat(rng):
    """The equations of points that lie in a plane but for 1e-5; some draws come too near the bound of 1e-8."""
    while True:
        _, X, x = random_view(rng, 9, thickness=1e-5)
        A = equations(X, x / 500)
        s = linalg.svdvals(A)
        if s[10] > 3e-8 * s[0]:
            return A


@pytest.mark.q("q1", 1)
def test_open_directions(student, atlas, rng):
    """Points in space, on a plane, on a plane but for 1e-10 or 1e-5, five points; and any unit."""
    _, X, x = random_view(rng, 9)
    plane, flat = random_view(rng, 9, thickness=0)[1:]
    rounded = plane + rng.uniform(-1, 1, plane.shape) * 1e-10
    few = equations(X[:5], x[:5] / 500)
    systems = [equations(p, q / 500) for p, q in [(X, x), (plane, flat), (rounded, flat)]]
    systems += [few, few[:7], 1e-12 * systems[0], 1e12 * systems[1], nearly_flat(rng)]
    counts, looks = [], {}
    for A in systems:
        counts.append(student.open_directions(A))
        for says, result in atlas("open_directions", A).items():
            looks.setdefault(says, []).append(result)
    looks = {says: results for says, results in looks.items() if len(results) == len(systems)}
    # a camera of 11 unknowns; on a plane a nᵀ with three free entries; five points give 10 equations
    expect(counts, [0, 3, 3, 1, 4, 0, 3, 0], looks, what="[the open directions of eight systems]")
    assert all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in counts), NOT_INT


def expect_camera(answer, truth, looks, what):
    """Compare up to scale and sign; eigenvectors of AᵀA and entries in pixels leave 1e-9."""
    truth = truth / linalg.norm(truth)

    def aligned(P):
        if np.shape(P) != (3, 4) or not np.isfinite(P).all() or not np.any(P):
            return P
        P = np.asarray(P, dtype=np.float64) / linalg.norm(P)
        return -P if np.sum(P * truth) < 0 else P

    P = aligned(array_of(answer, (3, 4), what))
    expect(P, truth, {says: aligned(look) for says, look in looks.items()}, atol=1e-7, what=f"{what}, to norm 1,")


@pytest.mark.q("q1", 1)
def test_exact_pixels(student, atlas, rng):
    """Six and more points give the camera that saw them."""
    for n in (6, 11):
        P, X, x = random_view(rng, n)
        answer = student.fit_projection(X, x)
        assert not student.changed, CHANGED
        expect_camera(answer, P, atlas("fit_projection", X, x), f"P of {n} points")


@pytest.mark.q("q1", 2)
def test_noisy_pixels(student, atlas, rng):
    """Pixels with errors: the least |A p| on normalised points."""
    _, X, x = random_view(rng, 15)
    x = x + rng.normal(0, 2, x.shape)
    expect_camera(student.fit_projection(X, x), dlt_truth(X, x), atlas("fit_projection", X, x), "P of 15 noisy points")


@pytest.mark.q("q1", 1)
def test_sign_and_norm(student, rng):
    """The points are in front of the camera, and P has norm 1, wherever the origin of the world is."""
    for _ in range(6):
        _, X, x = random_view(rng, 8)
        answer = array_of(student.fit_projection(X, x), (3, 4), "P")
        # the ratio of the fourth column to the others changes with the world's origin: so does any other rule of sign
        assert np.isclose(linalg.norm(answer), 1, rtol=0, atol=1e-9), f"{NORM}, got {linalg.norm(answer) ** 2:.4g}"
        w = np.column_stack([X, np.ones(8)]) @ answer[2]
        assert w.min() > 0, SIGN
        assert np.allclose(seen(answer, X), x, rtol=0, atol=1e-3), "P does not carry the points onto their pixels"


@pytest.mark.q("q1", 1)
def test_points_that_leave_it_open(student, rng):
    """Five points, or points of a plane, raise a ValueError; a thin box does not."""
    for what, n, thickness in [("five points", 5, 1.0), ("a plane", 12, 0.0), ("a plane of six", 6, 0.0)]:
        _, X, x = random_view(rng, n, thickness)
        for noise in (0, 1):
            happened = refusal(student.fit_projection, X, x + noise * rng.normal(size=x.shape))
            assert "ValueError" in happened, f"{REFUSE} ({what}: {happened})"
    _, X, x = random_view(rng, 12, 0.05)
    array_of(student.fit_projection(X, x), (3, 4), "P of a thin box")


@wrong(
    "q1", says="the 1 of (X, Y, Z, 1) is missing: P has twelve entries, and without the fourth column it cannot shift"
)
def projection_rows(X, x):
    return np.delete(equations(X, x), [3, 7, 11], axis=1)


@wrong("q1", says="the last four columns have the wrong sign: u − x w = 0")
def projection_rows(X, x):
    return equations(X, x) * np.repeat([1, 1, -1], 4)


@wrong("q1", says="x and y are exchanged: the first row of P gives x")
def projection_rows(X, x):
    return equations(X, x[:, ::-1])


@wrong("q1", says="first come all equations of x, then all of y: rows 2k and 2k + 1 should belong to point k")
def projection_rows(X, x):
    A = equations(X, x)
    return np.vstack([A[0::2], A[1::2]])


@wrong("q1", says="the columns run down the columns of P: they should run along its rows, p₀₀, p₀₁, p₀₂, p₀₃, p₁₀, …")
def projection_rows(X, x):
    return equations(X, x).reshape(-1, 3, 4).transpose(0, 2, 1).reshape(-1, 12)


@wrong("q1", says="pixels are not multiplied with (X, Y, Z, 1) in the last four columns: w depends on the point")
def projection_rows(X, x):
    A = equations(X, x)
    A[:, 8:11] = 0
    return A


@wrong("q1", says="projection_rows overwrites its arguments")
def projection_rows(X, x):
    A = equations(X, x)
    x *= -1
    return A


@right("q1")
def projection_rows(X, x):
    """Number by number."""
    A = []
    for (a, b, c), (u, v) in zip(X.tolist(), x.tolist(), strict=True):
        A.append([a, b, c, 1, 0, 0, 0, 0, -u * a, -u * b, -u * c, -u])
        A.append([0, 0, 0, 0, a, b, c, 1, -v * a, -v * b, -v * c, -v])
    return np.array(A)


def _singular(A):
    return np.concatenate([linalg.svdvals(A), np.zeros(12)])[:12]


@wrong(
    "q1",
    says="the solution itself is counted: its scale is free for every camera, so the last singular value is no fault",
)
def open_directions(A):
    s = _singular(A)
    return int(np.sum(s < 1e-8 * s[0]))


@wrong("q1", says="the bound is an absolute number: singular values have the unit of A, only their ratio tells")
def open_directions(A):
    return int(np.sum(_singular(A)[:11] < 1e-8))


@wrong(
    "q1", says="a system with fewer than 12 rows has fewer singular values than columns: those that are missing are 0"
)
def open_directions(A):
    s = linalg.svdvals(A)
    return int(np.sum(s[:11] < 1e-8 * s[0]))


@wrong(
    "q1", says="equations are counted, not singular values: on a plane there are enough of them, and they say the same"
)
def open_directions(A):
    return max(11 - len(A), 0)


@wrong(
    "q1", says="the bound is that of rounding (`matrix_rank`): points measured to ten digits are never so exactly flat"
)
def open_directions(A):
    return int(11 - min(np.linalg.matrix_rank(A), 11))


@wrong("q1", says="this is the rank, how much is determined: asked is how much is not")
def open_directions(A):
    s = _singular(A)
    return int(np.sum(s[:11] > 1e-8 * s[0]))


@wrong("q1", says="the eigenvalues of AᵀA are the *squares* of the singular values: the bound must be squared too")
def open_directions(A):
    e = _singular(A) ** 2
    return int(np.sum(e[:11] < 1e-8 * e[0]))


@wrong("q1", says=NOT_INT)
def open_directions(A):
    s = _singular(A)
    return float(np.sum(s[:11] < 1e-8 * s[0]))


@right("q1")
def open_directions(A):
    """Zeros below the system, then count one by one."""
    s = np.linalg.svd(np.vstack([A, np.zeros((12, 12))]))[1].tolist()
    return sum(1 for value in s[:-1] if value < s[0] * 1e-8)


def _check_open(X, x):
    if _open(X, x):
        raise ValueError("open")


def _open(X, x):
    s = _singular(equations(hartley(X)[0], hartley(x)[0]))
    return s[10] < 1e-8 * s[0]


def _fit(X, x):
    _check_open(X, x)
    return dlt_truth(X, x)


@wrong(
    "q1", says="the points are not normalised: with pixels and world units in one matrix ‖p‖ = 1 weighs them at random"
)
def fit_projection(X, x):
    _check_open(X, x)
    P = linalg.svd(equations(X, x))[2][-1].reshape(3, 4)
    return P * np.sign(P[2] @ [*X.mean(axis=0), 1])


@wrong("q1", says="this is the matrix of the normalised points: go back to those that came")
def fit_projection(X, x):
    _check_open(X, x)
    P = linalg.svd(equations(hartley(X)[0], hartley(x)[0]))[2][-1].reshape(3, 4)
    return P * np.sign(P[2, 3])


@wrong("q1", says="the way back is taken with T instead of its inverse (or the other way round): P = T⁻¹ P̃ U")
def fit_projection(X, x):
    P = hartley(x)[1] @ linalg.svd(equations(hartley(X)[0], hartley(x)[0]))[2][-1].reshape(3, 4)
    _check_open(X, x)
    return P @ linalg.inv(hartley(X)[1]) / linalg.norm(P @ linalg.inv(hartley(X)[1]))


@wrong("q1", says="the pixels alone are normalised: the world's points have an origin and a unit too")
def fit_projection(X, x):
    _check_open(X, x)
    P = linalg.solve(hartley(x)[1], linalg.svd(equations(X, hartley(x)[0]))[2][-1].reshape(3, 4))
    return P * np.sign(P[2] @ [*X.mean(axis=0), 1]) / linalg.norm(P)


@wrong("q1", says=SIGN)
def fit_projection(X, x):
    P = _fit(X, x)
    return P * np.sign(P.flat[np.argmax(np.abs(P))])


@wrong("q1", says=NORM)
def fit_projection(X, x):
    P = _fit(X, x)
    return P / linalg.norm(P[2, :3])


@wrong("q1", says=REFUSE)
def fit_projection(X, x):
    (p, U), (q, T) = hartley(X), hartley(x)
    P = linalg.solve(T, linalg.svd(equations(p, q))[2][-1].reshape(3, 4)) @ U
    return P * np.sign(P[2] @ [*X.mean(axis=0), 1]) / linalg.norm(P)


@wrong("q1", says=CHANGED)
def fit_projection(X, x):
    P = _fit(X, x)
    X -= X.mean(axis=0)
    return P


@right("q1")
def fit_projection(X, x):
    """By eigenvectors, with the inverse written out."""
    (p, U), (q, T) = hartley(X), hartley(x)
    A = np.vstack([equations(p[k : k + 1], q[k : k + 1]) for k in range(len(p))])
    values, vectors = np.linalg.eigh(A.T @ A)
    if values[1] < 1e-14 * values[-1]:
        raise ValueError("open")
    P = np.array([[1 / T[0, 0], 0, -T[0, 2] / T[0, 0]], [0, 1 / T[0, 0], -T[1, 2] / T[0, 0]], [0, 0, 1]])
    P = P @ vectors[:, 0].reshape(3, 4) @ U
    P /= math.sqrt(np.sum(P * P))
    return P if P[2, :3] @ X[0] + P[2, 3] > 0 else -P


# ---------------------------------------------------------------------------------------------
# Question 2: the parts of a projection matrix

KRT = ((3, 3), (3, 3), (3,))
NAMES = "K, R, t"
MINUS = "R has determinant −1, a mirror: P and −P are the same camera, so change the sign of P first"
NOT_RIGHT = "the product K [R | t] is not P up to its scale"


def expect_parts(student, atlas, P, truth, what):
    answer = student.decompose(P)
    assert not student.changed, "decompose overwrites its argument"
    looks = parts_of_looks(atlas("decompose", P), KRT, NAMES)
    # pixels to 1e3, a triangle and a rotation: 1e-16 · 1e3 · condition 1e3 = 1e-10; a scale of P costs nothing
    expect(parts(answer, KRT, NAMES), np.concatenate([part.ravel() for part in truth]), looks, atol=1e-6, what=what)


def random_parts(rng):
    return random_intrinsics(rng), random_rotation(rng, 2.5), rng.uniform(1, 5, 3) * rng.choice([-1, 1], 3)


@pytest.mark.q("q2", 2)
def test_parts(student, atlas, rng):
    """K, R and t of P = K [R | t], four random cameras."""
    for _ in range(4):
        K, R, t = random_parts(rng)
        expect_parts(student, atlas, K @ np.column_stack([R, t]), (K, R, t), "[K, R, t], in one row of 21,")


@pytest.mark.q("q2", 1)
def test_any_scale(student, atlas, rng):
    """P times a positive number is the same camera."""
    K, R, t = random_parts(rng)
    for scale in (rng.uniform(2, 9), 1e-4):
        expect_parts(student, atlas, scale * K @ np.column_stack([R, t]), (K, R, t), "[K, R, t] of a scaled P")


@pytest.mark.q("q2", 1)
def test_minus(student, atlas, rng):
    """−P is the same camera, with a rotation of determinant +1."""
    K, R, t = random_parts(rng)
    P = -rng.uniform(0.5, 3) * K @ np.column_stack([R, t])
    answer = student.decompose(P)
    if isinstance(answer, tuple | list) and len(answer) == 3 and np.shape(answer[1]) == (3, 3):
        mirrored = np.isfinite(answer[1]).all() and linalg.det(answer[1]) < -0.5
        assert not mirrored, MINUS
    expect_parts(student, atlas, P, (K, R, t), "[K, R, t] of −P")


@pytest.mark.q("q2", 1)
def test_laws(student, rng):
    """Any 3 × 4 matrix: the product is P up to its scale, K is triangular and positive, R a rotation."""
    for _ in range(4):
        P = rng.normal(size=(3, 4)) + 2 * np.eye(3, 4)
        K, R, t = np.split(parts(student.decompose(P), KRT, NAMES), [9, 18])
        K, R = K.reshape(3, 3), R.reshape(3, 3)
        product = K @ np.column_stack([R, t])
        scale = np.sum(product * P) / max(np.sum(product**2), 1e-300)
        assert np.allclose(scale * product, P, rtol=0, atol=1e-7), NOT_RIGHT
        assert np.allclose(np.tril(K, -1), 0, atol=1e-9), "K is not upper triangular"
        assert K[0, 0] > 0, "K has a negative diagonal: negate the column of K and the row of R"
        assert K[1, 1] > 0, "K has a negative diagonal: negate the column of K and the row of R"
        assert np.isclose(K[2, 2], 1), "K[2, 2] should be 1"
        assert np.allclose(R @ R.T, np.eye(3), atol=1e-9), "R is not orthogonal"
        assert linalg.det(R) > 0, MINUS


def _rq(P, flip=True):
    """K (positive diagonal, not scaled), R, and P with the sign that makes det R = +1."""
    P = P * np.sign(linalg.det(P[:, :3])) if flip else P
    K, R = linalg.rq(P[:, :3])
    signs = np.sign(np.diag(K))
    return K * signs, signs[:, None] * R, P


@wrong("q2", says="this is QR, a rotation times a triangle: P has them the other way round, K on the left")
def decompose(P):
    Q, U = np.linalg.qr(P[:, :3] * np.sign(linalg.det(P[:, :3])))
    return U / U[2, 2], Q, linalg.solve(U, P[:, 3])


@wrong("q2", says="K has a negative diagonal: negate the column of K and the row of R that belongs to it")
def decompose(P):
    K, R, P = _rq(P)
    signs = np.array([-1, -1, 1])
    K, R = K * signs, signs[:, None] * R
    return K / K[2, 2], R, linalg.solve(K, P[:, 3])


@wrong("q2", says="the signs are changed in K only: a column of K and a row of R must be negated together")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R * np.array([[-1], [-1], [1]]), linalg.solve(K, P[:, 3])


@wrong("q2", says="the *rows* of K are negated to make its diagonal positive: that is another product")
def decompose(P):
    K, R, P = _rq(P)
    rows = np.array([[-1], [-1], [1]])
    return rows * (K * rows.T) / K[2, 2], R * rows, linalg.solve(K, P[:, 3])


@wrong("q2", says=MINUS)
def decompose(P):
    K, R, P = _rq(P, flip=False)
    return K / K[2, 2], R, linalg.solve(K, P[:, 3])


@wrong("q2", says="R is negated to get det +1, but t is not: the sign belongs to all of P")
def decompose(P):
    K, R, _ = _rq(P)
    return K / K[2, 2], R, linalg.solve(K, P[:, 3])


@wrong("q2", says="this is the centre c of the camera, in world coordinates: asked is t = −R c")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R, -linalg.solve(P[:, :3], P[:, 3])


@wrong("q2", says="t is R c: it should be −R c")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R, -linalg.solve(K, P[:, 3])


@wrong("q2", says="K is scaled before t is computed, P is not: the scale of P remains in t")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R, linalg.solve(K / K[2, 2], P[:, 3])


@wrong("q2", says="t is the last column of P: K must be taken off it")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R, P[:, 3]


@wrong("q2", says="K is not scaled to K[2, 2] = 1")
def decompose(P):
    K, R, P = _rq(P)
    return 2 * K, R, linalg.solve(K, P[:, 3])


@wrong("q2", says="R is transposed: it should carry the world to the camera")
def decompose(P):
    K, R, P = _rq(P)
    return K / K[2, 2], R.T, linalg.solve(K, P[:, 3])


@right("q2")
def decompose(P):
    """Gram and Schmidt from the last row upwards."""
    M = P[:, :3] * (1 if np.linalg.det(P[:, :3]) > 0 else -1)
    p = P[:, 3] * (1 if np.linalg.det(P[:, :3]) > 0 else -1)
    scale = np.sqrt(M[2] @ M[2])
    r3 = M[2] / scale
    b = M[1] - (M[1] @ r3) * r3
    r2 = b / np.sqrt(b @ b)
    r1 = np.cross(r2, r3)
    R = np.array([r1, r2, r3])
    K = np.triu(M @ R.T)
    return K / scale, R, R @ np.linalg.solve(M, p)


# ---------------------------------------------------------------------------------------------
# Question 3: Zhang's closed form

PARALLEL = (
    "parallel boards, or fewer than three views, leave K open: a matrix comes out all the same, so raise a ValueError"
)
DEFINITE = "B and −B solve the equations, but only a positive definite B has a Cholesky decomposition: choose its sign"
BEHIND = "the board is behind the camera: H and −H are the same homography, take the sign with t_z > 0"
NOT_ORTHOGONAL = "R is not orthogonal where H has errors: return the nearest rotation, U Vᵀ"
MIRROR = "R has determinant −1: the third column is r₁ × r₂, in this order"


def board_homography(rng, K, tilt=(0.4, 0.9)):
    """Draw the pose of a tilted board in front of the camera: H, R, t."""
    angle = rng.uniform(0, 2 * np.pi)
    tilted = Rotation.from_rotvec(rng.uniform(*tilt) * np.array([math.cos(angle), math.sin(angle), 0]))
    R = (tilted * Rotation.from_rotvec([0, 0, rng.uniform(0.3, 1.2)])).as_matrix()
    t = np.array([*rng.uniform(-0.6, 0.6, 2), rng.uniform(3, 5)])
    return K @ np.column_stack([R[:, :2], t]), R, t


def tilted_boards(rng, K, views):
    """Draw the homographies of boards tilted about axes that are spread over the circle."""
    Hs = []
    for k in range(views):
        angle = 2 * np.pi * (k + rng.uniform(0, 0.3)) / views
        R = Rotation.from_rotvec(rng.uniform(0.5, 0.8) * np.array([math.cos(angle), math.sin(angle), 0])).as_matrix()
        Hs.append(K @ np.column_stack([R[:, :2], [*rng.uniform(-0.6, 0.6, 2), rng.uniform(3, 5)]]))
    return np.array(Hs)


def b_of(B):
    """The six entries in the order of Eq. (5)."""
    return np.array([B[0, 0], B[0, 1], B[1, 1], B[0, 2], B[1, 2], B[2, 2]])


@pytest.mark.q("q3", 1)
def test_zhang_rows(student, atlas, rng):
    """For any symmetric B the two rows give h₁ᵀBh₂ and h₁ᵀBh₁ − h₂ᵀBh₂."""
    H = rng.normal(size=(3, 3))
    answer = student.zhang_rows(H)
    units = np.array(
        [[[1, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]]
    )
    units = [*units, *(np.eye(3)[[k]].T @ np.eye(3)[[2]] for k in range(3))]
    units = [u if np.array_equal(u, u.T) else u + u.T for u in units]  # what each entry of b stands for
    products = [H.T @ u @ H for u in units]
    truth = np.array([[G[0, 1] for G in products], [G[0, 0] - G[1, 1] for G in products]])
    expect(answer, truth, atlas("zhang_rows", H), what="[the two rows]")


@pytest.mark.q("q3", 1)
def test_zhang_equations_hold(student, atlas, rng):
    """For a board's H the rows vanish on b of B = K⁻ᵀK⁻¹, and are independent."""
    K = np.array([[1.3, 0.2, 0.5], [0, 1.1, 0.3], [0, 0, 1]])
    B = linalg.inv(K).T @ linalg.inv(K)
    H = board_homography(rng, K)[0]
    rows = array_of(student.zhang_rows(H), (2, 6), "the two rows")
    looks = {says: look @ b_of(B) for says, look in atlas("zhang_rows", H).items() if np.shape(look) == (2, 6)}
    expect(rows @ b_of(B), np.zeros(2), looks, what="[the rows times b]")
    assert np.linalg.matrix_rank(rows) == 2, "the two rows say the same: each view has two equations"


def expect_intrinsics(student, atlas, Hs, K, what):
    try:
        answer = student.intrinsics(Hs)
    except StudentError as problem:
        raise AssertionError(DEFINITE if "definite" in str(problem) else str(problem)) from None
    assert not student.changed, "intrinsics overwrites the homographies"
    looks = {says: look for says, look in atlas("intrinsics", Hs).items() if np.shape(look) == (3, 3)}
    # in pixels the condition of the equations is 1e7 to 1e8, and 1e-16 · 1e8 · 900 px = 1e-5 px; in thousands far less
    expect(array_of(answer, (3, 3), "K"), K, looks, atol=1e-3, what=what)


@pytest.mark.q("q3", 1)
def test_three_views(student, atlas, rng):
    """Three views of a board give K, with its skew."""
    for _ in range(2):
        K = random_intrinsics(rng)
        expect_intrinsics(student, atlas, tilted_boards(rng, K, 3), K, "K of three views")


@pytest.mark.q("q3", 1)
def test_more_views_of_any_scale(student, atlas, rng):
    """Five views, whose homographies are multiplied by numbers of either sign."""
    K = random_intrinsics(rng)
    factors = rng.uniform(0.01, 3, 5) * rng.permutation([1, -1, 1, -1, -1])
    expect_intrinsics(student, atlas, factors[:, None, None] * tilted_boards(rng, K, 5), K, "K of five views")


@pytest.mark.q("q3", 1)
def test_views_that_leave_it_open(student, rng):
    """Two views, or three boards of which two are parallel, raise a ValueError."""
    K = random_intrinsics(rng)
    Hs = tilted_boards(rng, K, 3)
    moved = np.array([[0.8, 0.3, 0.4], [-0.3, 0.8, -0.2], [0, 0, 1]])  # turned, scaled and shifted in its own plane
    for what, views in {"two views": Hs[:2], "parallel boards": np.array([Hs[0], Hs[1], Hs[1] @ moved])}.items():
        happened = refusal(student.intrinsics, views)
        assert "ValueError" in happened, f"{PARALLEL} ({what}: {happened})"
    array_of(student.intrinsics(Hs), (3, 3), "K of three views")


@pytest.mark.q("q3", 1)
def test_pose(student, atlas, rng):
    """R and t of a board, for homographies of any scale and sign."""
    K = random_intrinsics(rng)
    for factor in (1.0, rng.uniform(2, 5), -0.3):
        H, R, t = board_homography(rng, K)
        answer = student.board_pose(K, factor * H)
        assert not student.changed, "board_pose overwrites its arguments"
        looks = parts_of_looks(atlas("board_pose", K, factor * H), ((3, 3), (3,)), "R, t")
        truth = np.concatenate([R.ravel(), t])
        expect(parts(answer, ((3, 3), (3,)), "R, t"), truth, looks, atol=1e-7, what="[R, t], in one row of 12,")


@pytest.mark.q("q3", 1)
def test_pose_with_errors(student, rng):
    """Where H has errors R is a rotation still, near the true one."""
    K = random_intrinsics(rng)
    for _ in range(3):
        H, truth, t = board_homography(rng, K)
        G = H + 0.02 * K @ rng.uniform(-1, 1, (3, 3))  # errors of 0.02 in the columns r₁, r₂ and t
        found = np.split(parts(student.board_pose(K, G), ((3, 3), (3,)), "R, t"), [9])
        R = found[0].reshape(3, 3)
        assert linalg.det(R) > 0, MIRROR
        assert np.allclose(R @ R.T, np.eye(3), rtol=0, atol=1e-9), NOT_ORTHOGONAL
        # a column off by 0.02 √3 turns by no more than that, the cross product by the sum of two
        assert np.abs(R - truth).max() < 0.12, "R is far from the true rotation, more than the errors of H explain"
        assert np.abs(found[1] - t).max() < 0.3, "t is far from the true one, more than the errors of H explain"


def _row(g, h):
    B = np.outer(g, h) + np.outer(h, g)
    return b_of(B - np.diag(np.diag(B)) / 2)


def _zhang(H):
    a, b = H[:, 0], H[:, 1]
    return np.array([_row(a, b), _row(a, a) - _row(b, b)])


@wrong("q3", says="the *rows* of H are used: h₁ and h₂ are its columns")
def zhang_rows(H):
    return _zhang(H.T)


@wrong("q3", says="the entries are in the order B₁₁, B₁₂, B₁₃, B₂₂, B₂₃, B₃₃: here b is B₁₁, B₁₂, B₂₂, B₁₃, B₂₃, B₃₃")
def zhang_rows(H):
    return _zhang(H)[:, [0, 1, 3, 2, 4, 5]]


@wrong(
    "q3",
    says="entries off the diagonal are counted once: B₁₂ and B₂₁ are the same unknown, and both products belong to it",
)
def zhang_rows(H):
    def row(g, h):
        return np.array([g[0] * h[0], g[0] * h[1], g[1] * h[1], g[0] * h[2], g[1] * h[2], g[2] * h[2]])

    a, b = H[:, 0], H[:, 1]
    return np.array([row(a, b), row(a, a) - row(b, b)])


@wrong("q3", says="only one equation of the view is used: r₁ and r₂ are orthogonal *and* equally long")
def zhang_rows(H):
    return _zhang(H)[[0, 0]]


@wrong("q3", says="the two rows are exchanged: first r₁ · r₂ = 0")
def zhang_rows(H):
    return _zhang(H)[::-1]


@wrong("q3", says="the second equation has a plus: the *difference* of the two squared lengths is 0")
def zhang_rows(H):
    a, b = H[:, 0], H[:, 1]
    return np.array([_row(a, b), _row(a, a) + _row(b, b)])


@wrong("q3", says="the third column takes part: it is t, and no unit vector")
def zhang_rows(H):
    return _zhang(H[:, [0, 2, 1]])


@right("q3")
def zhang_rows(H):
    """Summed over all pairs of indices."""
    place = {(0, 0): 0, (0, 1): 1, (1, 1): 2, (0, 2): 3, (1, 2): 4, (2, 2): 5}
    rows = np.zeros((2, 6))
    for i in range(3):
        for j in range(3):
            column = place[min(i, j), max(i, j)]
            rows[0, column] += H[i, 0] * H[j, 1]
            rows[1, column] += H[i, 0] * H[j, 0] - H[i, 1] * H[j, 1]
    return rows


THOUSANDS = np.diag([1e-3, 1e-3, 1.0])


def _symmetric(Hs, check=True):
    """B for pixels in thousands, positive definite, with B₁₁ = 1."""
    rows = np.vstack([_zhang(THOUSANDS @ H / linalg.norm(THOUSANDS @ H)) for H in Hs])
    _, s, Vt = linalg.svd(np.vstack([rows, np.zeros((6, 6))]))
    if check and s[4] < 1e-9 * s[0]:
        raise ValueError("open")
    b = Vt[-1] / Vt[-1][0]
    return b[[[0, 1, 3], [1, 2, 4], [3, 4, 5]]]


def _k_of(B):
    K = linalg.inv(linalg.cholesky(B))
    return linalg.inv(THOUSANDS) @ K / K[2, 2]


@wrong("q3", says="K is lower triangular: B = L Lᵀ with L = K⁻ᵀ, so the inverse must be transposed as well")
def intrinsics(Hs):
    K = linalg.inv(linalg.cholesky(_symmetric(Hs), lower=True))
    return linalg.inv(THOUSANDS) @ K / K[2, 2]


@wrong("q3", says="this is K⁻¹: B is K⁻ᵀK⁻¹, not a product of K")
def intrinsics(Hs):
    K = linalg.inv(_k_of(_symmetric(Hs)))
    return K / K[2, 2]


@wrong("q3", says="K[2, 2] should be 1: the scale of b is free, and K has it too")
def intrinsics(Hs):
    return 2 * _k_of(_symmetric(Hs))


@wrong("q3", says=DEFINITE)
def intrinsics(Hs):
    return np.linalg.cholesky(-_symmetric(Hs))


@wrong("q3", says="pixels are still in thousands: go back to pixels in the first two rows of K")
def intrinsics(Hs):
    return THOUSANDS @ _k_of(_symmetric(Hs))


@wrong("q3", says="the skew is left out: take B₁₂ as it is")
def intrinsics(Hs):
    return _k_of(_symmetric(Hs)) * (1 - np.eye(3, k=1) * [[1], [0], [1]])


@wrong("q3", says="the skew has the wrong sign: s = −B₁₂ f_x² f_y / λ")
def intrinsics(Hs):
    return _k_of(_symmetric(Hs)) * (1 - 2 * np.eye(3, k=1) * [[1], [0], [1]])


@wrong("q3", says="the skew is forgotten in the principal point: c_x = s c_y / f_y − B₁₃ f_x² / λ")
def intrinsics(Hs):
    K = _k_of(_symmetric(Hs))
    K[0, 2] -= K[0, 1] * K[1, 2] / K[1, 1]
    return K


@wrong("q3", says=PARALLEL)
def intrinsics(Hs):
    B = _symmetric(Hs, check=False)
    return _k_of(B) if linalg.eigvalsh(B).min() > 0 else np.eye(3)


@right("q3")
def intrinsics(Hs):
    """Zhang's formulas."""
    rows = np.vstack([_zhang(THOUSANDS @ H / np.abs(THOUSANDS @ H).max()) for H in Hs])
    values, vectors = np.linalg.eigh(rows.T @ rows)
    if values[1] < 1e-14 * values[5]:
        raise ValueError("open")
    b11, b12, b22, b13, b23, b33 = vectors[:, 0]
    cy = (b12 * b13 - b11 * b23) / (b11 * b22 - b12**2)
    scale = b33 - (b13**2 + cy * (b12 * b13 - b11 * b23)) / b11
    fx = math.sqrt(scale / b11)
    fy = math.sqrt(scale * b11 / (b11 * b22 - b12**2))
    skew = -b12 * fx**2 * fy / scale
    cx = skew * cy / fy - b13 * fx**2 / scale
    return np.array([[1e3 * fx, 1e3 * skew, 1e3 * cx], [0, 1e3 * fy, 1e3 * cy], [0, 0, 1]])


def _columns(K, H):
    G = linalg.solve(K, H)
    G = G * np.sign(G[2, 2]) / np.mean([linalg.norm(G[:, 0]), linalg.norm(G[:, 1])])
    return G.T


def _rotation(a, b):
    return linalg.polar(np.column_stack([a, b, np.cross(a, b)]))[0]


@wrong("q3", says="the scale of H is not fixed: r₁ and r₂ have length 1, and t is in the same scale")
def board_pose(K, H):
    a, b, _ = _columns(K, H)
    return _rotation(a, b), linalg.solve(K, H)[:, 2]


@wrong("q3", says=BEHIND)
def board_pose(K, H):
    a, b, t = _columns(K, H) * np.sign(linalg.solve(K, H)[2, 2])
    return _rotation(a, b), t


@wrong("q3", says=MIRROR)
def board_pose(K, H):
    a, b, t = _columns(K, H)
    return linalg.polar(np.column_stack([a, b, np.cross(b, a)]))[0], t


@wrong("q3", says=NOT_ORTHOGONAL)
def board_pose(K, H):
    a, b, t = _columns(K, H)
    return np.column_stack([a, b, np.cross(a, b)]), t


@wrong("q3", says="the third column of R is taken from H: there stands t; r₃ is r₁ × r₂")
def board_pose(K, H):
    a, b, t = _columns(K, H)
    return np.column_stack([a, b, t]), t


@wrong("q3", says="t is the centre c of the camera, seen from the board: asked is t = −R c")
def board_pose(K, H):
    a, b, t = _columns(K, H)
    return _rotation(a, b), -_rotation(a, b).T @ t


@wrong("q3", says="K is not taken off: the columns of K⁻¹H are r₁, r₂ and t, those of H are not")
def board_pose(K, H):
    a, b, t = _columns(np.eye(3), H)
    return _rotation(a, b), t


@wrong("q3", says="R is transposed: it should carry the board to the camera")
def board_pose(K, H):
    a, b, t = _columns(K, H)
    return _rotation(a, b).T, t


@right("q3")
def board_pose(K, H):
    """Orthonormal half-way between the two columns: the plane of r₁ and r₂ is kept, its polar factor taken."""
    G = np.linalg.inv(K) @ H
    G = G / ((np.sqrt(G[:, 0] @ G[:, 0]) + np.sqrt(G[:, 1] @ G[:, 1])) / 2)
    G = G if G[2, 2] > 0 else -G
    plus, minus = G[:, 0] + G[:, 1], G[:, 0] - G[:, 1]
    normal = np.cross(G[:, 0], G[:, 1])
    normal = normal / np.sqrt(normal @ normal)
    plus = plus / np.sqrt(plus @ plus)
    minus = np.cross(plus, normal) * np.sign(np.cross(plus, normal) @ minus)
    r1, r2 = (plus + minus) / np.sqrt(2), (plus - minus) / np.sqrt(2)
    return np.column_stack([r1, r2, np.cross(r1, r2)]), G[:, 2]


# ---------------------------------------------------------------------------------------------
# Question 4: the reprojection error

STILL = "the start is handed back: subtract what the least squares give in each step"
ONE_STEP = "only one step is made, whatever `steps` says"


def pixels_of(p, board, bend=None):
    """Predict a board's corners by SciPy's rotations and complex numbers."""
    poses = np.asarray(p[6:], dtype=np.float64).reshape(-1, 6)
    R = Rotation.from_rotvec(poses[:, :3]).as_matrix()
    X = R[:, :, :2] @ np.asarray(board).T + poses[:, 3:, None]
    m = (X[:, 0] + 1j * X[:, 1]) / X[:, 2]
    q = np.abs(m) ** 2
    m = m * (1 + p[4] * q + p[5] * q * q) if bend is None else bend(m, p)
    return np.stack([p[0] * m.real + p[2], p[1] * m.imag + p[3]], axis=-1)


def random_session(rng, views, n, k=(-0.25, 0.09)):
    """Draw a camera, a board that is not symmetric, and poses: p and the board."""
    p = [rng.uniform(700, 800), rng.uniform(820, 900), rng.uniform(290, 340), rng.uniform(210, 260), *k]
    for v in range(views):
        angle = 2 * np.pi * (v + rng.uniform(0, 0.3)) / views
        r = rng.uniform(0.4, 0.7) * np.array([math.cos(angle), math.sin(angle), rng.uniform(-0.5, 0.5)])
        p += [*r, *rng.uniform(-0.3, 0.3, 2), rng.uniform(2.6, 3.2)]
    corners = [(c, r) for r in range(6) for c in range(7)][:n]
    return np.array(p), 0.3 * np.array(corners) - (0.8, 0.7)


@pytest.mark.q("q4", 1)
def test_prediction_without_distortion(student, atlas, rng):
    """With k₁ = k₂ = 0 the pixels of three views are those of a pinhole."""
    p, board = random_session(rng, 3, 8, (0, 0))
    answer = student.predict(p, board)
    assert not student.changed, "predict overwrites its arguments"
    expect(answer, pixels_of(p, board), atlas("predict", p, board), what="[the pixels of three views]")


@pytest.mark.q("q4", 2)
def test_prediction_with_distortion(student, atlas, rng):
    """k₁ and k₂ bend the normalised coordinates."""
    for k in ((-0.25, 0.0), (0.06, 0.3), (0.15, -0.2)):
        p, board = random_session(rng, 2, 9, k)
        answer = student.predict(p, board)
        expect(answer, pixels_of(p, board), atlas("predict", p, board), what=f"[the pixels for k = {k}]")


def noisy_session(rng):
    """Draw a session of three views, found with errors of 0.4 px, and a start that is some per cent off."""
    p, board = random_session(rng, 3, 20)
    x = pixels_of(p, board) + rng.normal(0, 0.4, (3, 20, 2))
    start = p * rng.uniform(0.98, 1.02, p.shape)
    start[4:6] = 0
    return p, board, x, start


def jacobian_of(p, board):
    """Central differences of five points: errors of 1e-7."""
    J = np.zeros((2 * len(board) * (len(p) // 6 - 1), len(p)))
    for j in range(len(p)):
        for h, weight in [(1e-4, 8 / 12e-4), (-1e-4, -8 / 12e-4), (2e-4, -1 / 12e-4), (-2e-4, 1 / 12e-4)]:
            J[:, j] += weight * pixels_of(p + h * np.eye(len(p))[j], board).ravel()
    return J


def places(looks, p, board):
    """Predict with the mistakes' parameters; those that are no parameters are left out."""
    rows = {says: np.asarray(q) for says, q in looks.items() if np.shape(q) == p.shape}
    return {says: pixels_of(q, board) for says, q in rows.items() if np.isfinite(q).all()}


@pytest.mark.q("q4", 2)
def test_least_error(student, atlas, rng):
    """Ten steps lead to the least sum of squared distances."""
    p, board, x, start = noisy_session(rng)
    best = optimize.least_squares(
        lambda q: (pixels_of(q, board) - x).ravel(), p, jac=lambda q: jacobian_of(q, board), x_scale="jac", xtol=1e-12
    ).x
    answer = array_of(student.refine(start, board, x, 10), p.shape, "the parameters")
    assert not student.changed, "refine overwrites its arguments"
    looks = places(atlas("refine", start, board, x, 10), p, board)
    # noise makes the steps converge linearly: 2e-3 px may be left after six, 3e-4 after eight, of a hundred sessions
    expect(pixels_of(answer, board), pixels_of(best, board), looks, atol=1e-3, what="[the pixels predicted at the end]")


@pytest.mark.q("q4", 1)
def test_single_steps(student, atlas, rng):
    """No step gives the start, one and two steps are those of Gauss and Newton."""
    _, board, x, start = noisy_session(rng)
    truth = start
    for steps in range(3):
        answer = array_of(student.refine(start, board, x, steps), start.shape, "the parameters")
        looks = places(atlas("refine", start, board, x, steps), start, board)
        what = f"[the pixels predicted after {steps} steps]"
        expect(pixels_of(answer, board), pixels_of(truth, board), looks, atol=1e-3, what=what)
        truth = truth - linalg.lstsq(jacobian_of(truth, board), (pixels_of(truth, board) - x).ravel())[0]


def _bent(p, board, bend):
    return pixels_of(p, board, bend)


@wrong("q4", says="the distortion is applied to pixels: r² would be 10⁵; it belongs to the normalised coordinates")
def predict(p, board):
    x = pixels_of([*p[:4], 0, 0, *p[6:]], board)
    d = x - p[2:4]
    q = np.sum(d**2, axis=-1, keepdims=True)
    return p[2:4] + d * (1 + p[4] * q + p[5] * q**2)


@wrong("q4", says="ρ stands where ρ² should, and ρ² where ρ⁴ should")
def predict(p, board):
    return _bent(p, board, lambda m, p: m * (1 + p[4] * abs(m) + p[5] * abs(m) ** 2))


@wrong("q4", says="k₂ is multiplied by ρ², like k₁: it should be ρ⁴")
def predict(p, board):
    return _bent(p, board, lambda m, p: m * (1 + (p[4] + p[5]) * abs(m) ** 2))


@wrong(
    "q4", says="it is divided by the bracket of Eq. (6): that goes the other way, from the bent ray to the straight one"
)
def predict(p, board):
    return _bent(p, board, lambda m, p: m / (1 + p[4] * abs(m) ** 2 + p[5] * abs(m) ** 4))


@wrong("q4", says="x is bent with its own square only: ρ² = m_x² + m_y² is one number for both")
def predict(p, board):
    def bend(m, p):
        one = [c * (1 + p[4] * c**2 + p[5] * c**4) for c in (m.real, m.imag)]
        return one[0] + 1j * one[1]

    return _bent(p, board, bend)


@wrong("q4", says="the distortion is left out")
def predict(p, board):
    return _bent(p, board, lambda m, p: m)


@wrong("q4", says="k₁ and k₂ are exchanged")
def predict(p, board):
    return pixels_of([*p[:4], p[5], p[4], *p[6:]], board)


@wrong("q4", says="the rotation goes the wrong way: X_cam = R X + t, with R and not its transpose")
def predict(p, board):
    q = np.array(p)
    for v in range(6, len(p), 6):
        q[v : v + 3] *= -1
    return pixels_of(q, board)


@wrong("q4", says="the board is moved before it is turned: X_cam = R X + t, not R (X + t)")
def predict(p, board):
    q = np.array(p)
    for v in range(6, len(p), 6):
        q[v + 3 : v + 6] = Rotation.from_rotvec(p[v : v + 3]).apply(p[v + 3 : v + 6])
    return pixels_of(q, board)


@wrong("q4", says="f_x is used for y, too: the parameters have a focal length for each direction")
def predict(p, board):
    return pixels_of([p[0], p[0], *p[2:]], board)


@wrong("q4", says="all views have the pose of the first: each has six parameters of its own")
def predict(p, board):
    return np.repeat(pixels_of(p[:12], board), (len(p) - 6) // 6, axis=0)


@wrong("q4", says="r and t are read in the wrong order: each view has r first, then t")
def predict(p, board):
    q = np.array(p)
    for v in range(6, len(p), 6):
        q[v : v + 6] = [*p[v + 3 : v + 6], *p[v : v + 3]]
    return pixels_of(q, board)


@right("q4")
def predict(p, board):
    """Corner by corner, Rodrigues' formula on vectors."""
    views = []
    for v in range(6, len(p), 6):
        r, t, view = p[v : v + 3], p[v + 3 : v + 6], []
        angle = math.sqrt(r @ r)
        for corner in board:
            X, axis = np.array([*corner, 0.0]), r / angle
            turned = (
                X * math.cos(angle) + np.cross(axis, X) * math.sin(angle) + axis * (axis @ X) * (1 - math.cos(angle))
            )
            x, y, z = turned + t
            q = (x**2 + y**2) / z**2
            bend = 1 + q * (p[4] + q * p[5])
            view.append([p[0] * bend * x / z + p[2], p[1] * bend * y / z + p[3]])
        views.append(view)
    return np.array(views)


def _derivatives(p, board, h=1e-5):
    steps = h * np.eye(len(p))
    columns = [(pixels_of(p + e, board) - pixels_of(p - e, board)).ravel() / (2 * h) for e in steps]
    return np.column_stack(columns)


def _newton(p, board, views, steps, used=slice(None), rows=slice(None), factor=1.0, h=1e-5):
    p = np.array(p, dtype=np.float64)
    for _ in range(steps):
        J, r = _derivatives(p, board, h), (pixels_of(p, board) - views).ravel()
        if not np.isfinite(r).all() or np.abs(p).max() > 1e6:
            break
        p[used] -= factor * np.linalg.lstsq(J[rows, used], r[rows])[0]
    return p


@wrong("q4", says="the step goes uphill: J δ + r is to become small, so δ has the sign of −r")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, factor=-1.0)


@wrong("q4", says=ONE_STEP)
def refine(p, board, views, steps=10):
    return _newton(p, board, views, 1)


@wrong("q4", says="`steps` is not used: there are always ten")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, 10)


@wrong("q4", says="k₁ and k₂ are left at their start: they are parameters like the others")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, used=np.r_[0:4, 6 : len(p)])


@wrong(
    "q4",
    says="only the intrinsics move: the poses of the closed form have errors as well, and must be refined with them",
)
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, used=slice(0, 6))


@wrong("q4", says="only the poses move: the intrinsics are what is wanted")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, used=slice(6, None))


@wrong("q4", says="only the residuals in x take part")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, rows=slice(None, None, 2))


@wrong("q4", says="only a half of each step is made: near the minimum the whole one is right")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, factor=0.5)


@wrong("q4", says="the differences are taken with h = 0.1: for an angle that is 6 degrees, far too coarse")
def refine(p, board, views, steps=10):
    return _newton(p, board, views, steps, h=0.1)


@wrong("q4", says=STILL)
def refine(p, board, views, steps=10):
    return p


@wrong("q4", says="refine overwrites its arguments")
def refine(p, board, views, steps=10):
    p[:] = _newton(p, board, views, steps)
    return p


@right("q4")
def refine(p, board, views, steps=10):
    """Normal equations with columns at length 1, another rule of differences."""
    for _ in range(steps):
        J = jacobian_of(p, board)
        size = np.sqrt(np.sum(J**2, axis=0))
        A = J / size
        p = p - np.linalg.solve(A.T @ A, A.T @ (pixels_of(p, board) - views).ravel()) / size
    return p


# ---------------------------------------------------------------------------------------------
# Question 5: how sure, and what do the residuals show?

NOTHING_LEFT = (
    "as many parameters as residuals (M ≤ p), or dependent columns, leave no answer: raise a ValueError instead of "
    "returning something"
)
AT_CENTER = "at the principal point there is no direction: both parts should be 0 there"


@pytest.mark.q("q5", 1)
def test_noise(student, atlas, rng):
    """σ from the residuals and the number of parameters."""
    for M, p in ((12, 5), (40, 18), (9, 8)):
        r, J = rng.normal(0.3, 2, M), rng.normal(size=(M, p))
        answer = student.uncertainty(r, J)
        assert not student.changed, "uncertainty overwrites its arguments"
        sigma = parts(answer, ((), (p,)), "sigma, deviations")[0]
        looks = parts_of_looks(atlas("uncertainty", r, J), ((), (p,)), "sigma, deviations")
        truth = math.sqrt(math.fsum(r * r) / (M - p))
        expect(sigma, truth, {says: row[0] for says, row in looks.items()}, what="sigma")


@pytest.mark.q("q5", 1)
def test_deviations(student, atlas, rng):
    """The standard deviations of parameters of different units, which depend on each other."""
    for M, p in ((15, 3), (30, 6)):
        r = rng.normal(0, 1.5, M)
        J = rng.normal(size=(M, p)) @ (np.eye(p) + 0.7 * np.tri(p, k=-1)) * 10.0 ** rng.uniform(-1, 1, p)
        inverse = linalg.pinv(J)  # δ = −J⁺ e: the variances are σ² times the squares of its rows
        truth = math.sqrt(r @ r / (M - p)) * linalg.norm(inverse, axis=1)
        deviations = parts(student.uncertainty(r, J), ((), (p,)), "sigma, deviations")[1:]
        looks = parts_of_looks(atlas("uncertainty", r, J), ((), (p,)), "sigma, deviations")
        looks = {says: row[1:] for says, row in looks.items()}
        expect(deviations, truth, looks, atol=1e-9 * max(truth.max(), 1), what="[the standard deviations]")


@pytest.mark.q("q5", 1)
def test_nothing_left(student, rng):
    """M ≤ p, or dependent columns, raise a ValueError; columns of other units do not."""
    J = rng.normal(size=(20, 4))
    dependent = np.column_stack([J, 2 * J[:, 0] - J[:, 3]])
    for what, bad in {"M = p": J[:4], "M < p": J[:3], "dependent columns": dependent}.items():
        happened = refusal(student.uncertainty, np.full(len(bad), 1e-9), bad)
        assert "ValueError" in happened, f"{NOTHING_LEFT} ({what}: {happened})"
    parts(student.uncertainty(rng.normal(size=20), J * [1e3, 1, 1e-3, 1]), ((), (4,)), "sigma, deviations")


@pytest.mark.q("q5", 1)
def test_radial_parts(student, atlas, rng):
    """Outward and across, in all directions from the centre."""
    center, angle = rng.uniform(100, 300, 2), np.linspace(0.2, 6.0, 9)
    d, parts_true = rng.uniform(20, 90, 9) * np.exp(1j * angle), rng.normal(0, 2, (9, 2))
    x = center + np.column_stack([d.real, d.imag])
    z = (parts_true @ [1, 1j]) * np.exp(1j * angle)  # turned by the angle from x towards y
    r = np.column_stack([z.real, z.imag])
    answer = student.radial_parts(x, r, center)
    assert not student.changed, "radial_parts overwrites its arguments"
    expect(answer, parts_true, atlas("radial_parts", x, r, center), what="[outward and across]")


@pytest.mark.q("q5", 1)
def test_at_the_center(student, atlas, rng):
    """At the centre itself both parts are 0; together the parts are as long as the residual elsewhere."""
    center = np.round(rng.uniform(100, 300, 2))
    x, r = center + np.array([[0.0, 0], [30, 0], [0, -20]]), rng.uniform(1, 2, (3, 2))
    with np.errstate(all="ignore"):
        answer = student.radial_parts(x, r, center)
        looks = atlas("radial_parts", x, r, center)
    if np.shape(answer) == (3, 2):
        assert np.array_equal(np.asarray(answer)[0], [0, 0]), AT_CENTER
    truth = [[0, 0], [r[1, 0], r[1, 1]], [-r[2, 1], r[2, 0]]]
    expect(answer, truth, looks, what="[outward and across]")


def _refuse(J):
    if J.shape[0] <= J.shape[1] or np.linalg.matrix_rank(J / linalg.norm(J, axis=0)) < J.shape[1]:
        raise ValueError("open")


def _sure(r, J, sigma=None):
    _refuse(J)
    sigma = np.sqrt(r @ r / (len(r) - J.shape[1])) if sigma is None else sigma
    return sigma, sigma * np.sqrt(np.diag(linalg.inv(J.T @ J)))


@wrong("q5", says="the sum is divided by M: p directions of the errors have been fitted away, so this σ is too small")
def uncertainty(r, J):
    return _sure(r, J, np.sqrt(np.mean(r**2)))


@wrong("q5", says="the sum is divided by M/2, the number of corners: r holds coordinates, and the parameters count too")
def uncertainty(r, J):
    return _sure(r, J, np.sqrt(2 * np.mean(r**2)))


@wrong("q5", says="the mean is taken off the residuals: what is not 0 on the average must count")
def uncertainty(r, J):
    return _sure(r, J, np.sqrt(np.sum((r - r.mean()) ** 2) / (len(r) - J.shape[1])))


@wrong("q5", says="sigma is the variance, in px²: take the root")
def uncertainty(r, J):
    sigma, deviations = _sure(r, J)
    return sigma**2, deviations


@wrong("q5", says="these are variances: take the root of the diagonal")
def uncertainty(r, J):
    sigma, deviations = _sure(r, J)
    return sigma, deviations**2


@wrong("q5", says="the diagonal is taken before the inverse: as if the parameters could not make up for each other")
def uncertainty(r, J):
    sigma, _ = _sure(r, J)
    return sigma, sigma / linalg.norm(J, axis=0)


@wrong("q5", says="σ is missing in the deviations: (JᵀJ)⁻¹ alone is for noise of 1 px")
def uncertainty(r, J):
    sigma, deviations = _sure(r, J)
    return sigma, deviations / sigma


@wrong(
    "q5",
    says="the deviations are divided by √(M − p): σ is already the noise of one coordinate, and JᵀJ knows how many",
)
def uncertainty(r, J):
    sigma, deviations = _sure(r, J)
    return sigma, deviations / np.sqrt(len(r) - J.shape[1])


@wrong("q5", says=NOTHING_LEFT)
def uncertainty(r, J):
    sigma = np.sqrt(r @ r / max(len(r) - J.shape[1], 1))
    return sigma, sigma * np.sqrt(np.abs(np.diag(linalg.pinv(J.T @ J))))


@right("q5")
def uncertainty(r, J):
    """By singular values of columns at length 1."""
    M, p = J.shape
    size = np.array([math.sqrt(column @ column) for column in J.T])
    _, s, Vt = np.linalg.svd(J / size, full_matrices=False)
    if p >= M or s[-1] < 1e-12 * s[0]:
        raise ValueError("open")
    sigma = math.sqrt(sum(value * value for value in r.tolist()) / (M - p))
    return sigma, sigma * np.sqrt(np.sum((Vt / s[:, None]) ** 2, axis=0)) / size


def _parts(x, r, center):
    d = x - center
    length = np.hypot(d[:, 0], d[:, 1])
    d = d / np.where(length > 0, length, 1)[:, None]
    return np.column_stack([d[:, 0] * r[:, 0] + d[:, 1] * r[:, 1], d[:, 0] * r[:, 1] - d[:, 1] * r[:, 0]])


@wrong("q5", says="the outward part has the wrong sign: outward is x − centre")
def radial_parts(x, r, center):
    return _parts(x, r, center) * (-1, 1)


@wrong("q5", says="the part across has the wrong sign: positive is from the x axis towards the y axis")
def radial_parts(x, r, center):
    return _parts(x, r, center) * (1, -1)


@wrong("q5", says="both parts are negated: the ray is taken inward")
def radial_parts(x, r, center):
    return -_parts(x, r, center)


@wrong("q5", says="the ray is not a unit vector: these are pixels squared")
def radial_parts(x, r, center):
    return _parts(x, r, center) * linalg.norm(x - center, axis=1)[:, None]


@wrong("q5", says="the rays start at the origin, the corner of the image: they should start at the principal point")
def radial_parts(x, r, center):
    return _parts(x, r, 0 * center)


@wrong("q5", says="the two parts are exchanged: first outward, then across")
def radial_parts(x, r, center):
    return _parts(x, r, center)[:, ::-1]


@wrong("q5", says="the part across is given without its sign, as the rest of Pythagoras: then a turn cannot be seen")
def radial_parts(x, r, center):
    return np.abs(_parts(x, r, center)) * (np.sign(_parts(x, r, center)[:, :1]) * (1, 0) + (0, 1))


@wrong("q5", says=AT_CENTER)
def radial_parts(x, r, center):
    d = x - center
    d = d / np.maximum(linalg.norm(d, axis=1), 1e-300)[:, None]
    found = _parts(x, r, center)
    found[~d.any(axis=1)] = np.nan
    return found


@right("q5")
def radial_parts(x, r, center):
    """With angles, corner by corner."""
    found = []
    for (a, b), (u, v) in zip((x - center).tolist(), r.tolist(), strict=True):
        angle = math.atan2(b, a)
        cos, sin = (math.cos(angle), math.sin(angle)) if (a, b) != (0, 0) else (0, 0)
        found.append([u * cos + v * sin, v * cos - u * sin])
    return np.array(found)
