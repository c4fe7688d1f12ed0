"""Checks of exercise 17_structure_from_motion, the mistakes they know, and second solutions.

Oracles: truth by construction, ``scipy.linalg``, difference quotients, the dense normal equations, the
quaternion form of the best rotation; else laws.
"""

import tracemalloc

import numpy as np
import pytest
from scipy import linalg, optimize
from scipy.spatial.transform import Rotation

from cvcourse.checks import expect, right, wrong

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


def random_rotation(rng, low=0.2, high=0.9):
    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / linalg.norm(axis) * rng.uniform(low, high)).as_matrix()


def random_cameras(rng, n):
    """Draw n cameras some units in front of the origin, no two alike: R, t."""
    R = np.array([random_rotation(rng) for _ in range(n)])
    return R, np.column_stack([rng.uniform(-0.8, 0.8, (n, 2)), rng.uniform(4, 7, n)])


def seen(P, X):
    u, v, w = P @ X
    return np.array([u / w, v / w])


# ---------------------------------------------------------------------------------------------
# Question 1: triangulation

SIGN = "the sign is free in Eq. (1), but w should not be negative"
UNIT = "the squares of the four numbers should sum to 1"
DIVIDED = "the point is divided by w: at infinity w is 0, or what rounding leaves of it, so leave it homogeneous"
FIRST_TWO = "only the first two views are used"
BOOLS = "in_front should give bools, one a camera"


def random_projections(rng, n):
    K = np.array([[rng.uniform(500, 900), 0, 300], [0, rng.uniform(500, 900), 250], [0, 0, 1]])
    R, t = random_cameras(rng, n)
    return K @ np.concatenate([R, t[:, :, None]], axis=2)


def system(Ps, x):
    """Eq. (1) by Kronecker products."""
    return np.concatenate([np.kron(np.reshape(p, (2, 1)), P[2]) - P[:2] for P, p in zip(Ps, x, strict=True)])


def least(A):
    X = linalg.eigh(A.T @ A, subset_by_index=[0, 0])[1][:, 0]
    return X * np.sign(X[3])


@pytest.mark.q("q1", 1)
def test_exact_points(student, atlas, rng):
    """Two, three and six views of a point give it back."""
    for n in (2, 3, 6):
        Ps, X = random_projections(rng, n), np.append(rng.uniform(-1, 1, 3), 1)
        x = np.array([seen(P, X) for P in Ps])
        answer = student.triangulate(Ps, x)
        assert not student.changed, "triangulate overwrites its arguments"
        # pixels to 1e3 in the rows: 1e-16 · 1e3 · condition 1e4 = 1e-9
        expect(answer, X / linalg.norm(X), atlas("triangulate", Ps, x), atol=1e-7, what=f"the point of {n} views")


@pytest.mark.q("q1", 1)
def test_noisy_points(student, atlas, rng):
    """Noise of some pixels: the unit vector with the least sum of squares over all views."""
    for n in (2, 5):
        Ps, X = random_projections(rng, n), np.append(rng.uniform(-1, 1, 3), 1)
        x = np.array([seen(P, X) for P in Ps]) + rng.normal(0, 5, (n, 2))
        answer = student.triangulate(Ps, x)
        # the oracle squares the condition of A, 1e4: 1e-16 · 1e8 = 1e-8
        expect(
            answer, least(system(Ps, x)), atlas("triangulate", Ps, x), atol=1e-5, what=f"the point of {n} noisy views"
        )


@pytest.mark.q("q1", 2)
def test_points_at_infinity(student, rng):
    """Parallel rays: w is 0 but for rounding, the direction is right but for its sign."""
    for _ in range(3):
        Ps, direction = random_projections(rng, 4), np.append(rng.normal(size=3), 0)
        x = np.array([seen(P, direction) for P in Ps])
        answer = array_of(student.triangulate(Ps, x), (4,), "the point at infinity")
        assert abs(answer[3]) < 1e-6 * max(np.abs(answer[:3]).max(), 1e-300) or abs(answer[3]) < 1e-6, (
            f"the rays are parallel, so w should be 0, got {answer[3]:.3g}"
        )
        assert linalg.norm(answer) < 1e3, DIVIDED
        assert np.isclose(linalg.norm(answer), 1, atol=1e-9), UNIT
        assert np.isclose(abs(answer @ direction) / linalg.norm(direction), 1, atol=1e-6), "the direction is wrong"


@pytest.mark.q("q1", 2)
def test_in_front(student, atlas, rng):
    """Finite points and directions, in front of some cameras and behind others; of any length."""
    for w in (1, rng.uniform(0.01, 0.1), 0, 30.0):
        R = np.array([random_rotation(rng, 0.1, 3.1) for _ in range(9)])
        t = rng.normal(size=(9, 3))
        K = np.diag([rng.uniform(500, 900), 600, 1]) + np.array([[0, 0, 320], [0, 0, 240], [0, 0, 0]])
        Ps, X = (
            K @ np.concatenate([R, t[:, :, None]], axis=2),
            np.append(w * rng.normal(size=3) if w else rng.normal(size=3), w),
        )
        truth = np.array([float((r @ X[:3] + s * w)[2] > 0) for r, s in zip(R, t, strict=True)])
        answer = student.in_front(Ps, X)
        assert not student.changed, "in_front overwrites its arguments"
        looks = {
            says: np.asarray(look, float) for says, look in atlas("in_front", Ps, X).items() if np.shape(look) == (9,)
        }
        values = array_of(answer, (9,), "the answer of in_front")
        where = "a point at infinity" if w == 0 else f"a point with w = {w:.2g}"
        expect(values, truth, looks, what=f"[in front, as 0 and 1, of {where}]")
        assert np.asarray(answer).dtype == np.bool_, BOOLS


@wrong("q1", says=SIGN)
def triangulate(Ps, x):
    return -least(system(Ps, x))


@wrong("q1", says=DIVIDED)
def triangulate(Ps, x):
    X = linalg.svd(system(Ps, x))[2][-1]
    return X / X[3]


@wrong("q1", says=FIRST_TWO)
def triangulate(Ps, x):
    return least(system(Ps[:2], x[:2]))


@wrong("q1", says="x and y are exchanged: the first row of P gives x")
def triangulate(Ps, x):
    return least(system(Ps, x[:, ::-1]))


@wrong("q1", says="this is the first right singular vector: the least |A X| belongs to the last")
def triangulate(Ps, x):
    X = linalg.svd(system(Ps, x))[2][0]
    return X * np.sign(X[3])


@wrong("q1", says="a column of V^T is taken: NumPy returns V transposed, so the vector is its last row")
def triangulate(Ps, x):
    X = linalg.svd(system(Ps, x))[2][:, -1]
    return X * np.sign(X[3])


@wrong(
    "q1",
    says="w is set to 1 and an inhomogeneous system solved: that weighs the rows differently, and fails at infinity",
)
def triangulate(Ps, x):
    A = system(Ps, x)
    X = np.append(linalg.lstsq(A[:, :3], -A[:, 3])[0], 1)
    return X / linalg.norm(X)


@right("q1")
def triangulate(Ps, x):
    """By an eigenvector, row by row."""
    N = np.zeros((4, 4))
    for P, (u, v) in zip(Ps, x.tolist(), strict=True):
        for row in (u * P[2] - P[0], v * P[2] - P[1]):
            N += np.outer(row, row)
    U, _, _ = np.linalg.svd(N)
    return U[:, 3] if U[3, 3] >= 0 else -U[:, 3]


@wrong("q1", says="the depth is divided by w: for a direction w is 0 (and with w ≥ 0 the sign needs no division)")
def in_front(Ps, X):
    with np.errstate(all="ignore"):
        depth = Ps[:, 2] @ (X / X[3])
        return depth > 0


@wrong("q1", says="the world's Z is tested, not the depth in each camera")
def in_front(Ps, X):
    return np.full(len(Ps), X[2] > 0)


@wrong("q1", says="the sign is turned round: positive depth is in front")
def in_front(Ps, X):
    return Ps[:, 2] @ X < 0


@wrong("q1", says="the translation is forgotten: without it this is the depth of the direction from the origin")
def in_front(Ps, X):
    return Ps[:, 2, :3] @ X[:3] > 0


@wrong("q1", says=BOOLS)
def in_front(Ps, X):
    return (Ps[:, 2] @ X > 0).astype(int)


@right("q1")
def in_front(Ps, X):
    """By each camera's axis and centre."""
    answer = []
    for P in Ps:
        axis, offset = P[2, :3], P[2, 3]
        answer.append(bool(sum(a * b for a, b in zip(axis, X[:3], strict=True)) + offset * X[3] > 0))
    return np.array(answer)


# ---------------------------------------------------------------------------------------------
# Question 2: reprojection errors and their derivatives

AB = "A, B"


def random_scene(rng, n=3, N=7, M=12):
    R, t = random_cameras(rng, n)
    view, point = rng.integers(0, n, M), rng.integers(0, N, M)
    return rng.uniform(400, 700), R, t, rng.uniform(-1, 1, (N, 3)), view, point


def predicted(f, R, t, X, view, point):
    rows = []
    for i, j in zip(view, point, strict=True):
        p = Rotation.from_matrix(R[i]).apply(X[j]) + t[i]
        rows.append([f * p[0] / p[2], f * p[1] / p[2]])
    return np.array(rows)


def quotients(f, R, t, X, view, point, h=1e-5):
    """Central differences: A, B."""

    def at(w, s, d):
        small = Rotation.from_rotvec(w).as_matrix()
        return predicted(f, small @ R, t + s, X + d, view, point)

    columns = [(at(*(v * h)) - at(*(-v * h))) / (2 * h) for v in np.eye(9).reshape(9, 3, 3)]
    J = np.stack(columns, axis=2)
    return J[:, :, :6], J[:, :, 6:]


@pytest.mark.q("q2", 2)
def test_predict(student, atlas, rng):
    """Twelve observations of three cameras and seven points."""
    scene = random_scene(rng)
    answer = student.predict(*scene)
    assert not student.changed, "predict overwrites its arguments"
    expect(answer, predicted(*scene), atlas("predict", *scene), atol=1e-8, what="the prediction")


@pytest.mark.q("q2", 2)
def test_blocks_by_camera(student, atlas, rng):
    """A against central differences, both for w and for t."""
    scene = random_scene(rng)
    shapes = ((12, 2, 6), (12, 2, 3))
    answer = parts(student.blocks(*scene), shapes, AB)[: 12 * 12]
    assert not student.changed, "blocks overwrites its arguments"
    looks = {k: v[: 12 * 12].reshape(12, 2, 6) for k, v in parts_of_looks(atlas("blocks", *scene), shapes, AB).items()}
    # central differences with h = 1e-5: third derivatives of 1e3 give 1e3 h² = 1e-7, rounding 1e-13 / h = 1e-8
    expect(answer.reshape(12, 2, 6), quotients(*scene)[0], looks, atol=1e-4, what="A")


@pytest.mark.q("q2", 2)
def test_blocks_by_point(student, atlas, rng):
    """B against central differences."""
    scene = random_scene(rng)
    shapes = ((12, 2, 6), (12, 2, 3))
    answer = parts(student.blocks(*scene), shapes, AB)[12 * 12 :]
    looks = {k: v[12 * 12 :].reshape(12, 2, 3) for k, v in parts_of_looks(atlas("blocks", *scene), shapes, AB).items()}
    expect(answer.reshape(12, 2, 3), quotients(*scene)[1], looks, atol=1e-4, what="B")


def _cam(R, t, X, view, point):
    return np.einsum("kij,kj->ki", R[view], X[point]) + t[view]


@wrong("q2", says="R is transposed: it carries the world to the camera")
def predict(f, R, t, X, view, point):
    return predicted(f, R.transpose(0, 2, 1), t, X, view, point)


@wrong("q2", says="t is taken as the camera's centre: X_cam = R X + t, not R (X − t)")
def predict(f, R, t, X, view, point):
    p = np.einsum("kij,kj->ki", R[view], X[point] - t[view])
    return f * p[:, :2] / p[:, 2:]


@wrong("q2", says="the division by the depth is missing")
def predict(f, R, t, X, view, point):
    return f * _cam(R, t, X, view, point)[:, :2]


@wrong("q2", says="f is missing: these are coordinates at depth 1")
def predict(f, R, t, X, view, point):
    p = _cam(R, t, X, view, point)
    return p[:, :2] / p[:, 2:]


@wrong("q2", says="view and point are exchanged, or ignored: observation k has its own camera and its own point")
def predict(f, R, t, X, view, point):
    k = np.arange(len(view))
    return predicted(f, R, t, X, k % len(R), k % len(X))


@right("q2")
def predict(f, R, t, X, view, point):
    """One after the other, homogeneous."""
    K = np.array([[f, 0, 0], [0, f, 0], [0, 0, 1]])
    found = np.empty((len(view), 2))
    for k in range(len(view)):
        u, v, w = K @ np.column_stack([R[view[k]], t[view[k]]]) @ np.append(X[point[k]], 1.0)
        found[k] = u / w, v / w
    return found


def _D(f, R, t, X, view, point):
    x, y, z = _cam(R, t, X, view, point).T
    o = 0 * z
    return f * np.array([[1 / z, o, -x / z**2], [o, 1 / z, -y / z**2]]).transpose(2, 0, 1)


def _blocks(f, R, t, X, view, point):
    D = _D(f, R, t, X, view, point)
    q = np.einsum("kij,kj->ki", R[view], X[point])
    return np.concatenate([np.cross(q[:, None], D), D], axis=2), D @ R[view]


@wrong("q2", says="the derivative by w has the wrong sign: it is q × d for each row d of D")
def blocks(f, R, t, X, view, point):
    A, B = _blocks(f, R, t, X, view, point)
    return A * np.repeat([-1, 1], 3), B


@wrong("q2", says="t is in q: the turn comes before the shift, so w × q has q = R X only")
def blocks(f, R, t, X, view, point):
    D = _D(f, R, t, X, view, point)
    return np.concatenate([np.cross(_cam(R, t, X, view, point)[:, None], D), D], axis=2), D @ R[view]


@wrong("q2", says="the unturned X stands in the cross product: a turn before R moves q = R X")
def blocks(f, R, t, X, view, point):
    D = _D(f, R, t, X, view, point)
    return np.concatenate([np.cross(X[point][:, None], D), D], axis=2), D @ R[view]


@wrong("q2", says="the third column of D is missing: the depth moves the pixel too")
def blocks(f, R, t, X, view, point):
    D = _D(f, R, t, X, view, point) * [1, 1, 0]
    q = np.einsum("kij,kj->ki", R[view], X[point])
    return np.concatenate([np.cross(q[:, None], D), D], axis=2), D @ R[view]


@wrong("q2", says="the third column of D has the wrong sign: f x / z falls when z grows")
def blocks(f, R, t, X, view, point):
    D = _D(f, R, t, X, view, point) * [1, 1, -1]
    q = np.einsum("kij,kj->ki", R[view], X[point])
    return np.concatenate([np.cross(q[:, None], D), D], axis=2), D @ R[view]


@wrong("q2", says="R is missing in B, or transposed: the point is moved in the world, and B = D R")
def blocks(f, R, t, X, view, point):
    A, _ = _blocks(f, R, t, X, view, point)
    return A, _D(f, R, t, X, view, point) @ R[view].transpose(0, 2, 1)


@wrong("q2", says="B is D itself: the point is moved in the world, not in the camera's frame, so multiply by R")
def blocks(f, R, t, X, view, point):
    A, _ = _blocks(f, R, t, X, view, point)
    return A, _D(f, R, t, X, view, point)


@wrong("q2", says="the columns are in the other order: first w, then t")
def blocks(f, R, t, X, view, point):
    A, B = _blocks(f, R, t, X, view, point)
    return A[:, :, [3, 4, 5, 0, 1, 2]], B


@right("q2")
def blocks(f, R, t, X, view, point):
    """Number by number, with the skew matrix: d(w × q) / dw = −[q]x."""
    A, B = [], []
    for i, j in zip(view.tolist(), point.tolist(), strict=True):
        q = R[i] @ X[j]
        x, y, z = q + t[i]
        D = np.array([[f / z, 0, -f * x / z / z], [0, f / z, -f * y / z / z]])
        skew = np.array([[0, -q[2], q[1]], [q[2], 0, -q[0]], [-q[1], q[0], 0]])
        A.append(np.hstack([-D @ skew, D]))
        B.append(D @ R[i])
    return np.array(A), np.array(B)


# ---------------------------------------------------------------------------------------------
# Question 3: the Schur complement

DC = "d_c, d_p"
DENSE = "the full V is built: for many points its zeros fill the memory, so treat its 3 × 3 blocks one by one"


def random_system(rng, C=12, N=9):
    """A positive definite system with the pattern of Eq. (3), from a random Jacobian with one block a row."""
    J_c, J_p = rng.normal(size=(N, 8, C)), rng.normal(size=(N, 8, 3))
    U = np.einsum("pki,pkj->ij", J_c, J_c) + np.diag(rng.uniform(1, 2, C))
    W = np.einsum("pki,pkj->ipj", J_c, J_p).reshape(C, 3 * N)
    return U, W, np.einsum("pki,pkj->pij", J_p, J_p), rng.normal(size=C), rng.normal(size=3 * N)


def dense(U, W, V):
    return np.block([[U, W], [W.T, linalg.block_diag(*V)]])


@pytest.mark.q("q3", 2)
def test_same_as_dense(student, atlas, rng):
    """The step is that of all equations at once, for two sizes."""
    for C, N in ((12, 9), (6, 4)):
        args = random_system(rng, C, N)
        shapes = ((C,), (3 * N,))
        answer = student.schur_solve(*args)
        assert not student.changed, "schur_solve overwrites its arguments"
        truth = linalg.solve(dense(*args[:3]), np.concatenate(args[3:]))
        looks = parts_of_looks(atlas("schur_solve", *args), shapes, DC)
        expect(parts(answer, shapes, DC), truth, looks, atol=1e-8, what="[d_c, d_p], in one row,")


@pytest.mark.q("q3", 1)
def test_law_of_elimination(student, rng):
    """Both rows of Eq. (3) hold for what comes back."""
    U, W, V, g_c, g_p = random_system(rng, 6, 15)
    d_c, d_p = np.split(parts(student.schur_solve(U, W, V, g_c, g_p), ((6,), (45,)), DC), [6])
    assert np.allclose(U @ d_c + W @ d_p, g_c, atol=1e-8), "the first row of Eq. (3) does not hold"
    back = W.T @ d_c + np.einsum("pij,pj->pi", V, d_p.reshape(15, 3)).ravel()
    assert np.allclose(back, g_p, atol=1e-8), "the second row of Eq. (3) does not hold"


@pytest.mark.q("q3", 2)
def test_without_the_full_matrix(student, rng):
    """Four hundred points: right, and in little memory."""
    args = random_system(rng, 12, 400)
    tracemalloc.start()
    try:
        answer = student.schur_solve(*args)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    d_c, d_p = np.split(parts(answer, ((12,), (1200,)), DC), [12])
    V = np.linalg.inv(args[2])
    again = np.einsum("pij,pj->pi", V, (args[4] - args[1].T @ d_c).reshape(400, 3)).ravel()
    assert np.allclose(args[0] @ d_c + args[1] @ d_p, args[3], atol=1e-7), "the first row of Eq. (3) does not hold"
    assert np.allclose(d_p, again, atol=1e-7), "the second row of Eq. (3) does not hold"
    # W is 0.12 MB, the full V 11.5 MB: thirty W are plenty
    assert peak < 3.5e6, DENSE


def _schur(U, W, V, g_c, g_p, sign=1, right_side=True, back=True):
    inverse = linalg.block_diag(*np.linalg.inv(V))
    S = U - sign * W @ inverse @ W.T
    d_c = linalg.solve(S, g_c - W @ inverse @ g_p * right_side)
    return d_c, inverse @ (g_p - W.T @ d_c * back)


@wrong("q3", says="W V⁻¹ Wᵀ is to be subtracted from U: a minus, not a plus")
def schur_solve(U, W, V, g_c, g_p):
    return _schur(U, W, V, g_c, g_p, sign=-1)


@wrong("q3", says="the right side is not reduced: it becomes g_c − W V⁻¹ g_p")
def schur_solve(U, W, V, g_c, g_p):
    return _schur(U, W, V, g_c, g_p, right_side=False)


@wrong("q3", says="the way back forgets the cameras: d_p = V⁻¹ (g_p − Wᵀ d_c)")
def schur_solve(U, W, V, g_c, g_p):
    return _schur(U, W, V, g_c, g_p, back=False)


@wrong("q3", says="V is taken for its inverse: the blocks must be inverted")
def schur_solve(U, W, V, g_c, g_p):
    return _schur(U, W, np.linalg.inv(V), g_c, g_p)


@wrong("q3", says="points and cameras are solved separately, as if W were 0")
def schur_solve(U, W, V, g_c, g_p):
    return linalg.solve(U, g_c), np.linalg.solve(V, g_p.reshape(-1, 3)[:, :, None]).ravel()


@wrong("q3", says="the reciprocals of the entries of V are taken: the inverse of a block is another matrix")
def schur_solve(U, W, V, g_c, g_p):
    return _schur(U, W, np.linalg.inv(1 / V), g_c, g_p)


@wrong("q3", says=DENSE)
def schur_solve(U, W, V, g_c, g_p):
    full = np.zeros((3 * len(V), 3 * len(V)))
    for p, block in enumerate(V):
        full[3 * p : 3 * p + 3, 3 * p : 3 * p + 3] = block
    d_c = np.linalg.solve(U - W @ np.linalg.solve(full, W.T), g_c - W @ np.linalg.solve(full, g_p))
    return d_c, np.linalg.solve(full, g_p - W.T @ d_c)


@right("q3")
def schur_solve(U, W, V, g_c, g_p):
    """Point by point."""
    S, g = U.copy(), g_c.copy()
    for p in range(len(V)):
        own = slice(3 * p, 3 * p + 3)
        Y = np.linalg.solve(V[p], W[:, own].T).T
        S -= Y @ W[:, own].T
        g -= Y @ g_p[own]
    d_c = np.linalg.solve(S, g)
    return d_c, np.concatenate(
        [np.linalg.solve(V[p], g_p[3 * p : 3 * p + 3] - W[:, 3 * p : 3 * p + 3].T @ d_c) for p in range(len(V))]
    )


# ---------------------------------------------------------------------------------------------
# Question 4: grading up to a similarity

SRT = ((), (3, 3), (3,))
NAMES = "s, R, t"
MIRROR = "R is a mirror, its determinant −1: no camera sees a mirrored world, so det R must be +1"
WAY_ROUND = "the similarity goes the other way: it should carry src onto dst"
BEFORE = "the distance is taken before alignment: a shift or another scale is no error"
GRADE_MIRROR = "a mirror image gets a good grade: with det R = +1 it must not"


def best_similarity(src, dst):
    """Horn's quaternion: the largest eigenvector of a symmetric 4 x 4 matrix."""
    p, q = src - src.mean(axis=0), dst - dst.mean(axis=0)
    M = p.T @ q
    d = np.array([M[1, 2] - M[2, 1], M[2, 0] - M[0, 2], M[0, 1] - M[1, 0]])
    N = np.block([[np.trace(M), d], [d[:, None], M + M.T - np.trace(M) * np.eye(3)]])
    w, x, y, z = linalg.eigh(N)[1][:, -1]
    R = Rotation.from_quat([x, y, z, w]).as_matrix()
    s = np.sum(q * (p @ R.T)) / np.sum(p**2)
    return s, R, dst.mean(axis=0) - s * R @ src.mean(axis=0)


def distance(s, R, t, src, dst):
    return np.sqrt(np.mean(np.sum((s * src @ R.T + t - dst) ** 2, axis=1)))


def two_worlds(rng, noise=0.0, N=12):
    X = rng.uniform(-2, 2, (N, 3)) * (1, 0.7, 0.4) + rng.uniform(-3, 3, 3)
    s, R, t = rng.uniform(1.5, 3), random_rotation(rng, 0.5, 2.5), rng.uniform(2, 6, 3)
    return X, s * X @ R.T + t + noise * rng.normal(size=X.shape), (s, R, t)


def row_of(answer):
    return np.concatenate([np.ravel(part) for part in answer])


@pytest.mark.q("q4", 2)
def test_similarity(student, atlas, rng):
    """Exact and noisy points, any place, turn and size."""
    for noise in (0, 0.2):
        X, Y, _ = two_worlds(rng, noise)
        answer = student.similarity(X, Y)
        assert not student.changed, "similarity overwrites its arguments"
        looks = parts_of_looks(atlas("similarity", X, Y), SRT, NAMES)
        expect(
            parts(answer, SRT, NAMES),
            row_of(best_similarity(X, Y)),
            looks,
            atol=1e-8,
            what="[s, R, t], in one row of 13,",
        )


@pytest.mark.q("q4", 1)
def test_mirror_image(student, atlas, rng):
    """A mirrored set: still a rotation, the best there is."""
    X, Y, _ = two_worlds(rng, 0.05)
    Y = Y * [1, -1, 1]
    answer = parts(student.similarity(X, Y), SRT, NAMES)
    if np.linalg.det(answer[1:10].reshape(3, 3)) < 0:
        raise AssertionError(MIRROR)
    expect(
        answer,
        row_of(best_similarity(X, Y)),
        parts_of_looks(atlas("similarity", X, Y), SRT, NAMES),
        atol=1e-7,
        what="[s, R, t]",
    )


@pytest.mark.q("q4", 1)
def test_grade(student, atlas, rng):
    """Noise only, in another world: the grade is what is left after the best similarity."""
    X, Y, _ = two_worlds(rng, 0.1)
    answer = student.grade(X, Y)
    assert not student.changed, "grade overwrites its arguments"
    expect(answer, distance(*best_similarity(X, Y), X, Y), atlas("grade", X, Y), what="the grade")


@pytest.mark.q("q4", 1)
def test_laws_of_grades(student, atlas, rng):
    """The grade of a moved, turned, scaled copy is 0; that of a mirror image is not; units are those of the truth."""
    X, Y, _ = two_worlds(rng)
    copy = student.grade(X, Y)
    expect(copy, 0.0, atlas("grade", X, Y), atol=1e-7, what="the grade of a perfect copy")
    mirrored = float(array_of(student.grade(X, Y * [1, 1, -1]), (), "the grade"))
    assert mirrored > 0.05, GRADE_MIRROR
    Z = X + 0.2 * rng.normal(size=X.shape)
    one, other = student.grade(Z, Y), student.grade(Z, 10 * Y)
    expect(other, 10 * np.asarray(one), {}, atol=1e-7, what="the grade in a unit ten times smaller")


def _kabsch(src, dst, proper=True):
    p, q = src - src.mean(axis=0), dst - dst.mean(axis=0)
    U, S, Vt = linalg.svd(q.T @ p)
    signs = np.array([1, 1, np.sign(linalg.det(U @ Vt)) if proper else 1])
    return U @ np.diag(signs) @ Vt, S @ signs, p, q


@wrong("q4", says=MIRROR)
def similarity(src, dst):
    R, total, p, _ = _kabsch(src, dst, proper=False)
    s = total / np.sum(p**2)
    return s, R, dst.mean(axis=0) - s * R @ src.mean(axis=0)


@wrong("q4", says=WAY_ROUND)
def similarity(src, dst):
    return best_similarity(dst, src)


@wrong("q4", says="R is transposed: U Vᵀ of Σ q pᵀ, not V Uᵀ")
def similarity(src, dst):
    s, R, _ = best_similarity(src, dst)
    return s, R.T, dst.mean(axis=0) - s * R.T @ src.mean(axis=0)


@wrong("q4", says="the scale is missing: reconstructions have none of their own")
def similarity(src, dst):
    _, R, _ = best_similarity(src, dst)
    return 1.0, R, dst.mean(axis=0) - R @ src.mean(axis=0)


@wrong("q4", says="t is the difference of the means: the mean of src is turned and scaled first")
def similarity(src, dst):
    s, R, _ = best_similarity(src, dst)
    return s, R, dst.mean(axis=0) - src.mean(axis=0)


@wrong("q4", says="the means are not taken off before the singular value decomposition")
def similarity(src, dst):
    U, S, Vt = linalg.svd(dst.T @ src)
    signs = np.array([1, 1, np.sign(linalg.det(U @ Vt))])
    R, s = U @ np.diag(signs) @ Vt, S @ signs / np.sum(src**2)
    return s, R, dst.mean(axis=0) - s * R @ src.mean(axis=0)


@wrong(
    "q4", says="the scale is the ratio of the spreads: with noise the least squares scale is smaller, tr(SΔ) / Σ|p|²"
)
def similarity(src, dst):
    R, _, p, q = _kabsch(src, dst)
    s = np.sqrt(np.sum(q**2) / np.sum(p**2))
    return s, R, dst.mean(axis=0) - s * R @ src.mean(axis=0)


@right("q4")
def similarity(src, dst):
    """From the eigenvectors of MᵀM."""
    p, q = src - np.mean(src, axis=0), dst - np.mean(dst, axis=0)
    V, _, Ut = np.linalg.svd(p.T @ q)
    R = (V @ Ut).T
    if np.linalg.det(R) < 0:
        V[:, 2] *= -1
        R = (V @ Ut).T
    s = np.trace(R @ p.T @ q) / np.trace(p.T @ p)
    return float(s), R, np.mean(dst - s * src @ R.T, axis=0)


@wrong("q4", says=BEFORE)
def grade(X, truth):
    return np.sqrt(np.mean(np.sum((X - truth) ** 2, axis=1)))


@wrong("q4", says="only the shift is taken off: turn and scale are free as well")
def grade(X, truth):
    return np.sqrt(np.mean(np.sum((X - X.mean(axis=0) - truth + truth.mean(axis=0)) ** 2, axis=1)))


@wrong("q4", says="this is the mean of the distances, not the root of the mean square")
def grade(X, truth):
    s, R, t = best_similarity(X, truth)
    return np.mean(np.linalg.norm(s * X @ R.T + t - truth, axis=1))


@wrong("q4", says="the mean is over all coordinates: it should be over points, so the result is smaller by √3")
def grade(X, truth):
    s, R, t = best_similarity(X, truth)
    return np.sqrt(np.mean((s * X @ R.T + t - truth) ** 2))


@wrong("q4", says="the truth is moved onto the reconstruction: the result is in the reconstruction's units")
def grade(X, truth):
    return distance(*best_similarity(truth, X), truth, X)


@wrong("q4", says=GRADE_MIRROR)
def grade(X, truth):
    R, total, p, q = _kabsch(X, truth, proper=False)
    return np.sqrt(np.mean(np.sum((total / np.sum(p**2) * p @ R.T - q) ** 2, axis=1)))


@right("q4")
def grade(X, truth):
    """By the closed form of the minimum, without moving a point."""
    p, q = X - X.mean(axis=0), truth - truth.mean(axis=0)
    M = q.T @ p
    S = np.linalg.svd(M)[1]
    total = S[0] + S[1] + np.sign(np.linalg.det(M)) * S[2]
    return np.sqrt(max(np.sum(q**2) - total**2 / np.sum(p**2), 0) / len(X))


# ---------------------------------------------------------------------------------------------
# Question 5: a camera among wrong matches

RT = ((3, 3), (3,))
RT_NAMES = "R, t"
NO_ROTATION = "R is not a rotation: take the nearest one, U Vᵀ"
BEHIND = "the points lie behind the camera: P and −P see the same pixels, take the sign with det of the left block > 0"
OUTLIERS = "wrong matches have pulled the pose away: only those who agree may take part in the fit"
NOT_REFINED = "the pose is near, but as rough as that of a sample: fit once more to all inliers, in pixels"
CENTRE = "t is the camera's centre: asked is t = −R c"


def photograph(rng, N=60, share=0.4, noise=0.5):
    """Draw a camera, points in front of it, and pixels of which some are wrong: K, R, t, X, x, wrong."""
    K = np.array([[rng.uniform(550, 700), 0, rng.uniform(300, 340)], [0, 0, rng.uniform(220, 260)], [0, 0, 1]])
    K[1, 1] = K[0, 0]
    R, t = random_rotation(rng, 0.4, 1.5), np.array([*rng.uniform(-0.3, 0.3, 2), rng.uniform(4, 6)])
    origin = rng.uniform(-2, 2, 3)
    X = rng.uniform(-1, 1, (N, 3)) + origin
    t = t - R @ origin
    p = (X @ R.T + t) @ K.T
    x = p[:, :2] / p[:, 2:] + noise * rng.normal(size=(N, 2))
    wrong_ones = np.zeros(N, bool)
    wrong_ones[rng.permutation(N)[: int(share * N)]] = True
    x[wrong_ones] = rng.uniform((0, 0), (640, 480), (wrong_ones.sum(), 2))
    return K, R, t, X, x, wrong_ones


def best_pose(K, R, t, X, x):
    """Least squares in pixels from a pose, by SciPy: the pose and the standard deviation of its six numbers."""

    def residuals(v):
        p = (X @ (Rotation.from_rotvec(v[:3]).as_matrix() @ R).T + v[3:]) @ K.T
        return (p[:, :2] / p[:, 2:] - x).ravel()

    found = optimize.least_squares(residuals, np.r_[0, 0, 0, t], method="lm")
    return Rotation.from_rotvec(found.x[:3]).as_matrix() @ R, found.x[3:]


def located(student, K, X, x):
    answer = student.locate(K, X, x)
    assert not student.changed, "locate overwrites its arguments"
    row = parts(answer, RT, RT_NAMES)
    R, t = row[:9].reshape(3, 3), row[9:]
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-6), NO_ROTATION
    assert np.linalg.det(R) > 0, "R has determinant −1, a mirror"
    return R, t


def expect_pose(R, t, truth, inliers, K, X, x, tolerance):
    """Compare where the inliers are predicted with where they should be, in pixels."""
    true_R, true_t = truth
    centre = -true_R.T @ true_t
    assert not np.allclose(t, centre, atol=0.05), CENTRE
    depth = X @ R.T + t
    assert not (depth[:, 2] < 0).all(), BEHIND
    where = (depth @ K.T)[inliers]
    should = ((X @ true_R.T + true_t) @ K.T)[inliers]
    with np.errstate(all="ignore"):
        off = np.linalg.norm(where[:, :2] / where[:, 2:] - should[:, :2] / should[:, 2:], axis=1)
    rms = np.sqrt(np.mean(off**2)) if np.isfinite(off).all() else np.inf
    assert rms < 15, OUTLIERS
    assert rms < tolerance, (
        f"{NOT_REFINED} (predictions are {rms:.2f} px from where they should be, RMS; {tolerance:g} would do)"
    )


@pytest.mark.q("q5", 1)
def test_all_right(student, rng):
    """No wrong match, no noise."""
    K, R, t, X, x, _ = photograph(rng, share=0, noise=0)
    expect_pose(*located(student, K, X, x), (R, t), np.ones(60, bool), K, X, x, 0.05)


@pytest.mark.q("q5", 2)
def test_noise_and_a_quarter_wrong(student, rng):
    """A quarter wrong, noise of half a pixel; two photographs."""
    for _ in range(2):
        K, R, t, X, x, bad = photograph(rng, share=0.25)
        # six unknowns of 90 coordinates: predictions are off by 0.5 √(2 · 6 / 90) = 0.18 px RMS; four times that
        expect_pose(*located(student, K, X, x), (R, t), ~bad, K, X, x, 0.75)


@pytest.mark.q("q5", 2)
def test_two_fifths_wrong(student, rng):
    """40 % wrong; as good as least squares on the right matches alone."""
    for _ in range(2):
        K, R, t, X, x, bad = photograph(rng, N=80, share=0.4)
        best = best_pose(K, R, t, X[~bad], x[~bad])
        # wrong ones that lie within 4 px by chance, and right ones beyond, move it by a few tenths
        expect_pose(*located(student, K, X, x), best, ~bad, K, X, x, 0.6)


def _dlt(X, m):
    A = np.concatenate([np.kron([[1, 0, -u], [0, 1, -v]], [*p, 1]) for p, (u, v) in zip(X, m, strict=True)])
    return linalg.svd(A)[2][-1].reshape(3, 4)


def _linear(K, X, x, orthogonal=True, flip=False):
    m = (x - K[:2, 2]) / K[0, 0]
    mean = X.mean(axis=0)
    P = _dlt(X - mean, m)
    P = P * np.sign(linalg.det(P[:, :3])) * (-1 if flip else 1)
    U, S, Vt = linalg.svd(P[:, :3])
    R = U @ Vt if orthogonal else P[:, :3] / S.mean()
    return R, P[:, 3] / S.mean() - R @ mean


def _off(K, R, t, X, x):
    p = (X @ R.T + t) @ K.T
    with np.errstate(all="ignore"):
        off = np.linalg.norm(p[:, :2] / p[:, 2:] - x, axis=1)
    return np.where(p[:, 2] > 0, off, np.inf)


def _search(K, X, x, rounds=250):
    rng, best, most = np.random.default_rng(5), None, -1
    for _ in range(rounds):
        chosen = rng.permutation(len(X))[:6]
        pose = _linear(K, X[chosen], x[chosen])
        count = np.sum(_off(K, *pose, X, x) < 5)
        best, most = (pose, count) if count > most else (best, most)
    return best


def _polished(K, X, x):
    R, t = _search(K, X, x)
    for _ in range(5):
        good = _off(K, R, t, X, x) < 4
        R, t = best_pose(K, R, t, X[good], x[good])
    return R, t


@wrong("q5", says=OUTLIERS)
def locate(K, X, x):
    return _linear(K, X, x)


@wrong("q5", says=NO_ROTATION)
def locate(K, X, x):
    R, t = _polished(K, X, x)
    return R * 1.01, t


@wrong("q5", says=BEHIND)
def locate(K, X, x):
    R, t = _polished(K, X, x)
    return np.diag([-1, -1, 1]) @ R, np.array([-1, -1, 1]) * t - [0, 0, 40]


@wrong("q5", says=CENTRE)
def locate(K, X, x):
    R, t = _polished(K, X, x)
    return R, -R.T @ t


@wrong("q5", says=NOT_REFINED)
def locate(K, X, x):
    rng = np.random.default_rng(1)
    R, t = _polished(K, X, x)
    return Rotation.from_rotvec(0.004 * np.sign(rng.normal(size=3))).as_matrix() @ R, t


@wrong("q5", says="locate overwrites its arguments")
def locate(K, X, x):
    found = _polished(K, X, x)
    x -= K[:2, 2]
    return found


@right("q5")
def locate(K, X, x):
    """Reweighted least squares from the best sample, without a threshold."""
    R, t = _search(K, X, x, 250)
    for _ in range(30):
        q = X @ R.T
        p = q + t
        e = x - (p @ K.T)[:, :2] / p[:, 2:]
        weight = 1 / (1 + np.sum(e**2, axis=1) / 2.25) * (_off(K, R, t, X, x) < 6)
        D = K[0, 0] / p[:, 2, None, None] * np.array([np.c_[np.eye(2), -(v[:2] / v[2])] for v in p])
        J = np.concatenate([np.cross(q[:, None], D), D], axis=2)
        N = np.einsum("k,kai,kaj->ij", weight, J, J)
        step = np.linalg.solve(N, np.einsum("k,kai,ka->i", weight, J, e))
        R, t = Rotation.from_rotvec(step[:3]).as_matrix() @ R, t + step[3:]
    return R, t
