"""Checks of exercise 13_single_view, the mistakes they know, and second solutions.

Oracles: points and lines are built from angles and distances; heights on a line from a fractional linear map; the
rest from cameras, whose horizon is the image of the floor's normal; least squares by SciPy's eigenvectors.
"""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg

from cvcourse.checks import expect, right, wrong

LATER = ("transforms", "warping", "alignment", "ransac", "cameras", "panoramas", "single_view", "calibration")
BORROWED = ("cvcourse.homogeneous", *(f"cvcourse.{name}" for name in LATER), "scipy", "skimage", "cv2", "PIL", "torch")
FORBIDDEN = {question: BORROWED for question in ("q1", "q2", "q3", "q4", "q5")}

# Sentences that a check says itself: a comparison of outputs can't tell these mistakes.
POINTS_CHANGED = "join overwrites its points: the caller still needs them as they were; write to a new array"
SEGMENTS_CHANGED = "vanishing_point overwrites its segments: −= changes the caller's array; write to a new one"
TOPS_CHANGED = "heights_on_line overwrites its tops: −= changes the caller's array; write to a new one"
CLICKS_CHANGED = "height_and_std leaves a moved coordinate in its arguments: move a copy, for each coordinate anew"


def quiet(function, *arguments):
    with np.errstate(all="ignore"):
        return function(*arguments)


def signed(answer, truth, lines=False):
    """Give lines, and points at infinity, the free sign that fits the truth's; leave other shapes alone."""
    if answer is None:
        return None
    try:
        rows = np.array(answer, dtype=float)
    except (TypeError, ValueError):
        return answer
    if rows.shape == np.shape(truth):
        for row, wanted in zip(rows.reshape(-1, 3), np.reshape(truth, (-1, 3))):
            if (lines or wanted[2] == 0) and quiet(np.dot, row, wanted) < 0:
                row *= -1.0
    return rows


def expect_signed(student, atlas, name, arguments, truth, what, lines=False, atol=1e-9):
    answer = signed(quiet(getattr(student, name), *arguments), truth, lines)
    looks = {says: signed(result, truth, lines) for says, result in quiet(atlas, name, *arguments).items()}
    expect(answer, truth, looks, atol=atol, what=what)


# ---------------------------------------------------------------------------------------------
# Question 1: points and lines


def multiples(rng, rows, small=True):
    """Multiply each row by a number of either sign; one of them by a tiny one."""
    factors = rng.uniform(0.5, 3, (len(rows), 1)) * rng.choice([-1, 1], (len(rows), 1))
    factors[1] *= 1e-13 if small else 1
    return rows * factors


def directions(rng, count):
    """Unit normals all around, far from the axes and from each other, and the directions along."""
    angles = np.pi * (np.arange(count) + rng.uniform(0.2, 0.4, count)) / count
    normal = np.column_stack([np.cos(angles), np.sin(angles)])
    return normal, normal[:, ::-1] * [-1, 1]


def on_lines(rng, count=5):
    """Lines of known normal and distance, and two points (x, y, 1) of each; the last line is upright."""
    normal, along = directions(rng, count)
    normal[-1], along[-1] = (1, 0), (0, 1)
    offset = rng.uniform(10, 60, (count, 1))
    first = rng.uniform(10, 60, (count, 1))
    p, q = (
        np.column_stack([normal * offset + s * along, np.ones(count)])
        for s in (first, first - rng.uniform(20, 50, first.shape))
    )
    p[-1, 0] = q[-1, 0] = offset[-1, 0]
    return np.column_stack([normal, -offset]), along, p, q


# Coordinates are below 200: cross products of them are right to about 1e-12, and lines to 1e-11.
@pytest.mark.q("q1", 1)
def test_join(student, atlas, rng):
    """Lines through two ordinary points, each given as some multiple."""
    lines, _, p, q = on_lines(rng)
    points = multiples(rng, p), multiples(rng, q)
    points[0][-1], points[1][-1] = 2 * p[-1], -q[-1] / 2  # exactly upright, whoever divides by w
    expect_signed(student, atlas, "join", points, lines, "join of two points", lines=True)
    student.join(*points)
    assert not student.changed, POINTS_CHANGED


@pytest.mark.q("q1", 1)
def test_join_with_infinity(student, atlas, rng):
    """Lines in a given direction, the line at infinity, and lines through nothing but far-away points."""
    lines, along, p, _ = on_lines(rng)
    ideal = np.column_stack([along, np.zeros(len(along))])
    ends = [multiples(rng, np.roll(ideal, k, axis=0)[:3], small=False) for k in (0, 1)]
    far = rng.uniform(1, 9, (2, 1, 3)) * [1, 1, 1e-13]
    far[0] *= [1, -1, 1]
    first = np.vstack([multiples(rng, p), ends[0], far[0]])
    second = np.vstack([multiples(rng, ideal), ends[1], far[1]])
    truth = np.vstack([lines, [(0, 0, 1)] * 4])
    expect_signed(student, atlas, "join", (first, second), truth, "join with points at infinity", lines=True)


@pytest.mark.q("q1", 1)
def test_meet(student, atlas, rng):
    """Lines of known angles through known points; some are level or upright."""
    points = rng.uniform(15, 120, (6, 2)) * rng.choice([-1, 1], (6, 2))
    normal, _ = directions(rng, 6)
    other = np.roll(normal, 2, axis=0)
    normal[4:], other[4] = [(1, 0), (0, 1)], (0, 1)
    lines = [np.column_stack([n, -np.sum(n * points, axis=1)]) for n in (normal, other)]
    truth = np.column_stack([points, np.ones(6)])
    arguments = multiples(rng, lines[0]), multiples(rng, lines[1])
    expect_signed(student, atlas, "meet", arguments, truth, "meet of two lines")


@pytest.mark.q("q1", 1)
def test_meet_at_infinity(student, atlas, rng):
    """Parallel lines, also where rounding hides it, and the line at infinity."""
    w = np.zeros(1)
    while not np.any(w):  # rounding makes something else of 0 for most multiples
        normal, along = directions(rng, 6)
        first, second = (
            multiples(rng, np.column_stack([normal, sign * rng.uniform(5, 60, 6)]), small=False) for sign in (1, -1)
        )
        w = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    ideal = np.array([(0, 0, 1.0), (0, 0, -2.5)])
    lines = np.vstack([first, first[:2], [(2, 0, -9)]]), np.vstack([second, ideal, [(0, -4, 7)]])
    truth = np.vstack([np.column_stack([np.vstack([along, along[:2]]), np.zeros(8)]), [(4.5, 1.75, 1)]])
    expect_signed(student, atlas, "meet", lines, truth, "meet of parallel lines")


@pytest.mark.q("q1", 1)
def test_there_and_back(student, atlas, rng):
    """The lines from a point to two others meet in it, wherever the three are."""
    p = np.column_stack([rng.uniform(5, 90, (5, 2)), np.ones(5)])
    p[3:, 2] = 0
    p[3:] /= np.linalg.norm(p[3:], axis=1, keepdims=True)
    q, r = (np.column_stack([rng.uniform(-90, -5, (5, 2)), np.ones(5)]) for _ in range(2))
    q[:, 0] *= -1
    q[1, 2] = r[2, 2] = 0
    points = [multiples(rng, some) for some in (p, q, r)]
    lines = [np.asarray(quiet(student.join, points[0], other)) for other in points[1:]]
    answer = quiet(student.meet, *lines)
    # Two lines meet at an angle that may be small, and errors grow with its inverse.
    expect(signed(answer, p), p, {}, atol=1e-6, what="meet(join(p, q), join(p, r)), which is p,")


def _line(lines, limit=1e-9, strict=False):
    length = np.hypot(lines[:, 0], lines[:, 1])
    infinite = length == 0 if strict else length <= limit * np.abs(lines[:, 2])
    return np.where(infinite[:, None], [0, 0, 1], lines / np.where(infinite, 1, length)[:, None])


def _cross(p, q, middle=1):
    (a, b, c), (d, e, f) = p.T, q.T
    return np.column_stack([b * f - c * e, middle * (c * d - a * f), a * e - b * d])


@wrong("q1", says="the lines are not scaled to a² + b² = 1: only then is a x + b y + c a distance in pixels")
def join(p, q):
    return _cross(p, q)


@wrong("q1", says="all three numbers are scaled to length 1: a line wants a² + b² = 1, whatever c is")
def join(p, q):
    lines = _cross(p, q)
    return lines / np.linalg.norm(lines, axis=1, keepdims=True)


@wrong("q1", says="the third coordinate is overwritten with 1: (x, y, w) stands for (x/w, y/w), and w = 0 for infinity")
def join(p, q):
    p, q = (np.column_stack([points[:, :2], np.ones(len(points))]) for points in (p, q))
    return _line(_cross(p, q))


@wrong("q1", says="the points are divided by w before they are joined: at infinity w is 0, and nothing needs dividing")
def join(p, q):
    return _line(_cross(p / p[:, 2:], q / q[:, 2:]))


@wrong("q1", says="the second number of the cross product has the wrong sign: it is z x′ − x z′, not x z′ − z x′")
def join(p, q):
    return _line(_cross(p, q, middle=-1))


@wrong("q1", says="through two points at infinity goes the line at infinity: there a = b = 0, and nothing to divide by")
def join(p, q):
    lines = _cross(p, q)
    return lines / np.hypot(lines[:, 0], lines[:, 1])[:, None]


@wrong("q1", says="only a = b = 0 exactly is taken for the line at infinity: compare a and b with c, as in Eq. (2)")
def join(p, q):
    return _line(_cross(p, q), strict=True)


@wrong("q1", says="(a, b) runs along the line: in a x + b y + c = 0 it stands at right angles to it")
def join(p, q):
    return _line(_cross(p, q)[:, [1, 0, 2]] * [1, -1, 1])


@wrong("q1", says="lines are made from y = m x + n: an upright line has no slope; the cross product needs no exception")
def join(p, q):
    p, q = p[:, :2] / p[:, 2:], q[:, :2] / q[:, 2:]
    m = (q[:, 1] - p[:, 1]) / (q[:, 0] - p[:, 0])
    return _line(np.column_stack([m, -np.ones(len(m)), p[:, 1] - m * p[:, 0]]))


@wrong("q1", says=POINTS_CHANGED)
def join(p, q):
    result = _line(_cross(p, q))
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    return result


@right("q1")
def join(p, q):
    """Each line as the null vector of its two points."""
    result = []
    for pair in zip(p, q):
        a, b, c = np.linalg.svd([point / np.linalg.norm(point) for point in pair])[2][2]
        length = math.hypot(a, b)
        result.append((a / length, b / length, c / length) if length > 1e-9 * abs(c) else (0.0, 0.0, 1.0))
    return result


def _point(points, limit=1e-9, share=True):
    length = np.hypot(points[:, 0], points[:, 1])
    finite = np.abs(points[:, 2]) > limit * (length if share else 1)
    result = points / np.where(finite, points[:, 2], length)[:, None]
    result[:, 2] = finite
    return result


@wrong("q1", says="w is not divided out: (x, y, w) is the pixel (x/w, y/w)")
def meet(lines, others):
    return _cross(lines, others)


@wrong(
    "q1", says="everything is divided by w, also where it is 0 or would be but for rounding: infinity has its own form"
)
def meet(lines, others):
    points = _cross(lines, others)
    return points / points[:, 2:]


@wrong("q1", says="only w == 0 is taken for infinity: rounding makes 1e-17 of it, and a pixel 1e17 away")
def meet(lines, others):
    return _point(_cross(lines, others), limit=0)


@wrong("q1", says="w is compared with a fixed number: small multiples of lines have a small w and meet all the same")
def meet(lines, others):
    return _point(_cross(lines, others), share=False)


@wrong("q1", says="a point at infinity does not have the length 1: divide it by √(x² + y²)")
def meet(lines, others):
    points = _cross(lines, others)
    result = _point(points)
    return np.where(result[:, 2:] == 0, points * [1, 1, 0], result)


@wrong("q1", says="points are scaled to length 1, all three numbers together: a finite one should end in 1")
def meet(lines, others):
    points = _cross(lines, others)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@wrong("q1", says="y has the wrong sign: the second number of a cross product is c a′ − a c′, not a c′ − c a′")
def meet(lines, others):
    return _point(_cross(lines, others, middle=-1))


@wrong("q1", says="the lines are scaled to a² + b² = 1 first: that divides by 0 for the line at infinity")
def meet(lines, others):
    return _point(_cross(*(some / np.hypot(some[:, 0], some[:, 1])[:, None] for some in (lines, others))))


@wrong("q1", says="the points are mirrored at the origin: in a x + b y + c = 0 the c is on the left")
def meet(lines, others):
    return _point(_cross(lines, others)) * [-1, -1, 1]


@right("q1")
def meet(lines, others):
    """By Cramer's rule, in plain Python."""
    result = []
    for (a, b, c), (d, e, f) in zip(lines.tolist(), others.tolist()):
        x, y, w = b * f - c * e, c * d - a * f, a * e - b * d
        length = math.hypot(x, y)
        result.append([x / w, y / w, 1.0] if abs(w) > 1e-9 * length else [x / length, y / length, 0.0])
    return np.array(result)


# ---------------------------------------------------------------------------------------------
# Question 2: a vanishing point


def standard(v):
    """The standard form of one point."""
    length = math.hypot(v[0], v[1])
    return np.array([v[0] / v[2], v[1] / v[2], 1]) if abs(v[2]) > 1e-9 * length else np.array([*v[:2], 0]) / length


def aiming(rng, v, count, lengths=(40, 160)):
    """Segments in a picture of 640 x 480 pixels that aim at a point, homogeneous."""
    start = rng.uniform([20, 20], [620, 460], (count, 2))
    toward = (v[:2] - v[2] * start) * rng.choice([-1, 1], (count, 1))
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    return np.stack([start, start + rng.uniform(*lengths, (count, 1)) * toward], axis=1)


def away(rng, distance):
    """A point at some distance from the middle of the picture."""
    angle = rng.uniform(0.3, 1.2) + rng.integers(4) * np.pi / 2
    return np.array([320 + distance * math.cos(angle), 240 + distance * math.sin(angle), 1])


def least_squares(segments):
    """Eq. (3), by the eigenvectors of SciPy; in the picture's pixels, homogeneous."""
    ends = segments.reshape(-1, 2)
    mean = ends.mean(axis=0)
    scale = math.sqrt(2) / np.hypot(*(ends - mean).T).mean()
    T = np.array([[scale, 0, -scale * mean[0]], [0, scale, -scale * mean[1]], [0, 0, 1]])
    A = np.zeros((3, 3))
    for p, q in segments:
        line = np.cross(T @ [*p, 1], T @ [*q, 1])
        A += np.outer(line, line)
    return np.linalg.solve(T, scipy.linalg.eigh(A, subset_by_index=(0, 0))[1][:, 0])


def expect_aim(student, atlas, segments, truth, what, atol):
    expect_signed(student, atlas, "vanishing_point", (segments,), np.asarray(truth), what, atol=atol)


# Points some thousand pixels away, from segments whose angles differ by some hundredths: rounding, about 1e-16 of the
# coordinates, grows by the inverse of the square of that.
NEAR = 1e-5


@pytest.mark.q("q2", 1)
def test_exact_segments(student, atlas, rng):
    """Two, three and eight segments that aim at one point exactly, inside the picture or far from it."""
    for count, distance in [(8, 150), (2, 900), (3, 2500)]:
        v = away(rng, distance * rng.uniform(0.8, 1.2))
        segments = aiming(rng, v, count)
        expect_aim(student, atlas, segments, v, f"vanishing_point of {count} exact segments", NEAR)


@pytest.mark.q("q2", 1)
def test_parallel_segments(student, atlas, rng):
    """Segments that are parallel in the picture aim at a direction."""
    for count in (2, 6):
        v = away(rng, 1.0) - [320, 240, 1]
        segments = aiming(rng, v, count)
        expect_aim(student, atlas, segments, v, f"vanishing_point of {count} parallel segments", 1e-9)


@pytest.mark.q("q2", 1)
def test_noisy_segments(student, atlas, rng):
    """The least squares solution for segments with noise."""
    for count in (4, 9):
        segments = aiming(rng, away(rng, rng.uniform(600, 1200)), count) + rng.normal(size=(count, 2, 2))
        truth = standard(least_squares(segments))
        expect_aim(student, atlas, segments, truth, f"vanishing_point of {count} noisy segments", NEAR)


@pytest.mark.q("q2", 1)
def test_short_and_long_segments(student, atlas, rng):
    """Long segments count more than short ones with the same noise."""
    v = away(rng, rng.uniform(500, 900))
    segments = np.vstack([aiming(rng, v, 5, (5, 15)), aiming(rng, v, 4, (150, 300))])
    segments = rng.permutation(segments + rng.normal(size=segments.shape))
    truth = standard(least_squares(segments))
    expect_aim(student, atlas, segments, truth, "vanishing_point of short and long segments", NEAR)


@pytest.mark.q("q2", 1)
def test_other_coordinates(student, atlas, rng):
    """Whoever turns, shifts and enlarges the picture moves the point along; the segments stay as they were."""
    segments = aiming(rng, away(rng, rng.uniform(600, 900)), 6) + rng.normal(size=(6, 2, 2))
    x, y, _ = standard(least_squares(segments))
    turn = rng.uniform(0.5, 3) * np.exp(1j * rng.uniform(0.5, 2.5))
    shift = rng.uniform(4000, 6000, 2)

    def moved(points):
        z = (points[..., 0] + 1j * points[..., 1]) * turn
        return np.stack([z.real, z.imag], axis=-1) + shift

    other = moved(segments)[:, ::-1]
    truth = np.append(moved(np.array([x, y])), 1)
    expect_aim(student, atlas, other, truth, "vanishing_point in a picture that was turned and shifted", 10 * NEAR)
    student.vanishing_point(other)
    assert not student.changed, SEGMENTS_CHANGED


@pytest.mark.q("q2", 1)
def test_nearly_parallel_segments(student, atlas, rng):
    """Nearly parallel segments with noise: the least squares point tens of thousands of pixels away."""
    for _ in range(2):
        segments = aiming(rng, away(rng, rng.uniform(3e4, 6e4)), 7) + 0.5 * rng.normal(size=(7, 2, 2))
        truth = standard(least_squares(segments))
        answer = signed(quiet(student.vanishing_point, segments), truth)
        looks = {says: signed(result, truth) for says, result in quiet(atlas, "vanishing_point", segments).items()}
        # The share of its size to which the point is known: 1e-15 over the squared angle between lines, some 1e-6.
        expect(
            answer, truth, looks, atol=1e-6 * np.abs(truth).max(), what="vanishing_point of nearly parallel segments"
        )


def _aim(segments, T=None, weight=None, back=-1, pick=lambda rows: rows[2], settle=standard, reduced=False):
    """Eq. (3); wrong versions change one thing each."""
    ends = segments.reshape(-1, 2)
    if T is None:
        mean = ends.mean(axis=0)
        T = _similarity(mean, math.sqrt(2) / np.hypot(*(ends - mean).T).mean())
    ends = np.column_stack([ends, np.ones(len(ends))]) @ T.T
    lines = np.cross(ends[::2], ends[1::2])
    if weight is not None:
        lines = lines / weight(lines)[:, None]
    v = pick(np.linalg.svd(lines, full_matrices=not reduced)[2])
    return settle(np.linalg.matrix_power(T, back) @ v if back else v)


def _similarity(mean, scale):
    return np.array([[scale, 0, -scale * mean[0]], [0, scale, -scale * mean[1]], [0, 0, 1]])


@wrong("q2", says="the ends are not normalised: in raw pixels the numbers of a line differ by factors of thousands")
def vanishing_point(segments):
    return _aim(segments, T=np.eye(3))


@wrong(
    "q2", says="lines in raw pixels, scaled to a² + b² = 1: normalise the ends first, and leave the lines as they are"
)
def vanishing_point(segments):
    return _aim(segments, T=np.eye(3), weight=lambda lines: np.hypot(lines[:, 0], lines[:, 1]))


@wrong("q2", says="the lines are scaled to a² + b² = 1: a short segment then counts as much as a long one")
def vanishing_point(segments):
    return _aim(segments, weight=lambda lines: np.hypot(lines[:, 0], lines[:, 1]))


@wrong(
    "q2", says="the lines are scaled to length 1, all three numbers: then the weight of a segment depends on its place"
)
def vanishing_point(segments):
    return _aim(segments, weight=lambda lines: np.linalg.norm(lines, axis=1))


@wrong("q2", says="the point is left in normalised coordinates: bring it back to pixels by the inverse of T")
def vanishing_point(segments):
    return _aim(segments, back=0)


@wrong("q2", says="T is applied to the result once more: back to pixels leads its inverse")
def vanishing_point(segments):
    return _aim(segments, back=1)


@wrong("q2", says="the point is moved as if it were a line, by T transposed: T⁻¹ brings points back")
def vanishing_point(segments):
    mean = segments.reshape(-1, 2).mean(axis=0)
    T = _similarity(mean, math.sqrt(2) / np.hypot(*(segments.reshape(-1, 2) - mean).T).mean())
    return standard(T.T @ _aim(segments, T=T, back=0, settle=lambda v: v))


@wrong("q2", says="this is the singular vector of the largest singular value: asked is the smallest sum of squares")
def vanishing_point(segments):
    return _aim(segments, pick=lambda rows: rows[0])


@wrong(
    "q2", says="a column of the third factor of np.linalg.svd is taken: it is already transposed, so take its last row"
)
def vanishing_point(segments):
    return _aim(segments, pick=lambda rows: rows[:, 2])


@wrong("q2", says="the reduced SVD of two lines has two rows only, and neither is the answer: ask for the full one")
def vanishing_point(segments):
    return _aim(segments, pick=lambda rows: rows[-1], reduced=True)


@wrong(
    "q2", says="the third number is set to 1 beforehand: parallel segments have none such, and the sum is another one"
)
def vanishing_point(segments):
    mean = segments.reshape(-1, 2).mean(axis=0)
    T = _similarity(mean, math.sqrt(2) / np.hypot(*(segments.reshape(-1, 2) - mean).T).mean())
    ends = np.column_stack([segments.reshape(-1, 2), np.ones(2 * len(segments))]) @ T.T
    lines = np.cross(ends[::2], ends[1::2])
    v = np.append(np.linalg.lstsq(lines[:, :2], -lines[:, 2], rcond=None)[0], 1)
    return standard(np.linalg.solve(T, v))


@wrong("q2", says="this is the mean of the points in which pairs of segments meet: nearly parallel pairs spoil it")
def vanishing_point(segments):
    ends = np.concatenate([segments, np.ones((len(segments), 2, 1))], axis=2)
    lines = np.cross(ends[:, 0], ends[:, 1])
    points = [np.cross(*pair) for pair in itertools.combinations(lines, 2)]
    return np.mean([point / point[2] for point in points], axis=0)


@wrong("q2", says="only two of the segments are used: all N know something about the point")
def vanishing_point(segments):
    return _aim(segments[:2])


@wrong("q2", says="the ends are moved to mean 0 but not scaled to mean distance √2")
def vanishing_point(segments):
    return _aim(segments, T=_similarity(segments.reshape(-1, 2).mean(axis=0), 1.0))


@wrong("q2", says="the ends are scaled by their root mean square distance: step 1 asks for the mean distance √2")
def vanishing_point(segments):
    ends = segments.reshape(-1, 2)
    mean = ends.mean(axis=0)
    return _aim(segments, T=_similarity(mean, math.sqrt(2 / np.mean(np.sum((ends - mean) ** 2, axis=1)))))


@wrong(
    "q2", says="w is divided out for parallel segments too: what rounding leaves of it is not a distance; see Eq. (2)"
)
def vanishing_point(segments):
    return _aim(segments, settle=lambda v: v / v[2])


@wrong(
    "q2", says="the least squares line through the ends is sought, not the point on the segments' lines: cross first"
)
def vanishing_point(segments):
    mean = segments.reshape(-1, 2).mean(axis=0)
    T = _similarity(mean, math.sqrt(2) / np.hypot(*(segments.reshape(-1, 2) - mean).T).mean())
    ends = np.column_stack([segments.reshape(-1, 2), np.ones(2 * len(segments))]) @ T.T
    return standard(np.linalg.solve(T, np.linalg.svd(ends)[2][2]))


@wrong("q2", says="x and y are exchanged: ends are (x, y), not (row, column)")
def vanishing_point(segments):
    return _aim(segments)[[1, 0, 2]]


@wrong("q2", says=SEGMENTS_CHANGED)
def vanishing_point(segments):
    result = _aim(segments)
    segments -= segments.mean(axis=(0, 1))
    return result


@right("q2")
def vanishing_point(segments):
    """By the eigenvectors of the 3 x 3 matrix, segment by segment."""
    return standard(least_squares(segments))


# ---------------------------------------------------------------------------------------------
# Question 3: heights on one upright line


class Upright:
    """The picture of an upright line: tau(Z) = alpha Z / (1 + beta Z) pixels from a foot, in a direction."""

    def __init__(self, rng, beta, lying=False):
        self.beta, self.alpha = beta, rng.uniform(30, 50) * (1 if beta >= 0 else -1)
        angle = 0.0 if lying else rng.uniform(-0.4, 0.4) + np.pi / 2 * rng.choice([-1, 1])
        self.u = np.array([math.cos(angle), 0.0 if lying else math.sin(angle)])
        self.foot = rng.uniform(100, 400, 2)
        v = [*(self.foot * beta + self.alpha * self.u), beta]
        self.vertical = np.array(v) * rng.uniform(0.5, 3) * rng.choice([-1, 1])

    def at(self, heights, beside=0.0):
        """Pixels of points of given height, moved to the side by some pixels."""
        heights = np.asarray(heights, dtype=float)
        tau = self.alpha * heights / (1 + self.beta * heights)
        return self.foot + tau[..., None] * self.u + np.multiply.outer(beside, self.u[::-1] * [-1, 1])


def slope(rng):
    return rng.uniform(0.06, 0.12)


# Heights are below 10, and places below some hundred pixels; rounding stays below 1e-11.
@pytest.mark.q("q3", 1)
def test_heights(student, atlas, rng):
    """Heights on a line whose vanishing point is above or below; the line may lie level in the picture."""
    for line in (Upright(rng, slope(rng)), Upright(rng, -slope(rng) / 2), Upright(rng, slope(rng), lying=True)):
        heights = rng.uniform(0.2, 6, 5)
        arguments = line.foot, line.at(1.0), line.at(heights), line.vertical
        looks = quiet(atlas, "heights_on_line", *arguments)
        expect(quiet(student.heights_on_line, *arguments), heights, looks, what="heights_on_line")


@pytest.mark.q("q3", 1)
def test_heights_at_infinity(student, atlas, rng):
    """Heights where the vanishing point is at infinity, and below the foot."""
    for line in (Upright(rng, 0.0), Upright(rng, slope(rng))):
        heights = np.append(rng.uniform(0.2, 6, 3), -rng.uniform(0.3, 2, 2))
        arguments = line.foot, line.at(1.0), line.at(heights), line.vertical
        looks = quiet(atlas, "heights_on_line", *arguments)
        what = "heights_on_line with the vanishing point at infinity, or below the foot"
        expect(quiet(student.heights_on_line, *arguments), heights, looks, what=what)


@pytest.mark.q("q3", 1)
def test_heights_beside_the_line(student, atlas, rng):
    """Clicks beside the line are measured by their place along it; the tops stay as they were."""
    line, heights = Upright(rng, slope(rng)), rng.uniform(0.5, 6, 4)
    tops = line.at(heights, rng.uniform(2, 5, 4) * rng.choice([-1, 1], 4))
    arguments = line.foot, line.at(1.0, rng.uniform(3, 5)), tops, line.vertical
    looks = quiet(atlas, "heights_on_line", *arguments)
    expect(quiet(student.heights_on_line, *arguments), heights, looks, what="heights_on_line of clicks beside the line")
    assert not student.changed, TOPS_CHANGED


@pytest.mark.q("q3", 1)
def test_places(student, atlas, rng):
    """Points of given height on a line whose vanishing point is above or below."""
    for line in (Upright(rng, slope(rng)), Upright(rng, -slope(rng) / 2)):
        heights = np.append(rng.uniform(0.2, 6, 4), -rng.uniform(0.3, 2))
        arguments = line.foot, line.at(1.0), heights, line.vertical
        looks = quiet(atlas, "place_on_line", *arguments)
        expect(quiet(student.place_on_line, *arguments), line.at(heights), looks, what="place_on_line")


@pytest.mark.q("q3", 1)
def test_places_of_whole_numbers(student, atlas, rng):
    """A ruler of whole numbers, also where the vanishing point is at infinity."""
    heights = np.arange(-2, 7)
    for line in (Upright(rng, 0.0), Upright(rng, slope(rng))):
        arguments = line.foot, line.at(1.0), heights, line.vertical
        looks = quiet(atlas, "place_on_line", *arguments)
        expect(quiet(student.place_on_line, *arguments), line.at(heights), looks, what="place_on_line of a ruler")


@pytest.mark.q("q3", 1)
def test_ruler_and_back(student, atlas, rng):
    """The places lie on the line to the vanishing point also if the mark is beside it, and have the right heights."""
    line, heights = Upright(rng, slope(rng)), rng.uniform(0.3, 6, 5)
    mark = line.at(1.0, rng.uniform(3, 5))
    arguments = line.foot, mark, heights, line.vertical
    looks = quiet(atlas, "place_on_line", *arguments)
    places = quiet(student.place_on_line, *arguments)
    expect(places, line.at(heights), looks, what="place_on_line for a mark beside the line")
    back = quiet(student.heights_on_line, line.foot, mark, np.asarray(places, dtype=float), line.vertical)
    expect(back, heights, {}, what="heights_on_line of the points of place_on_line")


def _tau(foot, mark, tops, vertical, u=None):
    """Eq. (4)'s places: of the mark, the tops, and the vanishing point times w."""
    toward = vertical[:2] - vertical[2] * foot
    u = toward / np.linalg.norm(toward) if u is None else u / np.linalg.norm(u)
    return (mark - foot) @ u, (tops - foot) @ u, toward @ u, vertical[2]


@wrong("q3", says="the ratio is upside down: this is mark over top, 1/Z")
def heights_on_line(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical)
    return r * (n - w * t) / (t * (n - w * r))


@wrong(
    "q3",
    says="this is a ratio of lengths in pixels: the picture keeps cross-ratios only, the vanishing point is needed",
)
def heights_on_line(foot, mark, tops, vertical):
    r, t, _, _ = _tau(foot, mark, tops, vertical)
    return t / r


@wrong("q3", says="the second fraction is upside down: τ(v) − τ(r) belongs on top, τ(v) − τ(t) below")
def heights_on_line(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical)
    return t * (n - w * t) / (r * (n - w * r))


@wrong("q3", says="the four points are taken in another order: this cross-ratio is 1 − Z")
def heights_on_line(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical)
    return n * (r - t) / (r * (n - w * t))


@wrong("q3", says="heights are counted from the mark: the foot has the height 0, and the mark 1")
def heights_on_line(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical)
    return n * (t - r) / (r * (n - w * t))


@wrong("q3", says="distances have lost their sign: below the foot heights are negative")
def heights_on_line(foot, mark, tops, vertical):
    return np.abs(heights_on_line_by_tau(foot, mark, tops, vertical))


@wrong(
    "q3",
    says="the vanishing point is divided by its w, which may be 0: keep the triple, and multiply both brackets by w",
)
def heights_on_line(foot, mark, tops, vertical):
    return heights_on_line_by_tau(foot, mark, tops, vertical / vertical[2])


@wrong("q3", says="(v_x, v_y) is taken for a pixel: the vanishing point is a triple of any size, its w counts")
def heights_on_line(foot, mark, tops, vertical):
    return heights_on_line_by_tau(foot, mark, tops, np.append(vertical[:2], 1))


@wrong("q3", says="only rows are compared: a line that lies level in the picture has but one")
def heights_on_line(foot, mark, tops, vertical):
    n, w = vertical[1] - vertical[2] * foot[1], vertical[2]
    r, t = mark[1] - foot[1], tops[:, 1] - foot[1]
    return t * (n - w * r) / (r * (n - w * t))


@wrong("q3", says="u leads from the foot to the mark: a click beside the line turns it; Eq. (4) wants it towards v")
def heights_on_line(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical, u=mark - foot)
    return t * (n - w * r) / (r * (n - w * t))


@wrong("q3", says="distances between clicks are taken, not places along the line: a click beside it seems farther away")
def heights_on_line(foot, mark, tops, vertical):
    _, t, n, w = _tau(foot, mark, tops, vertical)
    r, sign = np.linalg.norm(mark - foot), np.sign(_tau(foot, mark, tops, vertical)[0])
    t = np.sign(t) * np.linalg.norm(tops - foot, axis=1)
    return t * (n - w * sign * r) / (sign * r * (n - w * t))


@wrong("q3", says=TOPS_CHANGED)
def heights_on_line(foot, mark, tops, vertical):
    result = heights_on_line_by_tau(foot, mark, tops, vertical)
    tops -= foot
    return result


def heights_on_line_by_tau(foot, mark, tops, vertical):
    r, t, n, w = _tau(foot, mark, tops, vertical)
    return t * (n - w * r) / (r * (n - w * t))


@right("q3")
def heights_on_line(foot, mark, tops, vertical):
    """In 1 / tau, which is linear in 1 / Z: no vanishing point is ever divided by w."""
    result = []
    for top in tops:
        r, t, n, w = (float(part) for part in _tau(foot, mark, top, vertical))
        result.append((n / r - w) / (n / t - w))
    return result


def _place(foot, mark, heights, vertical, sign=1, u=None):
    toward, w = vertical[:2] - vertical[2] * foot, vertical[2]
    u = toward / np.linalg.norm(toward) if u is None else u / np.linalg.norm(u)
    r, n = (mark - foot) @ u, toward @ u
    return foot + (heights * r * n / (n - sign * w * r + sign * heights * w * r))[:, None] * u


@wrong("q3", says="the marks are set in equal steps of pixels: that is right only for a vanishing point at infinity")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, np.append(vertical[:2] - vertical[2] * foot, 0))


@wrong("q3", says="a sign is wrong on the way to τ(t): for Z → ∞ the point must come to the vanishing point")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, vertical, sign=-1)


@wrong("q3", says="this is the place of the height 1/Z: Eq. (4) was solved upside down")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, 1 / heights, vertical)


@wrong(
    "q3", says="v is divided by its w on the way to a pixel, and w may be 0: solve Eq. (4) with both brackets times w"
)
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, vertical / vertical[2])


@wrong("q3", says="the first two numbers of v are taken for its pixel: they must be seen together with w")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, np.append(vertical[:2], 1))


@wrong("q3", says="the places are cut to whole pixels: an array made like integer heights holds integers")
def place_on_line(foot, mark, heights, vertical):
    result = np.zeros_like(heights, shape=(len(heights), 2))
    result[...] = _place(foot, mark, heights, vertical)
    return result


@wrong("q3", says="the foot is not added: τ counts from it")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, vertical) - foot


@wrong("q3", says="the places are given as (row, column): pixels are (x, y)")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, vertical)[:, ::-1]


@wrong("q3", says="the ruler leads through the mark, which was clicked beside the line: it must lead to v")
def place_on_line(foot, mark, heights, vertical):
    return _place(foot, mark, heights, vertical, u=mark - foot)


@right("q3")
def place_on_line(foot, mark, heights, vertical):
    """The point b + Z lambda v of homogeneous points: lambda from the mark."""
    toward = vertical[:2] - vertical[2] * foot
    length = np.linalg.norm(toward)
    r = (mark - foot) @ toward / length
    factor = r / (length - vertical[2] * r)
    points = np.append(foot, 1) + np.outer(heights, factor * vertical)
    return points[:, :2] / points[:, 2:]


# ---------------------------------------------------------------------------------------------
# Question 4: the horizon


class View:
    """A camera above a floor z = 0, z up, turned to the side, tilted down by `pitch`, held askew by `roll`."""

    def __init__(self, rng, level=False):
        yaw, pitch = rng.uniform(-0.5, 0.5), 0.0 if level else rng.uniform(0.15, 0.3)
        roll = rng.uniform(0.05, 0.12) * rng.choice([-1, 1])
        self.forward = np.array([math.sin(yaw), math.cos(yaw), 0])
        self.side = np.array([math.cos(yaw), -math.sin(yaw), 0])
        z = np.cos(pitch) * self.forward - [0, 0, math.sin(pitch)]
        down = np.cross(z, self.side)
        x = math.cos(roll) * self.side + math.sin(roll) * down
        self.K = np.array(
            [[rng.uniform(350, 450), 0, rng.uniform(300, 340)], [0, 400, rng.uniform(220, 260)], [0, 0, 1]]
        )
        self.R = np.array([x, np.cross(z, x), z])
        self.c = np.append(rng.uniform(-2, 2, 2), rng.uniform(1.4, 1.9))
        self.rng = rng

    def pixels(self, X):
        uvw = (np.asarray(X) - self.c) @ self.R.T @ self.K.T
        return uvw[..., :2] / uvw[..., 2:]

    def aim(self, d):
        """The vanishing point of a direction, some multiple."""
        v = self.K @ self.R @ d
        return v * self.rng.uniform(0.5, 2) / np.linalg.norm(v) * 500 * self.rng.choice([-1, 1])

    def aims(self):
        """Vanishing points of two directions of the floor, and of the vertical."""
        a, b = self.rng.uniform(0.5, 0.9, 2) * [1, -1]
        level = [math.cos(turn) * self.forward + math.sin(turn) * self.side for turn in (a, b)]
        v = np.array([self.aim(d) for d in (*level, (0, 0, 1.0))])
        return v[[1, 0, 2]] if self.rng.uniform() < 0.5 else v

    def line(self):
        """The horizon as the image of a normal: l ~ K^-T n; positive below."""
        line = np.linalg.solve(self.K.T, self.R @ [0, 0, 1])
        return line * np.sign(line[1]) / np.hypot(line[0], line[1])

    def upright(self, height=None, beside=0.0):
        """Foot and top of something on the floor, its top clicked beside the line, and its height in metres."""
        height = self.rng.uniform(0.5, 2.5) if height is None else height
        foot = self.c * [1, 1, 0] + self.rng.uniform(2.5, 6) * self.forward + self.rng.uniform(-1.5, 1.5) * self.side
        ends = self.pixels([foot, foot + height * np.array([0, 0, 1])])
        u = ends[1] - ends[0]
        ends[1] += beside * u[::-1] * [-1, 1] / np.linalg.norm(u)
        return ends, height

    def family(self, d, count, noise=0.0):
        """Images of segments of one metre in a direction."""
        start = self.c * [1, 1, 0] + self.rng.uniform(2.5, 6, (count, 1)) * self.forward
        start = (
            start + self.rng.uniform(-1.5, 1.5, (count, 1)) * self.side + self.rng.uniform(0, 1, (count, 1)) * [0, 0, 1]
        )
        return self.pixels(np.stack([start, start + d], axis=1)) + noise * self.rng.normal(size=(count, 2, 2))

    def families(self, counts, noise=0.0):
        """Two families on the floor at right angles, not along the view, and one upright."""
        turn = self.rng.uniform(0.5, 1.0)
        first = math.cos(turn) * self.forward + math.sin(turn) * self.side
        second = math.cos(turn) * self.side - math.sin(turn) * self.forward
        return [self.family(d, n, noise) for d, n in zip((first, second, np.array([0, 0, 1.0])), counts)]


def expect_quiet(student, atlas, name, arguments, truth, what, atol=1e-8):
    # Pixels below 1e4, heights below 5: rounding stays below 1e-10.
    expect(quiet(getattr(student, name), *arguments), truth, quiet(atlas, name, *arguments), atol=atol, what=what)


@pytest.mark.q("q4", 1)
def test_horizon(student, atlas, rng):
    """The horizon of a camera that looks down and is held askew, whichever direction comes first."""
    view = View(rng)
    aims = view.aims()
    for order in ([0, 1, 2], [1, 0, 2]):
        # Vanishing points are up to some thousand pixels away, on both sides.
        expect_quiet(student, atlas, "horizon", (aims[order],), view.line(), "the horizon")


@pytest.mark.q("q4", 1)
def test_horizon_with_infinity(student, atlas, rng):
    """The horizon where one of the directions is parallel to the image, and where the verticals are."""
    for level in (False, True):
        view = View(rng, level)
        aims = view.aims()
        aims[rng.integers(2)] = view.aim(view.side) if level else [*view.aim(view.side)[:2], 0]
        expect_quiet(student, atlas, "horizon", (aims,), view.line(), "the horizon, one vanishing point at infinity")


@pytest.mark.q("q4", 1)
def test_eye_heights(student, atlas, rng):
    """Things on the floor, higher and lower than the eye, for a camera that looks down."""
    view = View(rng)
    for height in (rng.uniform(0.4, 1.2), rng.uniform(2.0, 2.6)):
        ends, height = view.upright(height)
        arguments = ends, view.aim((0, 0, 1.0)), view.line() * rng.uniform(0.5, 2)
        expect_quiet(student, atlas, "in_eye_heights", arguments, height / view.c[2], "in_eye_heights")


@pytest.mark.q("q4", 1)
def test_eye_heights_level(student, atlas, rng):
    """The same for a camera that looks level: its verticals are parallel; a horizon of either sign."""
    view = View(rng, level=True)
    for sign in (1, -1):
        ends, height = view.upright()
        arguments = ends, view.aim((0, 0, 1.0)), sign * view.line()
        expect_quiet(student, atlas, "in_eye_heights", arguments, height / view.c[2], "in_eye_heights, camera level")


@pytest.mark.q("q4", 1)
def test_eye_heights_beside(student, atlas, rng):
    """A top that was clicked beside the upright line."""
    view = View(rng)
    vertical = view.aim((0, 0, 1.0))
    for side in (-1, 1):
        ends, height = view.upright(beside=side * rng.uniform(3, 6))
        arguments = ends, vertical, view.line()
        expect_quiet(student, atlas, "in_eye_heights", arguments, height / view.c[2], "in_eye_heights beside the line")


@pytest.mark.q("q4", 1)
def test_reference(student, atlas, rng):
    """Two things, near and far, for a camera that looks down."""
    view = View(rng)
    (ends, height), (other, unit) = view.upright(), view.upright(rng.uniform(0.6, 1.2))
    arguments = ends, other, view.aim((0, 0, 1.0)), view.line() * rng.uniform(0.5, 2)
    expect_quiet(student, atlas, "height_by_reference", arguments, height / unit, "height_by_reference")


@pytest.mark.q("q4", 1)
def test_reference_level(student, atlas, rng):
    """Two things for a camera that looks level, their tops clicked beside the line."""
    view = View(rng, level=True)
    (ends, height), (other, unit) = view.upright(beside=4.0), view.upright(rng.uniform(0.6, 1.2), beside=-3.0)
    arguments = ends, other, view.aim((0, 0, 1.0)), -view.line()
    expect_quiet(student, atlas, "height_by_reference", arguments, height / unit, "height_by_reference, camera level")


def _horizon(v1, v2, unit=2):
    line = np.cross(v1, v2)
    return line / np.linalg.norm(line[:unit]) * np.sign(line[1])


@wrong(
    "q4", says="the horizon has the other sign: v₁ × v₂ = −v₂ × v₁, so look at b; below is positive, and y points down"
)
def horizon(vanishing):
    return -_horizon(vanishing[0], vanishing[1])


@wrong("q4", says="the horizon leads through the first and the vertical vanishing point: it needs the two of the floor")
def horizon(vanishing):
    return _horizon(vanishing[0], vanishing[2])


@wrong(
    "q4", says="the horizon leads through the second and the vertical vanishing point: it needs the two of the floor"
)
def horizon(vanishing):
    return _horizon(vanishing[1], vanishing[2])


@wrong(
    "q4", says="the horizon is taken for level, between the rows of both points: a camera held askew shows it tilted"
)
def horizon(vanishing):
    return np.array([0, 1, -np.mean(vanishing[:2, 1] / vanishing[:2, 2])])


@wrong("q4", says="the horizon is not scaled to a² + b² = 1: a x + b y + c would be no distance")
def horizon(vanishing):
    line = np.cross(vanishing[0], vanishing[1])
    return line * np.sign(line[1])


@wrong("q4", says="all three numbers of the horizon are scaled to length 1: its (a, b) should have it")
def horizon(vanishing):
    return _horizon(vanishing[0], vanishing[1], unit=3)


@wrong("q4", says="the third number of a vanishing point is overwritten with 1: (x, y, w) is the pixel (x/w, y/w)")
def horizon(vanishing):
    return _horizon([*vanishing[0, :2], 1], [*vanishing[1, :2], 1])


@wrong(
    "q4",
    says="the vanishing points are divided by w: one of them may be at infinity, and the cross product does not mind",
)
def horizon(vanishing):
    return _horizon(vanishing[0] / vanishing[0, 2], vanishing[1] / vanishing[1, 2])


@wrong("q4", says="columns are taken for vanishing points: they are the rows of the array")
def horizon(vanishing):
    return _horizon(vanishing[:, 0], vanishing[:, 1])


@right("q4")
def horizon(vanishing):
    """The line that annihilates both points, by an SVD; its sign by a pixel far below."""
    points = vanishing[:2] / np.linalg.norm(vanishing[:2], axis=1, keepdims=True)
    a, b, c = np.linalg.svd(points)[2][2]
    length = math.copysign(math.hypot(a, b), b)
    return [a / length, b / length, c / length]


def _eye(upright, vertical, line, through=None, upward=None):
    """Eqs. (4) and (5)."""
    foot, top = upright
    x, y, w = np.cross(np.cross([*foot, 1], vertical if upward is None else upward), line)
    mark = np.array([x / w, y / w])
    return heights_on_line_by_tau(foot, mark, top[None], vertical if through is None else through)[0]


@wrong("q4", says="the ratio is upside down: this is the eye height in units of the object")
def in_eye_heights(upright, vertical, line):
    return 1 / _eye(upright, vertical, line)


@wrong("q4", says="pixels up to the top are divided by pixels up to the horizon: Eq. (4) needs the vanishing point too")
def in_eye_heights(upright, vertical, line):
    return _eye(upright, vertical, line, through=np.append(vertical[:2] - vertical[2] * upright[0], 0))


@wrong(
    "q4",
    says="the mark is put straight above the foot in the picture: it is on the line to the vertical vanishing point",
)
def in_eye_heights(upright, vertical, line):
    return _eye(upright, vertical, line, upward=np.array([0, 1, 0]))


@wrong("q4", says="the mark is put on the line from foot to top: a click beside it moves the mark; Eq. (5) aims at v")
def in_eye_heights(upright, vertical, line):
    return _eye(upright, vertical, line, upward=np.array([*upright[1], 1]))


@wrong("q4", says="foot and top are exchanged: the foot comes first")
def in_eye_heights(upright, vertical, line):
    return _eye(upright[::-1], vertical, line)


@wrong("q4", says="this is the height above the eye: a top on the horizon has 1, not 0")
def in_eye_heights(upright, vertical, line):
    return _eye(upright, vertical, line) - 1


@wrong("q4", says="the vertical vanishing point is divided by its w, which is 0 for a camera that looks level")
def in_eye_heights(upright, vertical, line):
    return _eye(upright, vertical / vertical[2], line)


@wrong("q4", says="the vertical vanishing point is used without its w: a triple of any size stands for one point")
def in_eye_heights(upright, vertical, line):
    return _eye(upright, np.append(vertical[:2], 1), line)


@wrong("q4", says="the height has lost a sign on the way: what stands on the floor is not below it")
def in_eye_heights(upright, vertical, line):
    return -_eye(upright, vertical, line)


@right("q4")
def in_eye_heights(upright, vertical, line):
    """By distances from the horizon: tau(t) over tau(v) - tau(t), and the same for the mark."""
    (x, y), (u, v) = upright.tolist()
    a, b, c = line.tolist()
    p, q, w = vertical.tolist()
    dx, dy = p - w * x, q - w * y
    n = math.hypot(dx, dy)
    t = ((u - x) * dx + (v - y) * dy) / n
    r = -(a * x + b * y + c) * n / (a * dx + b * dy)
    return t * (n - w * r) / (r * (n - w * t))


def _ratio(upright, reference, vertical, line):
    return _eye(upright, vertical, line) / _eye(reference, vertical, line)


@wrong("q4", says="the ratio of the heights is upside down: the object belongs on top, the reference below")
def height_by_reference(upright, reference, vertical, line):
    return 1 / _ratio(upright, reference, vertical, line)


@wrong("q4", says="lengths in pixels are compared: the nearer thing looks taller")
def height_by_reference(upright, reference, vertical, line):
    return np.linalg.norm(upright[1] - upright[0]) / np.linalg.norm(reference[1] - reference[0])


@wrong("q4", says="the two heights are multiplied: their ratio is asked for, in which the eye height cancels")
def height_by_reference(upright, reference, vertical, line):
    return _eye(upright, vertical, line) * _eye(reference, vertical, line)


@wrong("q4", says="this is in eye heights still: divide by the reference's")
def height_by_reference(upright, reference, vertical, line):
    return _eye(upright, vertical, line)


@wrong("q4", says="the top of the reference is taken for a mark on the object's own line: it stands elsewhere")
def height_by_reference(upright, reference, vertical, line):
    return heights_on_line_by_tau(upright[0], reference[1], upright[1:], vertical)[0]


@wrong("q4", says="the foot of the reference is used for the object too: each foot has a mark of its own")
def height_by_reference(upright, reference, vertical, line):
    moved = upright - upright[0] + reference[0]
    return _ratio(moved, reference, vertical, line)


@wrong("q4", says="the difference of the heights is taken: in units of the reference it is a ratio")
def height_by_reference(upright, reference, vertical, line):
    return _eye(upright, vertical, line) - _eye(reference, vertical, line)


@right("q4")
def height_by_reference(upright, reference, vertical, line):
    """By Eq. (13.11) of the lecture, from tops that were moved onto their lines."""
    heights = []
    for foot, top in (upright, reference):
        toward = vertical[:2] - vertical[2] * foot
        top = foot + (top - foot) @ toward / (toward @ toward) * toward
        b, t = np.append(foot, 1), np.append(top, 1)
        up = np.cross(b, vertical)
        heights.append(np.cross(b, t) @ up / (np.cross(vertical, t) @ up) / (line @ b))
    return heights[0] / heights[1]


# ---------------------------------------------------------------------------------------------
# Question 5: how sure


def height_of(clicks, families, aim=least_squares, order=(0, 1, 2)):
    """The whole measurement."""
    v = [aim(families[k]) for k in order]
    return _ratio(clicks[0], clicks[1], v[2], np.cross(v[0], v[1]))


def central(function, data, k, place, step):
    """A derivative by central differences of fourth order."""
    values = []
    for s in (step, -step, 2 * step, -2 * step):
        moved = [part.copy() for part in data]
        moved[k][place] += s
        values.append(function(moved[0], moved[1:]))
    return (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)


CACHE = {}


def gradient(clicks, families, difference="central"):
    """Derivatives of the height by the clicks, (2, 2, 2), and by each family's ends; kept, as many versions ask."""
    key = (difference, clicks.tobytes(), *(family.tobytes() for family in families))
    if key not in CACHE:
        CACHE.clear() if len(CACHE) > 50 else None
        data = [np.array(part, dtype=float) for part in (clicks, *families)]
        now, parts = height_of(data[0], data[1:]), []
        for k, part in enumerate(data):
            parts.append(np.zeros(part.shape))
            for place in np.ndindex(part.shape):
                if difference == "central":
                    parts[k][place] = central(height_of, data, k, place, 0.02)
                else:
                    moved = [other.copy() for other in data]
                    moved[k][place] += difference
                    parts[k][place] = (height_of(moved[0], moved[1:]) - now) / difference
        CACHE[key] = parts
    return CACHE[key]


def variance(clicks, families, sigma, sigma_lines, difference="central"):
    parts = gradient(clicks, families, difference)
    squares = [np.sum(part**2) for part in parts]
    return sigma**2 * squares[0] + sigma_lines**2 * sum(squares[1:])


def situation(rng, counts=(3, 2, 3), noise=0.0):
    """A camera that looks down, clicks on two things, three families; and the true ratio of heights."""
    view = View(rng)
    (ends, height), (other, unit) = view.upright(rng.uniform(1.4, 2.2)), view.upright(rng.uniform(0.8, 1.2))
    return np.stack([ends, other]), view.families(counts, noise), height / unit


def expect_both(student, atlas, arguments, truth):
    """Compare height and standard deviation: the second to a part in a thousand, as the task says."""
    answer = quiet(student.height_and_std, *arguments)
    assert answer is not None, "height_and_std gave None: does it end with a return?"
    pair = isinstance(answer, tuple | list | np.ndarray) and np.shape(answer) == (2,)
    assert pair, "height_and_std should return two numbers: height and standard deviation"
    looks = quiet(atlas, "height_and_std", *arguments)
    heights = {says: result[0] for says, result in looks.items()}
    expect(answer[0], truth[0], heights, atol=1e-7, what="the height of height_and_std")
    stds = {says: result[1] for says, result in looks.items()}
    expect(answer[1], truth[1], stds, atol=1e-3 * truth[1], what="the standard deviation")


@pytest.mark.q("q5", 1)
def test_measure(student, atlas, rng):
    """Exact clicks and segments give the true height, with families of two to five segments."""
    for counts in ((2, 3, 4), (5, 2, 3)):
        clicks, families, truth = situation(rng, counts)
        # The vanishing points are right to 1e-6 px or better, see above; the height hardly depends on them.
        expect_quiet(student, atlas, "measure", (clicks, families), truth, "measure with exact segments", atol=1e-7)


@pytest.mark.q("q5", 1)
def test_measure_noisy(student, atlas, rng):
    """Noisy segments: the height that follows from the least squares of Question 2."""
    clicks, families, _ = situation(rng, (4, 5, 4), noise=0.5)
    truth = height_of(clicks, families)
    expect_quiet(student, atlas, "measure", (clicks, families), truth, "measure with noisy segments", atol=1e-7)


def steady(rng, counts, sigma, sigma_lines):
    """Arguments for height_and_std, and what it should give, where the height is known to a fifth.

    Where it is known worse, derivatives change within the step by which they are taken.
    """
    while True:
        clicks, families, height = situation(rng, counts)
        arguments = clicks, families, sigma, sigma_lines
        std = math.sqrt(variance(*arguments))
        if std < height / 5:
            return arguments, (height, std)


@pytest.mark.q("q5", 1)
def test_std_of_clicks(student, atlas, rng):
    """The standard deviation that noisy clicks cause; nothing is left moved."""
    expect_both(student, atlas, *steady(rng, (3, 2, 3), rng.uniform(0.5, 0.8), 0.0))
    assert not student.changed, CLICKS_CHANGED


@pytest.mark.q("q5", 1)
def test_std_of_segments(student, atlas, rng):
    """The standard deviation that noisy segments cause."""
    expect_both(student, atlas, *steady(rng, (3, 2, 3), 0.0, rng.uniform(0.3, 0.6)))


@pytest.mark.q("q5", 1)
def test_std_of_both(student, atlas, rng):
    """Clicks and segments, each with its own noise; variances add up."""
    expect_both(student, atlas, *steady(rng, (2, 4, 2), rng.uniform(1.2, 1.6), rng.uniform(0.3, 0.6)))


@pytest.mark.q("q5", 1)
def test_coverage(student, atlas, rng):
    """The share of bands that hold the truth, which a known number of them do."""
    for inside in (31, 17):
        stds = rng.uniform(0.02, 0.3, 40)
        truth = rng.uniform(1.2, 2.0)
        off = np.concatenate([rng.uniform(0, 1.9, inside), rng.uniform(2.0, 3.5, 40 - inside)])
        heights = truth + off * stds * rng.choice([-1, 1], 40, p=[0.7, 0.3])
        order = rng.permutation(40)
        arguments = heights[order], stds[order], float(truth)
        expect_quiet(student, atlas, "coverage", arguments, inside / 40, "coverage")


@wrong("q5", says="the height is upside down: clicks hold the object first, then the reference")
def measure(clicks, families):
    return 1 / height_of(clicks, families)


@wrong("q5", says="the vertical family is expected first: it is the last of the three")
def measure(clicks, families):
    return height_of(clicks, families, order=(1, 2, 0))


@wrong(
    "q5",
    says="the horizon leads through the vertical vanishing point, and one of the floor is taken for the vertical one",
)
def measure(clicks, families):
    return height_of(clicks, families, order=(0, 2, 1))


@wrong("q5", says="only two segments of each family are used: the others would make the vanishing points better")
def measure(clicks, families):
    return height_of(clicks, [family[:2] for family in families])


@wrong("q5", says="the clicks' lengths in pixels are compared: nothing is done with the segments")
def measure(clicks, families):
    object_, reference = np.linalg.norm(clicks[:, 1] - clicks[:, 0], axis=1)
    return object_ / reference


@wrong("q5", says="the vanishing points are fitted in raw pixels: Question 2 normalises the ends first")
def measure(clicks, families):
    return height_of(clicks, families, aim=lambda family: _aim(family, T=np.eye(3)))


@wrong("q5", says="the height is in eye heights: it should be in units of the reference")
def measure(clicks, families):
    v = [least_squares(family) for family in families]
    return _eye(clicks[0], v[2], np.cross(v[0], v[1]))


@right("q5")
def measure(clicks, families):
    """By the right versions above, with points in standard form."""
    v = np.array([standard(least_squares(family)) for family in families])
    line = _horizon(v[0], v[1])
    return _eye(clicks[0], v[2], line) / _eye(clicks[1], v[2], line)


@wrong("q5", says="this is the variance, in squared units: the standard deviation is its square root")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), variance(clicks, families, sigma, sigma_lines)


@wrong("q5", says="the sizes of all parts are added up: independent errors cancel in part, so their squares are added")
def height_and_std(clicks, families, sigma, sigma_lines):
    parts = [np.abs(part).sum() for part in gradient(clicks, families)]
    return height_of(clicks, families), sigma * parts[0] + sigma_lines * sum(parts[1:])


@wrong("q5", says="the derivatives are added up before they are squared: each is squared for itself")
def height_and_std(clicks, families, sigma, sigma_lines):
    parts = [part.sum() for part in gradient(clicks, families)]
    return height_of(clicks, families), abs(sigma * parts[0] + sigma_lines * sum(parts[1:]))


@wrong("q5", says="the errors of the segments are left out: they move the vanishing points, and so the height")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, 0))


@wrong("q5", says="only the object's clicks are counted: those of the reference have errors too")
def height_and_std(clicks, families, sigma, sigma_lines):
    without = sigma**2 * np.sum(gradient(clicks, families)[0][1] ** 2)
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma_lines) - without)


@wrong("q5", says="σ is not squared under the root: the variance of an error is σ²")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma**0.5, sigma_lines**0.5))


@wrong("q5", says="this is half the width of the 95 % band, 1.96 times too large: the standard deviation is asked for")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), 1.96 * math.sqrt(variance(clicks, families, sigma, sigma_lines))


@wrong("q5", says="the difference is divided by the step, but the coordinate was moved both ways: by twice the step")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), 2 * math.sqrt(variance(clicks, families, sigma, sigma_lines))


@wrong("q5", says="the squares are averaged over the coordinates: each adds its own share, so sum them")
def height_and_std(clicks, families, sigma, sigma_lines):
    count = sum(np.size(part) for part in (clicks, *families))
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma_lines) / count)


@wrong("q5", says="the clicks' σ is used for the segments too: they have their own, sigma_lines")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma))


@wrong(
    "q5",
    says="a coordinate is moved by a whole pixel to one side: the height bends on the way; move less, and both ways",
)
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma_lines, difference=1.0))


@wrong("q5", says="the step is so small that the difference drowns in rounding: 1e-13 of a pixel is no move at all")
def height_and_std(clicks, families, sigma, sigma_lines):
    return height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma_lines, difference=1e-13))


@wrong("q5", says="only the y coordinates are moved: each end and each click has errors in x as well")
def height_and_std(clicks, families, sigma, sigma_lines):
    squares = [np.sum(part[..., 1] ** 2) for part in gradient(clicks, families)]
    return height_of(clicks, families), math.sqrt(sigma**2 * squares[0] + sigma_lines**2 * sum(squares[1:]))


@wrong("q5", says=CLICKS_CHANGED)
def height_and_std(clicks, families, sigma, sigma_lines):
    result = height_of(clicks, families), math.sqrt(variance(clicks, families, sigma, sigma_lines))
    clicks[0, 0, 0] += 1e-3
    return result


@right("q5")
def height_and_std(clicks, families, sigma, sigma_lines):
    """One-sided differences with a tiny step, as a product of matrices: J diag(sigma^2) J^T."""
    data = [clicks, *families]
    J, sigmas = [], []
    for k, part in enumerate(data):
        for place in range(part.size):
            moved = [other.copy() for other in data]
            moved[k].flat[place] += 1e-5
            J.append((height_of(moved[0], moved[1:]) - height_of(clicks, families)) / 1e-5)
            sigmas.append(sigma_lines if k else sigma)
    J = np.array([J])
    return [height_of(clicks, families), (J @ np.diag(np.square(sigmas)) @ J.T)[0, 0] ** 0.5]


@wrong("q5", says="the band is ± 1 σ here: that of 95 % reaches 1.96 σ to both sides")
def coverage(heights, stds, truth):
    return np.mean(np.abs(heights - truth) <= stds)


@wrong("q5", says="only one end of the band is looked at: the truth may also lie below h − 1.96 σ")
def coverage(heights, stds, truth):
    return np.mean(truth <= heights + 1.96 * stds)


@wrong("q5", says="stds are squared: they are standard deviations already, in the unit of the heights")
def coverage(heights, stds, truth):
    return np.mean(np.abs(heights - truth) <= 1.96 * stds**2)


@wrong("q5", says="this is in per cent: a share is between 0 and 1")
def coverage(heights, stds, truth):
    return 100 * np.mean(np.abs(heights - truth) <= 1.96 * stds)


@wrong("q5", says="this is the share of bands that miss the truth")
def coverage(heights, stds, truth):
    return np.mean(np.abs(heights - truth) > 1.96 * stds)


@wrong("q5", says="the bands are held against the mean of the heights: the truth is given, and the mean may be off")
def coverage(heights, stds, truth):
    return np.mean(np.abs(heights - np.mean(heights)) <= 1.96 * stds)


@wrong("q5", says="all bands are taken for equally wide: each measurement has its own standard deviation")
def coverage(heights, stds, truth):
    return np.mean(np.abs(heights - truth) <= 1.96 * np.mean(stds))


@wrong("q5", says="the bands that hold are counted: the share is that number over N")
def coverage(heights, stds, truth):
    return np.sum(np.abs(heights - truth) <= 1.96 * stds)


@right("q5")
def coverage(heights, stds, truth):
    """Counting one by one."""
    held = sum(h - 1.96 * s <= truth <= h + 1.96 * s for h, s in zip(heights.tolist(), stds.tolist()))
    return held / len(heights)
