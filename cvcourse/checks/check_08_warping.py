"""Checks of exercise 08_warping, the mistakes they know, and second solutions.

Oracles: ``numpy.linalg.solve`` for the way back, ``scipy.ndimage`` for blur and interpolation, tents
summed over all pixels for the splat, every single pixel mapped for the frame, and complex steps for
derivatives.
"""

import numpy as np
import pytest
from scipy import ndimage

from cvcourse.checks import StudentError, expect, right, wrong

LIBRARIES = ("scipy", "skimage", "cv2", "PIL", "torch")
COURSE = tuple(
    f"cvcourse.{module}"
    for module in (
        "warping",
        "transforms",
        "homogeneous",
        "sampling",
        "alignment",
        "edges",
        "corners",
        "blobs",
        "descriptors",
    )
)
FORBIDDEN = {
    **{question: (*LIBRARIES, *COURSE, "cvcourse.filtering") for question in ("q1", "q2", "q3", "q4")},
    "q5": (*LIBRARIES, *COURSE),
}
EPSILON = 1e-6  # pixels, as the exercise says


# ---------------------------------------------------------------------------------------------
# Transforms, and reading the answers


def shift(x, y):
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def random_map(rng, source, target, zoom=1.0, bend=0.0):
    """Carry the middle of one shape to that of another, turned, sheared, scaled, and bent by a share of w."""
    angle = rng.choice([-1, 1]) * rng.uniform(0.3, 0.6)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shear = np.array([[1.2, rng.uniform(0.1, 0.3), 0], [0, 0.85, 0], [0, 0, 1]])
    lean = np.eye(3)
    lean[2, :2] = bend * rng.uniform(0.7, 1) / max(source), -bend * rng.uniform(0.7, 1) / max(source)
    here, there = ((np.array(shape[::-1]) - 1) / 2 + rng.uniform(-0.5, 0.5, 2) for shape in (source, target))
    return shift(*there) @ np.diag([zoom, zoom, 1]) @ turn @ shear @ lean @ shift(*-here)


def quarter_turn(width):
    """Turn anticlockwise on the screen by 90 degrees, with the rounding that cos(pi / 2) brings."""
    cos, sin = np.cos(np.pi / 2), np.sin(np.pi / 2)
    return shift(0, width - 1) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def carried(T, x, y):
    """Map points; whatever comes of a bad matrix."""
    with np.errstate(all="ignore"):
        a, b, w = np.tensordot(np.asarray(T, dtype=np.float64), np.stack([x, y, np.ones(np.shape(x))]), axes=1)
        return a / w, b / w


def came_from(T, shape):
    """Solve T x = x' for every output pixel."""
    row, col = np.indices(shape)
    a, b, w = np.linalg.solve(T, np.stack([col.ravel(), row.ravel(), np.ones(row.size)]))
    return (a / w).reshape(shape), (b / w).reshape(shape)


def warped(image, T, shape):
    """Read with SciPy at the points that the linear equations give; mask by the rule of Eq. (3)."""
    (H, W), (x, y) = image.shape, came_from(T, shape)
    mask = (x >= -EPSILON) & (x <= W - 1 + EPSILON) & (y >= -EPSILON) & (y <= H - 1 + EPSILON)
    values = ndimage.map_coordinates(image, [np.clip(y, 0, H - 1), np.clip(x, 0, W - 1)], order=1, mode="nearest")
    return np.where(mask, values, 0.0), mask


def pair(names):
    """Make a reader that puts a tuple of two arrays of one shape into one array."""

    def read(answer):
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise AssertionError(f"a tuple ({names}) is expected, got {kind(answer)}")
        try:
            first, second = (np.asarray(part, dtype=np.float64) for part in answer)
        except (TypeError, ValueError):
            raise AssertionError(f"({names}) should be two arrays of numbers") from None
        if first.shape != second.shape:
            raise AssertionError(f"{names} should have one shape, got {first.shape} and {second.shape}")
        return np.stack([first, second])

    return read


def kind(answer):
    if isinstance(answer, np.ndarray):
        return f"one array of shape {answer.shape}"
    if isinstance(answer, tuple | list):
        return f"{len(answer)} values"
    return "None: does the function end with a return?" if answer is None else type(answer).__name__


def judge(student, atlas, name, case, truth, what, read=np.asarray, atol=1e-9):
    """Compare an answer with the truth, both as `read` sees them, and name the mistake it looks like."""
    __tracebackhide__ = True
    answer = read(getattr(student, name)(*case))
    looks = {}
    for says, result in atlas(name, *case).items():
        try:
            looks[says] = read(result)
        except AssertionError:
            continue
    expect(answer, truth, looks, atol=atol, what=what)


def judge_all(student, atlas, name, cases, truth, what, read):
    """Compare the answers to several calls together, so that a mistake must fit all of them."""
    __tracebackhide__ = True
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case)))
        for says, result in atlas(name, *case).items():
            try:
                looks.setdefault(says, []).append(read(result))
            except AssertionError:
                continue
    expect(answers, truth, {says: given for says, given in looks.items() if len(given) == len(cases)}, what=what)


# ---------------------------------------------------------------------------------------------
# Question 1: where each pixel comes from

XY = pair("x, y")


@pytest.mark.q("q1", 1)
def test_shifted(student, atlas, rng):
    """After a shift to the left and down, each pixel comes from the same distance to the right and up."""
    tx, ty = -rng.uniform(3.2, 7.8), rng.uniform(1.2, 2.8)
    row, col = np.indices((5, 8))
    judge(student, atlas, "source_points", (shift(tx, ty), (5, 8)), [col - tx, row - ty], "(x, y)", XY)


@pytest.mark.q("q1", 1)
def test_affine_sources(student, atlas, rng):
    """Turned, sheared and scaled: T carries each of your points to its output pixel."""
    T = random_map(rng, (30, 40), (7, 11), zoom=0.4)
    judge(student, atlas, "source_points", (T, (7, 11)), came_from(T, (7, 11)), "(x, y)", XY)


@pytest.mark.q("q1", 1)
def test_projective_sources(student, atlas, rng):
    """With perspective, and for any multiple of the matrix."""
    shape = (9, 6)
    T = random_map(rng, (30, 40), shape, zoom=0.2, bend=0.5) * -rng.uniform(1.4, 2.2)
    judge(student, atlas, "source_points", (T, shape), came_from(T, shape), "(x, y)", XY)


def _grid(shape):
    """Give x and y of all pixels."""
    row, col = np.indices(shape)
    return col.astype(float), row.astype(float)


def _back(T, shape):
    return carried(np.linalg.inv(T), *_grid(shape))


@wrong(
    "q1",
    says="this is where T takes the pixel: T leads from the source to the output, and here an output pixel "
    "asks for its "
    "way back",
)
def source_points(T, shape):
    return carried(T, *_grid(shape))


@wrong("q1", says="height and width are swapped: a shape is (height, width), rows first")
def source_points(T, shape):
    return _back(T, shape[::-1])


@wrong("q1", says="the answer is (y, x): return x first, as points are written")
def source_points(T, shape):
    return _back(T, shape)[::-1]


@wrong(
    "q1",
    says="rows are used as x and columns as y: the pixel [row, col] is the point x' = col, y' = row, and the matrix is "
    "made for (x, y, 1)",
)
def source_points(T, shape):
    x, y = _grid(shape)
    return carried(np.linalg.inv(T), y, x)


@wrong("q1", says="the division by w is missing: only for affine maps is the third coordinate 1")
def source_points(T, shape):
    x, y = _grid(shape)
    a, b, _ = np.tensordot(np.linalg.inv(T), np.stack([x, y, np.ones(shape)]), axes=1)
    return a, b


@wrong(
    "q1",
    says="everything is divided by one number, the corner of the matrix: with perspective w differs from pixel "
    "to pixel",
)
def source_points(T, shape):
    x, y = _grid(shape)
    back = np.linalg.inv(T)
    a, b, _ = np.tensordot(back / back[2, 2], np.stack([x, y, np.ones(shape)]), axes=1)
    return a, b


@wrong(
    "q1", says="the points stand on the wrong side: the matrix acts on columns, T⁻¹ times point, not point times T⁻¹"
)
def source_points(T, shape):
    return carried(np.linalg.inv(T).T, *_grid(shape))


@wrong("q1", says="this is the transpose, not the inverse: they are equal for rotations about the origin only")
def source_points(T, shape):
    return carried(np.asarray(T).T, *_grid(shape))


@wrong(
    "q1",
    says="the shift is undone after the linear part instead of before it: x' = A x + t gives x = A⁻¹ (x' − t), and not "
    "A⁻¹ x' − t",
)
def source_points(T, shape):
    x, y = _grid(shape)
    T = T / T[2, 2]
    back = np.linalg.inv(T[:2, :2])
    return back[0, 0] * x + back[0, 1] * y - T[0, 2], back[1, 0] * x + back[1, 1] * y - T[1, 2]


@wrong("q1", says="half a pixel is added to the output points: pixel centres lie at whole numbers here")
def source_points(T, shape):
    x, y = _grid(shape)
    return carried(np.linalg.inv(T), x + 0.5, y + 0.5)


@wrong("q1", says="the points are rounded to whole pixels: what lies between is left to the interpolation")
def source_points(T, shape):
    return tuple(np.rint(part) for part in _back(T, shape))


@wrong("q1", says="the output is counted from 1: its first pixel is (0, 0)")
def source_points(T, shape):
    x, y = _grid(shape)
    return carried(np.linalg.inv(T), x + 1, y + 1)


@right("q1")
def source_points(T, shape):
    """Solve for each pixel by Cramer's rule: the rows of the adjugate are cross products of columns."""
    first, second, third = np.asarray(T, dtype=float).T
    x, y = np.empty(shape), np.empty(shape)
    for v in range(shape[0]):
        for u in range(shape[1]):
            p = np.array([u, v, 1.0])
            w = np.cross(first, second) @ p
            x[v, u] = np.cross(second, third) @ p / w
            y[v, u] = np.cross(third, first) @ p / w
    return x, y


# ---------------------------------------------------------------------------------------------
# Question 2: inverse warp

RESULT_MASK = pair("result, mask")
IMAGE_CHANGED = "the image is overwritten: its owner needs it again; work on a copy, or in new arrays"


@pytest.mark.q("q2", 1)
def test_whole_pixels(student, atlas, rng):
    """The identity gives the photo back, and a shift by (−3, 2) moves it; the image stays as it is."""
    image = rng.uniform(0.2, 1, (7, 9))
    judge(
        student,
        atlas,
        "inverse_warp",
        (image, np.eye(3), (7, 9)),
        [image, np.ones((7, 9))],
        "(result, mask)",
        RESULT_MASK,
    )
    assert not student.changed, IMAGE_CHANGED
    result, mask = np.zeros((2, 10, 8))
    result[2:9, :6], mask[2:9, :6] = image[:, 3:], 1
    judge(student, atlas, "inverse_warp", (image, shift(-3, 2), (10, 8)), [result, mask], "(result, mask)", RESULT_MASK)


@pytest.mark.q("q2", 1)
def test_between_pixels(student, atlas, rng):
    """Shifted by a broken number of pixels, all points inside: bilinear values."""
    image = rng.uniform(0.2, 1, (9, 13))
    tx, ty = -rng.uniform(3.1, 3.4), -rng.uniform(2.6, 2.9)
    case = image, shift(tx, ty), (5, 8)
    truth = warped(*case)[0]
    judge(student, atlas, "inverse_warp", case, truth, "the result", lambda answer: RESULT_MASK(answer)[0])


@pytest.mark.q("q2", 2)
def test_border(student, atlas, rng):
    """Outside all four sides, also by less than one pixel: 0 and False; inside: the photo."""
    image = rng.uniform(0.2, 1, (6, 9))
    case = image, shift(rng.uniform(2.3, 2.7), rng.uniform(1.3, 1.7)), (10, 14)
    judge(student, atlas, "inverse_warp", case, warped(*case), "(result, mask)", RESULT_MASK)


@pytest.mark.q("q2", 1)
def test_quarter_turns(student, atlas, rng):
    """A quarter turn loses no row, although cos 90° is 6e-17 in a computer."""
    image = rng.uniform(0.2, 1, (6, 10))
    T, shape, turned = np.eye(3), image.shape, image
    for turns in (1, 2, 3):
        T = quarter_turn(shape[1]) @ T
        turned = np.rot90(turned)
        shape = turned.shape
        what = f"(result, mask) after {turns} × 90°"
        judge(student, atlas, "inverse_warp", (image, T, shape), [turned, np.ones(shape)], what, RESULT_MASK)


@pytest.mark.q("q2", 1)
def test_homography(student, atlas, rng):
    """Any transform, into an output of another shape."""
    image = ndimage.gaussian_filter(rng.uniform(0, 1, (24, 35)), 1) + 0.1
    shape = (31, 22)
    case = image, -1.5 * random_map(rng, image.shape, shape, zoom=1.1, bend=0.5), shape
    judge(student, atlas, "inverse_warp", case, warped(*case)[0], "the result", lambda answer: RESULT_MASK(answer)[0])


def _mix(image, x, y, i, j, wrap=False):
    """Mix four pixels, by x and y from (i, j); the index is cut off at the border, or wraps."""
    H, W = image.shape
    cut = (lambda k, n: k % n) if wrap else (lambda k, n: np.clip(k, 0, n - 1))
    f = [[image[cut(j + s, H), cut(i + t, W)] for t in (0, 1)] for s in (0, 1)]
    t, s = x - i, y - j
    return (1 - s) * ((1 - t) * f[0][0] + t * f[0][1]) + s * ((1 - t) * f[1][0] + t * f[1][1])


def _floors(x, y):
    return np.floor(x).astype(int), np.floor(y).astype(int)


def _inside(x, y, image, low=EPSILON, high=EPSILON):
    H, W = image.shape
    return (x >= -low) & (x <= W - 1 + high) & (y >= -low) & (y <= H - 1 + high)


def _read(image, x, y, mask=None):
    """Read an image rightly at points; 0 outside."""
    H, W = image.shape
    mask = _inside(x, y, image) if mask is None else mask
    x, y = np.clip(x, 0, W - 1), np.clip(y, 0, H - 1)
    return np.where(mask, _mix(image, x, y, *_floors(x, y)), 0.0)


@wrong(
    "q2",
    says="the picture moves the wrong way, by T⁻¹ instead of T: it was read at T x', but an output pixel comes "
    "from T⁻¹ x'",
)
def inverse_warp(image, T, shape):
    x, y = carried(T, *_grid(shape))
    return _read(image, x, y), _inside(x, y, image)


@wrong("q2", says="the output has width and height exchanged: a shape is (height, width)")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape[::-1])
    return _read(image, x, y), _inside(x, y, image)


@wrong(
    "q2",
    says="int() cuts towards 0: the floor of −0.4 is −1, not 0. Points up to a pixel outside count as inside, and are "
    "extrapolated",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    i, j = x.astype(int), y.astype(int)
    mask = (i >= 0) & (j >= 0) & (x > -1) & (y > -1) & _inside(x, y, image, low=1)
    return np.where(mask, _mix(image, x, y, i, j), 0.0), mask


@wrong(
    "q2",
    says="the far edge bleeds in: index −1 is NumPy's last row or column; a point left of or above the first centre is "
    "outside",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    i, j = _floors(x, y)
    mask = (i >= -1) & (j >= -1) & _inside(x, y, image, low=1)
    return np.where(mask, _mix(image, x, y, i, j, wrap=True), 0.0), mask


@wrong("q2", says="the picture is repeated like a wallpaper beyond its border; outside there is nothing: 0 and False")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    return _mix(image, x, y, *_floors(x, y), wrap=True), _inside(x, y, image)


@wrong("q2", says="the border pixels are smeared over what lies outside; there is nothing there: 0")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    return _read(image, x, y, mask=True), _inside(x, y, image)


@wrong("q2", says="the mask is True everywhere: it should tell where the output has a source")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    return _read(image, x, y), np.ones(shape, bool)


@wrong("q2", says="the mask is the wrong way round: True means inside")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    return _read(image, x, y), ~_inside(x, y, image)


@wrong(
    "q2",
    says="the last row and column are lost: a point on their centres needs no further neighbour, its weight would be 0",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    i, j = _floors(x, y)
    mask = (i >= 0) & (i + 1 < image.shape[1]) & (j >= 0) & (j + 1 < image.shape[0])
    return _read(image, x, y, mask), mask


@wrong(
    "q2",
    says="rounding decides what is inside: after a quarter turn x is −1e-16 and not 0, and a whole row is "
    "lost; that is "
    "what ε is for",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    mask = _inside(x, y, image, low=0, high=0)
    return _read(image, x, y, mask), mask


@wrong(
    "q2",
    says="half a pixel beyond the outermost centres counts as inside: that is the lecture's rule; asked for is the "
    "rectangle of the centres",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    mask = _inside(x, y, image, low=0.5, high=0.5)
    return _read(image, x, y, mask), mask


@wrong("q2", says="the nearest pixel is taken: read between the four around the point, bilinearly")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    return _read(image, np.rint(x), np.rint(y), _inside(x, y, image)), _inside(x, y, image)


@wrong(
    "q2", says="the weights are exchanged: t near 0 means near the left pixel, which should then have the most weight"
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    mask, (i, j) = _inside(x, y, image), _floors(x, y)
    return np.where(mask, _mix(image, 2 * i + 1 - x, 2 * j + 1 - y, i, j), 0.0), mask


@wrong("q2", says="the fractions of x and y are exchanged: t belongs to the columns, s to the rows")
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    mask, (i, j) = _inside(x, y, image), _floors(x, y)
    return np.where(mask, _mix(image, i + y - j, j + x - i, i, j), 0.0), mask


@wrong("q2", says="the image is read at [x, y]: x counts columns, so it is the second index")
def inverse_warp(image, T, shape):
    y, x = _back(T, shape)
    return _read(image, x, y), _inside(x, y, image)


@wrong(
    "q2",
    says="the limits of x and y are exchanged: x runs up to the width, the second number of image.shape",
)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    mask = _inside(x, y, image.T)
    return _read(image, x, y, mask), mask


@wrong("q2", says="the source pixels were sent out one by one: that is the forward warp, and leaves holes")
def inverse_warp(image, T, shape):
    x, y = (np.rint(part).astype(int) for part in carried(T, *_grid(image.shape)))
    lands = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    result, mask = np.zeros(shape), np.zeros(shape, bool)
    result[y[lands], x[lands]], mask[y[lands], x[lands]] = image[lands], True
    return result, mask


@wrong("q2", says=IMAGE_CHANGED)
def inverse_warp(image, T, shape):
    x, y = _back(T, shape)
    result = _read(image, x, y)
    image[-1] = image[:, -1] = 0  # so that index -1 reads nothing
    return result, _inside(x, y, image)


@right("q2")
def inverse_warp(image, T, shape):
    """Weigh all pixels by tents, one output pixel at a time."""
    rows, cols = np.arange(image.shape[0]), np.arange(image.shape[1])
    result, mask = np.zeros(shape), np.zeros(shape, dtype=bool)
    for v, u in np.ndindex(*shape):
        a, b, w = np.linalg.solve(T, [u, v, 1.0])
        x, y = a / w, b / w
        if -1e-6 <= x <= cols[-1] + 1e-6 and -1e-6 <= y <= rows[-1] + 1e-6:
            x, y = min(max(x, 0), cols[-1]), min(max(y, 0), rows[-1])
            mask[v, u] = True
            result[v, u] = np.maximum(0, 1 - abs(rows - y)) @ image @ np.maximum(0, 1 - abs(cols - x))
    return result, mask


# ---------------------------------------------------------------------------------------------
# Question 3: forward warp

RESULT_WEIGHT = pair("result, weight")


def splatted(image, T, shape):
    """Sum the tents of Eq. (4) over all pairs of a source pixel and an output pixel."""
    x, y = (part.ravel() for part in carried(T, *_grid(image.shape)))
    rows, cols = np.arange(shape[0]), np.arange(shape[1])
    down = np.maximum(0, 1 - np.abs(rows[:, None] - y))
    along = np.maximum(0, 1 - np.abs(cols[:, None] - x))
    weight = np.einsum("nk,mk->nm", down, along)
    total = np.einsum("nk,mk,k->nm", down, along, image.ravel())
    return np.divide(total, weight, out=np.zeros(shape), where=weight > EPSILON), weight


@pytest.mark.q("q3", 1)
def test_one_pixel(student, atlas, rng):
    """A single pixel, shifted: its value at four places, with the four weights."""
    image = rng.uniform(0.3, 0.9, (1, 1))
    tx, ty = 3 + rng.uniform(0.1, 0.4), 1 + rng.uniform(0.6, 0.9)
    result, weight = np.zeros((2, 4, 6))
    result[1:3, 3:5] = image
    weight[1:3, 3:5] = np.outer([2 - ty, ty - 1], [4 - tx, tx - 3])
    case = image, shift(tx, ty), (4, 6)
    judge(student, atlas, "forward_warp", case, [result, weight], "(result, weight)", RESULT_WEIGHT)


@pytest.mark.q("q3", 1)
def test_many_on_one(student, atlas, rng):
    """Shrunk: several pixels fall on each place and their weighted mean stays; all weights are there."""
    image = rng.uniform(0, 1, (11, 16))
    case = image, shift(1.3, 1.2) @ np.diag([0.4, 0.35, 1]), (7, 10)
    truth = splatted(*case)
    judge(student, atlas, "forward_warp", case, truth, "(result, weight)", RESULT_WEIGHT)
    assert not student.changed, IMAGE_CHANGED


@pytest.mark.q("q3", 1)
def test_constant(student, atlas, rng):
    """Enlarged: what is seen of an even image stays as bright as it was; holes are 0."""
    level = rng.uniform(0.3, 0.9)
    image, shape = np.full((6, 8), level), (25, 31)
    T = random_map(rng, image.shape, shape, zoom=3.1)
    weight = splatted(image, T, shape)[1]
    truth = level * (weight > EPSILON)
    judge(student, atlas, "forward_warp", (image, T, shape), truth, "the result", lambda a: RESULT_WEIGHT(a)[0])


@pytest.mark.q("q3", 2)
def test_over_the_rim(student, atlas, rng):
    """What falls over the rim, also by less than a pixel, is lost, and nothing else is."""
    image = rng.uniform(0.2, 1, (8, 11))
    case = image, shift(-rng.uniform(2.3, 2.7), -rng.uniform(1.3, 1.7)), (5, 7)
    judge(student, atlas, "forward_warp", case, splatted(*case), "(result, weight)", RESULT_WEIGHT)


@pytest.mark.q("q3", 1)
def test_forward_homography(student, atlas, rng):
    """Any transform, into an output of another shape."""
    image, shape = rng.uniform(0.2, 1, (13, 19)), (17, 12)
    case = image, -1.6 * random_map(rng, image.shape, shape, zoom=0.9, bend=0.5), shape
    # Where weights fall to 1e-6, rounding of 1e-15 in them is 1e-9 of the mean.
    judge(student, atlas, "forward_warp", case, splatted(*case), "(result, weight)", RESULT_WEIGHT, atol=1e-8)


def _drop(image, T, shape, *, place=None, edge="lose", add=np.add.at, share=None, to=carried):
    """Give the sums of Eq. (5); wrong versions change one thing each."""
    x, y = (part.ravel() for part in to(T, *_grid(image.shape)))
    i, j = _floors(x, y) if place is None else place(x, y)
    total, weight = np.zeros(shape), np.zeros(shape)
    for n, s in ((j, y - j), (j + 1, 1 - y + j)):
        for m, t in ((i, x - i), (i + 1, 1 - x + i)):
            w = (1 - s) * (1 - t) if share is None else share(s, t)
            keep = (n >= 0) & (n < shape[0]) & (m >= 0) & (m < shape[1])
            if edge == "whole":
                keep = (j >= 0) & (j + 1 < shape[0]) & (i >= 0) & (i + 1 < shape[1])
            if edge == "clamp":
                keep, n, m = np.full(x.shape, True), np.clip(n, 0, shape[0] - 1), np.clip(m, 0, shape[1] - 1)
            if edge == "wrap":
                keep = (n >= -1) & (n < shape[0]) & (m >= -1) & (m < shape[1])
            add(weight, (n[keep], m[keep]), w[keep])
            add(total, (n[keep], m[keep]), (w * image.ravel())[keep])
    return total, weight


def _mean(total, weight):
    return np.divide(total, weight, out=np.zeros(weight.shape), where=weight > EPSILON), weight


@wrong(
    "q3",
    says="the sums are not divided by the weights: where little fell the result is dark, where much fell too bright",
)
def forward_warp(image, T, shape):
    return _drop(image, T, shape)


@wrong("q3", says="each pixel goes to the nearest place only: share it among the four around it")
def forward_warp(image, T, shape):
    def rounded(T, x, y):
        return tuple(np.rint(part) for part in carried(T, x, y))

    return _mean(*_drop(image, T, shape, to=rounded))


@wrong(
    "q3",
    says="of several pixels that fall on one place only one counts: with an array of indices, a[i] += b keeps the last "
    "of equal indices; np.add.at or np.bincount adds them all",
)
def forward_warp(image, T, shape):
    def add(sums, index, values):
        sums[index] += values

    return _mean(*_drop(image, T, shape, add=add))


@wrong(
    "q3",
    says="int() cuts towards 0: between −1 and 0 the lower neighbour is −1, not 0, and a weight comes out above 1",
)
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, place=lambda x, y: (x.astype(int), y.astype(int))))


@wrong(
    "q3",
    says="what falls over one edge comes in at the opposite one: the index −1 is NumPy's last row or column; "
    "it is lost "
    "here",
)
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, edge="wrap"))


@wrong("q3", says="what falls outside is heaped up on the border pixels; it is lost")
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, edge="clamp"))


@wrong(
    "q3",
    says="a point with one of its four places outside is dropped as a whole: the places inside should get their share",
)
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, edge="whole"))


@wrong("q3", says="the image goes the wrong way: forwards, each source pixel moves by T itself, not by its inverse")
def forward_warp(image, T, shape):
    return _mean(*_drop(image, np.linalg.inv(T), shape))


@wrong(
    "q3",
    says="the sum is divided by the number of pixels that fell there; divide by the sum of their weights",
)
def forward_warp(image, T, shape):
    total, weight = _drop(image, T, shape)
    hits = _drop(image, T, shape, share=lambda s, t: ((s < 1) & (t < 1)).astype(float))[1]
    return np.divide(total, hits, out=np.zeros(shape), where=hits > 0), weight


@wrong("q3", says="holes are 0/0, which is NaN: where no weight fell the result is 0")
def forward_warp(image, T, shape):
    total, weight = _drop(image, T, shape)
    with np.errstate(all="ignore"):
        return total / weight, weight


@wrong(
    "q3",
    says="a constant is added to the weights to avoid 0/0: it darkens every pixel, most of all those of little weight",
)
def forward_warp(image, T, shape):
    total, weight = _drop(image, T, shape)
    return total / (weight + 1e-6), weight


@wrong(
    "q3",
    says="the weights are exchanged: a place gets the more of a pixel the nearer it is, one minus the distance",
)
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, share=lambda s, t: s * t))


@wrong("q3", says="the fractions of x and y are exchanged in the weights")
def forward_warp(image, T, shape):
    x, y = (part.ravel() for part in carried(T, *_grid(image.shape)))
    i, j = _floors(x, y)
    return _mean(*_drop(image, T, shape, place=lambda *_: (i, j), to=lambda *_: (i + y - j, j + x - i)))


@wrong("q3", says="the division by the third coordinate w is missing, or uses one w for all pixels")
def forward_warp(image, T, shape):
    def undivided(T, x, y):
        return tuple(np.tensordot(T[:2] / T[2, 2], np.stack([x, y, np.ones(x.shape)]), axes=1))

    return _mean(*_drop(image, T, shape, to=undivided))


@wrong("q3", says="height and width of the output are swapped: a shape is (height, width)")
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape[::-1]))


@wrong("q3", says="rows are used as x and columns as y: image[row, col] is the point x = col, y = row")
def forward_warp(image, T, shape):
    return _mean(*_drop(image, T, shape, to=lambda T, x, y: carried(T, y, x)))


@wrong("q3", says="the second array says only where something fell; asked for is the sum of the weights")
def forward_warp(image, T, shape):
    result, weight = _mean(*_drop(image, T, shape))
    return result, weight > EPSILON


@right("q3")
def forward_warp(image, T, shape):
    """Count by bincount on a canvas with a margin, and cut the margin off."""
    H, W = shape
    row, col = np.divmod(np.arange(image.size), image.shape[1])
    a, b, w = np.asarray(T) @ [col, row, np.ones(image.size)]
    x, y = np.clip(a / w, -1, W) + 1, np.clip(b / w, -1, H) + 1
    near = (a / w > -1) & (a / w < W) & (b / w > -1) & (b / w < H)
    x, y, values = x[near], y[near], image.ravel()[near]
    total = weight = 0
    for s in (0, 1):
        for t in (0, 1):
            down, along = y % 1 if s else 1 - y % 1, x % 1 if t else 1 - x % 1
            index = (y // 1 + s) * (W + 2) + x // 1 + t
            counted = [
                np.bincount(index.astype(int), v, (H + 2) * (W + 2)) for v in (down * along * values, down * along)
            ]
            total, weight = total + counted[0], weight + counted[1]
    total, weight = (part.reshape(H + 2, W + 2)[1:-1, 1:-1] for part in (total, weight))
    result = np.zeros(shape)
    for n, m in np.argwhere(weight > 1e-6):
        result[n, m] = total[n, m] / weight[n, m]
    return result, weight


# ---------------------------------------------------------------------------------------------
# Question 4: the frame

NO_FRAME = (
    "if the third coordinate w changes its sign over the source, or is 0 somewhere on it, a part goes to infinity: "
    "raise a ValueError instead of returning a frame"
)
ANY_SIGN = (
    "w < 0 at all corners is harmless: every multiple of T is the same transform, also a negative one; only a "
    "change of "
    "sign means infinity"
)
MIDDLES = ((-60, -80), (90, 140), (-50, 160), (110, -70))
PROBES = np.array([[0.0, 12, 3, 7, 20], [0, 2, 14, 7, 11]])


def framed(answer):
    """Put (T_frame, (height, width)) into one vector: the shape, then where T_frame carries five points."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise AssertionError(f"a tuple (T_frame, (height, width)) is expected, got {kind(answer)}")
    try:
        T, shape = (np.asarray(part, dtype=np.float64) for part in answer)
    except (TypeError, ValueError):
        raise AssertionError("a tuple (T_frame, (height, width)) of numbers is expected") from None
    if T.shape != (3, 3) or shape.shape != (2,):
        raise AssertionError(f"a (3, 3) array and two numbers are expected, got the shapes {T.shape} and {shape.shape}")
    return np.concatenate([shape, *carried(T, *PROBES)])


def frame_truth(T, shape):
    """Map every pixel centre of the source, one by one."""
    x, y = carried(T, *_grid(shape))
    x0, y0 = np.floor(x.min() + EPSILON), np.floor(y.min() + EPSILON)
    height, width = np.ceil(y.max() - EPSILON) - y0 + 1, np.ceil(x.max() - EPSILON) - x0 + 1
    u, v = carried(T, *PROBES)
    return np.concatenate([[height, width], u - x0, v - y0])


def refusal(student, T, shape):
    """Say what was raised, if anything."""
    try:
        student.frame_of(T, shape)
    except StudentError as problem:
        return str(problem)
    return "nothing was raised"


FRAMED = "[height, width, then x' and y' of five points]"


@pytest.mark.q("q4", 1)
def test_frame_size(student, atlas, rng):
    """How large the frame is, for shifts, turns and shears of any kind."""
    cases = []
    for shape in ((18, 29), (31, 17)):
        for _ in range(3):
            T = shift(*rng.uniform(-40, 40, 2)) @ random_map(rng, shape, (9, 9), zoom=rng.uniform(0.5, 1.5))
            cases.append((T, shape))
    truth = [frame_truth(*case)[:2] for case in cases]
    what = "(height, width) of six frames, one a row,"
    judge_all(student, atlas, "frame_of", cases, truth, what, lambda answer: framed(answer)[:2])


@pytest.mark.q("q4", 1)
def test_frame_offset(student, atlas, rng):
    """The transform carries the image into the frame, by a whole number of pixels."""
    shape = (17, 26)
    cases = [(random_map(rng, shape, middle, zoom=rng.uniform(0.8, 1.3)), shape) for middle in MIDDLES]
    truth = [frame_truth(*case)[2:] for case in cases]
    what = "[x' and y' of five points] in four frames"
    judge_all(student, atlas, "frame_of", cases, truth, what, lambda answer: framed(answer)[2:])


@pytest.mark.q("q4", 1)
def test_frame_of_turns(student, atlas, rng):
    """Identity and quarter turns need no pixel more than the image has."""
    height, width = int(rng.integers(14, 20)), int(rng.integers(24, 30))
    cases, sizes, last = [], [(height, width), (width, height)] * 2, [(0, 0), (height - 1, 0)]
    last += [(width - 1, height - 1), (0, width - 1)]  # where pixel (0, 0) comes to lie
    for turns in range(4):
        angle = turns * np.pi / 2  # about pixel (0, 0): all but the first have negative coordinates
        T = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        cases.append((T, (height, width)))
    truth = [
        np.concatenate([size, *(np.round(carried(T, *PROBES)) + np.array(corner)[:, None])])
        for (T, _), size, corner in zip(cases, sizes, last, strict=True)
    ]
    judge_all(student, atlas, "frame_of", cases, truth, f"{FRAMED} for four quarter turns", framed)


@pytest.mark.q("q4", 1)
def test_frame_with_perspective(student, atlas, rng):
    """With perspective, for any multiple of the matrix, negative ones too."""
    shape = (21, 33)
    T = shift(-20, 35) @ random_map(rng, shape, shape, zoom=1.1, bend=0.7)
    cases = [(T, shape), (-rng.uniform(1.4, 2.2) * T, shape)]
    refused = [refusal(student, *case) for case in cases]
    assert "raised ValueError" not in refused[0], (
        f"the third coordinate has one sign on all of this image ({refused[0]})"
    )
    assert "raised ValueError" not in refused[1], f"{ANY_SIGN} ({refused[1]})"
    truth = [frame_truth(*case) for case in cases]
    judge_all(student, atlas, "frame_of", cases, truth, f"{FRAMED} for T and a multiple of it", framed)


@pytest.mark.q("q4", 1)
def test_infinity(student, atlas, rng):
    """If a part of the image goes to infinity there is no frame: a ValueError."""
    shape = (20, 30)
    x, y = rng.uniform(0.3, 0.7, 2) * (29, 19)
    through = np.array([[1, 0.2, 3], [-0.1, 1, 4], [1 / x, 0, -1]])  # w = 0 in a column of the image
    corner = np.array([[1, 0.2, 3], [-0.1, 1, 4], [1 / 29, 1 / 19, -2 + rng.uniform(0.05, 0.2)]])  # beyond one corner
    touching = np.array([[1, 0.2, 3], [-0.1, 1, 4], [0, 1, 0]])  # w = 0 in the first row
    across = np.array([[1, 0.2, 3], [-0.1, 1, 4], [0, -1 / y, 1]])
    for T in (through, across, corner, touching):
        happened = refusal(student, T, shape)
        assert "ValueError" in happened, f"{NO_FRAME} ({happened})"


def _framed(T, shape, *, points=None, low=None, high=None, extra=1, guard=True):
    """Find the frame: first column and row, height and width; wrong versions change one thing each."""
    H, W = shape
    x, y = np.array([[0, W - 1, 0, W - 1], [0, 0, H - 1, H - 1]]) if points is None else points
    w = T[2, 0] * x + T[2, 1] * y + T[2, 2]
    if guard and not (np.all(w > 0) or np.all(w < 0)):
        raise ValueError("infinity")
    x, y = carried(T, x, y)
    low = (lambda v: np.floor(v + EPSILON)) if low is None else low
    high = (lambda v: np.ceil(v - EPSILON)) if high is None else high
    x0, y0 = low(x.min()), low(y.min())
    return x0, y0, int(high(y.max()) - y0) + extra, int(high(x.max()) - x0) + extra


def _place(T, x0, y0, height, width):
    return shift(-x0, -y0) @ T, (height, width)


@wrong(
    "q4",
    says="two corners do not bound the image: once it is turned, the other two stick out; map all four",
)
def frame_of(T, shape):
    H, W = shape
    return _place(T, *_framed(T, shape, points=np.array([[0, W - 1], [0, H - 1]])))


@wrong(
    "q4",
    says="the corners are taken at (W, H): counted from 0, the last pixel centre lies at (W − 1, H − 1)",
)
def frame_of(T, shape):
    return _place(T, *_framed(T, np.add(shape, 1)))


@wrong(
    "q4",
    says="the corners are half a pixel too far out: asked for is the frame of the pixel centres, from 0 to W − 1, not "
    "from −½ to W − ½",
)
def frame_of(T, shape):
    H, W = shape
    points = np.array([[-0.5, W - 0.5, -0.5, W - 0.5], [-0.5, -0.5, H - 0.5, H - 0.5]])
    return _place(T, *_framed(T, shape, points=points))


@wrong(
    "q4",
    says="the shape of the source is read as (width, height): its last pixel lies at x = shape[1] − 1, y = "
    "shape[0] − 1",
)
def frame_of(T, shape):
    return _place(T, *_framed(T, shape[::-1]))


@wrong(
    "q4",
    says="T comes back without the offset: in the frame the image would lie where it lay before, partly or "
    "wholly outside",
)
def frame_of(T, shape):
    return T, _framed(T, shape)[2:]


@wrong(
    "q4",
    says="the shift acts before T, in the source: it belongs after it, and what acts later stands further left",
)
def frame_of(T, shape):
    x0, y0, *size = _framed(T, shape)
    return T @ shift(-x0, -y0), tuple(size)


@wrong("q4", says="the shift has the wrong sign: (x₀, y₀) must go to (0, 0), so subtract it")
def frame_of(T, shape):
    x0, y0, *size = _framed(T, shape)
    return shift(x0, y0) @ T, tuple(size)


@wrong(
    "q4",
    says="the shift is added to the last column of T as it stands: with perspective, or with T[2, 2] other "
    "than 1, that "
    "is another map; multiply the matrices",
)
def frame_of(T, shape):
    x0, y0, *size = _framed(T, shape)
    moved = np.array(T, dtype=float)
    moved[:2, 2] -= x0, y0
    return moved, tuple(size)


@wrong("q4", says="the offset has x and y exchanged")
def frame_of(T, shape):
    x0, y0, *size = _framed(T, shape)
    return shift(-y0, -x0) @ T, tuple(size)


@wrong(
    "q4",
    says="int() cuts towards 0: the floor of −3.4 is −4, and with −3 a column of the image is cut off",
)
def frame_of(T, shape):
    low = lambda v: np.trunc(v + np.copysign(EPSILON, v))  # noqa: E731
    return _place(T, *_framed(T, shape, low=low))


@wrong("q4", says="numbers are rounded to the nearest: the frame must reach down to the floor and up to the ceiling")
def frame_of(T, shape):
    return _place(T, *_framed(T, shape, low=np.rint, high=np.rint))


@wrong("q4", says="one row and one column are missing: from pixel x₀ to pixel x₁ there are x₁ − x₀ + 1")
def frame_of(T, shape):
    return _place(T, *_framed(T, shape, extra=0))


@wrong("q4", says="the shape comes back as (width, height): give the height first")
def frame_of(T, shape):
    x0, y0, height, width = _framed(T, shape)
    return shift(-x0, -y0) @ T, (width, height)


@wrong(
    "q4",
    says="rounding makes the frame a row or a column too large: a quarter turn carries a corner to −1e-16, "
    "whose floor is "
    "−1; that is what ε is for",
)
def frame_of(T, shape):
    return _place(T, *_framed(T, shape, low=np.floor, high=np.ceil))


@wrong("q4", says="the corners are not divided by their third coordinate w")
def frame_of(T, shape):
    flat = np.vstack([np.asarray(T)[:2], [0, 0, 1]])
    x0, y0, *size = _framed(flat, shape)
    return shift(-x0, -y0) @ T, tuple(size)


@wrong("q4", says="the corners are mapped by the inverse: the frame holds the output, and T leads there")
def frame_of(T, shape):
    return _place(T, *_framed(np.linalg.inv(T), shape))


@wrong(
    "q4",
    says="the frame begins at (0, 0) whatever the image does: what lies at negative coordinates is cut off, and empty "
    "space is kept",
)
def frame_of(T, shape):
    x0, y0, height, width = _framed(T, shape)
    return T, (int(y0) + height, int(x0) + width)


@wrong(
    "q4",
    says="the offset is not a whole number: the frame's first column is a floor, or a mere shift would blur "
    "the picture",
)
def frame_of(T, shape):
    exact = _framed(T, shape, low=lambda v: v, high=lambda v: v)
    return _place(T, *exact[:2], *_framed(T, shape)[2:])


@wrong("q4", says=NO_FRAME)
def frame_of(T, shape):
    return _place(T, *_framed(T, shape, guard=False))


@wrong("q4", says=ANY_SIGN)
def frame_of(T, shape):
    H, W = shape
    if np.any(np.asarray(T)[2] @ [[0, W - 1, 0, W - 1], [0, 0, H - 1, H - 1], [1, 1, 1, 1]] <= 0):
        raise ValueError("infinity")
    return _place(T, *_framed(T, shape))


@right("q4")
def frame_of(T, shape):
    """Walk along the rim of the source and keep the smallest and the largest coordinates."""
    H, W = shape
    rim = [(x, y) for x in range(W) for y in (0, H - 1)] + [(x, y) for y in range(H) for x in (0, W - 1)]
    places, signs = [], set()
    for point in rim:
        a, b, w = (float(row[0] * point[0] + row[1] * point[1] + row[2]) for row in T)
        signs.add((w > 0) - (w < 0))
        if w == 0 or len(signs) > 1:
            raise ValueError("the line at infinity meets the image")
        places.append((a / w, b / w))
    first = [int(np.floor(min(p[k] for p in places) + 1e-6)) for k in (0, 1)]
    last = [int(np.ceil(max(p[k] for p in places) - 1e-6)) for k in (0, 1)]
    moved = np.array(T, dtype=float)
    for k in (0, 1):
        moved[k] -= first[k] * moved[2]
    return moved / np.linalg.norm(moved), [last[1] - first[1] + 1, last[0] - first[0] + 1]


# ---------------------------------------------------------------------------------------------
# Question 5: local scale, and a prefilter that follows it


def stepped(T, x, y):
    """|det J| by complex steps: f(x + ih) = f(x) + ih f'(x), exact to rounding for so small an h."""

    def run(x, y):
        a, b, w = np.tensordot(T.astype(complex), np.stack([x, y, np.ones(np.shape(x))]), axes=1)
        return a / w, b / w

    h = 1e-30
    (ux, vx), (uy, vy) = run(x + 1j * h, y), run(x, y + 1j * h)
    return np.abs(ux.imag * vy.imag - uy.imag * vx.imag) / h**2


def filtered(image, T, shape):
    """Blur, read and mix with SciPy; the area of a pixel by complex steps."""
    row, col = np.indices(shape)
    area = stepped(np.linalg.inv(T), col.astype(float), row.astype(float))
    sigma = np.minimum(8, np.sqrt(np.maximum(area - 1, 0)) / 2)
    result = np.zeros(shape)
    for k in range(9):
        level = ndimage.gaussian_filter(image, k, mode="reflect", truncate=4.0) if k else image
        result += np.maximum(0, 1 - np.abs(sigma - k)) * warped(level, T, shape)[0]
    return result


def texture(rng, shape):
    """Noise with some coarse structure."""
    return 0.5 * rng.uniform(0, 1, shape) + ndimage.gaussian_filter(rng.uniform(0, 8, shape), 3) - 3.5


@pytest.mark.q("q5", 1)
def test_affine_scale(student, atlas, rng):
    """An affine map enlarges all areas alike, mirrored or not; one number for each point."""
    T = random_map(rng, (20, 30), (40, 20), zoom=rng.uniform(1.4, 1.9))
    x, y = rng.uniform(-5, 30, (2, 3, 5))
    for flip in (1, -1):
        # A triangle's area before and after, by its edges.
        mirrored = T @ np.diag([1, flip, 1])
        u, v = carried(mirrored, np.array([0.0, 1, 0]), np.array([0.0, 0, 1]))
        truth = abs((u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0]))
        judge(student, atlas, "area_scale", (mirrored, x, y), np.full((3, 5), truth), "|det J|")


@pytest.mark.q("q5", 1)
def test_projective_scale(student, atlas, rng):
    """With perspective it differs from point to point, and is the same for any multiple of T."""
    x, y = rng.uniform(0, 1, (2, 4, 7)) * np.array([29, 19])[:, None, None]
    T = random_map(rng, (20, 30), (50, 40), zoom=1.6, bend=0.6)
    for factor in (1.0, 1.7, -2.3):
        judge(student, atlas, "area_scale", (factor * T, x, y), stepped(T, x, y), "|det J|")


@pytest.mark.q("q5", 1)
def test_enlarged(student, atlas, rng):
    """Where the picture grows nothing is blurred: the plain inverse warp; 0 outside."""
    image, shape = texture(rng, (20, 31)), (37, 28)
    T = random_map(rng, image.shape, shape, zoom=rng.uniform(1.3, 1.6))
    judge(student, atlas, "adaptive_warp", (image, T, shape), warped(image, T, shape)[0], "the enlarged picture")
    assert not student.changed, IMAGE_CHANGED


@pytest.mark.q("q5", 1)
def test_reduced(student, atlas, rng):
    """Where it shrinks by the same factor everywhere: one blur, mixed from two; never more than 8 pixels."""
    image, shape = texture(rng, (44, 61)), (20, 16)
    for zoom in (rng.uniform(0.22, 0.26), 0.05):
        T = random_map(rng, image.shape, shape, zoom)
        truth = filtered(image, T, shape)
        judge(student, atlas, "adaptive_warp", (image, T, shape), truth, f"the picture reduced to {zoom:.2f}")


@pytest.mark.q("q5", 2)
def test_receding(student, atlas, rng):
    """With perspective the blur differs from pixel to pixel, with the area that each stands for."""
    image, shape = texture(rng, (48, 65)), (30, 37)
    for factor in (1.0, -1.4):
        T = factor * random_map(rng, image.shape, shape, zoom=0.45, bend=0.85)
        # The square root of A - 1 has a steep start: rounding of 1e-15 in A is 1e-8 in sigma where A = 1.
        case = image, T, shape
        judge(student, atlas, "adaptive_warp", case, filtered(*case), "the receding picture", atol=1e-7)


def _w(T, x, y):
    return T[2, 0] * x + T[2, 1] * y + T[2, 2]


def _area(T, x, y):
    return np.abs(np.linalg.det(T) / _w(T, x, y) ** 3)


@wrong("q5", says="a mirrored map has a negative determinant; an area is positive: take its absolute value")
def area_scale(T, x, y):
    return np.linalg.det(T) / _w(T, x, y) ** 3


@wrong(
    "q5",
    says="this is the determinant of the upper left 2 × 2 block: it is that of J for affine maps with T[2, 2] = 1 only",
)
def area_scale(T, x, y):
    return np.abs(np.linalg.det(np.asarray(T)[:2, :2])) * np.ones(np.shape(x))


@wrong("q5", says="the power of w is wrong: w² comes from the two divisions, and one more w from the derivative of w")
def area_scale(T, x, y):
    return np.abs(np.linalg.det(T)) / _w(T, x, y) ** 2


@wrong("q5", says="w is not differentiated: it depends on x and y too, so the quotient rule has a second term")
def area_scale(T, x, y):
    return np.abs(np.linalg.det(np.asarray(T)[:2, :2])) / _w(T, x, y) ** 2


@wrong("q5", says="this is |det T| alone: with perspective the scale differs from point to point")
def area_scale(T, x, y):
    return np.abs(np.linalg.det(T)) * np.ones(np.shape(x))


@wrong("q5", says="w³ keeps the sign of w: for −T, the same transform, the area comes out negative")
def area_scale(T, x, y):
    return np.abs(np.linalg.det(T)) / _w(T, x, y) ** 3


@wrong("q5", says="this is the square root: the scale of lengths; asked for is that of areas")
def area_scale(T, x, y):
    return np.sqrt(_area(T, x, y))


@wrong("q5", says="this is the scale of the inverse map, source area for each output area")
def area_scale(T, x, y):
    return 1 / _area(T, x, y)


@wrong("q5", says="x and y are exchanged in w")
def area_scale(T, x, y):
    return _area(T, y, x)


@wrong("q5", says="the points are mapped first: they are given before the map, and w belongs to them there")
def area_scale(T, x, y):
    return _area(T, *carried(T, x, y))


@wrong("q5", says="one number came back: give one for each point, also if they are equal")
def area_scale(T, x, y):
    return np.mean(_area(T, x, y))


@right("q5")
def area_scale(T, x, y):
    """Fill J by the quotient rule, one point at a time."""
    result = np.empty(np.shape(x))
    for k in np.ndindex(*np.shape(x)):
        a, b, w = np.asarray(T) @ [x[k], y[k], 1]
        J = [[(T[n, m] * w - value * T[2, m]) / w**2 for m in (0, 1)] for n, value in ((0, a), (1, b))]
        result[k] = abs(np.linalg.det(J))
    return result


def _sigma(area):
    return np.minimum(8, np.sqrt(np.maximum(0, area - 1)) / 2)


def _adaptive(image, T, shape, sigma=None, nearest=False, turn=False):
    """Mix the blurred images rightly, with the sigma of each output pixel given."""
    x, y = _back(T, shape)
    sigma = _sigma(_area(np.linalg.inv(T), *_grid(shape))) if sigma is None else sigma
    sigma = np.rint(sigma) if nearest else sigma
    result = np.zeros(shape)
    for k in range(9):
        share = np.maximum(0, 1 - np.abs((2 * np.floor(sigma) + 1 - sigma if turn else sigma) - k))
        level = ndimage.gaussian_filter(image, k, mode="reflect", truncate=4.0) if k else image
        result += share * _read(level, x, y)
    return result


@wrong("q5", says="nothing is blurred: where the picture shrinks it aliases")
def adaptive_warp(image, T, shape):
    return _read(image, *_back(T, shape))


@wrong(
    "q5",
    says="the picture is blurred where it grows and left sharp where it shrinks: A is the source area for one output "
    "pixel, the scale of the inverse map",
)
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, _sigma(1 / _area(np.linalg.inv(T), *_grid(shape))))


@wrong(
    "q5",
    says="the scale is taken at the wrong points: that of the inverse map belongs to output pixels, that of T to the "
    "source points they come from",
)
def adaptive_warp(image, T, shape):
    with np.errstate(all="ignore"):
        return _adaptive(image, T, shape, _sigma(1 / _area(T, *_grid(shape))))


@wrong("q5", says="the area is used as a length: A counts square pixels, its square root belongs into Eq. (8)")
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, np.clip((_area(np.linalg.inv(T), *_grid(shape)) - 1) / 2, 0, 8))


@wrong("q5", says="the −1 is missing in Eq. (8): the picture is blurred even where nothing shrinks")
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, np.minimum(8, np.sqrt(_area(np.linalg.inv(T), *_grid(shape))) / 2))


@wrong("q5", says="√|A − 1| also blurs where the picture grows: there A is below 1, and σ is 0")
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, np.minimum(8, np.sqrt(np.abs(_area(np.linalg.inv(T), *_grid(shape)) - 1)) / 2))


@wrong("q5", says="where the picture grows A − 1 is negative, and its root NaN: σ is 0 there")
def adaptive_warp(image, T, shape):
    with np.errstate(all="ignore"):
        return _adaptive(image, T, shape, np.minimum(8, np.sqrt(_area(np.linalg.inv(T), *_grid(shape)) - 1) / 2))


@wrong("q5", says="one blur for the whole picture: too much where it is near, too little where it is far")
def adaptive_warp(image, T, shape):
    area = _area(np.linalg.inv(T), *_grid(shape))
    return _adaptive(image, T, shape, np.full(shape, _sigma(area.mean())))


@wrong("q5", says="the output is blurred, after the warp: by then the aliases are in it; blur the source")
def adaptive_warp(image, T, shape):
    sigma, plain = _sigma(_area(np.linalg.inv(T), *_grid(shape))), _read(image, *_back(T, shape))
    levels = [ndimage.gaussian_filter(plain, k, mode="reflect") if k else plain for k in range(9)]
    return sum(np.maximum(0, 1 - np.abs(sigma - k)) * levels[k] for k in range(9))


@wrong("q5", says="only the nearest of the blurred images is used: mix two, or edges show where σ passes 0.5, 1.5, …")
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, nearest=True)


@wrong("q5", says="t and 1 − t are exchanged: at σ = k, where t = 0, all comes from the image blurred by k")
def adaptive_warp(image, T, shape):
    return _adaptive(image, T, shape, turn=True)


@wrong("q5", says="the picture is moved by T⁻¹ instead of T")
def adaptive_warp(image, T, shape):
    with np.errstate(all="ignore"):
        return _adaptive(image, np.linalg.inv(T), shape)


@wrong("q5", says="the bound is missing or another one: σ is at most 8")
def adaptive_warp(image, T, shape):
    sigma = np.sqrt(np.maximum(0, _area(np.linalg.inv(T), *_grid(shape)) - 1)) / 2
    low = np.floor(sigma).astype(int)
    levels = {k: _read(ndimage.gaussian_filter(image, k) if k else image, *_back(T, shape)) for k in {*low.flat}}
    levels |= {k + 1: _read(ndimage.gaussian_filter(image, k + 1), *_back(T, shape)) for k in {*low.flat}}
    flat = np.array([(1 - s % 1) * levels[k][p] + s % 1 * levels[k + 1][p] for p, s, k in _walk(sigma, low)])
    return flat.reshape(shape)


def _walk(sigma, low):
    return [(p, sigma[p], low[p]) for p in np.ndindex(*sigma.shape)]


@right("q5")
def adaptive_warp(image, T, shape):
    """Blur by convolving with sampled bells; weigh each level by a tent about its sigma."""
    x, y = _back(T, shape)
    J = np.abs(np.linalg.det(T) / _w(T, x, y) ** 3)  # of T at the source points: the inverse map's is 1 / J
    sigma = np.where(J < 1, np.sqrt(np.maximum(1 / J, 1) - 1) / 2, 0)
    result = np.zeros(shape)
    for k in range(9):
        radius = 4 * k
        bell = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * max(k, 1) ** 2))
        level = np.pad(image, radius, mode="symmetric")
        for axis in (0, 1):
            level = np.apply_along_axis(np.convolve, axis, level, bell / bell.sum(), "valid")
        result += np.maximum(0, 1 - np.abs(np.minimum(sigma, 8) - k)) * _read(level, x, y)
    return result
