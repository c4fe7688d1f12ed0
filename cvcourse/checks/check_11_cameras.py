"""Checks of exercise 11_cameras, the mistakes they know, and second solutions.

Oracles: cameras are built from their parts, rotations by SciPy from quaternions; world points are
placed by their coordinates in the camera, so that pixels and depths are known before any projection.
"""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cvcourse.checks import StudentError, expect, right, wrong

LATER = ("cameras", "panoramas", "single_view", "calibration", "stereo", "two_view", "structure_from_motion")
BORROWED = ("cvcourse.homogeneous", *(f"cvcourse.{name}" for name in LATER), "scipy", "skimage", "cv2", "PIL", "torch")
FORBIDDEN = {question: BORROWED for question in ("q1", "q2", "q3", "q4", "q5")}

# Sentences that a check says itself: a comparison of outputs can't tell these mistakes.
POINTS_CHANGED = "photograph overwrites its arguments: X −= c changes the caller's points; write to a new array"
INVERTED = "M is inverted: for a parallel projection it is singular; a null vector of P is there all the same"
DIVIDED = (
    "a centre at infinity is divided by its w: rounding makes 1e-17 of 0, and of the centre a point 1e17 metres away; "
    "compare w with X, Y and Z as in Eq. (2)"
)
NO_MASK = "in_picture should return True or False for each point, not their numbers, nor one word for all"

# Coordinates are below 100 and depths above 1; pixels, below 1e5, are then right to about 1e-10.
PIXEL = 1e-7


def alike(a, b, atol):
    """Compare results that may be None, an array, or several arrays."""
    if a is None or b is None:
        return a is None and b is None
    if isinstance(b, tuple):
        return isinstance(a, tuple | list) and len(a) == len(b) and all(alike(*pair, atol) for pair in zip(a, b))
    try:
        x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    except (TypeError, ValueError):
        return False
    return x.shape == y.shape and np.allclose(x, y, rtol=0, atol=atol, equal_nan=True)


def expect_parts(answer, truth, looks, names, atol=1e-9, name="it"):
    """Compare a tuple of arrays: name the mistake that gives all of them, else the first part that is wrong."""
    if alike(answer, truth, atol):
        return
    for says, result in looks.items():
        assert not (alike(answer, result, atol) and not alike(result, truth, atol)), says
    assert answer is not None, f"{name} gave None: does the function end with a return?"
    several = isinstance(answer, tuple | list) and len(answer) == len(truth)
    assert several, f"{name} should return {len(truth)} things: {', '.join(names)}"
    for part, wanted, what in zip(answer, truth, names):
        expect(part, wanted, atol=atol, what=what)


def quiet(function, *arguments, **keywords):
    with np.errstate(all="ignore"):
        return function(*arguments, **keywords)


def turned(rng):
    """A rotation without any symmetry: R is far from its transpose and from the identity."""
    while True:
        R = Rotation.from_quat(rng.normal(size=4)).as_matrix()
        if min(np.abs(R).min(), np.abs(R - R.T).max()) > 0.1:
            return R


def intrinsics(rng):
    """A K with two focal lengths, skew, and a principal point off the diagonal."""
    fx, fy, skew = rng.uniform(400, 500), rng.uniform(600, 700), rng.uniform(20, 40)
    return np.array([[fx, skew, rng.uniform(250, 350)], [0, fy, rng.uniform(120, 180)], [0, 0, 1.0]])


def place(rng, size=8.0):
    return rng.uniform(0.4 * size, size, 3) * rng.choice([-1, 1], 3)


def composed(K, R, c, factor=1.0):
    """The matrix factor K [R | t], each column as the image of a unit step."""
    rows = [[*r, -sum(a * b for a, b in zip(r, c))] for r in R.tolist()]
    return factor * np.array([[sum(k * row[j] for k, row in zip(line, rows)) for j in range(4)] for line in K.tolist()])


def in_camera(rng, shape, low=2.0, high=9.0):
    """Camera coordinates of points with depths between two numbers."""
    X_cam = rng.uniform(-1, 1, (*shape, 3))
    X_cam[..., 2] = rng.uniform(low, high, shape)
    X_cam[..., :2] *= np.abs(X_cam[..., 2:])
    return X_cam


def pixels(K, X_cam):
    """Similar triangles: x = fx X/Z + s Y/Z + cx, y = fy Y/Z + cy."""
    a, b = X_cam[..., 0] / X_cam[..., 2], X_cam[..., 1] / X_cam[..., 2]
    return np.stack([K[0, 0] * a + K[0, 1] * b + K[0, 2], K[1, 1] * b + K[1, 2]], axis=-1)


def in_world(R, c, X_cam):
    """c plus so many steps along each of the camera's axes, which are the rows of R."""
    return c + X_cam[..., :1] * R[0] + X_cam[..., 1:2] * R[1] + X_cam[..., 2:] * R[2]


# ---------------------------------------------------------------------------------------------
# Question 1: from the world to the pixel


def check_photograph(student, atlas, K, R, c, X, X_cam, what):
    truth = (pixels(K, X_cam), X_cam[..., 2])
    looks = quiet(atlas, "photograph", K, R, c, X)
    answer = quiet(student.photograph, K, R, c, X)
    changed = student.changed
    names = (f"the pixels of {what}", f"the depths of {what}")
    expect_parts(answer, truth, looks, names, PIXEL, "photograph")
    assert not changed, POINTS_CHANGED


@pytest.mark.q("q1", 1)
def test_intrinsics(student, atlas, rng):
    """A camera at the origin that looks along Z: focal lengths, skew, principal point."""
    K, X_cam = intrinsics(rng), in_camera(rng, (7,))
    check_photograph(student, atlas, K, np.eye(3), np.zeros(3), X_cam, X_cam, "a camera at the origin")


@pytest.mark.q("q1", 1)
def test_pose(student, atlas, rng):
    """A camera somewhere, turned somehow."""
    for _ in range(2):
        K, R, c, X_cam = intrinsics(rng), turned(rng), place(rng), in_camera(rng, (6,))
        check_photograph(student, atlas, K, R, c, in_world(R, c, X_cam), X_cam, "a turned camera")


@pytest.mark.q("q1", 1)
def test_shapes(student, atlas, rng):
    """One point, a list, edges: the results have the shape of the points."""
    K, R, c = intrinsics(rng), turned(rng), place(rng)
    for shape in [(5,), (), (4, 2)]:
        X_cam = in_camera(rng, shape)
        X = in_world(R, c, X_cam)
        check_photograph(student, atlas, K, R, c, X, X_cam, f"points of shape {X.shape}")


@pytest.mark.q("q1", 1)
def test_behind_and_whole_numbers(student, atlas, rng):
    """Points behind the camera have negative depths, and pixels by Eq. (1); points may be whole numbers."""
    K, R, c = intrinsics(rng), turned(rng), place(rng)
    X_cam = np.vstack([in_camera(rng, (4,)), in_camera(rng, (4,), -9, -2)])
    check_photograph(student, atlas, K, R, c, in_world(R, c, X_cam), X_cam, "points behind the camera")
    X = rng.integers(-3, 4, (7, 3))
    c = 3.25 - 15 * R[2]  # so the depths are at least 15 − √3 · 6.25 > 4, whatever the rotation
    X_cam = np.stack([((X - c) * row).sum(axis=1) for row in R], axis=1)
    check_photograph(student, atlas, K, R, c, X, X_cam, "points in whole numbers")


def borders(rng, shape):
    """Pixels just inside and just outside of each border, and what is inside."""
    rows, columns = shape
    x, y = rng.uniform(5, columns - 5, 8), rng.uniform(5, rows - 5, 8)
    x[:4] = -0.4, -0.6, columns - 0.6, columns - 0.4
    y[4:] = -0.4, -0.6, rows - 0.6, rows - 0.4
    far = rng.uniform(1.5, 3, (2, 2)) * [[columns, -rows], [-columns, rows]]
    middle = np.array([0.3, 0.6]) * [columns, rows]
    return np.vstack([np.column_stack([x, y]), far, middle]), np.array([1, 0, 1, 0] * 2 + [0, 0, 1], dtype=bool)


def check_mask(student, atlas, x, depth, shape, truth, what):
    looks = atlas("in_picture", x, depth, shape)
    answer = student.in_picture(x, depth, shape)
    if alike(answer, truth, 0):
        assert np.asarray(answer).dtype == bool, NO_MASK
        return
    for says, result in looks.items():
        assert not (alike(answer, result, 0) and not alike(result, truth, 0)), says
    assert np.shape(answer) == truth.shape, NO_MASK
    expect(answer, truth.astype(float), what=f"in_picture of {what} (1 for True)")


@pytest.mark.q("q1", 1)
def test_borders(student, atlas, rng):
    """Inside is from −0.5 to W − 0.5 and from −0.5 to H − 0.5, in wide images and in tall ones."""
    for shape in [(120, 310), (260, 90)]:
        x, truth = borders(rng, shape)
        check_mask(student, atlas, x, rng.uniform(1, 9, len(x)), shape, truth, "points in front")


@pytest.mark.q("q1", 1)
def test_only_what_is_in_front(student, atlas, rng):
    """Points behind the camera are not in the picture, wherever Eq. (1) draws them; of edges, each end for itself."""
    shape = (130, 240)
    x = rng.uniform([20, 20], [220, 110], (6, 2, 2))
    x[:2, 0] += [300, 0]
    depth = rng.uniform(0.05, 9, (6, 2))
    depth[1:4, 1] *= -1
    truth = np.ones((6, 2), dtype=bool)
    truth[:2, 0] = truth[1:4, 1] = False
    check_mask(student, atlas, x, depth, shape, truth, "edges")


def _photo(K, R, c, X, move=None):
    """Coordinate by coordinate; wrong versions change one thing each."""
    X_cam = np.einsum("ij,...j->...i", R, X - c) if move is None else move(R, c, np.asarray(X, dtype=float))
    u, v, w = (sum(K[i, j] * X_cam[..., j] for j in range(3)) for i in range(3))
    return np.stack([u / w, v / w], axis=-1), X_cam[..., 2]


@wrong("q1", says="c is added in place of t: t = −R c is the world's origin seen from the camera, c is where it stands")
def photograph(K, R, c, X):
    return _photo(K, R, c, X, lambda R, c, X: np.einsum("ij,...j->...i", R, X) + c)


@wrong("q1", says="−c is added after the rotation: subtract c before R acts, or add t = −R c after it")
def photograph(K, R, c, X):
    return _photo(K, R, c, X, lambda R, c, X: np.einsum("ij,...j->...i", R, X) - c)


@wrong(
    "q1",
    says="R acts transposed: its rows are the camera's axes, so R turns the world's coordinates to the camera's; "
    "points in rows need the transpose of R on their right",
)
def photograph(K, R, c, X):
    return _photo(K, R.T, c, X)


@wrong("q1", says="w is not divided out: without it a point twice as far away does not come nearer to the middle")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x * depth[..., None], depth


@wrong("q1", says="the principal point is not added: pixels count from the corner, the axis goes through (cx, cy)")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x - K[:2, 2], depth


@wrong("q1", says="the principal point is divided by the depth: (f X + c) / Z; the third column of K multiplies Z")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x - K[:2, 2] + K[:2, 2] / depth[..., None], depth


@wrong("q1", says="these are (row, column): pixels are (x, y), x to the right first")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x[..., ::-1], depth


@wrong("q1", says="the skew is forgotten: the entry K[0, 1] adds a share of Y to x")
def photograph(K, R, c, X):
    return _photo(K * [[1, 0, 1], [1, 1, 1], [1, 1, 1]], R, c, X)


@wrong("q1", says="one focal length is used for x and y: K has two on its diagonal")
def photograph(K, R, c, X):
    one = K.copy()
    one[1, 1] = K[0, 0]
    return _photo(one, R, c, X)


@wrong(
    "q1", says="K acts transposed: K stands to the left of columns; rows of points need its transpose on their right"
)
def photograph(K, R, c, X):
    return _photo(K.T, R, c, X)


@wrong("q1", says="the depth is the distance from the camera: it should be the part along the view, Z of the camera")
def photograph(K, R, c, X):
    return _photo(K, R, c, X)[0], np.linalg.norm(X - c, axis=-1)


@wrong("q1", says="the depth is the world's Z: it should be the Z of the camera's own coordinates")
def photograph(K, R, c, X):
    return _photo(K, R, c, X)[0], X[..., 2].astype(float)


@wrong("q1", says="the depth has lost its sign: it is negative behind the camera")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x, np.abs(depth)


@wrong("q1", says="pixels of points behind the camera are divided by |w|: Eq. (1) divides by w, with its sign")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x * np.sign(depth)[..., None], depth


@wrong("q1", says="the results are cut to whole numbers: arrays made like integer points hold integers")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    kind = np.asarray(X).dtype
    return x.astype(kind), depth.astype(kind)


@wrong("q1", says="the shape of the points is lost: (..., 3) comes in, (..., 2) and (...) should come out")
def photograph(K, R, c, X):
    x, depth = _photo(K, R, c, X)
    return x.reshape(-1, 2), depth.ravel()


@wrong("q1", says=POINTS_CHANGED)
def photograph(K, R, c, X):
    result = _photo(K, R, c, X)
    X[...] = X - c
    return result


@right("q1")
def photograph(K, R, c, X):
    """Point by point, in plain Python."""
    x, depth = np.zeros((*X.shape[:-1], 2)), np.zeros(X.shape[:-1])
    for at in np.ndindex(*X.shape[:-1]):
        step = [a - b for a, b in zip(X[at].tolist(), c.tolist())]
        X_cam = [sum(r * a for r, a in zip(row, step)) for row in R.tolist()]
        u, v, w = (sum(k * a for k, a in zip(row, X_cam)) for row in K.tolist())
        x[at], depth[at] = (u / w, v / w), X_cam[2]
    return x, depth


def _inside(x, shape, low=0.5, high=0.5):
    rows, columns = shape
    ok = (x[..., 0] > -low) & (x[..., 1] > -low)
    return ok & (x[..., 0] < columns - high) & (x[..., 1] < rows - high)


@wrong("q1", says="points behind the camera are kept: Eq. (1) gives them a pixel, but the camera does not see them")
def in_picture(x, depth, shape):
    return _inside(x, shape)


@wrong("q1", says="shape is read as (width, height): it is (rows, columns), so x is compared with the second number")
def in_picture(x, depth, shape):
    return _inside(x, shape[::-1]) & (depth > 0)


@wrong(
    "q1", says="inside is taken from 0 to W: pixel centres are at whole numbers, so the image is from −0.5 to W − 0.5"
)
def in_picture(x, depth, shape):
    return _inside(x, shape, 0.0, 0.0) & (depth > 0)


@wrong("q1", says="inside is taken from 0 to W − 1, the centres of the outer pixels: they reach half a pixel further")
def in_picture(x, depth, shape):
    return _inside(x, shape, 0.0, 1.0) & (depth > 0)


@wrong("q1", says="only the right and lower borders are asked: pixels with negative x or y are outside, too")
def in_picture(x, depth, shape):
    return _inside(x, shape, np.inf) & (depth > 0)


@wrong("q1", says="only the depth is asked: in front of the camera is not yet in the picture")
def in_picture(x, depth, shape):
    return depth > 0


@wrong("q1", says="being inside in x or in y is taken for enough: both are needed")
def in_picture(x, depth, shape):
    wide, tall = (x[..., k] > -0.5 for k in (0, 1))
    return ((wide & (x[..., 0] < shape[1] - 0.5)) | (tall & (x[..., 1] < shape[0] - 0.5))) & (depth > 0)


@wrong("q1", says="the rule is upside down: True is for the points that the picture shows")
def in_picture(x, depth, shape):
    return ~(_inside(x, shape) & (depth > 0))


@wrong("q1", says=NO_MASK)
def in_picture(x, depth, shape):
    return np.flatnonzero(_inside(x, shape) & (depth > 0))


@right("q1")
def in_picture(x, depth, shape):
    """By the number of the pixel in which the point lies."""
    column, row = np.moveaxis(np.floor(np.asarray(x) + 0.5), -1, 0)
    return np.isin(column, np.arange(shape[1])) & np.isin(row, np.arange(shape[0])) & ~(np.asarray(depth) < 0)


# ---------------------------------------------------------------------------------------------
# Question 2: what the matrix alone tells


def settled(answer):
    """Fix the free sign of a centre at infinity: the largest of its numbers is positive."""
    try:
        C = np.array(answer, dtype=float)
    except (TypeError, ValueError):
        return answer
    if C.shape == (4,) and np.isfinite(C).all() and abs(C[3]) < 1e-9:
        C = C * (-1.0 if C[np.argmax(np.abs(C))] < 0 else 1.0)
    return C


def check_centre(student, atlas, P, truth, atol, what):
    try:
        answer = quiet(student.find_centre, P)
    except StudentError as problem:
        raise AssertionError(INVERTED if "LinAlgError" in str(problem) else str(problem)) from None
    assert answer is not None, "find_centre gave None: does the function end with a return?"
    looks = {says: settled(result) for says, result in quiet(atlas, "find_centre", P).items()}
    if truth[3] == 0 and np.shape(answer) == (4,):
        assert np.isfinite(settled(answer)).all(), DIVIDED
        assert abs(answer[3]) < 0.5, DIVIDED
    expect(settled(answer), settled(truth), looks, atol, what)


@pytest.mark.q("q2", 1)
def test_centre(student, atlas, rng):
    """The centre of a camera that was put together from its parts."""
    for _ in range(2):
        c = place(rng)
        P = composed(intrinsics(rng), turned(rng), c)
        # Singular values of P are between 1 and 1e4 here: rounding in c stays below 1e-10.
        check_centre(student, atlas, P, [*c, 1], 1e-7, "the centre")


@pytest.mark.q("q2", 1)
def test_centre_of_multiples(student, atlas, rng):
    """Any multiple has the same centre, also a negative or a tiny one, also 500 units away."""
    for factor, size in [(rng.uniform(2, 4), 8), (-rng.uniform(0.3, 0.6), 8), (-1e-7, 8), (1.0, 500)]:
        c = place(rng, size)
        P = composed(intrinsics(rng), turned(rng), c, factor)
        # 500 units away the singular values span six digits, and w is 1/500: about 1e-5 is left to rounding.
        check_centre(student, atlas, P, [*c, 1], 1e-7 if size < 100 else 1e-2, "the centre")


@pytest.mark.q("q2", 1)
def test_centre_at_infinity(student, atlas, rng):
    """A parallel projection: its centre is at infinity in the direction of the view."""
    for edited in (False, True):
        R = turned(rng)
        P = np.array([[*(90 * R[0] + 7 * R[1]), 160], [*(70 * R[1]), 110], [0, 0, 0, 1]]) * rng.uniform(-3, -1)
        if edited:  # a homography of the pixels: the third row of M is not 0 any more, but M is singular
            P = np.array([[1.1, 0.2, 5], [-0.3, 0.9, 8], [0.003, -0.002, 1]]) @ P
        check_centre(student, atlas, P, [*R[2], 0], 1e-8, "the centre of a parallel projection")


def _null(P):
    return np.linalg.svd(P)[2][3]


def _standard(C, limit=1e-9):
    length = np.linalg.norm(C[:3])
    return C / C[3] if abs(C[3]) > limit * length else np.append(C[:3] / length, 0)


@wrong(
    "q2", says="this is the last column of P: it is K t, the image of the world's origin, not where the camera stands"
)
def find_centre(P):
    return np.append(P[:, 3], 1)


@wrong("q2", says="M is taken for a rotation: −Mᵀ times the last column is the centre only if K is the identity")
def find_centre(P):
    return np.append(-P[:, :3].T @ P[:, 3], 1)


@wrong("q2", says="the sign is wrong: P C = 0 says M c + p = 0, so the last column comes with a minus")
def find_centre(P):
    return _standard(_null(P)) * [-1, -1, -1, 1]


@wrong("q2", says="this is the last column of what svd returns: NumPy returns Vᵀ, whose rows are the singular vectors")
def find_centre(P):
    return _standard(np.linalg.svd(P)[2][:, 3])


@wrong("q2", says="this singular vector belongs to the largest singular value: P C = 0 needs the last one")
def find_centre(P):
    return _standard(np.linalg.svd(P)[2][0])


@wrong(
    "q2",
    says="this is the third singular vector: with full_matrices=False, or three singular values in mind, the null "
    "vector is left out; it is the fourth",
)
def find_centre(P):
    return _standard(np.linalg.svd(P, full_matrices=False)[2][-1])


@wrong("q2", says="the null vector is not scaled: (X, Y, Z, w) is the point (X/w, Y/w, Z/w)")
def find_centre(P):
    return _null(P)


@wrong("q2", says=DIVIDED)
def find_centre(P):
    return _null(P) / _null(P)[3]


@wrong("q2", says=INVERTED)
def find_centre(P):
    return np.append(-np.linalg.inv(P[:, :3]) @ P[:, 3], 1)


@wrong("q2", says="a centre at infinity does not have the length 1, or has lost its direction")
def find_centre(P):
    C = _standard(_null(P))
    return C if C[3] else C * 0


@right("q2")
def find_centre(P):
    """By the four 3 x 3 determinants, each without one column, with signs in turn."""
    P = P / np.linalg.norm(P, axis=1, keepdims=True)
    C = np.array([(-1) ** k * np.linalg.det(np.delete(P, k, axis=1)) for k in range(4)])
    length = np.sqrt(C[0] ** 2 + C[1] ** 2 + C[2] ** 2)
    return list(C / C[3]) if abs(C[3]) > 1e-9 * length else [*(C[:3] / length), 0.0]


def check_depths(student, atlas, rng, factor, what):
    K, R, c = intrinsics(rng), turned(rng), place(rng)
    X_cam = np.vstack([in_camera(rng, (4,)), in_camera(rng, (3,), -9, -2)])
    P, X = composed(K, R, c, factor), in_world(R, c, X_cam)
    expect(student.depths(P, X), X_cam[:, 2], atlas("depths", P, X), what=what)


@pytest.mark.q("q2", 1)
def test_depths(student, atlas, rng):
    """Depths in front and behind, from P = K [R | t] as it is."""
    for _ in range(2):
        check_depths(student, atlas, rng, 1.0, "depths")


@pytest.mark.q("q2", 1)
def test_depths_of_positive_multiples(student, atlas, rng):
    """Depths are lengths in the world: a positive factor of P does not change them."""
    for factor in (rng.uniform(2, 4), rng.uniform(0.01, 0.03)):
        check_depths(student, atlas, rng, factor, "depths, from a multiple of P")


@pytest.mark.q("q2", 1)
def test_depths_of_negative_multiples(student, atlas, rng):
    """Nor does a negative one: P and −P are one camera."""
    for factor in (-rng.uniform(2, 4), -rng.uniform(0.01, 0.03), -1.0, 1.0):
        check_depths(student, atlas, rng, factor, "depths, from a negative multiple of P")


def _w(P, X):
    return np.array([P[2, 0] * a + P[2, 1] * b + P[2, 2] * c + P[2, 3] for a, b, c in X])


def _parity(P):
    return math.copysign(1, np.linalg.det(P[:, :3]))


@wrong("q2", says="this is w itself: it is the depth times the free factor of P; find the factor in the third row of M")
def depths(P, X):
    return _w(P, X)


@wrong("q2", says="P is known only up to its sign: w turns with it, and so does det M; use the one to mend the other")
def depths(P, X):
    return _w(P, X) / np.linalg.norm(P[2, :3])


@wrong("q2", says="the size of the factor is left in: the third row of M is a unit vector times it")
def depths(P, X):
    return _w(P, X) * _parity(P)


@wrong(
    "q2", says="w is divided by the length of all four numbers in the third row: only three of them are a unit vector"
)
def depths(P, X):
    return _w(P, X) * _parity(P) / np.linalg.norm(P[2])


@wrong("q2", says="the depths have lost their sign: behind the camera they are negative")
def depths(P, X):
    return np.abs(_w(P, X)) / np.linalg.norm(P[2, :3])


@wrong("q2", says="the distance from the centre is measured: the depth is its part along the view")
def depths(P, X):
    c = -np.linalg.solve(P[:, :3], P[:, 3])
    return _parity(P) * np.sign(_w(P, X)) * np.linalg.norm(X - c, axis=1)


@wrong("q2", says="the last column is left out: points are (X, Y, Z, 1), and with 0 they would be directions")
def depths(P, X):
    return (_w(P, X) - P[2, 3]) * _parity(P) / np.linalg.norm(P[2, :3])


@wrong("q2", says="w is divided by the last entry of P: that one tells where the origin is, nothing about the factor")
def depths(P, X):
    return _w(P, X) / P[2, 3]


@wrong("q2", says="w is divided by det M: it has the sign of the factor, but K and the third power of the factor in it")
def depths(P, X):
    return _w(P, X) / np.linalg.det(P[:, :3])


@wrong("q2", says="w is divided by M's last entry: that is only one of three parts of the view's direction")
def depths(P, X):
    return _w(P, X) / P[2, 2]


@right("q2")
def depths(P, X):
    """The view as a cross product of the first two rows of M, which does not know the sign of P."""
    M = P[:, :3]
    c = np.linalg.solve(-M, P[:, 3])
    rows = np.cross(M[0], M[1])  # K's first two rows span all but the view; the product of two signs is +
    view = M[2] * np.sign(rows @ M[2]) / math.sqrt(M[2] @ M[2])
    return [float((a - c) @ view) for a in X]


# ---------------------------------------------------------------------------------------------
# Question 3: building a camera


def inner(shape, fov):
    """K from its effect: the direction at half the field of view lands on the border, W − 0.5."""
    rows, columns = shape
    cx, cy = (columns - 1) / 2, (rows - 1) / 2
    f = (columns - 0.5 - cx) * math.cos(fov / 2) / math.sin(fov / 2)
    return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])


FRAMES = [(240, 410), (370, 150), (33, 48)]


@pytest.mark.q("q3", 1)
def test_focal_length(student, atlas, rng):
    """Focal lengths of narrow and wide cameras, in both directions of the image."""
    for shape in FRAMES:
        fov = float(rng.uniform(0.4, 2.2))
        truth = np.diag(inner(shape, fov))[:2]

        def focal(K):
            return np.asarray(K)[[0, 1], [0, 1]] if np.shape(K) == (3, 3) else K

        looks = {says: focal(K) for says, K in quiet(atlas, "intrinsics_for", shape, fov).items()}
        answer = focal(student.intrinsics_for(shape, fov))
        expect(answer, truth, looks, what=f"the focal lengths for {shape} and {fov:.3f} radians")


@pytest.mark.q("q3", 1)
def test_whole_intrinsics(student, atlas, rng):
    """The whole of K: the principal point is in the middle, half a pixel before W / 2."""
    for shape in FRAMES:
        fov = float(rng.uniform(0.4, 2.2))
        looks = quiet(atlas, "intrinsics_for", shape, fov)
        expect(student.intrinsics_for(shape, fov), inner(shape, fov), looks, what=f"K for {shape}")


def aimed(rng, level):
    """A pose, a target and a direction of gravity which belong together, from R."""
    R, c = turned(rng), place(rng)
    target = c + rng.uniform(3, 8) * R[2]
    down = rng.uniform(2, 4) * (R[1] + (0 if level else rng.uniform(0.5, 1.5) * rng.choice([-1, 1])) * R[2])
    return R, c, target, down


@pytest.mark.q("q3", 1)
def test_aim_level(student, atlas, rng):
    """A level camera: gravity at right angles to the view."""
    for _ in range(2):
        R, c, target, down = aimed(rng, True)
        looks = quiet(atlas, "aim", c, target, down)
        expect(student.aim(c, target, down), R, looks, what="R of a level camera")


@pytest.mark.q("q3", 1)
def test_aim_up_or_down(student, atlas, rng):
    """A camera that looks up or down: gravity is not one of its axes, but has no part to the side."""
    for _ in range(3):
        R, c, target, down = aimed(rng, False)
        looks = quiet(atlas, "aim", c, target, down)
        expect(student.aim(c, target, down), R, looks, what="R of a camera that looks up or down")


@pytest.mark.q("q3", 1)
def test_aim_by_default(student, atlas, rng):
    """Without `down` the world's Y points down; `down` may also be a tuple."""
    for _ in range(2):
        yaw, pitch = rng.uniform(0.4, 1.2, 2) * rng.choice([-1, 1], 2)
        R = (Rotation.from_rotvec([0, yaw, 0]) * Rotation.from_rotvec([pitch, 0, 0])).as_matrix().T
        c = place(rng)
        target = c + rng.uniform(3, 8) * R[2]
        expect(student.aim(c, target), R, quiet(atlas, "aim", c, target), what="R with the default down")
    R, c, target, down = aimed(rng, False)
    down = tuple(down.tolist())
    expect(student.aim(c, target, down), R, quiet(atlas, "aim", c, target, down), what="R with a tuple as down")


@pytest.mark.q("q3", 1)
def test_pose_block(student, atlas, rng):
    """With K = Id: the rotation and the translation."""
    for _ in range(2):
        R, c = turned(rng), place(rng)
        P = composed(np.eye(3), R, c)
        expect(student.camera_for(np.eye(3), R, c), P, atlas("camera_for", np.eye(3), R, c), what="[R | t]")


@pytest.mark.q("q3", 1)
def test_matrix(student, atlas, rng):
    """The whole matrix, with skew."""
    for _ in range(2):
        K, R, c = intrinsics(rng), turned(rng), place(rng)
        looks = atlas("camera_for", K, R, c)
        expect(student.camera_for(K, R, c), composed(K, R, c), looks, PIXEL, what="P")


def _inner(shape, fov, **changes):
    rows, columns = shape
    f = changes.get("f", columns / 2 / math.tan(fov / 2))
    cx, cy = changes.get("middle", ((columns - 1) / 2, (rows - 1) / 2))
    return np.array([[f, 0, cx], [0, changes.get("fy", f), cy], [0, 0, 1.0]])


@wrong("q3", says="the angle is taken for degrees: fov is in radians already")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=shape[1] / 2 / math.tan(math.radians(fov) / 2))


@wrong("q3", says="the whole field of view is put into the tangent: half the width belongs to half the angle")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=shape[1] / 2 / math.tan(fov))


@wrong("q3", says="the whole width is divided by the tangent of half the angle: half the width belongs to it")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=shape[1] / math.tan(fov / 2))


@wrong("q3", says="the tangent multiplies the width: a wider view needs a shorter focal length, so divide")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=shape[1] / 2 * math.tan(fov / 2))


@wrong("q3", says="the number of rows is taken for the width: shape is (rows, columns), and the angle is horizontal")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=shape[0] / 2 / math.tan(fov / 2))


@wrong("q3", says="the width is taken as W − 1: from border to border there are W pixels, from −0.5 to W − 0.5")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, f=(shape[1] - 1) / 2 / math.tan(fov / 2))


@wrong("q3", says="x and y have focal lengths in the ratio of the sides: square pixels have one focal length")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, fy=shape[0] / 2 / math.tan(fov / 2))


@wrong(
    "q3", says="the principal point is at W / 2: pixel centres are at whole numbers, the middle of one pixel is at 0"
)
def intrinsics_for(shape, fov):
    return _inner(shape, fov, middle=(shape[1] / 2, shape[0] / 2))


@wrong("q3", says="the principal point is (row, column): K has cx, the half of the columns, in its first row")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, middle=((shape[0] - 1) / 2, (shape[1] - 1) / 2))


@wrong("q3", says="the principal point is missing: it is in the middle of the image, not in pixel (0, 0)")
def intrinsics_for(shape, fov):
    return _inner(shape, fov, middle=(0, 0))


@right("q3")
def intrinsics_for(shape, fov):
    """From pixels centred at the middle, shifted to the corner."""
    rows, columns = shape
    half = math.tan(fov / 2)
    shift = np.array([[1, 0, columns / 2 - 0.5], [0, 1, rows / 2 - 0.5], [0, 0, 1]])
    return shift @ np.diag([0.5 * columns / half, 0.5 * columns / half, 1])


def _unit(v):
    return np.asarray(v, dtype=float) / np.linalg.norm(v)


def _axes(c, target, down):
    z = _unit(target - c)
    x = _unit(np.cross(down, z))
    return x, np.cross(z, x), z


@wrong(
    "q3",
    says="the axes stand in the columns: that is the transpose of R, from the camera to the world; R has them as rows",
)
def aim(c, target, down=(0.0, 1.0, 0.0)):
    return np.column_stack(_axes(c, target, down))


@wrong("q3", says="the camera looks away from the target: z points from the camera to the target, target − c")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    return np.stack(_axes(target, c, down))


@wrong("q3", says="the target is taken for the direction: z is the way to it, from c")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    return np.stack(_axes(np.zeros(3), target, down))


@wrong(
    "q3",
    says="the picture stands on its head: down × z points to the right; z × down, or up for down, to the left, and y up",
)
def aim(c, target, down=(0.0, 1.0, 0.0)):
    x, y, z = _axes(c, target, down)
    return np.stack([-x, -y, z])


@wrong(
    "q3", says="these axes are left-handed, det R = −1: the picture is a mirror image; x × y must be z, so y = z × x"
)
def aim(c, target, down=(0.0, 1.0, 0.0)):
    x, y, z = _axes(c, target, down)
    return np.stack([-x, y, z])


@wrong("q3", says="these axes are left-handed, det R = −1: x points right, but y points up; y = z × x, not x × z")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    x, y, z = _axes(c, target, down)
    return np.stack([x, -y, z])


@wrong("q3", says="down itself is the second row: it is not at right angles to the view unless the camera is level")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    x, _, z = _axes(c, target, down)
    return np.stack([x, _unit(down), z])


@wrong("q3", says="the rows do not have the length 1: a cross product has it only for unit vectors at right angles")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    z = _unit(target - c)
    x = np.cross(down, z)
    return np.stack([x, np.cross(z, x), z])


@wrong("q3", says="the argument down is not used: it is the world's Y only if nothing else is said")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    return np.stack(_axes(c, target, (0.0, 1.0, 0.0)))


@right("q3")
def aim(c, target, down=(0.0, 1.0, 0.0)):
    """Take from `down` its part along the view; what is left is y."""
    z = (target - c) / math.dist(target, c)
    y = np.array(down) - np.dot(down, z) * z
    y /= math.sqrt(y @ y)
    return [np.cross(y, z).tolist(), y.tolist(), z.tolist()]


@wrong("q3", says="c stands in the place of t: the last column is K t, with t = −R c")
def camera_for(K, R, c):
    return K @ np.column_stack([R, c])


@wrong("q3", says="−c stands in the place of t: it must be turned into the camera's axes, t = −R c")
def camera_for(K, R, c):
    return K @ np.column_stack([R, -c])


@wrong("q3", says="t has the wrong sign: R c is where the camera is, t = −R c is where the origin is, seen from it")
def camera_for(K, R, c):
    return K @ np.column_stack([R, R @ c])


@wrong("q3", says="R is transposed: its rows are the camera's axes already")
def camera_for(K, R, c):
    return K @ np.column_stack([R.T, -R.T @ c])


@wrong("q3", says="t is made with the transpose of R: R turns the world's coordinates to the camera's, c too")
def camera_for(K, R, c):
    return K @ np.column_stack([R, -R.T @ c])


@wrong("q3", says="K acts only on R: the translation is in the world's unit and must go through K as well")
def camera_for(K, R, c):
    return np.column_stack([K @ R, -R @ c])


@wrong("q3", says="K is missing: [R | t] gives coordinates in the camera, not pixels")
def camera_for(K, R, c):
    return np.column_stack([R, -R @ c])


@wrong("q3", says="K and R are in the wrong order: first the camera is turned, then K acts, so K stands on the left")
def camera_for(K, R, c):
    return np.column_stack([R @ K, -R @ K @ c])


@right("q3")
def camera_for(K, R, c):
    """Join the three steps: shift, turn, K."""
    shift = np.eye(3, 4)
    for k in range(3):
        shift[k, 3] -= c[k]
    return np.linalg.multi_dot([K, R, shift])


# ---------------------------------------------------------------------------------------------
# Question 4: taking a camera apart

# Entries of K are below 1e3, condition numbers below 1e5: 1e3 · 1e5 · 1e-16 = 1e-8, and tenfold for inverses.
APART = 1e-6


def check_split(student, atlas, U, Q, what):
    M = np.array([[sum(a * b for a, b in zip(row, column)) for column in Q.T.tolist()] for row in U.tolist()])
    looks = quiet(atlas, "split", M)
    expect_parts(student.split(M), (U, Q), looks, (f"U of {what}", f"Q of {what}"), APART, "split")


@pytest.mark.q("q4", 1)
def test_split(student, atlas, rng):
    """A K and a rotation, multiplied, come apart again."""
    for _ in range(3):
        check_split(student, atlas, intrinsics(rng), turned(rng), "a matrix K R")


@pytest.mark.q("q4", 1)
def test_split_anything(student, atlas, rng):
    """Other triangles and mirrors: a matrix of negative determinant has a Q of negative determinant."""
    for sign in (1, -1, -1):
        U = np.triu(rng.uniform(1, 4, (3, 3)) * rng.choice([-1, 1], (3, 3)))
        U[np.diag_indices(3)] = rng.uniform(1, 4, 3)
        Q = sign * turned(rng)
        check_split(student, atlas, U, Q, "a mirror" if sign < 0 else "a rotation and a triangle")


def check_apart(student, atlas, rng, factor, what):
    K, R, c = intrinsics(rng), turned(rng), place(rng)
    K[0, 1] *= rng.choice([-1, 1])
    P = composed(K, R, c, factor)
    looks = quiet(atlas, "take_apart", P)
    names = tuple(f"{part} of {what}" for part in "KRc")
    expect_parts(student.take_apart(P), (K, R, c), looks, names, APART, "take_apart")


@pytest.mark.q("q4", 1)
def test_apart(student, atlas, rng):
    """P = K [R | t] as it is."""
    for _ in range(3):
        check_apart(student, atlas, rng, 1.0, "a camera")


@pytest.mark.q("q4", 1)
def test_apart_positive_multiples(student, atlas, rng):
    """Positive multiples of P have the same parts."""
    for factor in (rng.uniform(3, 5), rng.uniform(0.01, 0.03), 1.0):
        check_apart(student, atlas, rng, factor, "a multiple of P")


@pytest.mark.q("q4", 2)
def test_apart_negative_multiples(student, atlas, rng):
    """So have negative multiples: R is a rotation, K keeps its positive diagonal."""
    for factor in (1.0, -1.0, -rng.uniform(3, 5), -rng.uniform(0.01, 0.03)):
        check_apart(student, atlas, rng, factor, "a negative multiple of P")


def _rq(M):
    """Gram–Schmidt from the last row."""
    U, Q = np.zeros((3, 3)), np.zeros((3, 3))
    for i in (2, 1, 0):
        rest = M[i].astype(float)
        for j in range(i + 1, 3):
            U[i, j] = M[i] @ Q[j]
            rest = rest - U[i, j] * Q[j]
        U[i, i] = np.linalg.norm(rest)
        Q[i] = rest / U[i, i]
    return U, Q


@wrong(
    "q4", says="qr gives the orthogonal factor first: its triangle and its orthogonal matrix, exchanged, are not U Q"
)
def split(M):
    q, r = np.linalg.qr(M)
    s = np.sign(np.diag(r))
    return s[:, None] * r, q * s


@wrong("q4", says="qr is used as it comes, orthogonal factor first: M = U Q has the triangle on the left")
def split(M):
    q, r = np.linalg.qr(M)
    return r, q


@wrong("q4", says="the triangle is a lower one: Gram–Schmidt must begin with the last row of M, not with the first")
def split(M):
    q, r = np.linalg.qr(M.T)
    s = np.sign(np.diag(r))
    return (s[:, None] * r).T, (q * s).T


@wrong("q4", says="a diagonal entry of U is negative: turn the sign of this column of U, and of the same row of Q")
def split(M):
    U, Q = _rq(M)
    s = np.array([1.0, -1, -1])
    return U * s, s[:, None] * Q


@wrong("q4", says="signs are mended in U and not in Q: U Q is not M any more")
def split(M):
    U, Q = _rq(M)
    return U, np.array([[1.0], [-1], [-1]]) * Q


@wrong("q4", says="U has lost the signs beside the diagonal: only the diagonal must be positive")
def split(M):
    U, Q = _rq(M)
    return np.abs(U), Q


@wrong("q4", says="Q is transposed: M is U Q, and Q stands on the right as it is")
def split(M):
    U, Q = _rq(M)
    return U, Q.T


@wrong("q4", says="Q is always made a rotation: if det M is negative, then det Q is, and U Q must still be M")
def split(M):
    U, Q = _rq(M)
    return U, Q * np.sign(np.linalg.det(Q))


@wrong("q4", says="U is scaled to end in 1: Eq. (5) is exact, U Q = M; scaling is for the camera afterwards")
def split(M):
    U, Q = _rq(M)
    return U / U[2, 2], Q


@right("q4")
def split(M):
    """QR of the matrix with its rows reversed and transposed, turned round again."""
    q, r = np.linalg.qr(M[::-1].T)
    U, Q = r.T[::-1, ::-1], q.T[::-1]
    s = np.where(np.diag(U) < 0, -1.0, 1.0)
    return [U @ np.diag(s), np.diag(s) @ Q]


def _apart(P, mend=True):
    M = P[:, :3]
    U, Q = _rq(M)
    s = np.sign(np.linalg.det(Q)) if mend else 1.0
    return U / U[2, 2], s * Q, -np.linalg.solve(M, P[:, 3]), U


@wrong("q4", says="P is taken with the sign that it has: if det M < 0, R is a mirror; P and −P are one camera")
def take_apart(P):
    return _apart(P, mend=False)[:3]


@wrong("q4", says="K does not end in 1: the factor of P is still in it")
def take_apart(P):
    _, R, c, U = _apart(P)
    return U, R, c


@wrong("q4", says="this is t, not c: K⁻¹ times the last column is where the origin is, seen from the camera")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K, R, -R @ c


@wrong("q4", says="c turns its sign with P: the sign of M is changed, that of the last column is not")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K, R, c * np.sign(np.linalg.det(P[:, :3]))


@wrong("q4", says="c has the wrong sign: M c + p = 0, so c is minus the inverse of M times the last column")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K, R, -c


@wrong("q4", says="c is −Rᵀ times the last column of P: that column is K t, take K off first")
def take_apart(P):
    K, R, _, _ = _apart(P)
    return K, R, -R.T @ P[:, 3]


@wrong("q4", says="K is taken off the last column, the factor of P is not: c comes out so many times as large")
def take_apart(P):
    K, R, _, _ = _apart(P)
    return K, R, -R.T @ np.linalg.solve(K, P[:, 3])


@wrong("q4", says="R is transposed: its rows are the camera's axes")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K, R.T, c


@wrong("q4", says="the skew is set to 0: K is all of U over its last entry")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K * [[1, 0, 1], [1, 1, 1], [1, 1, 1]], R, c


@wrong("q4", says="M itself is called R: K is still in it, its rows are not the axes")
def take_apart(P):
    K, _, c, _ = _apart(P)
    return K, P[:, :3] / np.linalg.norm(P[2, :3]), c


@wrong("q4", says="K has a negative diagonal: the sign of P was moved into K; turn P's sign before it is split")
def take_apart(P):
    K, R, c, _ = _apart(P)
    return K * [-1, -1, 1], np.diag([-1, -1, 1]) @ R, c


@right("q4")
def take_apart(P):
    """K from M Mᵀ = λ² K Kᵀ entry by entry; R by taking K off; c by determinants."""
    M = P[:, :3] / np.linalg.norm(P[2, :3])
    M = M if np.linalg.det(M) > 0 else -M
    S = M @ M.T
    (cx, cy), (a, b, d) = S[:2, 2], (S[0, 0], S[0, 1], S[1, 1])
    fy = math.sqrt(d - cy * cy)
    skew = (b - cx * cy) / fy
    K = np.array([[math.sqrt(a - cx * cx - skew * skew), skew, cx], [0, fy, cy], [0, 0, 1]])
    minors = [(-1) ** k * np.linalg.det(np.delete(P, k, axis=1)) for k in range(4)]
    return K, np.linalg.inv(K) @ M, np.array(minors[:3]) / minors[3]


# ---------------------------------------------------------------------------------------------
# Question 5: a pose in unknown conventions


OURS, FLIP = np.eye(3), np.diag([1.0, -1, -1])


def written(R, c, transposed, as_center, flipped):
    """The file that holds a pose in one of the eight conventions."""
    B = FLIP @ R if flipped else R
    return (B.T if transposed else B), (c if as_center else -B @ c)


def seen(rng, noise=0.0):
    """A camera, world points in front of it, and their pixels with a largest error of `noise`."""
    K, R, c, X_cam = intrinsics(rng), turned(rng), place(rng), in_camera(rng, (9,), 3, 12)
    error = rng.normal(size=(9, 2))
    x = pixels(K, X_cam) + noise * error / np.linalg.norm(error, axis=1).max()
    return K, R, c, in_world(R, c, X_cam), x


def check_poses(student, atlas, cases):
    """Cases are (truth, arguments, keywords, words); a mistake is named if it gives all of the answers."""
    answers, looks = [], {}
    for _, arguments, keywords, _ in cases:
        answers.append(quiet(student.read_pose, *arguments, **keywords))
        for says, result in quiet(atlas, "read_pose", *arguments, **keywords).items():
            looks.setdefault(says, []).append(result)
    truths = [case[0] for case in cases]
    if all(alike(answer, truth, 1e-9) for answer, truth in zip(answers, truths)):
        return
    for says, results in looks.items():
        if len(results) == len(cases) and all(alike(a, b, 1e-9) for a, b in zip(answers, results)):
            assert all(alike(b, truth, 1e-9) for b, truth in zip(results, truths)), says
    for answer, (truth, _, _, what) in zip(answers, cases):
        if truth is None:
            assert answer is None, f"read_pose should return None for {what}"
        else:
            assert answer is not None, f"read_pose gave None for {what}: one of the eight readings fits"
            expect_parts(answer, truth, {}, (f"R from {what}", f"c from {what}"), name="read_pose")


def words(transposed, as_center, flipped):
    parts = ["camera to world" if transposed else "world to camera", "v = c" if as_center else "v = t"]
    return f"a file with {parts[0]}, {parts[1]}, " + ("y up and z backward" if flipped else "our axes")


def readings(rng, transposed, flipped):
    for as_center in (False, True):
        K, R, c, X, x = seen(rng, 0.5)
        A, v = written(R, c, transposed, as_center, flipped)
        yield (R, c), (K, A, v, X, x), {}, words(transposed, as_center, flipped)


@pytest.mark.q("q5", 1)
def test_vector(student, atlas, rng):
    """v as the translation and v as the place, with A from the world to the camera and our axes."""
    check_poses(student, atlas, list(readings(rng, False, False)))


@pytest.mark.q("q5", 1)
def test_transposed(student, atlas, rng):
    """A from the camera to the world, or written for rows."""
    check_poses(student, atlas, list(readings(rng, True, False)))


@pytest.mark.q("q5", 1)
def test_axes(student, atlas, rng):
    """Cameras with y up and z backward, in all four ways."""
    check_poses(student, atlas, [*readings(rng, False, True), *readings(rng, True, True)])


@pytest.mark.q("q5", 1)
def test_broken(student, atlas, rng):
    """Mirrors, stretched matrices, points behind the camera, foreign pixels: None; sound files are read."""
    K, R, c, X, x = seen(rng)
    t, s, mirror = -R @ c, rng.uniform(1.5, 2), np.diag([1.0, -1, 1])
    behind = 2 * c - X  # each point mirrored at the centre has the same pixel
    cases = [
        ((R, c), (K, R, t, X, x), {}, "a sound file"),
        (None, (K, s * R, s * t, X, x), {}, "a file with a stretched rotation"),
        (None, (K, -R, -t, X, x), {}, "a file with −R and −t, a mirror"),
        (None, (K, mirror @ R, mirror @ t, X, x), {}, "a file with left-handed axes"),
        (None, (K, R, t, X, x[::-1]), {}, "pixels of other points"),
        (None, (K, R, t, behind, x), {}, "points behind the camera"),
    ]
    check_poses(student, atlas, cases)


@pytest.mark.q("q5", 1)
def test_tolerance(student, atlas, rng):
    """The largest error counts, against tol: 0.7 tol is noise, 1.5 tol is too much."""
    cases = []
    for tol in (2.0, 0.1, 1.2, 12.0):
        for share in (0.7, 1.5):
            K, R, c, X, x = seen(rng, share * tol)
            A, v = written(R, c, True, True, False)
            what = f"a largest error of {share * tol:.2f} pixels and tol = {tol:g}"
            keywords = {} if tol == 2 else {"tol": tol}
            cases.append(((R, c) if share < 1 else None, (K, A, v, X, x), keywords, what))
    K, R, c, X, x = seen(rng)
    cases.append((None, (K, R, c, X, x[::-1]), {}, "pixels of other points"))
    x[4] += [30.0, -40.0]
    cases.append((None, (K, R, c, X, x), {"tol": 20.0}, "one pixel that is 50 off, and tol = 20"))
    check_poses(student, atlas, cases)


def _sound(A):
    return np.abs(A @ A.T - np.eye(3)).max() <= 1e-6 and np.linalg.det(A) > 0


def _readings(A, v, transposed=(False, True), as_center=(False, True), axes=(OURS, FLIP)):
    """(R, t, c) of each reading."""
    found = []
    for S in axes:
        for B in (A.T if back else A for back in transposed):
            for place in as_center:
                c = v if place else -np.linalg.solve(B, v)
                found.append((S @ B, c))
    return found


def _choose(K, A, v, X, x, tol, sound=_sound, front=True, measure=np.max, readings=None, **options):
    if not sound(A):
        return None
    best, found = tol, None
    for R, c in _readings(A, v, **options) if readings is None else readings:
        again, depth = _photo(K, R, c, X)
        error = measure(np.hypot(*(again - x).T))
        if error <= best and (not front or depth.min() > 0):
            best, found = error, (R, c)
    return found


@wrong("q5", says="A is read in one way only: it may turn from the camera to the world, then Aᵀ is what Eq. (1) needs")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, transposed=(False,))


@wrong("q5", says="v is only tried as the translation t: it may be the place c of the camera as well")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, as_center=(False,))


@wrong("q5", says="v is only tried as the place c of the camera: it may be the translation t = −R c as well")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, as_center=(True,))


@wrong(
    "q5",
    says="no camera with y up and z backward is found: S stands on the left of B, and turns y and z round; one alone "
    "would be a mirror",
)
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, axes=(OURS,))


@wrong("q5", says="t comes back in the place of c: in our conventions the camera's place is asked for")
def read_pose(K, A, v, X, x, tol=2.0):
    found = _choose(K, A, v, X, x, tol)
    return None if found is None else (found[0], -found[0] @ found[1])


@wrong("q5", says="R comes back in the axes of the file: S must be multiplied to it, ours are y down and z forward")
def read_pose(K, A, v, X, x, tol=2.0):
    found = _choose(K, A, v, X, x, tol)
    if found is None or any(np.allclose(found[0], B) for B in (A, A.T)):
        return found
    return FLIP @ found[0], found[1]


@wrong("q5", says="the place of the camera is turned by S: in the world it does not depend on the camera's axes")
def read_pose(K, A, v, X, x, tol=2.0):
    found = _choose(K, A, v, X, x, tol)
    if found is None or any(np.allclose(found[0], B) for B in (A, A.T)):
        return found
    return found[0], FLIP @ found[1]


@wrong("q5", says="points behind the camera are accepted: they were seen, so their depths must be positive")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, front=False)


@wrong("q5", says="a stretched A passes for a rotation: 2 A and 2 v give the same pixels, but depths twice as large")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, sound=lambda A: np.linalg.det(A) > 0)


@wrong("q5", says="a mirror passes for a rotation: P and −P have the same pixels; look at det A, and at the depths")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, sound=lambda A: np.abs(A @ A.T - np.eye(3)).max() <= 1e-6, front=False)


@wrong("q5", says="the best reading is believed however badly it fits: above tol the answer is None")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, np.inf)


@wrong("q5", says="the argument tol is not used")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, 2.0)


@wrong("q5", says="the errors are averaged: one point far off would pass; the largest distance counts")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, measure=np.mean)


@wrong("q5", says="squared distances are compared with tol, which is in pixels")
def read_pose(K, A, v, X, x, tol=2.0):
    return _choose(K, A, v, X, x, tol, measure=lambda d: np.max(d) ** 2)


@right("q5")
def read_pose(K, A, v, X, x, tol=2.0):
    """All eight as 3 x 4 matrices; the error of each, infinite where it is refused."""
    if np.linalg.norm(np.linalg.svd(A)[1] - 1, np.inf) > 5e-7 or np.linalg.det(A) < 0:
        return None
    poses, errors = [], []
    for code in range(8):
        B = A if code & 1 else A.T
        t = v if code & 2 else -B @ v
        pose = np.column_stack([B, t]) * ([[1.0], [1], [1]] if code & 4 else [[1.0], [-1], [-1]])
        u, v_, w = K @ pose @ np.vstack([X.T, np.ones(len(X))])
        off = np.max(np.abs((u / w - x[:, 0]) + 1j * (v_ / w - x[:, 1])))
        poses.append(pose)
        errors.append(off if np.all(w > 0) else np.inf)
    k = int(np.argmin(errors))
    if errors[k] > tol:
        return None
    return poses[k][:, :3], np.linalg.solve(poses[k][:, :3], -poses[k][:, 3])
