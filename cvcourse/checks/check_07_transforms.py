"""Checks of exercise 07_transforms, the mistakes they know, and second solutions.

Oracles: fractions, which know no rounding, for points; complex numbers for turns; null vectors by
``numpy.linalg.svd`` for lines; angles for cross-ratios; the construction of each map for its group.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from cvcourse.checks import StudentError, expect, right, wrong

LATER = ("transforms", "warping", "alignment", "ransac", "cameras", "panoramas", "single_view", "calibration")
BORROWED = ("cvcourse.homogeneous", *(f"cvcourse.{name}" for name in LATER), "scipy", "skimage", "cv2", "PIL", "torch")
FORBIDDEN = {question: BORROWED for question in ("q1", "q2", "q3", "q4", "q5")}
GROUPS = ("translation", "Euclidean", "similarity", "affine", "projective")

# Sentences that a check says itself: a comparison of outputs can't tell these mistakes.
POINTS_CHANGED = "carry overwrites its points: the caller still needs them where they were; write to a new array"
MAPS_CHANGED = "chain overwrites one of the matrices in its list: begin with a matrix of your own"
EMPTY_CHAIN = (
    "chain fails for an empty list: joining no maps leaves every point where it is, so begin with the identity"
)
NO_CENTRE = (
    "fixed_point must return None where there is not one such point: a shift moves all points, the identity none"
)
LINES_CHANGED = "carry_lines overwrites its lines: the caller still needs them where they were; write to a new array"


def expect_each(answers, truth, looks, what, cases):
    """Compare one number or word a case: name the mistake, else the first case that is wrong."""
    assert len(answers) == len(truth) == len(cases)
    wrongs = [k for k, (a, t) in enumerate(zip(answers, truth)) if type(a) is not type(t) or a != t]
    if not wrongs:
        return
    for says, results in looks.items():
        assert results != answers or results == truth, says
    k = wrongs[0]
    raise AssertionError(f"{what} is {truth[k]!r} for {cases[k]}, got {answers[k]!r}")


def collected(student, atlas, name, calls, read=lambda answer: answer):
    """Give the answers to several calls together, and what each wrong version gives to all of them."""
    answers, looks = [], {}
    for arguments, keywords in calls:
        with np.errstate(all="ignore"):
            answers.append(read(getattr(student, name)(*arguments, **keywords)))
            for says, result in atlas(name, *arguments, **keywords).items():
                looks.setdefault(says, []).append(read(result))
    return answers, {says: results for says, results in looks.items() if len(results) == len(calls)}


def homography(rng, size=60.0):
    """A homography of points within `size` of the origin, some of which have w < 0."""
    T = np.array([[1.1, -0.4, 7], [0.5, 0.9, -4], [0.6 / size, -1.5 / size, 0.7]])
    return T * (1 + rng.uniform(-0.2, 0.2, (3, 3)))


def affine(rng):
    """An affine map without any symmetry."""
    return np.array([[1.3, -0.5, 9], [0.3, 0.8, -6], [0, 0, 1]]) * (
        1 + rng.uniform(-0.2, 0.2, (3, 3)) * [[1], [1], [0]]
    )


def similarity(angle, scale, shift):
    """The matrix of z -> scale e^(i angle) z + shift, for complex numbers z = x + i y."""
    turn = scale * np.exp(1j * angle)
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]])


# ---------------------------------------------------------------------------------------------
# Question 1: homogeneous coordinates


def exactly(T, point):
    """T times a homogeneous point, in fractions."""
    return [sum(Fraction(t) * Fraction(x) for t, x in zip(row, point)) for row in T.tolist()]


def carried(T, points):
    """Eq. (1) in fractions."""
    result = []
    for x, y in np.asarray(points, dtype=float).reshape(-1, 2).tolist():
        u, v, w = exactly(T, [x, y, 1])
        result.append((float(u / w), float(v / w)))
    return np.reshape(result, np.shape(points))


def drawn(rng, T, count, size=60.0):
    """Points with |w| > 0.2, half of them with w < 0."""
    points = rng.uniform(-size, size, (4000, 2))
    w = points @ T[2, :2] + T[2, 2]
    half = count // 2
    return rng.permutation(np.vstack([points[w < -0.2][:half], points[w > 0.2][: count - half]]))


@pytest.mark.q("q1", 1)
def test_shapes(student, atlas, rng):
    """One point, a list, one for each pixel: the result has the shape of the points, which stay as they are."""
    T = affine(rng)
    for shape in [(7, 2), (2,), (4, 3, 2)]:
        points = rng.uniform(-50, 50, shape)
        answer = student.carry(T, points)
        expect(answer, carried(T, points), atlas("carry", T, points), what=f"carry of points of shape {shape}")
        assert not student.changed, POINTS_CHANGED


@pytest.mark.q("q1", 1)
def test_divide_by_w(student, atlas, rng):
    """Under a homography each point is divided by its own w, of either sign, for any multiple of T."""
    T = homography(rng)
    points = drawn(rng, T, 8)
    for k in (1.0, rng.uniform(2, 3), -rng.uniform(0.3, 0.6)):
        with np.errstate(all="ignore"):
            answer, looks = student.carry(k * T, points), atlas("carry", k * T, points)
        expect(answer, carried(k * T, points), looks, what="carry of points with w > 0 and w < 0")


@pytest.mark.q("q1", 1)
def test_whole_numbers(student, atlas, rng):
    """Points in whole numbers, as pixels are, go to fractions of pixels."""
    T = affine(rng)
    points = rng.integers(-50, 50, (6, 2))
    answer = student.carry(T, points)
    expect(answer, carried(T, points), atlas("carry", T, points), what="carry of points in whole numbers")


def settled(answer):
    """Fix the free sign of the points at infinity: the larger of the two numbers is positive."""
    if answer is None:
        return None
    try:
        rows = np.array(answer, dtype=float)
    except (TypeError, ValueError):
        return answer
    if rows.ndim == 2 and rows.shape[1] == 3:
        for row in rows:
            if abs(row[2]) < 1e-9:
                row *= -1.0 if row[np.argmax(np.abs(row[:2]))] < 0 else 1.0
    return rows


def expect_settled(student, atlas, T, points, truth, what):
    with np.errstate(all="ignore"):
        answer = settled(student.carry_any(T, points))
        looks = {says: settled(result) for says, result in atlas("carry_any", T, points).items()}
    expect(answer, settled(truth), looks, what=what)


@pytest.mark.q("q1", 1)
def test_multiples_of_points(student, atlas, rng):
    """Finite points as any multiples, also tiny ones, have w = 1 afterwards."""
    T = homography(rng)
    points = drawn(rng, T, 8)
    truth = np.column_stack([carried(T, points), np.ones(8)])
    factors = rng.uniform(0.5, 3, 8) * [1, -1, 1, -1, 1, 1, -1, -1]
    factors[2:4] *= 1e-13
    v = factors[:, None] * np.column_stack([points, np.ones(8)])
    expect_settled(student, atlas, T, v, truth, "carry_any of finite points")


def nearly_lost(rng, T, count):
    """Points for which w should be 0, and is not quite because of rounding."""
    found = []
    while len(found) < count:
        x = rng.uniform(-40, 40)
        p = np.array([x, -(T[2, 0] * x + T[2, 2]) / T[2, 1], 1]) * rng.uniform(0.5, 2)
        w = exactly(T, p.tolist())[2]
        if (T @ p)[2] != 0 and w != 0:
            found.append(p)
    return np.array(found)


@pytest.mark.q("q1", 1)
def test_to_infinity_and_back(student, atlas, rng):
    """Points at infinity come into the picture, others leave it; affine maps keep them at infinity."""
    T = homography(rng)
    directions = np.column_stack([rng.uniform(1, 5, (3, 2)) * [[1, 1], [-1, 1], [1, -1]], np.zeros(3)])
    directions *= np.sign(rng.uniform(-1, 1, (3, 1)))
    finite = [[float(u / w), float(v / w), 1.0] for u, v, w in (exactly(T, d) for d in directions.tolist())]
    A = affine(rng)
    turned = np.array([[float(u), float(v), 0.0] for u, v, _ in (exactly(A, d) for d in directions.tolist())])
    turned /= np.hypot(turned[:, 0], turned[:, 1])[:, None]
    points = np.vstack([directions, [[3, 4, 2.0]]])
    truth = np.vstack([turned, [[*carried(A, np.array([1.5, 2.0])), 1.0]]])
    expect_settled(student, atlas, A, points, truth, "carry_any under an affine map")
    leaving = nearly_lost(rng, T, 5)
    away = np.array([[float(u), float(v), 0.0] for u, v, _ in (exactly(T, p) for p in leaving.tolist())])
    away /= np.hypot(away[:, 0], away[:, 1])[:, None]
    points, truth = np.vstack([directions, leaving]), np.vstack([finite, away])
    expect_settled(student, atlas, T, points, truth, "carry_any of points at infinity, or going there")


def _uvw(T, points, one=1.0):
    x, y = points[..., 0], points[..., 1]
    return tuple(row[0] * x + row[1] * y + row[2] * one for row in T)


def _over(u, v, w):
    return np.stack([u / w, v / w], axis=-1)


@wrong("q1", says="w is not divided out: (u, v, w) is the point (u/w, v/w)")
def carry(T, points):
    u, v, _ = _uvw(T, points)
    return np.stack([u, v], axis=-1)


@wrong(
    "q1",
    says="the points stand as rows to the left of T: that is the transposed map; a row of coordinates needs T "
    "transposed on its right",
)
def carry(T, points):
    return _over(*_uvw(T.T, points))


@wrong("q1", says="x and y are exchanged: points are (x, y), not (row, column), and T expects x first")
def carry(T, points):
    return _over(*_uvw(T, points[..., ::-1]))[..., ::-1]


@wrong("q1", says="the points are carried backwards, by the inverse of T: T takes a point to its image")
def carry(T, points):
    return _over(*_uvw(np.linalg.inv(T), points))


@wrong("q1", says="w has lost its sign: (u, v, w) with w < 0 is (u/w, v/w) as well, signs and all")
def carry(T, points):
    u, v, w = _uvw(T, points)
    return _over(u, v, np.abs(w))


@wrong("q1", says="points with w < 0 become NaN: w < 0 is a point like any other, only w = 0 is at infinity")
def carry(T, points):
    u, v, w = _uvw(T, points)
    return _over(u, v, np.where(w > 0, w, np.nan))


@wrong("q1", says="everything is divided by T's last entry: each point has a w of its own, which depends on x and y")
def carry(T, points):
    u, v, _ = _uvw(T, points)
    return _over(u, v, T[2, 2])


@wrong("q1", says="the shift is lost: a point gets 1 as its third coordinate; with 0 it would be a direction")
def carry(T, points):
    u, v, _ = _uvw(T, points, one=0.0)
    return _over(u, v, _uvw(T, points)[2])


@wrong("q1", says="y′ is computed from the x that has already been replaced: both need the old x and the old y")
def carry(T, points):
    u, _, w = _uvw(T, points)
    changed = np.stack([u / w, points[..., 1]], axis=-1)
    return np.stack([u / w, _uvw(T, changed)[1] / w], axis=-1)


@wrong(
    "q1",
    says="the result is cut to whole numbers: an array made like integer points holds integers; make one of floats",
)
def carry(T, points):
    result = np.empty_like(points)
    result[...] = _over(*_uvw(T, points))
    return result


@wrong("q1", says="the shape of the points is lost: (..., 2) comes in, and the same shape should come out")
def carry(T, points):
    return _over(*_uvw(T, points)).reshape(-1, 2)


@wrong("q1", says=POINTS_CHANGED)
def carry(T, points):
    points[...] = _over(*_uvw(T, points))
    return points


@right("q1")
def carry(T, points):
    """Point by point, in plain Python."""
    result = np.zeros(points.shape)
    for place in np.ndindex(*points.shape[:-1]):
        x, y = points[place].tolist()
        u, v, w = (a * x + b * y + c for a, b, c in T.tolist())
        result[place] = u / w, v / w
    return result


def _standard(uvw, limit=1e-9, share=True):
    length = np.hypot(uvw[:, 0], uvw[:, 1])
    finite = np.abs(uvw[:, 2]) > limit * (length if share else 1)
    result = uvw / np.where(finite, uvw[:, 2], length)[:, None]
    result[:, 2] = finite
    return result


@wrong("q1", says="the third coordinate is overwritten with 1: (x, y, w) stands for (x/w, y/w), and 0 for infinity")
def carry_any(T, points):
    return _standard(np.column_stack([points[:, :2], np.ones(len(points))]) @ T.T)


@wrong(
    "q1",
    says="the points are divided by their third coordinate before T is applied: those at infinity have 0 there; "
    "multiply first",
)
def carry_any(T, points):
    return _standard((points / points[:, 2:]) @ T.T)


@wrong("q1", says="only w == 0 is taken for infinity: rounding makes 1e-17 of it, and a point 1e18 pixels away")
def carry_any(T, points):
    return _standard(points @ T.T, limit=0.0)


@wrong("q1", says="everything is divided by w, also where w is 0 but for rounding: infinity has a form of its own")
def carry_any(T, points):
    uvw = points @ T.T
    return uvw / uvw[:, 2:]


@wrong(
    "q1",
    says="w is compared with a fixed number: a small multiple of a point has a small w and is finite all the same; "
    "compare w with u and v",
)
def carry_any(T, points):
    return _standard(points @ T.T, share=False)


@wrong("q1", says="a point at infinity does not have the length 1: divide it by √(u² + v²)")
def carry_any(T, points):
    uvw = points @ T.T
    result = _standard(uvw)
    result[result[:, 2] == 0] = uvw[result[:, 2] == 0] * [1, 1, 0]
    return result


@wrong("q1", says="the direction is lost: a point at infinity became (0, 0, 0), which is no point at all")
def carry_any(T, points):
    result = _standard(points @ T.T)
    return result * (result[:, 2:] != 0)


@wrong("q1", says="all three numbers are scaled to length 1 together: a finite point should end in 1")
def carry_any(T, points):
    uvw = points @ T.T
    return uvw / np.linalg.norm(uvw, axis=1, keepdims=True)


@wrong("q1", says="the triples are multiplied from the wrong side: as rows they need T transposed")
def carry_any(T, points):
    return _standard(points @ T)


@right("q1")
def carry_any(T, points):
    """Row by row, in plain Python."""
    result = []
    for p in points.tolist():
        u, v, w = (sum(t * x for t, x in zip(row, p)) for row in T.tolist())
        length = math.hypot(u, v)
        result.append([u / w, v / w, 1.0] if abs(w) > 1e-9 * length else [u / length, v / length, 0.0])
    return np.array(result)


# ---------------------------------------------------------------------------------------------
# Question 2: joining maps


@pytest.mark.q("q2", 1)
def test_order(student, atlas, rng):
    """The first map of the list acts first: a basis carried map by map arrives where the joined map takes it."""
    maps = [homography(rng), affine(rng), homography(rng)]
    for some in (maps[:2], maps):
        columns = np.eye(3)
        for T in some:
            columns = np.transpose([[float(n) for n in exactly(T, column)] for column in columns.T.tolist()])
        expect(student.chain(some), columns, atlas("chain", some), what=f"the chain of {len(some)} maps")


@pytest.mark.q("q2", 1)
def test_short_chains(student, atlas, rng):
    """One map is itself, none is the identity, and the list stays as it was."""
    maps = [affine(rng), homography(rng)]
    expect(student.chain(maps[:1]), maps[0], atlas("chain", maps[:1]), what="the chain of one map")
    student.chain(maps)
    assert not student.changed, MAPS_CHANGED
    try:
        answer = student.chain([])
    except StudentError:
        raise AssertionError(EMPTY_CHAIN) from None
    assert answer is not None, EMPTY_CHAIN
    expect(answer, np.eye(3), atlas("chain", []), what="the chain of no maps")


def about(center, angle, scale):
    """The matrix of z -> c + s e^(i angle) (z − c), from the images of 0, 1 and i."""
    c, turn = complex(*center), scale * np.exp(1j * angle)
    origin, x, y = (c + turn * (z - c) for z in (0, 1, 1j))
    return np.array(
        [
            [(x - origin).real, (y - origin).real, origin.real],
            [(x - origin).imag, (y - origin).imag, origin.imag],
            [0, 0, 1],
        ]
    )


@pytest.mark.q("q2", 1)
def test_turn(student, atlas, rng):
    """A turn about a point, in either sense."""
    for angle in (rng.uniform(0.4, 1.2), rng.uniform(-2.8, -1.9)):
        center = (float(rng.uniform(20, 40)), float(rng.uniform(50, 80)))
        looks = atlas("turned_about", center, angle)
        expect(student.turned_about(center, angle), about(center, angle, 1), looks, what="turned_about")


@pytest.mark.q("q2", 1)
def test_turn_and_scale(student, atlas, rng):
    """Turn and scale together; the centre stays where it is."""
    for scale in (rng.uniform(1.5, 2.5), rng.uniform(0.3, 0.6)):
        center, angle = (float(rng.uniform(20, 40)), float(-rng.uniform(50, 80))), rng.uniform(0.4, 1.2)
        looks = atlas("turned_about", center, angle, scale)
        what = f"turned_about with scale {scale:.2f}"
        expect(student.turned_about(center, angle, scale), about(center, angle, scale), looks, what=what)


@pytest.mark.q("q2", 1)
def test_fixed_point(student, atlas, rng):
    """The point that stays, of similarities, other affine maps, and multiples of their matrices."""
    for factor, A in [
        (1.0, about((0, 0), rng.uniform(0.5, 2.5), rng.uniform(0.6, 1.4))[:2, :2]),
        (1.0, affine(rng)[:2, :2] * rng.uniform(1.5, 2)),
        (-rng.uniform(1.5, 3), affine(rng)[:2, :2] * rng.uniform(1.5, 2)),
    ]:
        center = rng.uniform(-40, 40, 2)
        T = np.eye(3)
        T[:2, :2], T[:2, 2] = A, center - A @ center
        T *= factor
        # det(Id − A) is above 0.05 here and coordinates below 100, so that rounding stays below 1e-11.
        expect(student.fixed_point(T), center, atlas("fixed_point", T), what="the fixed point")


@pytest.mark.q("q2", 1)
def test_no_fixed_point(student, atlas, rng):
    """A shift, the identity, a whole turn but for rounding: there is not one such point."""
    center = rng.uniform(5, 30, 2)
    turn = about(center, 2.0, 1)
    expect(student.fixed_point(turn), center, atlas("fixed_point", turn), what="the fixed point of a turn")
    shift = np.array([[1, 0, rng.uniform(3, 9)], [0, 1, rng.uniform(-9, -3)], [0, 0, 1]])
    for T in (shift, np.eye(3), about((30, -20), 1.0, 1) @ about((9, 8), 2 * np.pi - 1.0, 1)):
        try:
            answer = student.fixed_point(T)
        except StudentError:
            raise AssertionError(NO_CENTRE) from None
        assert answer is None, NO_CENTRE


@wrong(
    "q2",
    says="the maps are joined in the order in which they are read: the map that acts first must stand on the right, "
    "next to the points",
)
def chain(maps):
    joined = np.eye(3)
    for T in maps:
        joined = joined @ T
    return joined


@wrong("q2", says="* multiplies matrices entry by entry; maps are joined by the matrix product @")
def chain(maps):
    joined = np.ones((3, 3)) if maps else np.eye(3)
    for T in maps:
        joined = T * joined
    return joined


@wrong("q2", says="the maps are added up: a map after another is a product of matrices")
def chain(maps):
    return np.sum(maps, axis=0) if maps else np.eye(3)


@wrong("q2", says="each matrix is transposed on its way: that belongs to points in rows; here they are columns")
def chain(maps):
    joined = np.eye(3)
    for T in maps:
        joined = T.T @ joined
    return joined


@wrong("q2", says="every map is inverted: that is the way back, from the last map to the first")
def chain(maps):
    joined = np.eye(3)
    for T in maps:
        joined = joined @ np.linalg.inv(T)
    return joined


@wrong("q2", says="only the last map is left: each must be multiplied to what was joined before it")
def chain(maps):
    return maps[-1] if maps else np.eye(3)


@wrong("q2", says=EMPTY_CHAIN)
def chain(maps):
    joined = maps[0]
    for T in maps[1:]:
        joined = T @ joined
    return joined


@wrong("q2", says=MAPS_CHANGED)
def chain(maps):
    joined = maps[0] if maps else np.eye(3)
    for T in maps[1:]:
        joined[:] = T @ joined
    return joined


@right("q2")
def chain(maps):
    """From the right, by einsum."""
    joined = np.identity(3)
    for T in reversed(maps):
        joined = np.einsum("ij,jk->ik", joined, T)
    return joined


def _about(center, angle, scale=1.0, before=-1, after=1):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    A, center = np.array([[c, -s], [s, c]]), np.asarray(center, dtype=float)
    T = np.eye(3)
    T[:2, :2], T[:2, 2] = A, A @ (before * center) + after * center
    return T


@wrong(
    "q2",
    says="the three steps are joined backwards: the centre is brought to the origin first, so that step stands on the "
    "right",
)
def turned_about(center, angle, scale=1.0):
    return _about(center, angle, scale, before=1, after=-1)


@wrong("q2", says="it turns the wrong way: from +x towards +y is clockwise on the screen, because y points down")
def turned_about(center, angle, scale=1.0):
    return _about(center, -angle, scale)


@wrong("q2", says="the angle is taken for degrees and converted once more: it comes in radians")
def turned_about(center, angle, scale=1.0):
    return _about(center, np.radians(angle), scale)


@wrong("q2", says="the centre is read as (row, column): it is (x, y), x first")
def turned_about(center, angle, scale=1.0):
    return _about(center[::-1], angle, scale)


@wrong("q2", says="it turns about the origin: the centre is not used")
def turned_about(center, angle, scale=1.0):
    return _about((0, 0), angle, scale)


@wrong("q2", says="the last of the three steps is missing: the centre ends at the origin, not where it was")
def turned_about(center, angle, scale=1.0):
    return _about(center, angle, scale, after=0)


@wrong("q2", says="the first of the three steps is missing: it turns about the origin and then moves")
def turned_about(center, angle, scale=1.0):
    return _about(center, angle, scale, before=0)


@wrong("q2", says="the argument scale is not used")
def turned_about(center, angle, scale=1.0):
    return _about(center, angle)


@wrong("q2", says="the whole matrix is multiplied by the scale: a multiple of a homogeneous matrix is the same map")
def turned_about(center, angle, scale=1.0):
    return scale * _about(center, angle)


@wrong("q2", says="the shift is that of a turn without scale: with the scale in the matrix, the centre does not stay")
def turned_about(center, angle, scale=1.0):
    T, plain = _about(center, angle, scale), _about(center, angle)
    T[:2, 2] = plain[:2, 2]
    return T


@wrong("q2", says="the matrix is transposed: the shift belongs in the last column, points are columns")
def turned_about(center, angle, scale=1.0):
    return _about(center, angle, scale).T


@right("q2")
def turned_about(center, angle, scale=1.0):
    """By complex numbers: z -> a z + (1 − a) c."""
    a = scale * complex(math.cos(angle), math.sin(angle))
    b = (1 - a) * complex(*center)
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]])


def _parts(T):
    return T[:2, :2] / T[2, 2], T[:2, 2] / T[2, 2]


def _solved(M, t):
    return None if abs(np.linalg.det(M)) <= 1e-9 else np.linalg.solve(M, t)


@wrong("q2", says="this is the shift t, the image of the origin; asked is the point that does not move")
def fixed_point(T):
    A, t = _parts(T)
    return _solved(np.eye(2) - A, (np.eye(2) - A) @ t)


@wrong("q2", says="the sign is wrong: from A c + t = c follows (Id − A) c = t, not (A − Id) c = t")
def fixed_point(T):
    A, t = _parts(T)
    return _solved(A - np.eye(2), t)


@wrong("q2", says="this solves A c = t: the c on the other side of A c + t = c is missing")
def fixed_point(T):
    A, t = _parts(T)
    return None if np.allclose(A, np.eye(2)) else np.linalg.solve(A, t)


@wrong("q2", says="this is the point that goes to the origin, A c + t = 0; asked is A c + t = c")
def fixed_point(T):
    A, t = _parts(T)
    return None if np.allclose(A, np.eye(2)) else np.linalg.solve(A, -t)


@wrong("q2", says="A is transposed: points are columns to the right of the matrix")
def fixed_point(T):
    A, t = _parts(T)
    return _solved(np.eye(2) - A.T, t)


@wrong("q2", says="the last entry of T is not divided out: any multiple of a matrix is the same map")
def fixed_point(T):
    return _solved(np.eye(2) - T[:2, :2], T[:2, 2])


@wrong("q2", says="the fixed point is given as (row, column); points are (x, y)")
def fixed_point(T):
    A, t = _parts(T)
    c = _solved(np.eye(2) - A, t)
    return None if c is None else c[::-1]


@wrong("q2", says=NO_CENTRE)
def fixed_point(T):
    A, t = _parts(T)
    return np.linalg.solve(np.eye(2) - A, t)


@right("q2")
def fixed_point(T):
    """By Cramer's rule."""
    (a, b, tx), (c, d, ty), (_, _, w) = T.tolist()
    a, b, c, d, tx, ty = 1 - a / w, -b / w, -c / w, 1 - d / w, tx / w, ty / w
    det = a * d - b * c
    if abs(det) <= 1e-9:
        return None
    return [(tx * d - b * ty) / det, (a * ty - c * tx) / det]


# ---------------------------------------------------------------------------------------------
# Question 3: lines


def aligned(answer, truth):
    """Give each row of lines the sign that fits the truth's; leave alone what has another shape."""
    if answer is None:
        return None
    try:
        rows = np.array(answer, dtype=float)
    except (TypeError, ValueError):
        return answer
    if rows.shape == np.shape(truth):
        with np.errstate(all="ignore"):
            rows *= np.where(np.sum(rows * truth, axis=1, keepdims=True) < 0, -1.0, 1.0)
    return rows


def expect_lines(student, atlas, name, arguments, truth, what):
    truth = np.asarray(truth, dtype=float)
    with np.errstate(all="ignore"):
        answer = aligned(getattr(student, name)(*arguments), truth)
        looks = {says: aligned(result, truth) for says, result in atlas(name, *arguments).items()}
    # Numbers up to some hundreds, from inverses of matrices with a condition below 1e4: rounding below 1e-10.
    expect(answer, truth, looks, what=what)


def lines_and_points(angles, offsets, rng):
    """Lines cos(angle) x + sin(angle) y = offset, and two points on each."""
    normal = np.column_stack([np.cos(angles), np.sin(angles)])
    along = np.column_stack([-np.sin(angles), np.cos(angles)])
    first = rng.uniform(10, 40, (len(angles), 1))
    p, q = (normal * offsets[:, None] + s * along for s in (first, first - rng.uniform(15, 30, first.shape)))
    return np.column_stack([normal, -offsets]), p, q


@pytest.mark.q("q3", 1)
def test_line_through(student, atlas, rng):
    """Lines of known normal and distance from the origin, through two points of each."""
    angles = np.pi * np.array([0.1, 0.35, 0.6, 0.85, 1.2]) + rng.uniform(0, 0.2, 5)
    lines, p, q = lines_and_points(angles, rng.uniform(3, 30, 5), rng)
    expect_lines(student, atlas, "line_through", (p, q), lines, "line_through")


@pytest.mark.q("q3", 1)
def test_special_lines(student, atlas, rng):
    """Vertical and horizontal lines, and lines through the origin."""
    x, y, m, n = rng.permutation(np.arange(3, 15))[:4]  # whole numbers: x v − u y is exactly 0 through the origin
    p = np.array([(2 * m, 2 * n), (-m, 2 * n), (x, 3), (4, y)], dtype=float)
    q = np.array([(-3 * m, -3 * n), (2 * m, -4 * n), (x, 17), (-11, y)], dtype=float)
    lines = [(n, -m, 0), (2 * n, m, 0), (1, 0, -x), (0, 1, -y)]
    lines = np.array(lines) / np.hypot(*np.transpose(lines)[:2])[:, None]
    expect_lines(student, atlas, "line_through", (p, q), lines, "line_through at special lines")


def lines_oracle(T, lines):
    """Carry two points of each line, and take what both have in common with no other line, by an SVD."""
    result = []
    for line in lines:
        points = np.linalg.svd(line[None])[2][1:]  # two homogeneous points on the line
        mapped = np.array([[float(n) for n in exactly(T, p)] for p in points.tolist()])
        a, b, c = np.linalg.svd(mapped)[2][2]
        length = math.hypot(a, b)
        result.append((a / length, b / length, c / length) if length > 1e-9 * abs(c) else (0, 0, 1))
    return result


def random_lines(rng, count):
    angles = rng.uniform(0, 2 * np.pi, count)
    lines = np.column_stack([np.cos(angles), np.sin(angles), rng.uniform(-30, 30, count)])
    return lines * rng.uniform(0.5, 3, (count, 1)) * np.sign(rng.uniform(-1, 1, (count, 1)))


@pytest.mark.q("q3", 1)
def test_lines_affine(student, atlas, rng):
    """Lines under an affine map, each given as some multiple; they stay as they were."""
    T, lines = affine(rng), random_lines(rng, 5)
    expect_lines(student, atlas, "carry_lines", (T, lines), lines_oracle(T, lines), "carry_lines under an affine map")
    student.carry_lines(T, lines)
    assert not student.changed, LINES_CHANGED


@pytest.mark.q("q3", 1)
def test_lines_projective(student, atlas, rng):
    """Lines under a homography: the images of their points lie on them."""
    T, lines = homography(rng) * rng.uniform(1.5, 3), random_lines(rng, 6)
    expect_lines(student, atlas, "carry_lines", (T, lines), lines_oracle(T, lines), "carry_lines under a homography")


@pytest.mark.q("q3", 1)
def test_line_at_infinity(student, atlas, rng):
    """The line at infinity gets a place in the picture, the third row of T goes there; affine maps keep it."""
    T = homography(rng)
    ideal = np.array([[0, 0, 1.0], [0, 0, -3.0]])
    horizon = lines_oracle(T, ideal)
    # T's third row holds the points with w = 0: they go to infinity, up to rounding.
    lines = np.vstack([ideal, 2 * T[2:], random_lines(rng, 2)])
    truth = [*horizon, (0, 0, 1), *lines_oracle(T, lines[3:])]
    expect_lines(student, atlas, "carry_lines", (T, lines), truth, "carry_lines of lines from and to infinity")
    A = affine(rng)
    lines = np.vstack([random_lines(rng, 2), ideal[1:]])
    truth = [*lines_oracle(A, lines[:2]), (0, 0, 1)]
    expect_lines(student, atlas, "carry_lines", (A, lines), truth, "carry_lines of the line at infinity, affine map")


def _scaled(lines):
    length = np.hypot(lines[:, 0], lines[:, 1])[:, None]
    infinite = length <= 1e-9 * np.abs(lines[:, 2:])
    return np.where(infinite, [0, 0, 1], lines / np.where(infinite, 1, length))


def _through(p, q):
    (x, y), (u, v) = p.T, q.T
    return np.column_stack([y - v, u - x, x * v - u * y])


@wrong("q3", says="a² + b² is not 1: only then is a x + b y + c a distance in pixels; divide by √(a² + b²)")
def line_through(p, q):
    return _through(p, q)


@wrong("q3", says="all of (a, b, c) is scaled to length 1: c does not count, it is a distance and not a direction")
def line_through(p, q):
    lines = _through(p, q)
    return lines / np.linalg.norm(lines, axis=1, keepdims=True)


@wrong("q3", says="(a, b) is the direction of the line: it must be its normal, at right angles to q − p")
def line_through(p, q):
    a, b = (q - p).T
    return _scaled(np.column_stack([a, b, -(a * p[:, 0] + b * p[:, 1])]))


@wrong("q3", says="c has the wrong sign: the two points do not fulfil a x + b y + c = 0")
def line_through(p, q):
    return _scaled(_through(p, q)) * [1, 1, -1]


@wrong("q3", says="the slope (y2 − y1) / (x2 − x1) is infinite for a vertical line: do without a division by x2 − x1")
def line_through(p, q):
    slope = (q[:, 1] - p[:, 1]) / (q[:, 0] - p[:, 0])
    lines = np.column_stack([slope, -np.ones(len(p)), p[:, 1] - slope * p[:, 0]])
    return lines / np.hypot(slope, 1)[:, None]


@wrong("q3", says="the lines are divided by c, which is 0 for a line through the origin")
def line_through(p, q):
    lines = _through(p, q) / _through(p, q)[:, 2:]
    return lines / np.hypot(lines[:, 0], lines[:, 1])[:, None]


@wrong("q3", says="x and y are exchanged: points are (x, y), and a belongs to x")
def line_through(p, q):
    return _scaled(_through(p[:, ::-1], q[:, ::-1]))


@right("q3")
def line_through(p, q):
    """Pair by pair: turn the direction by a right angle."""
    lines = []
    for (x, y), (u, v) in zip(p.tolist(), q.tolist()):
        length = math.hypot(u - x, v - y)
        a, b = (v - y) / length, (x - u) / length
        lines.append((a, b, -a * x - b * y))
    return np.array(lines)


@wrong("q3", says="T itself is applied to the lines, as if they were points: then carried points do not lie on them")
def carry_lines(T, lines):
    return _scaled(lines @ T.T)


@wrong(
    "q3", says="the lines are multiplied by T transposed: that carries them backwards, from the image to the original"
)
def carry_lines(T, lines):
    return _scaled(lines @ T)


@wrong("q3", says="the inverse is not transposed: Tᵀl′ = l has the solution with the transposed inverse")
def carry_lines(T, lines):
    return _scaled(lines @ np.linalg.inv(T).T)


@wrong("q3", says="the carried lines are not scaled to a² + b² = 1")
def carry_lines(T, lines):
    carried = lines @ np.linalg.inv(T)
    infinite = np.hypot(carried[:, 0], carried[:, 1]) <= 1e-9 * np.abs(carried[:, 2])
    carried[infinite] = 0, 0, 1
    return carried


@wrong(
    "q3",
    says="the lines are scaled before they are carried, and not after: T does not keep lengths, and so not a² + b²",
)
def carry_lines(T, lines):
    carried = _scaled(lines) @ np.linalg.inv(T)
    infinite = np.hypot(carried[:, 0], carried[:, 1]) <= 1e-9 * np.abs(carried[:, 2])
    carried[infinite] = 0, 0, 1
    return carried


@wrong("q3", says="a line that goes to infinity is divided by √(a² + b²), which is 0 there, or a grain of rounding")
def carry_lines(T, lines):
    carried = lines @ np.linalg.inv(T)
    return carried / np.hypot(carried[:, 0], carried[:, 1])[:, None]


@wrong("q3", says="the lines are divided by their last number: only lines that miss the origin can end in 1")
def carry_lines(T, lines):
    carried = lines @ np.linalg.inv(T)
    return carried / carried[:, 2:]


@wrong(
    "q3", says="the line at infinity is left where it was: under a homography it comes into the picture, as a horizon"
)
def carry_lines(T, lines):
    ideal = np.hypot(lines[:, 0], lines[:, 1]) == 0
    return np.where(ideal[:, None], [0, 0, 1.0], _scaled(lines @ np.linalg.inv(T)))


@wrong("q3", says=LINES_CHANGED)
def carry_lines(T, lines):
    lines[:] = _scaled(lines @ np.linalg.inv(T))
    return lines


@right("q3")
def carry_lines(T, lines):
    """By the matrix of cofactors, a multiple of the transposed inverse: rows are cross products."""
    cofactors = np.array([np.cross(T[1], T[2]), np.cross(T[2], T[0]), np.cross(T[0], T[1])])
    result = []
    for line in lines:
        a, b, c = (cofactors @ line).tolist()
        length = math.hypot(a, b)
        result.append([a / length, b / length, c / length] if length > 1e-9 * abs(c) else [0.0, 0.0, 1.0])
    return np.array(result)


# ---------------------------------------------------------------------------------------------
# Question 4: one map, many matrices; the five groups


def truth_value(answer):
    """Make NumPy's True and False those of Python; leave anything else alone."""
    return bool(answer) if isinstance(answer, np.bool_) else answer


def check_same(student, atlas, cases):
    """Cases are (T1, T2, keywords, truth, words)."""
    calls = [((T1, T2), keywords) for T1, T2, keywords, _, _ in cases]
    answers, looks = collected(student, atlas, "same_map", calls, truth_value)
    for answer in answers:
        assert isinstance(answer, bool), f"same_map should return True or False, not {type(answer).__name__}"
    expect_each(answers, [case[3] for case in cases], looks, "same_map", [case[4] for case in cases])


def beside(rng, T, departure):
    """A matrix whose largest entry-wise departure from T, both at norm 1, is about `departure`."""
    unit = T / np.linalg.norm(T)
    error = rng.normal(size=(3, 3))
    error -= np.sum(error * unit) * unit  # along T itself it would only be another multiple
    return unit + departure * error / np.abs(error).max()


@pytest.mark.q("q4", 1)
def test_same_map(student, atlas, rng):
    """Any multiple is the same map, large or tiny, positive or negative; anything else is not."""
    T, U, k = homography(rng), affine(rng), rng.uniform(2, 3)
    quarter = np.array([[0, -1.0, rng.uniform(3, 9)], [1, 0, -4], [0, 0, 1]])
    mixed = T * [[1, 1, -1], [1, 1, 1], [1, 1, 1]]
    cases = [
        (T, T, {}, True, "a matrix and itself"),
        (T, k * T, {}, True, "a matrix and a multiple"),
        (T, -k * T, {}, True, "a matrix and a negative multiple"),
        (1e-7 * U, -1e7 * U, {}, True, "a tiny and a huge multiple of a matrix"),
        (T, U, {}, False, "two different maps"),
        (1e-12 * T, 1e-12 * U, {}, False, "tiny multiples of two different maps"),
        (T, mixed, {}, False, "two matrices that differ in the sign of one entry"),
        (quarter, -k * quarter, {}, True, "a quarter turn and a multiple"),
        (T, T.T, {}, False, "a matrix and its transpose"),
    ]
    for tol in (1e-9, 1e-3):
        keywords = {} if tol == 1e-9 else {"tol": tol}
        cases += [
            (T, k * beside(rng, T, tol / 30), keywords, True, f"maps that differ by {tol / 30:.0e}, tol = {tol:g}"),
            (T, -k * beside(rng, T, 30 * tol), keywords, False, f"maps that differ by {30 * tol:.0e}, tol = {tol:g}"),
        ]
    check_same(student, atlas, cases)


@pytest.mark.q("q4", 1)
def test_last_entry_is_zero(student, atlas, rng):
    """Homographies that send the origin to infinity: their last entry is 0, or what rounding makes of it."""
    H, G = homography(rng), homography(rng)
    H[2, 2] = G[2, 2] = 0
    rounded, k = H.copy(), rng.uniform(2, 3)
    rounded[2, 2] = 1e-17
    cases = [
        (H, k * H, {}, True, "a homography that sends the origin to infinity, and a multiple"),
        (-k * H, H, {}, True, "a homography that sends the origin to infinity, and a negative multiple"),
        (H, 4 * H, {}, True, "a homography that sends the origin to infinity, and four times it"),
        (H, k * rounded, {}, True, "a last entry of 0, and one of 1e-17"),
        (rounded, -rounded, {}, True, "a last entry of 1e-17, and a negative multiple"),
        (H, G, {}, False, "two homographies that send the origin to infinity"),
        (H, homography(rng), {}, False, "homographies of which one sends the origin to infinity"),
    ]
    check_same(student, atlas, cases)


def check_groups(student, atlas, cases):
    """Cases are (words, T, keywords, group)."""
    calls = [((T,), keywords) for _, T, keywords, _ in cases]
    answers, looks = collected(student, atlas, "group_of", calls)
    for answer in answers:
        assert isinstance(answer, str), f"group_of should return one of the GROUPS, not {type(answer).__name__}"
        assert answer in GROUPS, f"group_of should return one of the GROUPS, not {answer!r}"
    expect_each(answers, [case[3] for case in cases], looks, "group_of", [case[0] for case in cases])


def with_row(T, g, h, i=1.0):
    T = T.copy()
    T[2] = g, h, i
    return T


def examples(rng):
    """Maps of every group, in pixels."""
    shift = complex(*rng.uniform(-300, 300, 2))
    angle, scale = rng.uniform(0.4, 2.5), rng.uniform(1.5, 3)
    A = affine(rng)
    return [
        ("a shift", similarity(0, 1, shift), {}, "translation"),
        ("the identity", np.eye(3), {}, "translation"),
        ("a turn and a shift", similarity(angle, 1, shift), {}, "Euclidean"),
        ("a turn about the origin", similarity(-angle, 1, 0j), {}, "Euclidean"),
        ("half a turn", similarity(np.pi, 1, shift), {}, "Euclidean"),
        ("a turn with a larger scale", similarity(angle, scale, shift), {}, "similarity"),
        ("a smaller scale", similarity(0, 1 / scale, shift), {}, "similarity"),
        ("a stretch along x", np.diag([scale, 1, 1]), {}, "affine"),
        ("an affine map", A, {}, "affine"),
        ("a homography", with_row(A, 3e-4, -2e-4), {}, "projective"),
    ]


@pytest.mark.q("q4", 1)
def test_groups(student, atlas, rng):
    """Maps of all five groups, the smallest is asked for."""
    check_groups(student, atlas, examples(rng))


@pytest.mark.q("q4", 1)
def test_multiples_of_matrices(student, atlas, rng):
    """Multiples of these matrices, negative and tiny ones too, name the same group."""
    factors = [-1, rng.uniform(2, 3), -rng.uniform(2, 3), 1e-6, -1e6]
    cases = []
    for k, (words, T, keywords, group) in enumerate(examples(rng) + examples(rng)):
        factor = factors[k % 5] if k < 10 else factors[(k + 2) % 5]
        cases.append((f"{words}, times {factor:.2g}", factor * T, keywords, group))
    check_groups(student, atlas, cases)


@pytest.mark.q("q4", 1)
def test_lookalikes(student, atlas, rng):
    """Mirrors, shears that keep areas, equal columns, a horizon through the origin."""
    k, angle, scale = rng.uniform(0.3, 0.6), rng.uniform(0.4, 1.2), rng.uniform(1.5, 2.5)
    turn, shift = similarity(angle, 1, 0j), similarity(0, 1, complex(*rng.uniform(-50, 50, 2)))
    shear, equal = np.eye(3), np.eye(3)
    shear[0, 1], equal[0, 1], equal[1, 0] = k, k, k
    origin = with_row(turn, 0.01 * k, -0.02, 0.0)
    cases = [
        ("a mirror", shift @ np.diag([-1.0, 1, 1]), {}, "affine"),
        ("a mirror, turned and scaled", turn @ np.diag([scale, -scale, 1]) @ shift, {}, "affine"),
        ("a shear, which keeps areas", shift @ shear, {}, "affine"),
        ("a stretch by k along x and 1/k along y", turn @ np.diag([scale, 1 / scale, 1]), {}, "affine"),
        ("columns of equal length, not perpendicular", shift @ equal, {}, "affine"),
        ("perpendicular columns, of different length", turn @ np.diag([scale, 1, 1]), {}, "affine"),
        ("a perspective row under the identity", with_row(np.eye(3), 0.0, k / 100), {}, "projective"),
        ("the origin sent to infinity", origin, {}, "projective"),
        ("a turn", shift @ turn, {}, "Euclidean"),
    ]
    check_groups(student, atlas, cases)


@pytest.mark.q("q4", 1)
def test_tolerance(student, atlas, rng):
    """Departures are shares: of the scale, and of w over the size of the picture."""
    angle = rng.uniform(0.4, 1.2)
    turn, noise = similarity(angle, 1, 200 - 90j), rng.uniform(-1, 1, (3, 3)) * [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    many = np.linalg.matrix_power(similarity(0.7, 1, 3 - 2j), 9)
    skew = np.diag([1.0, 1, 1])
    skew[0, 1] = rng.uniform(0.3, 0.6)
    small, large = np.diag([1e-4, 1e-4, 1]), np.diag([1e4, 1e4, 1])
    cases = [
        ("the product of nine turns", many, {}, "Euclidean"),
        ("a turn with noise of 3e-5, tol = 1e-3", turn + 3e-5 * noise, {"tol": 1e-3}, "Euclidean"),
        (
            "a turn with noise of 3e-5, tol = 1e-7",
            turn + 3e-5 * (noise + np.eye(3) * [2, -2, 0]),
            {"tol": 1e-7},
            "affine",
        ),
        ("a scale of 1.02, tol = 1e-3", similarity(angle, 1.02, 5j), {"tol": 1e-3}, "similarity"),
        ("a scale of 1.00003, tol = 1e-3", similarity(angle, 1.00003, 5j), {"tol": 1e-3}, "Euclidean"),
        ("a turn by 2e-5, tol = 1e-3", similarity(2e-5, 1, 5j), {"tol": 1e-3}, "translation"),
        ("a shear at a scale of 1e-4, tol = 1e-2", small @ skew, {"tol": 1e-2}, "affine"),
        (
            "a turn at a scale of 1e4, noise 3e-5 of it, tol = 1e-3",
            large @ (turn + 3e-5 * noise),
            {"tol": 1e-3},
            "similarity",
        ),
        ("g = 1e-4 per pixel over 1000 pixels, tol = 1e-3", with_row(turn, 1e-4, 0), {"tol": 1e-3}, "projective"),
        ("h = 3e-8 per pixel over 1000 pixels, tol = 1e-3", with_row(turn, 0, 3e-8), {"tol": 1e-3}, "Euclidean"),
        (
            "h = 1e-4 per pixel over 1 pixel, tol = 1e-2",
            with_row(turn, 0, 1e-4),
            {"tol": 1e-2, "size": 1.0},
            "Euclidean",
        ),
        (
            "g = 1e-6 per pixel over 1e6 pixels, tol = 1e-2",
            with_row(turn, 1e-6, 0),
            {"tol": 1e-2, "size": 1e6},
            "projective",
        ),
    ]
    check_groups(student, atlas, cases)


def _unit(T):
    return T / np.linalg.norm(T)


def _close(T1, T2, tol):
    return bool(np.max(np.abs(T1 - T2)) <= tol)


def _same(T1, T2, tol):
    return any(_close(_unit(T1), sign * _unit(T2), tol) for sign in (1, -1))


@wrong("q4", says="the matrices are compared as they stand: every multiple of a matrix is the same map")
def same_map(T1, T2, tol=1e-9):
    return _close(T1, T2, tol)


@wrong("q4", says="both are divided by their last entry, and it may be 0: where the origin goes to infinity")
def same_map(T1, T2, tol=1e-9):
    return _close(_unit(T1 / T1[2, 2]), _unit(T2 / T2[2, 2]), tol)


@wrong("q4", says="both are divided by their first entry, and it may be 0: a quarter turn has cos 90° there")
def same_map(T1, T2, tol=1e-9):
    return _close(_unit(T1 / T1[0, 0]), _unit(T2 / T2[0, 0]), tol)


@wrong("q4", says="the sign is still free after the division by the norm: T and −T are one map")
def same_map(T1, T2, tol=1e-9):
    return _close(_unit(T1), _unit(T2), tol)


@wrong("q4", says="absolute values are compared: one sign for the whole matrix is free, not one for each entry")
def same_map(T1, T2, tol=1e-9):
    return _close(np.abs(_unit(T1)), np.abs(_unit(T2)), tol)


@wrong("q4", says="tiny matrices all seem the same: bring both to the same size before differences are held to tol")
def same_map(T1, T2, tol=1e-9):
    k = np.sum(T1 * T2) / np.sum(T2 * T2)
    return _close(T1, k * T2, tol * (np.linalg.norm(T1) if np.linalg.norm(T1) > 1e-6 else 1))


@wrong("q4", says="the argument tol is not used: what counts as equal is always 1e-9 for you")
def same_map(T1, T2, tol=1e-9):
    return _same(T1, T2, 1e-9)


@wrong("q4", says="entries must be equal to the last digit: that is more than rounding allows; use tol")
def same_map(T1, T2, tol=1e-9):
    return _same(T1, T2, 0.0)


@right("q4")
def same_map(T1, T2, tol=1e-9):
    """What is left of T1 without its part along T2."""
    a, b = (T1 / np.abs(T1).max()).ravel(), (T2 / np.abs(T2).max()).ravel()
    rest = a - (a @ b) / (b @ b) * b
    return np.all(np.abs(rest) <= tol * math.sqrt(a @ a))


def _group(
    T, tol, size, multiple=None, mirror=False, share=True, first=0, same=None, similar=None, last=lambda T, size: size
):
    """Name the group by the rules of the table; wrong versions change one thing each."""
    T = T / (T[2, 2] if T[2, 2] and multiple is None else multiple or 1)
    if T[2, 2] == 0 or np.max(np.abs(T[2, :2])) * last(T, size) > tol * abs(T[2, 2]):
        return "projective"
    (a, b), (c, d) = A = T[:2, :2]
    s = math.sqrt(abs(a * d - b * c))
    unit = s if share else 1
    rigid = max(abs(a - d), abs(b + c)) <= tol * unit
    if mirror:
        rigid = rigid or max(abs(a + d), abs(b - c)) <= tol * unit
    if similar is not None:
        rigid = similar(A, tol)
    if not rigid or first == 3:
        return "affine"
    if abs(s - 1) > tol:
        return "similarity"
    return "Euclidean" if np.max(np.abs(A - np.eye(2))) > tol or first == 1 else "translation"


@wrong("q4", says="the matrix is read as it stands: divide by its last entry first, every multiple is the same map")
def group_of(T, tol=1e-9, size=1000.0):
    if np.max(np.abs(T[2] - [0, 0, 1])) > tol:
        return "projective"
    return _group(T, tol, size, multiple=1.0)


@wrong("q4", says="the matrix is divided by the size of its last entry: the sign belongs to the factor too")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, multiple=abs(T[2, 2]) or None)


@wrong("q4", says="a mirror passes for a turn: its columns are perpendicular and equally long, but det A < 0")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, mirror=True)


@wrong("q4", says="a determinant of 1 is taken for a rotation: shears keep areas as well, but no angles")
def group_of(T, tol=1e-9, size=1000.0):
    A = T[:2, :2] / (T[2, 2] or 1)
    name = _group(T, tol, size)
    return "Euclidean" if name == "affine" and abs(np.linalg.det(A) - 1) <= tol else name


@wrong("q4", says="only the lengths of A's columns are compared: a similarity has them perpendicular, too")
def group_of(T, tol=1e-9, size=1000.0):
    def similar(A, tol):
        p, q = np.hypot(*A)
        return abs(p - q) <= tol * max(p, q) and np.linalg.det(A) > 0

    return _group(T, tol, size, similar=similar)


@wrong("q4", says="only the angle between A's columns is looked at: a similarity has them equally long, too")
def group_of(T, tol=1e-9, size=1000.0):
    def similar(A, tol):
        p, q = np.hypot(*A)
        return abs(A[:, 0] @ A[:, 1]) <= tol * p * q and np.linalg.det(A) > 0

    return _group(T, tol, size, similar=similar)


@wrong("q4", says="the last row is held to tol as it stands: g is a change per pixel, and a picture has many; use size")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, last=lambda T, size: 1.0)


@wrong("q4", says="the argument size is not used: w is always followed over 1000 pixels")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, 1000.0)


@wrong(
    "q4", says="the matrix is read as the transpose: the shift stands in the last column, perspective in the last row"
)
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T.T, tol, size)


@wrong("q4", says="the entries of A are held to tol as they stand: a departure is a share of A's scale")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, share=False)


@wrong("q4", says="numbers are compared with ==: rounding alone changes the group; use tol")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, 0.0, size)


@wrong("q4", says="the argument tol is not used")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, 1e-9, size)


@wrong(
    "q4",
    says="the larger groups are asked first: every map of the smaller groups is affine as well; begin at the smallest",
)
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, first=3)


@wrong("q4", says="a translation is called Euclidean: it is, but there is a smaller group that holds it")
def group_of(T, tol=1e-9, size=1000.0):
    return _group(T, tol, size, first=1)


@right("q4")
def group_of(T, tol=1e-9, size=1000.0):
    """From the smallest group on, by complex numbers: A z = p z + q conj(z)."""
    (a, b, _), (c, d, _), (g, h, i) = T.tolist()
    if i == 0 or math.hypot(g, h) * size > abs(i) * tol:
        return "projective"
    p, q = complex(a + d, c - b) / (2 * i), complex(a - d, c + b) / (2 * i)
    if abs(q) > tol * abs(p):
        return "affine"
    for name, departure in [("translation", abs(p - 1)), ("Euclidean", abs(abs(p) - 1))]:
        if departure <= tol:
            return name
    return "similarity"


# ---------------------------------------------------------------------------------------------
# Question 5: the group from measurements

PAIRS = list(itertools.combinations(range(5), 2))
TRIPLES = list(itertools.combinations(range(5), 3))


def complexes(points):
    return np.asarray(points) @ np.array([1, 1j])


def area(z, i, j, k):
    """Twice the signed area of a triangle of complex numbers."""
    return (np.conj(z[j] - z[i]) * (z[k] - z[i])).imag


def ratio(z):
    """Eq. (5), by the sines of the angles between the four lines."""
    angle = np.angle(z[1:] - z[0])
    sine = lambda j, k: np.sin(angle[k] - angle[j])  # noqa: E731
    return sine(0, 2) * sine(1, 3) / (sine(1, 2) * sine(0, 3))


def cycles(points):
    return [np.roll(points, -k, axis=0) for k in range(5)]


def departures(before, after):
    """How far vectors, lengths, their ratios, ratios of areas and cross-ratios (sorted) depart, as shares."""
    z, w = complexes(before), complexes(after)
    old, new = (np.array([p[j] - p[i] for i, j in PAIRS]) for p in (z, w))
    lengths = np.abs(new) / np.abs(old)
    areas = np.array([area(w, *triple) / area(z, *triple) for triple in TRIPLES])
    cross = np.sort([abs(ratio(b) / ratio(a) - 1) for a, b in zip(cycles(z), cycles(w))])
    return {
        "translation": np.max(np.abs(new - old) / np.abs(old)),
        "Euclidean": np.max(np.abs(lengths - 1)),
        "similarity": np.ptp(lengths) / np.mean(lengths),
        "affine": np.ptp(areas) / abs(np.mean(areas)),
        "projective": cross[-1],
        "next to best cross-ratio": cross[1],
    }


def spread(points, least):
    """Tell whether all triangles of the points are at least so large."""
    z = complexes(points)
    return min(abs(area(z, *triple)) for triple in TRIPLES) > least


def five(rng):
    """Five points in general position, in a picture of 200 pixels."""
    while True:
        points = rng.uniform(0, 200, (5, 2))
        if spread(points, 2500):
            return points


def chosen(rng, draw, group, mirrored=False):
    """Draw points and a map of a group, far from every smaller group; give the points before and after."""
    smaller = {"none": 5, "projective": 4, "affine": 3}.get(group, GROUPS.index(group) if group in GROUPS else 0)
    for _ in range(10000):
        before = five(rng)
        after = draw(rng)(before)
        found = list(departures(before, after).values())
        wide = found[0] > 0.35 if mirrored else all(share > 0.35 for share in found[:smaller])
        seen = group != "none" or found[5] > 0.2  # any two cross-ratios must show it
        if wide and seen and spread(after, 800) and np.abs(after).max() < 2000:
            return before, after
    raise RuntimeError(f"no points found for a map of the group {group}")


def mapped(T):
    return lambda points: carried(T, points)


def wander(rng):
    return complex(*rng.uniform(-60, 60, 2))


def any_homography(rng):
    T = np.array([[0.9, -0.3, 60], [0.2, 0.7, 10], [0.004, -0.003, 1]])
    return mapped(T * (1 + rng.uniform(-0.1, 0.1, (3, 3))))


def any_affine(rng):
    turn = similarity(rng.uniform(0.4, 2.5), 1, wander(rng))
    shear = np.array([[rng.uniform(1.3, 1.8), rng.uniform(0.3, 0.6), 0], [0, rng.uniform(0.6, 0.9), 0], [0, 0, 1]])
    return mapped(turn @ shear)


DRAW = {  # a random map of each group
    "translation": lambda rng: mapped(similarity(0, 1, wander(rng))),
    "Euclidean": lambda rng: mapped(similarity(rng.uniform(0.6, 2.5), 1, wander(rng))),
    "similarity": lambda rng: mapped(similarity(-rng.uniform(0.6, 2.5), rng.uniform(1.5, 2), wander(rng))),
    "affine": any_affine,
    "projective": any_homography,
}


def check_names(student, atlas, cases):
    """Cases are (words, before, after, keywords, group)."""
    calls = [((before, after), keywords) for _, before, after, keywords, _ in cases]
    answers, looks = collected(student, atlas, "name_group", calls)
    for answer in answers:
        assert isinstance(answer, str), f"name_group should return a name, not {type(answer).__name__}"
        assert answer in (*GROUPS, "none"), f"name_group should return one of the GROUPS or 'none', not {answer!r}"
    expect_each(answers, [case[4] for case in cases], looks, "name_group", [case[0] for case in cases])


@pytest.mark.q("q5", 1)
def test_area_ratios(student, atlas, rng):
    """The ratios of all triangles in order, with signs, for any points after."""
    for count in (5, 6):
        before, after = rng.uniform(0, 100, (2, count, 2))
        z, w = complexes(before), complexes(after)
        truth = np.array([area(w, *t) / area(z, *t) for t in itertools.combinations(range(count), 3)])
        looks = atlas("area_ratios", before, after)
        # Ratios grow with flat triangles, and their rounding with them: 1e-12 of the largest is ample.
        atol = 1e-9 * max(1.0, np.abs(truth).max())
        expect(student.area_ratios(before, after), truth, looks, atol=atol, what=f"area_ratios of {count} points")


@pytest.mark.q("q5", 1)
def test_pencil_of_known_angles(student, atlas, rng):
    """Four lines of known angles: the distances along them make no difference."""
    for _ in range(3):
        angles = np.array([0.3, 1.0, 1.5, 2.4])[rng.permutation(4)] + rng.uniform(0, 0.2, 4)
        arms = rng.uniform(20, 90, 4) * rng.choice([-1, 1], 4)
        points = rng.uniform(-50, 50, 2) + np.vstack(
            [[(0.0, 0.0)], arms[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])]
        )
        sine = np.sin(angles[None, :] - angles[:, None])
        truth = sine[0, 2] * sine[1, 3] / (sine[1, 2] * sine[0, 3])
        looks = atlas("pencil_ratio", points)
        expect(student.pencil_ratio(points), truth, looks, what="pencil_ratio of four lines of known angles")


@pytest.mark.q("q5", 1)
def test_pencil_under_homographies(student, atlas, rng):
    """Every homography keeps it, also where w < 0 for some of the points."""
    T = homography(rng)
    done = 0
    while done < 3:
        points = drawn(rng, T, 5)
        after = carried(T, points)
        if not (spread(points, 500) and spread(after, 50)):
            continue
        expect(
            student.pencil_ratio(after),
            ratio(complexes(points)),
            atlas("pencil_ratio", after),
            what="pencil_ratio after a homography, which keeps it",
        )
        done += 1


@pytest.mark.q("q5", 1)
def test_names(student, atlas, rng):
    """Maps of all five groups, twice."""
    cases = []
    for _ in range(2):
        for group, draw in DRAW.items():
            before, after = chosen(rng, draw, group)
            cases.append((f"a map of the group {group}", before, after, {}, group))
    check_names(student, atlas, cases)


def slid(apex):
    """Slide four points along their lines to the fifth: the cross-ratio seen from there is kept."""

    def draw(rng):
        stretch = rng.uniform(0.4, 1.8, (5, 1))
        return lambda points: points[apex] + (points - points[apex]) * stretch

    return draw


def bent(rng):
    """A chain of four rods, each turned by another angle: their lengths are kept."""
    turns = np.exp(1j * rng.uniform(-1.2, 1.2, 4))

    def make(points):
        z = np.concatenate([[0], np.cumsum(np.diff(complexes(points)) * turns)])
        return np.column_stack([z.real, z.imag])

    return make


def exchanged(rng):
    order = rng.permutation(5)
    return lambda points: points[order]


@pytest.mark.q("q5", 1)
def test_none(student, atlas, rng):
    """What no homography can do: points slid along lines through one of them, a bent chain, exchanged points."""
    draws = [(f"points slid along their lines to point {apex}", slid(apex), "none") for apex in range(5)]
    draws += [("a bent chain of rods", bent, "none"), ("points that have changed places", exchanged, "none")]
    draws += [("a homography", DRAW["projective"], "projective"), ("a turn", DRAW["Euclidean"], "Euclidean")]
    check_names(student, atlas, [(words, *chosen(rng, draw, group), {}, group) for words, draw, group in draws])


@pytest.mark.q("q5", 1)
def test_mirrors(student, atlas, rng):
    """Mirrors keep lengths and not the sense of turning; shears may keep areas and not lengths."""
    scale = rng.uniform(1.5, 2)
    turn, flip = similarity(rng.uniform(0.5, 1.2), 1, wander(rng)), np.diag([1.0, -1, 1])
    maps = [
        ("a mirror", turn @ flip, "affine", True),
        ("a mirror and a scale", turn @ np.diag([scale, -scale, 1]), "affine", True),
        ("a stretch that keeps areas", turn @ np.diag([scale, 1 / scale, 1]), "affine", False),
        ("half a turn", similarity(np.pi, 1, wander(rng)), "Euclidean", False),
        ("a turn", turn, "Euclidean", False),
    ]
    cases = []
    for words, T, group, mirrored in maps:
        before, after = chosen(rng, lambda rng, T=T: mapped(T), group, mirrored)
        cases.append((words, before, after, {}, group))
    before, after = chosen(rng, any_homography, "projective")
    cases.append(("a homography and a mirror", before, after * [-1, 1], {}, "projective"))
    cases.append(("a bent chain of rods", *chosen(rng, bent, "none"), {}, "none"))
    check_names(student, atlas, cases)


@pytest.mark.q("q5", 1)
def test_measured_points(student, atlas, rng):
    """Points with noise: what is kept departs by a thirtieth of tol, what is not by at least 30 tol."""
    cases = []
    for tol in (1e-2, 1e-4):
        for group, draw in DRAW.items():
            before, after = chosen(rng, draw, group)
            noise = 1e-4 * rng.normal(size=(5, 2))
            # Departures are linear in so little noise.
            noise *= tol / 30 / departures(before, after + noise)[group]
            cases.append((f"{group} with noise, tol = {tol:g}", before, after + noise, {"tol": tol}, group))
    for draw, words in [(slid(0), "points slid along lines, tol = 0.01"), (bent, "a bent chain of rods, tol = 0.01")]:
        cases.append((words, *chosen(rng, draw, "none"), {"tol": 1e-2}, "none"))
    check_names(student, atlas, cases)


def _areas(points, triples):
    z = complexes(points)
    return np.array([area(z, *triple) for triple in triples])


def _triples(points):
    return list(itertools.combinations(range(len(points)), 3))


@wrong("q5", says="the areas have lost their sign: it tells a mirror from a turn")
def area_ratios(before, after):
    return np.abs(_areas(after, _triples(before)) / _areas(before, _triples(before)))


@wrong("q5", says="the ratio is upside down: the area after the map is divided by the one before it")
def area_ratios(before, after):
    return _areas(before, _triples(before)) / _areas(after, _triples(before))


@wrong("q5", says="these are differences of areas: an affine map multiplies all areas by one number, so divide")
def area_ratios(before, after):
    return _areas(after, _triples(before)) - _areas(before, _triples(before))


@wrong("q5", says="the triangles come in another order: i is the slowest index and k the fastest, 012, 013, 014, …")
def area_ratios(before, after):
    triples = sorted(_triples(before), key=lambda triple: triple[::-1])
    return _areas(after, triples) / _areas(before, triples)


@wrong("q5", says="only the triangles at the first point are measured: all triples i < j < k are asked for")
def area_ratios(before, after):
    triples = [triple for triple in _triples(before) if triple[0] == 0]
    return _areas(after, triples) / _areas(before, triples)


@wrong("q5", says="the third row of the determinant is missing: x1 y2 − x2 y1 measures a triangle at the origin")
def area_ratios(before, after):
    def at_origin(points):
        return np.array([points[j, 0] * points[k, 1] - points[k, 0] * points[j, 1] for _, j, k in _triples(points)])

    return at_origin(after) / at_origin(before)


@right("q5")
def area_ratios(before, after):
    """By the determinants of Eq. (4), in a loop."""
    ratios = []
    for i, j, k in itertools.combinations(range(len(before)), 3):
        new, old = (np.linalg.det([[*p[i], 1], [*p[j], 1], [*p[k], 1]]) for p in (after, before))
        ratios.append(new / old)
    return ratios


def _cross(points, first=(0, 1, 3), second=(0, 2, 4), third=(0, 2, 3), fourth=(0, 1, 4), measure=area):
    z = complexes(points)
    return measure(z, *first) * measure(z, *second) / (measure(z, *third) * measure(z, *fourth))


@wrong(
    "q5", says="the areas have lost their signs: the cross-ratio is negative if one pair of lines separates the other"
)
def pencil_ratio(points):
    return abs(_cross(points))


@wrong("q5", says="the fraction is upside down: [013] and [024] belong on top")
def pencil_ratio(points):
    return 1 / _cross(points)


@wrong("q5", says="other pairs of points are joined: these are [012] and [034] on top, not [013] and [024]")
def pencil_ratio(points):
    return _cross(points, (0, 1, 2), (0, 3, 4), (0, 3, 2), (0, 1, 4))


@wrong("q5", says="lengths are taken for areas: a cross-ratio is made of lengths only if the points lie on one line")
def pencil_ratio(points):
    return _cross(points, measure=lambda z, i, j, k: abs(z[k] - z[j]))


@wrong("q5", says="the lines are drawn from the last of the five points: Eq. (5) draws them from the first")
def pencil_ratio(points):
    return _cross(np.roll(points, 1, axis=0))


@wrong("q5", says="this is a ratio of two areas, [013] / [023]: a homography changes it; it takes four")
def pencil_ratio(points):
    return _cross(points, second=(0, 1, 2), fourth=(0, 1, 2))


@right("q5")
def pencil_ratio(points):
    """By the slopes of the lines, which are coordinates on a line x = const."""
    (x0, y0), *others = points.tolist()
    a, b, c, d = (math.atan2(y - y0, x - x0) for x, y in others)
    return math.sin(c - a) * math.sin(d - b) / (math.sin(c - b) * math.sin(d - a))


def _name(before, after, tol, mirror=False, areas_equal=False, apexes=range(5), pairs=PAIRS, unit=True, first=0):
    """Name the group by what is kept; wrong versions change one thing each."""
    z, w = complexes(before), complexes(after)
    old, new = (np.array([p[j] - p[i] for i, j in pairs]) for p in (z, w))
    lengths, areas = np.abs(new) / np.abs(old), _areas(after, TRIPLES) / _areas(before, TRIPLES)
    same_areas = np.max(np.abs(areas - 1)) <= tol if areas_equal else np.ptp(areas) <= tol * abs(np.mean(areas))
    if first == 3 and same_areas:
        return "affine"
    if np.all(np.abs(new - old) <= tol * (np.abs(old) if unit else 1)) and first != 1:
        return "translation"
    sense = mirror or np.all(areas > 0)
    if sense and np.all(np.abs(np.abs(new) - np.abs(old)) <= tol * (np.abs(old) if unit else 1)):
        return "Euclidean"
    if sense and np.ptp(lengths) <= tol * np.mean(lengths):
        return "similarity"
    if same_areas:
        return "affine"
    a, b = cycles(before), cycles(after)
    return "projective" if all(abs(_cross(b[k]) / _cross(a[k]) - 1) <= tol for k in apexes) else "none"


@wrong("q5", says='everything else is called projective: no homography may fit, and then the answer is "none"')
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, apexes=())


@wrong("q5", says="one cross-ratio is not enough: five points keep 2 · 5 − 8 = 2 independent numbers")
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, apexes=(0,))


@wrong("q5", says="a mirror passes for a turn: it keeps all lengths, so look at the signs of the areas")
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, mirror=True)


@wrong(
    "q5", says="affine maps are expected to keep areas: they multiply all of them by one number, and keep their ratios"
)
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, areas_equal=True)


@wrong(
    "q5", says="only the lengths from each point to the next are compared: a chain of rods can be bent; take all pairs"
)
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, mirror=True, pairs=[(0, 1), (1, 2), (2, 3), (3, 4)])


@wrong("q5", says="differences in pixels are held to tol: it is a share, of the length that should be kept")
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, unit=False)


@wrong("q5", says="the argument tol is not used")
def name_group(before, after, tol=1e-6):
    return _name(before, after, 1e-6)


@wrong(
    "q5", says="the larger groups are asked first: what keeps lengths keeps ratios of areas too; begin at the smallest"
)
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, first=3)


@wrong("q5", says="a translation is called Euclidean: it is, but there is a smaller group that holds it")
def name_group(before, after, tol=1e-6):
    return _name(before, after, tol, first=1)


@right("q5")
def name_group(before, after, tol=1e-6):
    """Fit a map of each group, from the smallest on, and look at what is left."""
    z, w = complexes(before), complexes(after)
    limit = tol * np.abs(z - z.mean()).mean()
    z, w = z - z.mean(), w - w.mean()
    if np.abs(w - z).max() <= limit:
        return "translation"
    a = np.vdot(z, w) / np.vdot(z, z)
    limit *= max(1.0, abs(a))
    if np.abs(w - a * z).max() <= limit:
        return "Euclidean" if abs(abs(a) - 1) <= tol else "similarity"
    B = np.column_stack([z.real, z.imag])
    C = np.column_stack([w.real, w.imag])
    limit = tol * np.abs(w).mean()
    if np.abs(B @ np.linalg.lstsq(B, C, rcond=None)[0] - C).max() <= limit:
        return "affine"
    B, C, rows = B / np.abs(z).mean(), C / np.abs(w).mean(), []
    for (x, y), (u, v) in zip(B, C):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y, -u), (0, 0, 0, x, y, 1, -v * x, -v * y, -v)]
    H = np.linalg.svd(rows)[2][-1].reshape(3, 3)
    return "projective" if np.abs(carried(H, B) - C).max() <= 3 * tol else "none"
