"""Checks of exercise 16_two_view, the mistakes they know, and second solutions.

Oracles: truth by construction (cameras, points, rotations by SciPy), equations written as Kronecker products and solved
by their smallest eigenvector, sums written number by number; else laws.
"""

import math

import numpy as np
import pytest
from scipy import linalg
from scipy.spatial.transform import Rotation

from cvcourse.checks import StudentError, expect, right, wrong

GEOMETRY = ("transforms", "warping", "alignment", "ransac", "cameras", "panoramas", "single_view", "calibration")
LATER = ("stereo", "two_view", "structure_from_motion")
LIBRARIES = (*(f"cvcourse.{name}" for name in GEOMETRY + LATER), "scipy", "skimage", "sklearn", "cv2", "PIL", "torch")
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5", "q6")}
CHANGED = "the arguments are overwritten: `x -= …` writes into the array of the caller, `x - …` does not"


def array_of(answer, shape, what):
    """Read an answer as an array of finite numbers of this shape, or say what it is instead."""
    assert answer is not None, f"{what} is None: does the function end with a return?"
    assert not isinstance(answer, tuple | str | dict), f"{what} should be one array, not {type(answer).__name__}"
    assert np.shape(answer) == shape, f"{what} should be an array of shape {shape}, got {np.shape(answer)}"
    result = np.asarray(answer, dtype=np.float64)
    assert np.isfinite(result).all(), f"{what} holds NaN or infinity"
    return result


def two_of(answer, what):
    """Read a tuple of two arrays."""
    assert isinstance(answer, tuple | list), f"the result should be the tuple {what}, got {type(answer).__name__}"
    assert len(answer) == 2, f"the result should be the tuple {what}, got {len(answer)} parts"
    return answer


def aligned(M, truth):
    """M at norm 1 and with the sign that brings it nearest to the truth; what cannot be read stays as it is."""
    try:
        M = np.asarray(M, dtype=np.float64)
    except (TypeError, ValueError):
        return M
    if M.shape != truth.shape or not np.isfinite(M).all() or not M.any():
        return M
    M = M / linalg.norm(M)
    return -M if np.sum(M * truth) < 0 else M


def expect_up_to_scale(answer, truth, looks, what, atol=1e-9):
    """Compare directions: any factor is right."""
    truth = truth / linalg.norm(truth)
    answer = array_of(answer, truth.shape, what)
    assert answer.any(), f"{what} is zero"
    looks = {says: aligned(look, truth) for says, look in looks.items()}
    expect(aligned(answer, truth), truth, looks, atol=atol, what=f"{what}, to norm 1,")


def cross(t):
    a, b, c = t
    return np.array([[0, -c, b], [c, 0, -a], [-b, a, 0.0]])


def rotation(rng, most=0.6):
    axis = rng.normal(size=3)
    return Rotation.from_rotvec(axis / linalg.norm(axis) * rng.uniform(0.3, most)).as_matrix()


def intrinsics(rng):
    fx = rng.uniform(500, 900)
    return np.array([[fx, rng.uniform(5, 20), rng.uniform(280, 360)], [0, fx * 1.1, rng.uniform(200, 270)], [0, 0, 1]])


def seen(P, X):
    """Project (N, 3) points."""
    u, v, w = P @ np.column_stack([X, np.ones(len(X))]).T
    return np.column_stack([u / w, v / w])


def ones(x):
    return np.column_stack([x, np.ones(len(x))])


def random_pair(rng, n=12, flat=False):
    """Draw two cameras, points in front of both, and their pixels: K1, K2, R, t, X, x1, x2."""
    while True:
        K1, K2, R, t = intrinsics(rng), intrinsics(rng), rotation(rng, 0.5), rng.uniform(-1, 1, 3)
        X = rng.uniform([-1.6, -1.2, 4], [1.6, 1.2, 8], (n, 3))
        if flat:
            X[:, 2] = 6 + 0.3 * X[:, 0] - 0.2 * X[:, 1]
        if linalg.norm(t) > 0.6 and (X @ R[2] + t[2]).min() > 1.5:
            return K1, K2, R, t, X, seen(K1 @ np.eye(3, 4), X), seen(K2 @ np.column_stack([R, t]), X)


def fundamental_of(R, t, K1, K2):
    return linalg.solve(K2.T, cross(t) @ R) @ linalg.inv(K1)


def refusal(call, *arguments):
    """Give what was raised, as text; "nothing was raised" if nothing was."""
    try:
        call(*arguments)
    except StudentError as problem:
        return str(problem)
    return "nothing was raised"


# ---------------------------------------------------------------------------------------------
# Question 1: E and F


@pytest.mark.q("q1", 2)
def test_essential(student, atlas, rng):
    """E of a random pose, at any factor."""
    _, _, R, t, _, _, _ = random_pair(rng)
    answer = student.essential(R, t)
    assert not student.changed, CHANGED
    expect_up_to_scale(answer, np.array([np.cross(t, column) for column in R.T]).T, atlas("essential", R, t), "E")


@pytest.mark.q("q1", 3)
def test_fundamental(student, atlas, rng):
    """F of two different cameras, at any factor; points lie on its lines."""
    K1, K2, R, t, _, x1, x2 = random_pair(rng)
    E = cross(t) @ R
    answer = student.fundamental(E, K1, K2)
    assert not student.changed, CHANGED
    expect_up_to_scale(answer, fundamental_of(R, t, K1, K2), atlas("fundamental", E, K1, K2), "F")
    F = aligned(answer, fundamental_of(R, t, K1, K2))
    lines = ones(x1) @ F.T
    off = np.abs(np.sum(lines * ones(x2), axis=1)) / np.hypot(lines[:, 0], lines[:, 1])
    assert off.max() < 1e-6, f"the points lie up to {off.max():.3g} px from their lines"


@wrong(
    "q1",
    says="R and [t]× are exchanged (np.cross(t, R), which crosses the *rows* of R, does so too): t × (R X₁) turns first",
)
def essential(R, t):
    return R @ cross(t)


@wrong("q1", says="R is forgotten: [t]× alone is E of cameras that do not turn")
def essential(R, t):
    return cross(t)


@wrong("q1", says="t is replaced by the second camera's centre −Rᵀt: in camera 2's frame the baseline is t itself")
def essential(R, t):
    return cross(-R.T @ t) @ R


@wrong("q1", says="Rᵀ in place of R: this E belongs to cameras with X₁ = R X₂ + t")
def essential(R, t):
    return cross(t) @ R.T


@wrong(
    "q1", says="this E is transposed: x̂₂ stands on the left in Eq. (1); it would fit with the images in the other order"
)
def essential(R, t):
    return (cross(t) @ R).T


@right("q1")
def essential(R, t):
    """Column by column."""
    return -5 * np.column_stack([np.cross(t, R[:, k]) for k in range(3)])


@wrong("q1", says="K in place of K⁻¹: x̂ = K⁻¹ x, so put that into Eq. (1)")
def fundamental(E, K1, K2):
    return K2.T @ E @ K1


@wrong("q1", says="this is the printed formula, with Kᵀ on the right of E: it should be K₁⁻¹")
def fundamental(E, K1, K2):
    return np.linalg.inv(K2).T @ E @ K1.T


@wrong("q1", says="K₂⁻¹ is not transposed: (K₂⁻¹ x₂)ᵀ = x₂ᵀ K₂⁻ᵀ")
def fundamental(E, K1, K2):
    return np.linalg.inv(K2) @ E @ np.linalg.inv(K1)


@wrong("q1", says="K₁ and K₂ are exchanged: the second camera's stands on the left, next to x₂")
def fundamental(E, K1, K2):
    return np.linalg.inv(K1).T @ E @ np.linalg.inv(K2)


@wrong("q1", says="this F is transposed: it belongs to the images in the other order")
def fundamental(E, K1, K2):
    return (np.linalg.inv(K2).T @ E @ np.linalg.inv(K1)).T


@wrong("q1", says="the transposes are on the wrong side: K₂⁻¹ E K₁⁻ᵀ")
def fundamental(E, K1, K2):
    return np.linalg.inv(K2) @ E @ np.linalg.inv(K1).T


@wrong("q1", says=CHANGED)
def fundamental(E, K1, K2):
    F = np.linalg.inv(K2).T @ E @ np.linalg.inv(K1)
    E /= 2
    return F


@right("q1")
def fundamental(E, K1, K2):
    """By two systems of equations."""
    left = np.linalg.solve(K2.T, E)
    return np.linalg.solve(K1.T, left.T).T


# ---------------------------------------------------------------------------------------------
# Question 2: a test for formulas

BOOL = "the result should be True or False"
REFUSES_TRUE = "the true F is refused: {}"
FLAT = (
    "an F = [e]× H is accepted, which fits the points of one plane only: spread the test points over space, not over a "
    "plane or a line"
)
COARSE = "an F that is off by a few hundredths of a pixel is accepted: the bound is 1e-6 pixels"
SCALE = "the test depends on the factor of F: a wrong F times 1e-9 passes, or the true one times 1e9 fails"
SIGNED = "the sign: a wrong F passes when x₂ᵀ F x₁ is negative; take absolute values"
ORDER = "the transposed F is accepted and the true one is not: the order of the images"


def verdict(student, F, P1, P2):
    answer = student.holds(F, P1, P2)
    assert not student.changed, CHANGED
    assert isinstance(answer, bool | np.bool_), f"{BOOL}, got {type(answer).__name__}"
    return bool(answer)


def cameras_of(rng):
    K1, K2, R, t, *_ = random_pair(rng)
    return K1, K2, R, t, rng.uniform(1, 3) * K1 @ np.eye(3, 4), -rng.uniform(1, 3) * K2 @ np.column_stack([R, t])


def say(atlas, F, P1, P2, truth, general):
    """Name the mistake that gives the wrong verdict here; else say in general what went wrong."""
    for says, result in atlas("holds", F, P1, P2).items():
        if bool(result) != truth:
            yield says
    yield general


@pytest.mark.q("q2", 1)
def test_accepts_the_true_one(student, rng):
    """The true F passes, at any factor."""
    for factor in (1, -1, 1e9, 1e-9):
        K1, K2, R, t, P1, P2 = cameras_of(rng)
        F = fundamental_of(R, t, K1, K2)
        F = factor * F / linalg.norm(F)
        if not verdict(student, F, P1, P2):
            if verdict(student, F.T, P1, P2):
                raise AssertionError(ORDER)
            if factor in (1e9, 1e-9):
                raise AssertionError(SCALE)
            raise AssertionError(REFUSES_TRUE.format("are the pixels divided by their third coordinate?"))


@pytest.mark.q("q2", 2)
def test_refuses_wrong_formulas(student, rng):
    """Transposed, as printed, with the cameras exchanged; and these with either sign, and tiny."""
    for _ in range(3):
        K1, K2, R, t, P1, P2 = cameras_of(rng)
        E, F = cross(t) @ R, fundamental_of(R, t, K1, K2)
        assert verdict(student, F / linalg.norm(F), P1, P2), "the true F is refused"
        for G in (linalg.solve(K2.T, E) @ K1.T, fundamental_of(R, t, K2, K1), F.T, K2.T @ E @ K1):
            G = G / linalg.norm(G)
            if verdict(student, G, P1, P2):
                raise AssertionError(f"a wrong F is accepted; {SIGNED if not verdict(student, -G, P1, P2) else RANK}")
            assert not verdict(student, -G, P1, P2), SIGNED
            assert not verdict(student, 1e-9 * G, P1, P2), SCALE


RANK = "is its residual looked at, or only its rank? Or only one point?"


@pytest.mark.q("q2", 2)
def test_refuses_what_fits_almost(student, rng):
    """Matrices that fit the points of a plane, or all points to a hundredth of a pixel."""
    K1, K2, R, t, P1, P2 = cameras_of(rng)
    F = fundamental_of(R, t, K1, K2)
    F = F / linalg.norm(F)
    assert verdict(student, F, P1, P2), "the true F is refused"
    for depth in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10):
        H = K2 @ (R + np.outer(t, [0, 0, 1 / depth])) @ linalg.inv(K1)  # by the plane Z = depth
        G = cross(rng.uniform([0, 0, 1], [600, 400, 1])) @ H
        assert not verdict(student, G / linalg.norm(G), P1, P2), FLAT
    shift = np.array([[1, 0, 0.02], [0, 1, -0.03], [0, 0, 1]])
    assert not verdict(student, F @ shift, P1, P2), COARSE


def _test_points(P1, P2, X):
    return ones(seen(P1, X)), ones(seen(P2, X))


SPREAD = np.random.default_rng(7).uniform([-1, -1, 4], [1, 1, 9], (30, 3))


@wrong("q2", says=SCALE)
def holds(F, P1, P2):
    p, q = _test_points(P1, P2, SPREAD)
    return bool(np.all(np.abs(np.sum(q * (p @ F.T), axis=1)) < 1e-6))


@wrong("q2", says=SIGNED)
def holds(F, P1, P2):
    p, q = _test_points(P1, P2, SPREAD[:1])
    lines = p @ F.T
    return bool(np.all(np.sum(q * lines, axis=1) / np.hypot(lines[:, 0], lines[:, 1]) < 1e-6))


@wrong("q2", says=FLAT)
def holds(F, P1, P2):
    p, q = _test_points(P1, P2, np.column_stack([SPREAD[:, :2], np.full(30, 5.0)]))
    lines = p @ F.T
    return bool(np.all(np.abs(np.sum(q * lines, axis=1)) < 1e-6 * np.hypot(lines[:, 0], lines[:, 1])))


@wrong("q2", says=ORDER)
def holds(F, P1, P2):
    q, p = _test_points(P1, P2, SPREAD)
    lines = p @ F.T
    return bool(np.all(np.abs(np.sum(q * lines, axis=1)) < 1e-6 * np.hypot(lines[:, 0], lines[:, 1])))


@wrong("q2", says=COARSE)
def holds(F, P1, P2):
    p, q = _test_points(P1, P2, SPREAD)
    lines = p @ F.T
    return bool(np.all(np.abs(np.sum(q * lines, axis=1)) < np.hypot(lines[:, 0], lines[:, 1])))


@wrong("q2", says=RANK)
def holds(F, P1, P2):
    return bool(np.linalg.svd(F / np.linalg.norm(F))[1][2] < 1e-9)


@wrong("q2", says="are the pixels divided by their third coordinate?")
def holds(F, P1, P2):
    p, q = (ones((np.column_stack([SPREAD, np.ones(30)]) @ P.T)[:, :2]) for P in (P1, P2))
    lines = p @ F.T
    return bool(np.all(np.abs(np.sum(q * lines, axis=1)) < 1e-6 * np.hypot(lines[:, 0], lines[:, 1])))


@wrong("q2", says=BOOL)
def holds(F, P1, P2):
    p, q = _test_points(P1, P2, SPREAD)
    return float(np.abs(np.sum(q * (p @ F.T), axis=1)).max())


@right("q2")
def holds(F, P1, P2):
    """Point by point, without a division: homogeneous pixels are as good."""
    for x in (-1.0, 0.3, 1.2):
        for z in (3.0, 5.0, 11.0):
            p, q = P1 @ [x, 0.7 * x - 0.2, z, 1], P2 @ [x, 0.7 * x - 0.2, z, 1]
            a, b, c = F @ p
            if abs(a * q[0] + b * q[1] + c * q[2]) >= 1e-6 * math.hypot(a, b) * abs(q[2]):
                return False
    for y in (-1.0, 0.9):
        p, q = P1 @ [0.1, y, 6, 1], P2 @ [0.1, y, 6, 1]
        line = F @ p
        if abs(line @ q) >= 1e-6 * math.hypot(line[0], line[1]) * abs(q[2]):
            return False
    return True


# ---------------------------------------------------------------------------------------------
# Question 3: the Sampson distance


def sampson_truth(F, x1, x2):
    """Number by number."""
    distances = []
    for (x, y), (u, v) in zip(x1.tolist(), x2.tolist(), strict=True):
        (a, b, c), (d, e, f), (g, h, i) = F.tolist()
        line2, line1 = (a * x + b * y + c, d * x + e * y + f), (a * u + d * v + g, b * u + e * v + h)
        r = u * line2[0] + v * line2[1] + g * x + h * y + i
        distances.append(abs(r) / math.sqrt(sum(n * n for n in (*line1, *line2))))
    return np.array(distances)


def noisy_pair(rng, n):
    K1, K2, R, t, _, x1, x2 = random_pair(rng, n)
    F = fundamental_of(R, t, K1, K2)
    return F / linalg.norm(F), x1 + rng.normal(0, 2, x1.shape), x2 + rng.normal(0, 2, x2.shape)


@pytest.mark.q("q3", 3)
def test_distances(student, atlas, rng):
    """Distances of noisy pairs."""
    F, x1, x2 = noisy_pair(rng, 9)
    answer = student.sampson(F, x1, x2)
    assert not student.changed, CHANGED
    expect(answer, sampson_truth(F, x1, x2), atlas("sampson", F, x1, x2), atol=1e-8, what="the distances")


@pytest.mark.q("q3", 1)
def test_any_factor(student, atlas, rng):
    """F times 1000, or times −1, gives the same distances, above zero."""
    F, x1, x2 = noisy_pair(rng, 7)
    for factor in (1000, -1):
        answer = student.sampson(factor * F, x1, x2)
        looks = atlas("sampson", factor * F, x1, x2)
        expect(answer, sampson_truth(F, x1, x2), looks, atol=1e-8, what=f"the distances for {factor} F")


@wrong("q3", says="the absolute value is missing: negative residuals would always pass a threshold")
def sampson(F, x1, x2):
    p, q = ones(x1), ones(x2)
    l2, l1 = p @ F.T, q @ F
    return np.sum(q * l2, axis=1) / np.sqrt(np.sum(l2[:, :2] ** 2 + l1[:, :2] ** 2, axis=1))


@wrong("q3", says="these are the squares of the distances")
def sampson(F, x1, x2):
    return sampson_truth(F, x1, x2) ** 2


@wrong(
    "q3", says="only the line of image 2 is in the denominator: that is the distance in one image; both points may move"
)
def sampson(F, x1, x2):
    l2 = ones(x1) @ F.T
    return np.abs(np.sum(ones(x2) * l2, axis=1)) / np.hypot(l2[:, 0], l2[:, 1])


@wrong(
    "q3",
    says="all three entries of the lines are in the denominator: the third belongs to the constant 1, which cannot move",
)
def sampson(F, x1, x2):
    l2, l1 = ones(x1) @ F.T, ones(x2) @ F
    return np.abs(np.sum(ones(x2) * l2, axis=1)) / np.sqrt(np.sum(l2**2 + l1**2, axis=1))


@wrong("q3", says="the algebraic residual is no distance: without the denominator it grows with the factor of F")
def sampson(F, x1, x2):
    return np.abs(np.sum(ones(x2) * (ones(x1) @ F.T), axis=1))


@wrong("q3", says="F is transposed: the lines of image 2 are F x₁")
def sampson(F, x1, x2):
    return sampson_truth(F.T, x1, x2)


@wrong("q3", says="the square root of the denominator is missing")
def sampson(F, x1, x2):
    l2, l1 = ones(x1) @ F.T, ones(x2) @ F
    return np.abs(np.sum(ones(x2) * l2, axis=1)) / np.sum(l2[:, :2] ** 2 + l1[:, :2] ** 2, axis=1)


@right("q3")
def sampson(F, x1, x2):
    """With einsum."""
    p, q = ones(x1), ones(x2)
    r = np.einsum("ni,ij,nj->n", q, F, p)
    gradient = np.concatenate([(p @ F.T)[:, :2], (q @ F)[:, :2]], axis=1)
    return abs(r) / np.linalg.norm(gradient, axis=1)


# ---------------------------------------------------------------------------------------------
# Question 4: eight points

REFUSE = (
    "pairs that leave F open (fewer than eight, or all on one plane) give some matrix, but not F: raise a ValueError"
)


def hartley(x):
    """Normalise to mean 0 and mean distance √2: the moved points and the matrix."""
    mean = x.mean(axis=0)
    s = math.sqrt(2) / np.mean([math.dist(p, mean) for p in x])
    return (x - mean) * s, np.array([[s, 0, -s * mean[0]], [0, s, -s * mean[1]], [0, 0, 1]])


def rank_two(F):
    U, s, Vt = linalg.svd(F)
    return U @ np.diag([s[0], s[1], 0]) @ Vt


def eight_truth(x1, x2, normalise=True, reduce=True, which=0):
    """Solve by an eigenvector of the sum of Kronecker products."""
    (p, T1), (q, T2) = (hartley(x) if normalise else (x, np.eye(3)) for x in (x1, x2))
    rows = np.array([np.kron([*b, 1], [*a, 1]) for a, b in zip(p, q, strict=True)])
    F = linalg.eigh(rows.T @ rows)[1][:, which].reshape(3, 3)
    return T2.T @ (rank_two(F) if reduce else F) @ T1


@pytest.mark.q("q4", 2)
def test_exact_pairs(student, atlas, rng):
    """Eight and more exact pairs give the F of the cameras."""
    for n in (8, 15):
        K1, K2, R, t, _, x1, x2 = random_pair(rng, n)
        answer = student.eight_point(x1, x2)
        assert not student.changed, CHANGED
        expect_up_to_scale(
            answer, fundamental_of(R, t, K1, K2), atlas("eight_point", x1, x2), f"F of {n} pairs", atol=1e-5
        )  # eight pairs in pixels may be ill placed: rounding is amplified by up to 1e9


@pytest.mark.q("q4", 3)
def test_noisy_pairs(student, atlas, rng):
    """Noisy pairs: the least |A f| in normalised coordinates, made singular there."""
    *_, x1, x2 = random_pair(rng, 20)
    x1, x2 = x1 + rng.normal(0, 1, x1.shape), x2 + rng.normal(0, 1, x2.shape)
    truth = eight_truth(x1, x2)
    answer = array_of(student.eight_point(x1, x2), (3, 3), "F")
    assert answer.any(), "F is zero"
    # in pixels the entries of F differ by 1e6: compare in normalised coordinates, where none hides
    back = [linalg.inv(hartley(x)[1]) for x in (x1, x2)]
    looks = {}
    for says, look in atlas("eight_point", x1, x2).items():
        if np.shape(look) == (3, 3):
            looks[says] = back[1].T @ look @ back[0]
    expect_up_to_scale(back[1].T @ answer @ back[0], back[1].T @ truth @ back[0], looks, "F of noisy pairs", atol=1e-6)


@pytest.mark.q("q4", 2)
def test_what_leaves_it_open(student, rng):
    """Seven pairs, and the pairs of a plane, raise a ValueError; eight good pairs do not."""
    *_, x1, x2 = random_pair(rng, 8)
    array_of(student.eight_point(x1, x2), (3, 3), "F of eight pairs")
    *_, p1, p2 = random_pair(rng, 12, flat=True)
    for what, a, b in [("seven pairs", x1[:7], x2[:7]), ("twelve pairs of a plane", p1, p2)]:
        happened = refusal(student.eight_point, a, b)
        assert "ValueError" in happened, f"{REFUSE} ({what}: {happened})"


def _guarded(x1, x2):
    if len(x1) < 8:
        raise ValueError("too few pairs")
    (p, _), (q, _) = hartley(x1), hartley(x2)
    s = linalg.svdvals(np.array([np.kron([*b, 1], [*a, 1]) for a, b in zip(p, q, strict=True)]))
    if s[7] < 1e-8 * s[0]:
        raise ValueError("open")


@wrong("q4", says="the points are not normalised: with raw pixels the columns of A differ by a factor of 1e5")
def eight_point(x1, x2):
    _guarded(x1, x2)
    return eight_truth(x1, x2, normalise=False)


@wrong("q4", says="the rank is left at 3: set the smallest singular value to 0")
def eight_point(x1, x2):
    _guarded(x1, x2)
    return eight_truth(x1, x2, reduce=False)


@wrong("q4", says="the rank is made 2 in pixels, after going back: do it in normalised coordinates")
def eight_point(x1, x2):
    _guarded(x1, x2)
    return rank_two(eight_truth(x1, x2, reduce=False))


@wrong(
    "q4",
    says="this F is transposed: x₂ stands on the left in Eq. (1), so a row is the products of x′ with x, row by row",
)
def eight_point(x1, x2):
    _guarded(x1, x2)
    return eight_truth(x1, x2).T


@wrong("q4", says="going back: F = T₂ᵀ F̂ T₁, not T₂⁻¹ F̂ T₁ as for a homography")
def eight_point(x1, x2):
    _guarded(x1, x2)
    _, T2 = hartley(x2)
    return linalg.inv(T2) @ linalg.inv(T2).T @ eight_truth(x1, x2)


@wrong("q4", says="F̂ of the normalised points is handed back: go back to pixels with T₁ and T₂")
def eight_point(x1, x2):
    _guarded(x1, x2)
    (_, T1), (_, T2) = hartley(x1), hartley(x2)
    return linalg.inv(T2).T @ eight_truth(x1, x2) @ linalg.inv(T1)


@wrong("q4", says="T₁ and T₂ are exchanged: T₂ belongs to x₂, on the left")
def eight_point(x1, x2):
    _guarded(x1, x2)
    (_, T1), (_, T2) = hartley(x1), hartley(x2)
    return T1.T @ linalg.inv(T2).T @ eight_truth(x1, x2) @ linalg.inv(T1) @ T2


@wrong("q4", says="this is the first singular vector: the least |A f| has the last")
def eight_point(x1, x2):
    _guarded(x1, x2)
    return eight_truth(x1, x2, which=-1)


@wrong("q4", says=REFUSE)
def eight_point(x1, x2):
    return eight_truth(x1, x2)


@wrong("q4", says=CHANGED)
def eight_point(x1, x2):
    _guarded(x1, x2)
    F = eight_truth(x1, x2)
    x1 -= x1.mean(axis=0)
    return F


@right("q4")
def eight_point(x1, x2):
    """Rank 2 by the null vector, equations by Kronecker products."""
    if len(x1) < 8:
        raise ValueError("too few pairs")
    (p, T1), (q, T2) = hartley(x1), hartley(x2)
    A = np.array([np.kron([u, v, 1], [x, y, 1]) for (x, y), (u, v) in zip(p, q, strict=True)])
    s, Vt = np.linalg.svd(np.vstack([A, np.zeros((1, 9))]))[1:]
    if s[7] / s[0] < 1e-8:
        raise ValueError("degenerate")
    F = 7 * Vt[-1].reshape(3, 3)
    v = np.linalg.svd(F)[2][-1]
    return T2.T @ (F - np.outer(F @ v, v)) @ T1


# ---------------------------------------------------------------------------------------------
# Question 5: epipoles

BY_ROWS = "The cross product of the first two rows (or columns) is 0 if one of them is, and exact only if the rank is 2"
LENGTH = "the epipoles should have length 1"


def epipoles_truth(F):
    """Smallest eigenvectors of FᵀF and FFᵀ; of rank 2 exactly in the checks, so no digits matter."""
    return linalg.eigh(F.T @ F)[1][:, 0], linalg.eigh(F @ F.T)[1][:, 0]


def compare_epipoles(student, atlas, F, truth, atol):
    answer = two_of(student.epipoles(F), "(e1, e2)")
    assert not student.changed, CHANGED
    given = [array_of(e, (3,), name) for e, name in zip(answer, ("e1", "e2"), strict=True)]
    for e, name in zip(given, ("e1", "e2"), strict=True):
        assert e.any(), f"{name} is zero. {BY_ROWS}"
    looks = {}
    for says, look in atlas("epipoles", F).items():
        if isinstance(look, tuple) and len(look) == 2 and all(np.shape(e) == (3,) for e in look):
            looks[says] = np.concatenate([aligned(e, v) for e, v in zip(look, truth, strict=True)])
    found = np.concatenate([aligned(e, v) for e, v in zip(given, truth, strict=True)])
    expect(found, np.concatenate(truth), looks, atol=atol, what="[e1 e2], each to length 1,")
    for e, name in zip(given, ("e1", "e2"), strict=True):
        assert abs(linalg.norm(e) - 1) < 1e-9, f"{LENGTH}, got {linalg.norm(e):.4g} for {name}"


@pytest.mark.q("q5", 1)
def test_epipoles_of_cameras(student, atlas, rng):
    """The images of the centres."""
    K1, K2, R, t, *_ = random_pair(rng)
    truth = [v / linalg.norm(v) for v in (K1 @ R.T @ t, K2 @ t)]
    compare_epipoles(student, atlas, 1e5 * fundamental_of(R, t, K1, K2), truth, atol=1e-6)  # F in pixels: 1e-16 · 1e6


@pytest.mark.q("q5", 1)
def test_epipoles_at_infinity(student, atlas, rng):
    """A rectified pair, after any affine change of both images; the epipoles are directions."""
    F = np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0.0]])
    angle = rng.uniform(0.3, 1.2)
    T = np.array([[math.cos(angle), -math.sin(angle), 3], [math.sin(angle), math.cos(angle), -2], [0, 0, 1]])
    # x2' F x1 with x1 = T y1: e1 turns by −angle, e2 stays
    truth = [np.array([math.cos(angle), -math.sin(angle), 0]), np.array([1.0, 0, 0])]
    compare_epipoles(student, atlas, F @ T, truth, atol=1e-9)


@pytest.mark.q("q5", 1)
def test_epipoles_of_rank_three(student, atlas, rng):
    """A noisy F of rank 3: the least |F e1| and |Fᵀ e2|."""
    F = rng.normal(size=(3, 3)) @ np.diag([3, 2, 0.1]) @ rotation(rng)
    compare_epipoles(student, atlas, F, epipoles_truth(F), atol=1e-9)


@wrong("q5", says="e1 and e2 are exchanged: F e₁ = 0, F acts on points of image 1")
def epipoles(F):
    return epipoles_truth(F)[::-1]


@wrong("q5", says="these are the singular vectors of the largest singular value, not of the smallest")
def epipoles(F):
    return linalg.eigh(F.T @ F)[1][:, -1], linalg.eigh(F @ F.T)[1][:, -1]


@wrong("q5", says="rows and columns: np.linalg.svd gives Vᵀ, so e₁ is its last row, and e₂ is the last column of U")
def epipoles(F):
    U, _, Vt = np.linalg.svd(F)
    return Vt[:, 2], U[2]


@wrong("q5", says="e2 is e1: it is the null vector of the transposed F")
def epipoles(F):
    e = epipoles_truth(F)[0]
    return e, e


@wrong("q5", says=LENGTH)
def epipoles(F):
    return tuple(e / np.abs(e).max() for e in epipoles_truth(F))


@wrong("q5", says=BY_ROWS)
def epipoles(F):
    e1, e2 = np.cross(F[0], F[1]), np.cross(F[:, 0], F[:, 1])
    return tuple(e / (np.linalg.norm(e) or 1) for e in (e1, e2))


@right("q5")
def epipoles(F):
    """By two decompositions."""
    return -np.linalg.svd(F)[2][-1], np.linalg.svd(F.T)[2][-1]


# ---------------------------------------------------------------------------------------------
# Question 6: pose


def views(rng, n=15):
    """A pose whose four twins differ in which camera sees the points: R, unit t, E, normalised points."""
    _, _, R, t, X, _, _ = random_pair(rng, n)
    Y = X @ R.T + t
    E = cross(t) @ R * rng.choice([-1, 1]) * rng.uniform(0.1, 9)
    return R, t / linalg.norm(t), E, X[:, :2] / X[:, 2:], Y[:, :2] / Y[:, 2:]


def four_poses(E):
    U, _, Vt = linalg.svd(E)
    U, Vt = U * linalg.det(U), Vt * linalg.det(Vt)
    W = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    return [(A, b) for A in (U @ W @ Vt, U @ W.T @ Vt) for b in (U[:, 2], -U[:, 2])]


def depths(R, t, x1, x2):
    """Depths of each pair in both cameras, by the pseudo-inverse."""
    return np.array([linalg.pinv(np.column_stack([R @ a, -b])) @ -t for a, b in zip(ones(x1), ones(x2), strict=True)])


def chosen(four, x1, x2, cameras=(0, 1)):
    counts = [np.sum(np.all(depths(R, t, x1, x2)[:, list(cameras)] > 0, axis=1)) for R, t in four]
    return four[int(np.argmax(counts))]


def expect_pose(student, atlas, R, t, E, x1, x2):
    answer = two_of(student.pose(E, x1, x2), "(R, t)")
    assert not student.changed, CHANGED
    found = np.column_stack([array_of(answer[0], (3, 3), "R"), array_of(answer[1], (3,), "t")])
    looks = {}
    for says, look in atlas("pose", E, x1, x2).items():
        if isinstance(look, tuple) and np.shape(look[0]) == (3, 3) and np.shape(look[1]) == (3,):
            looks[says] = np.column_stack(look)
    expect(found, np.column_stack([R, t]), looks, atol=1e-7, what="[R | t]")


@pytest.mark.q("q6", 4)
def test_pose(student, atlas, rng):
    """The true pose of eight scenes, E with either sign and any factor."""
    for _ in range(8):
        expect_pose(student, atlas, *views(rng))


@pytest.mark.q("q6", 1)
def test_some_points_behind(student, atlas, rng):
    """Three wrong pairs, whose points lie behind the cameras, do not change the choice."""
    R, t, E, x1, x2 = views(rng, 15)
    X = rng.uniform([-1.6, -1.2, -8], [1.6, 1.2, -5], (3, 3))
    Y = X @ R.T + t
    expect_pose(student, atlas, R, t, E, np.vstack([X[:, :2] / X[:, 2:], x1]), np.vstack([Y[:, :2] / Y[:, 2:], x2]))


@pytest.mark.q("q6", 1)
def test_noisy_e(student, rng):
    """An E that is not quite one still gives a rotation, and t of length 1, near the truth."""
    R, _, E, x1, x2 = views(rng)
    E = E + 1e-3 * linalg.norm(E) * rng.normal(size=(3, 3))
    A, b = two_of(student.pose(E, x1, x2), "(R, t)")
    A, b = array_of(A, (3, 3), "R"), array_of(b, (3,), "t")
    assert np.allclose(A @ A.T, np.eye(3), atol=1e-9), "R is no rotation: R Rᵀ is not the identity"
    assert linalg.det(A) > 0, "R mirrors: its determinant is −1; turn U and V into rotations first"
    assert abs(linalg.norm(b) - 1) < 1e-9, f"t should have length 1, got {linalg.norm(b):.4g}"
    off = math.degrees(math.acos(min(1, max(-1, (np.trace(A @ R.T) - 1) / 2))))
    assert off < 5, f"R is {off:.0f}° off"


@wrong("q6", says="only the first pair is looked at: count over all of them")
def pose(E, x1, x2):
    return chosen(four_poses(E), x1[:1], x2[:1])


@wrong("q6", says="the first of the four poses is taken always: look which has the points in front of both cameras")
def pose(E, x1, x2):
    return four_poses(E)[0]


@wrong("q6", says="only the depths in camera 1 are looked at: the point must be in front of both")
def pose(E, x1, x2):
    return chosen(four_poses(E), x1, x2, cameras=(0,))


@wrong("q6", says="R mirrors: its determinant is −1; turn U and V into rotations first")
def pose(E, x1, x2):
    R, t = chosen(four_poses(E), x1, x2)
    return -R, t


@wrong("q6", says="t is taken from V: tᵀE = 0, so it is the last column of U")
def pose(E, x1, x2):
    R, t = chosen(four_poses(E), x1, x2)
    return R, R.T @ t


@wrong("q6", says="this is the second camera's centre −Rᵀt in place of t")
def pose(E, x1, x2):
    R, t = chosen(four_poses(E), x1, x2)
    return R, -R.T @ t


@wrong("q6", says="R is transposed: X₂ = R X₁ + t")
def pose(E, x1, x2):
    R, t = chosen(four_poses(E), x1, x2)
    return R.T, t


@wrong("q6", says="the sign of t is wrong: the points would be behind the cameras")
def pose(E, x1, x2):
    R, t = chosen(four_poses(E), x1, x2)
    return R, -t


@wrong("q6", says="W is forgotten: U Vᵀ is a rotation, but not one that makes E")
def pose(E, x1, x2):
    U, _, Vt = linalg.svd(E)
    _, t = chosen(four_poses(E), x1, x2)
    return U * linalg.det(U) @ Vt * linalg.det(Vt), t


@right("q6")
def pose(E, x1, x2):
    """Depths by cross products; W as a turn by 90° each way."""
    U, _, Vt = np.linalg.svd(-3 * E)
    if np.linalg.det(U) < 0:
        U = -U
    if np.linalg.det(Vt) < 0:
        Vt = -Vt
    best, most = None, -1
    for sign in (1, -1):
        R = U @ np.array([[0, -sign, 0], [sign, 0, 0], [0, 0, 1]]) @ Vt
        for t in (U[:, 2], -U[:, 2]):
            a, b = ones(x1) @ R.T, ones(x2)
            normal = np.cross(a, b)
            first, second = np.sum(np.cross(b, t) * normal, axis=1), np.sum(np.cross(a, t) * normal, axis=1)
            count = np.sum((first > 0) & (second > 0))
            if count > most:
                best, most = (R, t), count
    return best
