"""Checks of exercise 12_panoramas, the mistakes they know, and second solutions.

Oracles: points in space seen by both cameras for the homography, points on a cylinder in space for the
maps, ``numpy.ma`` and ``numpy.linalg.lstsq`` for blending, the angles of complex numbers and
``scipy.optimize.brentq`` for the focal length.
"""

import numpy as np
import pytest
from scipy import optimize
from scipy.spatial.transform import Rotation

from cvcourse.checks import StudentError, expect, right, wrong

FORBIDDEN = {
    question: (
        *("scipy", "skimage", "cv2", "PIL", "torch"),
        *(f"cvcourse.{name}" for name in ("cameras", "panoramas", "single_view", "calibration")),
        *(f"cvcourse.{name}" for name in ("alignment", "warping", "transforms", "homogeneous")),
    )
    for question in ("q1", "q2", "q3", "q4")
}


# ---------------------------------------------------------------------------------------------
# Reading the answers


def kind(answer):
    if isinstance(answer, np.ndarray):
        return f"one array of shape {answer.shape}"
    if isinstance(answer, tuple | list):
        return f"{len(answer)} values"
    return "None: does the function end with a return?" if answer is None else type(answer).__name__


def judge(student, atlas, name, cases, truth, what, read=None, atol=1e-9):
    """Compare the answers to one or several calls with the truth, and name the mistake that fits all of them."""
    __tracebackhide__ = True
    read = read or (lambda answer, *case: answer)
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case), *case))
        for says, result in atlas(name, *case).items():
            try:
                looks.setdefault(says, []).append(read(result, *case))
            except AssertionError:
                continue
    looks = {says: given for says, given in looks.items() if len(given) == len(cases)}
    if len(cases) == 1:
        answers, truth, looks = answers[0], truth[0], {says: given[0] for says, given in looks.items()}
    expect(answers, truth, looks, atol=atol, what=what)


def two_arrays(names):
    """Make a reader of a tuple of two arrays: they come out side by side, as one array."""

    def read(answer, *case):
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise AssertionError(f"a tuple ({names}) is expected, got {kind(answer)}")
        try:
            first, second = (np.asarray(part, dtype=np.float64) for part in answer)
        except (TypeError, ValueError):
            raise AssertionError(f"({names}) should be two arrays of numbers") from None
        return np.concatenate([first.ravel(), second.ravel()])

    return read


def refused(call, *case):
    """Call the student's function; True if it raised a ValueError."""
    try:
        call(*case)
    except StudentError as problem:
        if "raised ValueError" in str(problem):
            return True
        raise
    return False


# ---------------------------------------------------------------------------------------------
# Question 1: the camera's matrix, and the homography of a rotation

CHANGED = "an argument is overwritten: its owner needs it again; work on copies, or in new arrays"


def random_camera(rng):
    """A matrix K with a centre that is not that of any other."""
    f = rng.uniform(300, 600)
    return np.array([[f, 0, rng.uniform(150, 250)], [0, f, rng.uniform(90, 140)], [0, 0, 1]])


def random_rotation(rng, low=0.1, high=0.3):
    """A turn about all three axes, no angle equal to another."""
    return Rotation.from_euler("yxz", rng.uniform(low, high, 3) * rng.choice([-1, 1], 3)).as_matrix()


def seen(K, R, X):
    """Pixels of points in space (N, 3), by the definition of the camera."""
    camera = np.stack([R @ point for point in X])
    return np.stack(
        [K[0, 0] * camera[:, 0] / camera[:, 2] + K[0, 2], K[1, 1] * camera[:, 1] / camera[:, 2] + K[1, 2]], 1
    )


# Directions that all cameras of this file have in front of them.
DIRECTIONS = np.array(
    [[0.1, -0.2, 1], [-0.3, 0.1, 1], [0.25, 0.3, 1], [-0.15, -0.25, 1], [0.02, 0.12, 1], [0.3, -0.1, 1]]
)


def carried(answer, K1, R1, K2, R2):
    """Carry what camera 1 sees by the answer: every multiple of the matrix gives the same."""
    try:
        H = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        H = np.empty(0)
    if H.shape != (3, 3):
        raise AssertionError(f"H should be an array of shape (3, 3), got {kind(answer)}")
    with np.errstate(all="ignore"):
        a, b, w = H @ np.column_stack([seen(K1, R1, DIRECTIONS), np.ones(len(DIRECTIONS))]).T
        return np.stack([a / w, b / w], 1)


@pytest.mark.q("q1", 1)
def test_camera_matrix(student, atlas, rng):
    """The focal length in pixels, and the centre in the middle of the pixel centres."""
    cases, truth = [], []
    for shape in ((240, 361), (300, 200)):
        f_mm, width_mm = rng.uniform(20, 60), rng.uniform(22, 37)
        cases.append((shape, f_mm, width_mm))
        pixel_mm = width_mm / shape[1]
        truth.append([[f_mm / pixel_mm, 0, (shape[1] - 1) / 2], [0, f_mm / pixel_mm, (shape[0] - 1) / 2], [0, 0, 1]])
    judge(student, atlas, "camera_matrix", cases, truth, "K")


def judge_homography(student, atlas, *case):
    __tracebackhide__ = True
    # A thousand pixels times a condition number of about 1e6 times 1e-16.
    truth = seen(case[2], case[3], DIRECTIONS)
    judge(student, atlas, "homography_between", [case], [truth], "H, applied to pixels,", carried, atol=1e-6)
    assert not student.changed, CHANGED


@pytest.mark.q("q1", 1)
def test_zoomed_only(student, atlas, rng):
    """The same rotation, two lenses: H takes each pixel to where the other camera sees it."""
    R = random_rotation(rng)
    judge_homography(student, atlas, random_camera(rng), R, random_camera(rng), R)


@pytest.mark.q("q1", 1)
def test_turned_only(student, atlas, rng):
    """One lens, the first camera not turned at all, the second turned."""
    K = random_camera(rng)
    judge_homography(student, atlas, K, np.eye(3), K, random_rotation(rng))


@pytest.mark.q("q1", 2)
def test_turned_and_zoomed(student, atlas, rng):
    """Two lenses and two rotations, about all three axes."""
    judge_homography(student, atlas, random_camera(rng), random_rotation(rng), random_camera(rng), random_rotation(rng))


def _camera(f, cx, cy):
    return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])


@wrong(
    "q1", says="f is left in millimetres: the matrix maps to pixels, so divide by the size of one pixel on the sensor"
)
def camera_matrix(shape, f_mm, width_mm):
    return _camera(f_mm, (shape[1] - 1) / 2, (shape[0] - 1) / 2)


@wrong("q1", says="the ratio is upside down: a longer lens has a longer f, and a smaller sensor magnifies more")
def camera_matrix(shape, f_mm, width_mm):
    return _camera(width_mm / f_mm * shape[1], (shape[1] - 1) / 2, (shape[0] - 1) / 2)


@wrong(
    "q1", says="the sensor's width is divided among the rows: it holds as many pixels as there are columns, shape[1]"
)
def camera_matrix(shape, f_mm, width_mm):
    return _camera(f_mm / width_mm * shape[0], (shape[1] - 1) / 2, (shape[0] - 1) / 2)


@wrong("q1", says="the centre is half a pixel off: the middle between the centres 0 and W − 1 is (W − 1) / 2")
def camera_matrix(shape, f_mm, width_mm):
    return _camera(f_mm / width_mm * shape[1], shape[1] / 2, shape[0] / 2)


@wrong("q1", says="c_x and c_y are exchanged: x counts columns, and the shape gives the rows first")
def camera_matrix(shape, f_mm, width_mm):
    return _camera(f_mm / width_mm * shape[1], (shape[0] - 1) / 2, (shape[1] - 1) / 2)


@wrong("q1", says="the centre is missing: pixel (0, 0) is a corner, but the optical axis meets the middle of the image")
def camera_matrix(shape, f_mm, width_mm):
    return _camera(f_mm / width_mm * shape[1], 0, 0)


@wrong("q1", says="f_y is scaled by the height: pixels are square, both focal lengths are the same number of pixels")
def camera_matrix(shape, f_mm, width_mm):
    K = _camera(f_mm / width_mm * shape[1], (shape[1] - 1) / 2, (shape[0] - 1) / 2)
    K[1, 1] = f_mm / width_mm * shape[0]
    return K


@right("q1")
def camera_matrix(shape, f_mm, width_mm):
    """From the field of view: half the image's width is seen under half the angle."""
    half_angle = np.arctan(width_mm / 2 / f_mm)
    K = np.diag([shape[1] / 2 / np.tan(half_angle)] * 2 + [1.0])
    K[:2, 2] = np.mean([[0, 0], [shape[1] - 1, shape[0] - 1]], axis=0)
    return K


inverse = np.linalg.inv


@wrong("q1", says="the rotation goes the wrong way, R1 R2ᵀ: first back to the world by R1ᵀ, then into camera 2 by R2")
def homography_between(K1, R1, K2, R2):
    return K2 @ R1 @ R2.T @ inverse(K1)


@wrong(
    "q1", says="the rotations are in the wrong order, R1ᵀ R2: matrices act from the right to the left, R1ᵀ comes first"
)
def homography_between(K1, R1, K2, R2):
    return K2 @ R1.T @ R2 @ inverse(K1)


@wrong("q1", says="R1 is not undone: its transpose leads from camera 1 back to the world")
def homography_between(K1, R1, K2, R2):
    return K2 @ R2 @ R1 @ inverse(K1)


@wrong(
    "q1",
    says="the first rotation is forgotten: only if R1 is the identity does R2 alone lead from camera 1 to camera 2",
)
def homography_between(K1, R1, K2, R2):
    return K2 @ R2 @ inverse(K1)


@wrong("q1", says="K1 is not inverted: a pixel must first become a direction, and that is the way back through K1")
def homography_between(K1, R1, K2, R2):
    return K2 @ R2 @ R1.T @ K1


@wrong("q1", says="K1 is transposed instead of inverted: only for rotations is that the same")
def homography_between(K1, R1, K2, R2):
    return K2 @ R2 @ R1.T @ K1.T


@wrong("q1", says="K1 and K2 are exchanged: the pixels come from camera 1 and arrive in camera 2")
def homography_between(K1, R1, K2, R2):
    return K1 @ R2 @ R1.T @ inverse(K2)


@wrong("q1", says="this is the way from image 2 to image 1: asked for is the inverse, from 1 to 2")
def homography_between(K1, R1, K2, R2):
    return K1 @ R1 @ R2.T @ inverse(K2)


@wrong(
    "q1", says="the product is written backwards: column vectors meet the rightmost matrix first, so K1⁻¹ stands there"
)
def homography_between(K1, R1, K2, R2):
    return inverse(K1) @ R1.T @ R2 @ K2


@wrong("q1", says="this is the rotation of directions alone: without K1 and K2 it can't be applied to pixels")
def homography_between(K1, R1, K2, R2):
    return R2 @ R1.T


@wrong("q1", says="one lens is used for both cameras: K1 belongs to the pixels that come, K2 to those that go")
def homography_between(K1, R1, K2, R2):
    return K1 @ R2 @ R1.T @ inverse(K1)


@wrong("q1", says="* multiplies entry by entry: the product of matrices is @")
def homography_between(K1, R1, K2, R2):
    return K2 * R2 * R1.T * inverse(K1)


@wrong("q1", says=CHANGED)
def homography_between(K1, R1, K2, R2):
    K1[:] = inverse(K1)
    return K2 @ R2 @ R1.T @ K1


@right("q1")
def homography_between(K1, R1, K2, R2):
    """Follow the three columns: where does camera 2 see what lies along each axis of image 1?"""
    columns = []
    for pixel in np.eye(3):
        direction = np.linalg.solve(K1 @ R1, pixel)
        columns.append([sum(row[k] * (R2 @ direction)[k] for k in range(3)) for row in K2])
    return -3 * np.array(columns).T


# ---------------------------------------------------------------------------------------------
# Question 2: the cylinder, there and back

SEEN = two_arrays("points, seen")
PIXELS_CHANGED = "the pixels are overwritten: their owner needs them again; work on a copy, or in new arrays"
UV_CHANGED = "uv is overwritten: its owner needs it again; work on a copy, or in new arrays"


def on_cylinder(rng, n, angles, heights):
    """Points on a cylinder in space: their (u, v), and the pixels that see them."""
    f, center = rng.uniform(300, 500), rng.uniform([150, 90], [250, 140])
    theta = rng.uniform(*angles, n) * rng.choice([-1, 1], n)
    h = rng.uniform(*heights, n) * rng.choice([-1, 1], n)
    X = np.stack([np.sin(theta), h, np.cos(theta)], 1) * rng.uniform(2, 9, (n, 1))
    pixels = seen(np.array([[f, 0, center[0]], [0, f, center[1]], [0, 0, 1]]), np.eye(3), X)
    return f, center, np.stack([f * theta, f * h], 1), pixels


@pytest.mark.q("q2", 1)
def test_horizon_to_cylinder(student, atlas, rng):
    """The row of the centre: v is 0, and u the angle times f."""
    f, center, uv, pixels = on_cylinder(rng, 7, (0.2, 1.2), (0, 0))
    judge(student, atlas, "to_cylinder", [(pixels, f, center)], [uv], "(u, v)", atol=1e-8)


@pytest.mark.q("q2", 2)
def test_to_cylinder(student, atlas, rng):
    """Pixels all over the image."""
    f, center, uv, pixels = on_cylinder(rng, 9, (0.2, 1.2), (0.1, 0.8))
    judge(student, atlas, "to_cylinder", [(pixels, f, center)], [uv], "(u, v)", atol=1e-8)
    assert not student.changed, PIXELS_CHANGED


@pytest.mark.q("q2", 2)
def test_from_cylinder(student, atlas, rng):
    """The way back, for points in front of the camera."""
    f, center, uv, pixels = on_cylinder(rng, 8, (0.2, 1.2), (0.1, 0.8))
    truth = np.concatenate([pixels.ravel(), np.ones(8)])
    judge(student, atlas, "from_cylinder", [(uv, f, center)], [truth], "(points, seen)", SEEN, atol=1e-8)
    assert not student.changed, UV_CHANGED


@pytest.mark.q("q2", 1)
def test_behind(student, atlas, rng):
    """Behind the camera: not seen, and (0, 0); after a whole turn: seen again."""
    f, center, uv, pixels = on_cylinder(rng, 6, (0.2, 1.2), (0.1, 0.8))
    uv[2:4, 0] += np.array([1, -1]) * np.pi * f  # half a turn
    uv[4:, 0] += np.array([2, -4]) * np.pi * f  # one and two turns
    pixels[2:4] = 0
    truth = np.concatenate([pixels.ravel(), [1, 1, 0, 0, 1, 1]])
    judge(student, atlas, "from_cylinder", [(uv, f, center)], [truth], "(points, seen)", SEEN, atol=1e-8)


def _offsets(points, center):
    return np.asarray(points - np.asarray(center), dtype=float).T


@wrong("q2", says="the angle is in degrees: u = f θ is a length of arc only for θ in radians")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.degrees(np.arctan2(x, f)), f * y / np.hypot(x, f)], 1)


@wrong("q2", says="the centre is not subtracted: angles are counted from the optical axis, which meets the image there")
def to_cylinder(points, f, center):
    return to_right(points, f, (0, 0))


@wrong("q2", says="tan is taken for atan: the tangent of the angle is x / f, so the angle is its arctangent")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.tan(x / f), f * y / np.hypot(x, f)], 1)


@wrong("q2", says="asin is taken for atan: x stands over f, the other leg, and not over the hypotenuse")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    with np.errstate(all="ignore"):
        return np.stack([f * np.arcsin(x / f), f * y / np.hypot(x, f)], 1)


@wrong("q2", says="the arctangent's arguments are exchanged: straight ahead, where x = 0, the angle is 0")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(f, x), f * y / np.hypot(x, f)], 1)


@wrong("q2", says="h comes without f: v = f h, both coordinates are in pixels")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(x, f), y / np.hypot(x, f)], 1)


@wrong("q2", says="θ comes without f: u = f θ, both coordinates are in pixels")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([np.arctan2(x, f), f * y / np.hypot(x, f)], 1)


@wrong("q2", says="θ and h come without f: times f they are in pixels")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([np.arctan2(x, f), y / np.hypot(x, f)], 1)


@wrong(
    "q2", says="the height is not reduced towards the sides: there the image lies farther from the axis, at √(x² + f²)"
)
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(x, f), y], 1)


@wrong("q2", says="the height is enlarged towards the sides instead of reduced: divide by √(x² + f²), don't multiply")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(x, f), y * np.hypot(x, f) / f], 1)


@wrong("q2", says="this is the sphere: there v is an angle too, on the cylinder it is a height")
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(x, f), f * np.arctan2(y, np.hypot(x, f))], 1)


@wrong(
    "q2",
    says="the distance includes y: h is counted along the axis, its unit is the distance from the axis, √(x² + f²)",
)
def to_cylinder(points, f, center):
    x, y = _offsets(points, center)
    return np.stack([f * np.arctan2(x, f), f * y / np.sqrt(x**2 + y**2 + f**2)], 1)


@wrong("q2", says="the centre is added again: u = 0, v = 0 is straight ahead here")
def to_cylinder(points, f, center):
    return to_right(points, f, center) + np.asarray(center)


@wrong("q2", says="the columns are (v, u): give u first")
def to_cylinder(points, f, center):
    return to_right(points, f, center)[:, ::-1]


@wrong("q2", says="the cylinder lies on its side: its axis is vertical, so θ belongs to x and h to y")
def to_cylinder(points, f, center):
    return to_right(points[:, ::-1], f, np.asarray(center)[::-1])[:, ::-1]


@wrong("q2", says=PIXELS_CHANGED)
def to_cylinder(points, f, center):
    points -= np.asarray(center)
    return to_right(points, f, (0, 0))


@right("q2")
def to_cylinder(points, f, center):
    """One point at a time; the angle is that of the complex number f + ix."""
    result = []
    for x, y in points:
        ray = complex(f, x - center[0])
        result.append([f * np.angle(ray), f * (y - center[1]) / abs(ray)])
    return np.array(result)


to_right = to_cylinder


def _picture(theta, h, f, center, seen=None):
    """Pixels of points of the cylinder, rightly; seen where cos θ > 0, if not said otherwise."""
    seen = np.cos(theta) > 0 if seen is None else seen
    points = f * np.stack([np.tan(theta), h / np.cos(theta)], 1) + np.asarray(center)
    return np.where(seen[:, None], points, 0), seen


@wrong("q2", says="atan is taken for tan: on the way back x / f is the tangent of the angle")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points = np.stack([f * np.arctan(u / f), v / np.cos(u / f)], 1) + np.asarray(center)
    return np.where(np.cos(u / f)[:, None] > 0, points, 0), np.cos(u / f) > 0


@wrong("q2", says="sin is taken for tan: x / z = sin θ / cos θ, the division by the depth is missing")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points = np.stack([f * np.sin(u / f), v / np.cos(u / f)], 1) + np.asarray(center)
    return np.where(np.cos(u / f)[:, None] > 0, points, 0), np.cos(u / f) > 0


@wrong("q2", says="the centre is not added: pixels are counted from the corner, angles from the optical axis")
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(u / f, v / f, f, (0, 0))


@wrong("q2", says="θ = u / f is in radians already: no conversion from degrees")
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(np.radians(u / f), v / f, f, center, np.cos(u / f) > 0)


@wrong("q2", says="u is taken for the angle: it is f times the angle")
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(u, v / f, f, center)


@wrong("q2", says="v is taken for the height: it is f times h")
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(u / f, v, f, center)


@wrong("q2", says="y is not divided by the depth: the point (sin θ, h, cos θ) lies at z = cos θ")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points, seen = _picture(u / f, v / f, f, center)
    points[:, 1] = np.where(seen, v + center[1], 0)
    return points, seen


@wrong("q2", says="y is multiplied by cos θ: the point lies at the depth z = cos θ, and depth divides")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points, seen = _picture(u / f, v / f, f, center)
    points[:, 1] = np.where(seen, v * np.cos(u / f) + center[1], 0)
    return points, seen


@wrong(
    "q2",
    says="points behind the camera appear in front of it: the tangent repeats after half a turn; look at cos θ",
)
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(u / f, v / f, f, center, np.ones(len(uv), bool))


@wrong("q2", says="what lies behind is marked, but its points are not (0, 0)")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points, _ = _picture(u / f, v / f, f, center, np.ones(len(uv), bool))
    return points, np.cos(u / f) > 0


@wrong("q2", says="beyond a whole turn nothing is seen: the cylinder goes round, and 2π + θ is the direction θ")
def from_cylinder(uv, f, center):
    u, v = uv.T
    return _picture(u / f, v / f, f, center, np.abs(u / f) < np.pi / 2)


@wrong("q2", says="the mask is the wrong way round: True means in front of the camera")
def from_cylinder(uv, f, center):
    u, v = uv.T
    points, seen = _picture(u / f, v / f, f, center)
    return points, ~seen


@wrong("q2", says=UV_CHANGED)
def from_cylinder(uv, f, center):
    uv /= f
    return _picture(*uv.T, f, center)


@right("q2")
def from_cylinder(uv, f, center):
    """One point at a time: put it into space, and divide by its depth if that is positive."""
    points, seen = np.zeros((len(uv), 2)), []
    for k, (u, v) in enumerate(uv):
        ray = np.exp(1j * u / f)
        seen.append(bool(ray.real > 0))
        if seen[-1]:
            points[k] = center[0] + f * ray.imag / ray.real, center[1] + v / ray.real
    return points, seen


# ---------------------------------------------------------------------------------------------
# Question 3: exposure, and blending

RESULT = two_arrays("result, covered")
LAYERS_CHANGED = "the layers, masks or weights are overwritten: work on copies, or in new arrays"
NO_OVERLAP = "without an overlap there is nothing to compare: raise a ValueError"


def random_masks(rng, n, shape):
    """Masks that leave one pixel to nobody, one to each alone, and one to all."""
    masks = rng.uniform(size=(n, *shape)) < 0.5
    masks[:, 0, 1], masks[:, 2, 3] = False, True
    masks[:, 1, :n] = np.eye(n, dtype=bool)
    return masks


def overlapping(rng):
    """Two random images, bright and dark, and masks that overlap in part."""
    shape = 6, 9
    masks = np.zeros((2, *shape), bool)
    masks[0, :, :6], masks[1, 1:, 3:] = True, True
    return rng.uniform(0.2, 1, shape), masks[0], rng.uniform(0.1, 0.6, shape), masks[1]


@pytest.mark.q("q3", 1)
def test_exact_gain(student, atlas, rng):
    """The second image is darker by one factor; outside the overlap the two have nothing to do with each other."""
    first, mask1, second, mask2 = overlapping(rng)
    factor = rng.uniform(1.3, 1.9)
    second[mask1 & mask2] = first[mask1 & mask2] / factor
    judge(student, atlas, "gain", [(first, mask1, second, mask2)], [factor], "the gain")


@pytest.mark.q("q3", 1)
def test_fitted_gain(student, atlas, rng):
    """With noise: the factor of least squares; and a ValueError if nothing overlaps."""
    first, mask1, second, mask2 = overlapping(rng)
    both = mask1 & mask2
    truth = np.linalg.lstsq(second[both][:, None], first[both])[0][0]
    judge(student, atlas, "gain", [(first, mask1, second, mask2)], [truth], "the gain")
    assert refused(student.gain, first, mask1, second, ~mask1), NO_OVERLAP


@pytest.mark.q("q3", 1)
def test_constant(student, atlas, rng):
    """A constant stays constant wherever an image is, whatever the weights: they are made to sum to 1."""
    shape, value = (5, 7), rng.uniform(0.3, 0.9)
    cases, truth = [], []
    for scale in (0.1, 30):
        masks = random_masks(rng, 3, shape)
        covered = masks.any(axis=0)
        cases.append((np.where(masks, value, 0), masks, scale * rng.uniform(0.1, 1, (3, *shape))))
        truth.append(np.concatenate([np.where(covered, value, 0).ravel(), covered.ravel()]))
    judge(student, atlas, "blend", cases, truth, "(result, covered)", RESULT)


@pytest.mark.q("q3", 1)
def test_weighted_mean(student, atlas, rng):
    """Where all images overlap: their weighted mean; the arguments stay as they are."""
    layers, weights = rng.uniform(0.1, 1, (4, 5, 8)), rng.uniform(0.1, 9, (4, 5, 8))
    truth = np.append(np.average(layers, axis=0, weights=weights).ravel(), np.ones(40))
    case = layers, np.ones(layers.shape, bool), weights
    judge(student, atlas, "blend", [case], [truth], "(result, covered)", RESULT)
    assert not student.changed, LAYERS_CHANGED


@pytest.mark.q("q3", 2)
def test_masked(student, atlas, rng):
    """Outside its mask a layer may hold anything, even NaN: it must not count."""
    cases, truth = [], []
    for junk in (rng.uniform(3, 5), np.nan):
        shape = 6, 5
        masks, weights = random_masks(rng, 3, shape), rng.uniform(0.1, 2, (3, *shape))
        layers = np.where(masks, rng.uniform(0.1, 1, (3, *shape)), junk)
        mean = np.ma.average(np.ma.array(layers, mask=~masks), axis=0, weights=weights).filled(0)
        cases.append((layers, masks, weights))
        truth.append(np.concatenate([mean.ravel(), masks.any(axis=0).ravel()]))
    judge(student, atlas, "blend", cases, truth, "(result, covered)", RESULT)


def _common(first, mask1, second, mask2):
    """Values of both images in the overlap."""
    both = np.asarray(mask1) & np.asarray(mask2)
    if not both.any():
        raise ValueError("no overlap")
    return first[both], second[both]


@wrong("q3", says="the gain is upside down: it is the factor for the second image")
def gain(first, mask1, second, mask2):
    a, b = _common(first, mask1, second, mask2)
    return np.sum(a * b) / np.sum(a * a)


@wrong("q3", says="the whole pictures are compared: only in the overlap do both show the same thing")
def gain(first, mask1, second, mask2):
    _common(first, mask1, second, mask2)
    return np.sum(first * second) / np.sum(second**2)


@wrong("q3", says="each image is averaged over its own mask: they show different things; compare in the overlap alone")
def gain(first, mask1, second, mask2):
    _common(first, mask1, second, mask2)
    return first[mask1].mean() / second[mask2].mean()


@wrong(
    "q3",
    says="this is the ratio of the means: near the least-squares factor, but dark pixels weigh as much as bright ones",
)
def gain(first, mask1, second, mask2):
    a, b = _common(first, mask1, second, mask2)
    return a.mean() / b.mean()


@wrong("q3", says="this is the mean of the ratios: noise in the darkest pixels decides it; minimise the sum of squares")
def gain(first, mask1, second, mask2):
    a, b = _common(first, mask1, second, mask2)
    return np.mean(a / b)


@wrong(
    "q3", says="this fits the first image to the second and turns the factor over: with noise that is another minimum"
)
def gain(first, mask1, second, mask2):
    a, b = _common(first, mask1, second, mask2)
    return np.sum(a * a) / np.sum(a * b)


@wrong("q3", says="a straight line with an offset was fitted: the model is a factor alone")
def gain(first, mask1, second, mask2):
    a, b = _common(first, mask1, second, mask2)
    return np.polyfit(b, a, 1)[0]


@wrong(
    "q3", says="the union of the masks is taken for the overlap: both images must be there, and not just one of them"
)
def gain(first, mask1, second, mask2):
    either = np.asarray(mask1) | np.asarray(mask2)
    _common(first, mask1, second, mask2)
    return np.sum((first * second)[either]) / np.sum((second**2)[either])


@wrong("q3", says=NO_OVERLAP)
def gain(first, mask1, second, mask2):
    try:
        return right_gain(first, mask1, second, mask2)
    except ValueError:
        return 1.0


@right("q3")
def gain(first, mask1, second, mask2):
    """Sum the normal equation of one unknown, pixel by pixel."""
    product = square = 0.0
    for p in np.ndindex(*first.shape):
        if mask1[p] and mask2[p]:
            product += float(first[p]) * float(second[p])
            square += float(second[p]) ** 2
    if square == 0:
        raise ValueError("the images have no pixel in common")
    return product / square


right_gain = gain


def _sum_up(layers, masks, weights):
    """The sum of the weighted layers and of the weights, within the masks."""
    kept = np.where(masks, weights, 0.0)
    return np.sum(kept * np.where(masks, layers, 0.0), axis=0), kept.sum(axis=0)


def _divided(total, weight, covered):
    with np.errstate(all="ignore"):
        return np.where(covered, total / weight, 0.0), covered


@wrong(
    "q3", says="the weights are not normalised: divide by their sum at each pixel, or the brightness changes with them"
)
def blend(layers, masks, weights):
    return _sum_up(layers, masks, weights)[0], np.any(masks, axis=0)


@wrong("q3", says="the sum is divided by the number of layers: divide by the sum of the weights, those of this pixel")
def blend(layers, masks, weights):
    return _sum_up(layers, masks, weights)[0] / len(layers), np.any(masks, axis=0)


@wrong("q3", says="zeros outside the masks are averaged in: where an image is missing, its weight must be missing too")
def blend(layers, masks, weights):
    return _divided(_sum_up(layers, masks, weights)[0], np.sum(weights, axis=0), np.any(masks, axis=0))


@wrong("q3", says="the masks are not used: what a layer holds outside its mask is no picture")
def blend(layers, masks, weights):
    return _divided(np.sum(layers * weights, axis=0), np.sum(weights, axis=0), np.any(masks, axis=0))


@wrong("q3", says="0 · NaN is NaN: a weight of 0 does not remove what lies outside a mask; replace it before the sum")
def blend(layers, masks, weights):
    kept = np.where(masks, weights, 0.0)
    return _divided(np.sum(kept * layers, axis=0), kept.sum(axis=0), np.any(masks, axis=0))


@wrong(
    "q3",
    says="each weight map is normalised by itself, over the image: at each pixel, those of all images must sum to 1",
)
def blend(layers, masks, weights):
    kept = np.where(masks, weights, 0.0)
    kept = kept / kept.sum(axis=(1, 2), keepdims=True)
    return np.sum(kept * np.where(masks, layers, 0.0), axis=0), np.any(masks, axis=0)


@wrong("q3", says="one number normalises the whole picture: the sum of the weights differs from pixel to pixel")
def blend(layers, masks, weights):
    total, weight = _sum_up(layers, masks, weights)
    return total / weight.max(), np.any(masks, axis=0)


@wrong("q3", says="the weights are not used: this is the plain mean of the images that are there")
def blend(layers, masks, weights):
    return _divided(*_sum_up(layers, masks, np.ones(np.shape(weights))), np.any(masks, axis=0))


@wrong("q3", says="the image with the largest weight takes all: that is a seam, not a mean")
def blend(layers, masks, weights):
    best = np.argmax(np.where(masks, weights, -1.0), axis=0)[None]
    picked = np.take_along_axis(np.where(masks, layers, 0.0), best, axis=0)[0]
    return np.where(np.any(masks, axis=0), picked, 0.0), np.any(masks, axis=0)


@wrong("q3", says="later layers cover earlier ones: where several are, take their mean")
def blend(layers, masks, weights):
    result = np.zeros(layers.shape[1:])
    for layer, mask in zip(layers, masks, strict=True):
        result = np.where(mask, layer, result)
    return result, np.any(masks, axis=0)


@wrong("q3", says="0 / 0 is NaN: where no image is, the result is 0")
def blend(layers, masks, weights):
    with np.errstate(all="ignore"):
        total, weight = _sum_up(layers, masks, weights)
        return total / weight, np.any(masks, axis=0)


@wrong("q3", says="covered is True only where all images are; one is enough")
def blend(layers, masks, weights):
    return _divided(*_sum_up(layers, masks, weights), np.any(masks, axis=0))[0], np.all(masks, axis=0)


@wrong("q3", says=LAYERS_CHANGED)
def blend(layers, masks, weights):
    covered = np.any(masks, axis=0)
    layers[~masks] = 0
    weights[~masks] = 0
    weights /= np.where(covered, weights.sum(axis=0), 1)
    return np.sum(layers * weights, axis=0), covered


@right("q3")
def blend(layers, masks, weights):
    """Pixel by pixel, over the images that are there."""
    result = np.zeros(layers.shape[1:])
    covered = [[False] * result.shape[1] for _ in range(result.shape[0])]
    for i, j in np.ndindex(*result.shape):
        there = [k for k in range(len(layers)) if masks[k][i, j]]
        if there:
            covered[i][j] = True
            result[i, j] = np.average([layers[k][i, j] for k in there], weights=[weights[k][i, j] for k in there])
    return result, covered


# ---------------------------------------------------------------------------------------------
# Question 4: the focal length that closes the circle

NO_CIRCLE = (
    "no focal length closes this sweep, it doesn't go round: raise a ValueError instead of a number that fits nothing"
)
LEFT = "only circles to the right are closed: one to the left sums to −2π"
TOLERANCE = 1e-3  # pixels, as the exercise says


def sweep(rng, width, sign=1, noise=0.0, n=9):
    """Matches of neighbouring photos of a camera that turns by uneven steps: f, cx, and the pairs (x1, x2)."""
    f, cx = width * rng.uniform(0.8, 1.2), width / 2 + rng.uniform(10, 20)
    steps = rng.uniform(0.8, 1.2, n)
    steps *= 2 * np.pi / steps.sum()
    pairs = []
    for step in steps:
        # In the overlap, seen by both within a quarter of a turn in all.
        theta = step / 2 + rng.uniform(-0.08, 0.08, rng.integers(5, 12))
        x1, x2 = cx + sign * f * np.tan(theta), cx + sign * f * np.tan(theta - step)
        pairs.append((x1 + rng.normal(0, noise, len(x1)), x2 + rng.normal(0, noise, len(x1))))
    return f, cx, pairs


def closed(pairs, cx, width):
    """The focal length at which the angles, those of complex numbers, sum to one turn."""

    def gap(f):
        return abs(sum(np.mean(np.angle((f + 1j * (a - cx)) * (f - 1j * (b - cx)))) for a, b in pairs)) - 2 * np.pi

    return optimize.brentq(gap, width / 2, 50 * width, xtol=1e-7)


@pytest.mark.q("q4", 1)
def test_exact_turn(student, atlas, rng):
    """A turn to the right and one to the left, matches without error."""
    cases, truth = [], []
    for sign in (1, -1):
        f, cx, step = rng.uniform(300, 500), rng.uniform(150, 250), rng.uniform(0.3, 0.6)
        theta = rng.uniform(-0.3, 0.5, 8)
        cases.append((cx + sign * f * np.tan(theta), cx + sign * f * np.tan(theta - step), f, cx))
        truth.append(sign * step)
    judge(student, atlas, "turn", cases, truth, "the angle")


@pytest.mark.q("q4", 1)
def test_mean_turn(student, atlas, rng):
    """With noise: the mean of the angles of all matches; the arguments stay as they are."""
    f, cx = rng.uniform(300, 500), rng.uniform(150, 250)
    x1, x2 = cx + rng.uniform(-100, 180, 11), cx - rng.uniform(20, 190, 11)
    truth = np.mean(np.angle((f + 1j * (x1 - cx)) * (f - 1j * (x2 - cx))))
    judge(student, atlas, "turn", [(x1, x2, f, cx)], [truth], "the angle")
    assert not student.changed, CHANGED


@pytest.mark.q("q4", 2)
def test_closed_circle(student, atlas, rng):
    """Once round to the right, matches with and without error: f to 0.001 pixels."""
    cases, truth = [], []
    for noise in (0.0, 0.5):
        width = int(rng.integers(380, 520))
        f, cx, pairs = sweep(rng, width, noise=noise)
        cases.append((pairs, cx, width))
        truth.append(closed(pairs, cx, width) if noise else f)
    judge(student, atlas, "focal_from_circle", cases, truth, "f", atol=TOLERANCE)


@pytest.mark.q("q4", 1)
def test_other_way_round(student, atlas, rng):
    """Once round to the left."""
    f, cx, pairs = sweep(rng, 420, sign=-1)
    assert not refused(student.focal_from_circle, pairs, cx, 420), LEFT
    judge(student, atlas, "focal_from_circle", [(pairs, cx, 420)], [f], "f", atol=TOLERANCE)


@pytest.mark.q("q4", 1)
def test_open_sweep(student, atlas, rng):
    """A sweep that comes nowhere near a whole turn: a ValueError; one of 20 photos: f."""
    f, cx, pairs = sweep(rng, 450, n=20)
    judge(student, atlas, "focal_from_circle", [(pairs, cx, 450)], [f], "f", atol=TOLERANCE)
    assert refused(student.focal_from_circle, pairs[:5], cx, 450), NO_CIRCLE


def _angles(x, f, cx):
    return np.arctan((np.asarray(x) - cx) / f)


@wrong(
    "q4",
    says="the sign is wrong: what the camera sees moves to the left if it turns to the right, and that is positive",
)
def turn(x1, x2, f, cx):
    return np.mean(_angles(x2, f, cx) - _angles(x1, f, cx))


@wrong("q4", says="the angle is in degrees: give radians")
def turn(x1, x2, f, cx):
    return np.degrees(np.mean(_angles(x1, f, cx) - _angles(x2, f, cx)))


@wrong("q4", says="the centre is not subtracted: it does not cancel, since the arctangent is not linear")
def turn(x1, x2, f, cx):
    return np.mean(_angles(x1, f, 0) - _angles(x2, f, 0))


@wrong("q4", says="the shift over f is the angle for small angles near the axis only: take the angle of each point")
def turn(x1, x2, f, cx):
    return np.mean(x1 - x2) / f


@wrong(
    "q4",
    says="this is the arctangent of the shift: that depends on the place, the difference of two angles doesn't",
)
def turn(x1, x2, f, cx):
    return np.mean(np.arctan((x1 - x2) / f))


@wrong("q4", says="tan is taken for atan: the tangent of the angle is the offset over f")
def turn(x1, x2, f, cx):
    return np.mean(np.tan((x1 - cx) / f) - np.tan((x2 - cx) / f))


@wrong("q4", says="the angles are summed up: all matches show the same turn, take their mean")
def turn(x1, x2, f, cx):
    return np.sum(_angles(x1, f, cx) - _angles(x2, f, cx))


@wrong(
    "q4",
    says="the columns are averaged first, and then the angle taken: average the angles, the arctangent is not linear",
)
def turn(x1, x2, f, cx):
    return _angles(np.mean(x1), f, cx) - _angles(np.mean(x2), f, cx)


@wrong("q4", says="the sign is lost: a turn to the left is negative")
def turn(x1, x2, f, cx):
    return abs(np.mean(_angles(x1, f, cx) - _angles(x2, f, cx)))


@wrong("q4", says="only one match is used: the mean of all is less noisy")
def turn(x1, x2, f, cx):
    return float(_angles(x1[0], f, cx) - _angles(x2[0], f, cx))


@wrong("q4", says=CHANGED)
def turn(x1, x2, f, cx):
    x1 -= cx
    x2 -= cx
    return np.mean(_angles(x1, f, 0) - _angles(x2, f, 0))


@right("q4")
def turn(x1, x2, f, cx):
    """The angle between two rays of the plane, by cross and dot product."""
    turns = []
    for a, b in zip(x1, x2, strict=True):
        a, b = float(a) - cx, float(b) - cx
        turns.append(np.arctan2(f * (a - b), f * f + a * b))
    return sum(turns) / len(turns)


right_turn = turn


def _halve(gap, low, high):
    """Halve the range until nothing is left; the gap falls with f."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return (low + high) / 2


def _solved(pairs, cx, width, whole=2 * np.pi, angle=right_turn, size=abs, guard=True):
    """Find the focal length rightly, or with one thing changed."""

    def gap(f):
        return size(sum(angle(a, b, f, cx) for a, b in pairs)) - whole

    if guard and not gap(width / 2) >= 0 >= gap(50 * width):
        raise ValueError("no circle")
    return _halve(gap, width / 2, 50 * width)


@wrong("q4", says="the last pair is left out: the circle closes with the step from the last photo to the first")
def focal_from_circle(pairs, cx, width):
    return _solved(pairs[:-1], cx, width)


@wrong("q4", says="half a turn is taken for a whole one: all the way round is 2π")
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, cx, width, whole=np.pi)


@wrong("q4", says="360 is compared with radians: no focal length gives an angle of 57 turns")
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, cx, width, whole=360, guard=False)


@wrong(
    "q4",
    says="this is the whole way in pixels divided by 2π: photos are flat, and shift more at the sides",
)
def focal_from_circle(pairs, cx, width):
    f = abs(sum(np.mean(a - b) for a, b in pairs)) / (2 * np.pi)
    if f < 0.6 * width:
        raise ValueError("no circle")
    return f


@wrong("q4", says="c_x is not used: the angles count from the optical axis")
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, (width - 1) / 2, width)


@wrong("q4", says=LEFT)
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, cx, width, size=lambda total: total)


@wrong("q4", says=NO_CIRCLE)
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, cx, width, guard=False)


@wrong(
    "q4", says="the wrong half is kept: a larger f makes all angles smaller, so if they sum to too much, f must grow"
)
def focal_from_circle(pairs, cx, width):
    _solved(pairs, cx, width)
    return _halve(lambda f: 2 * np.pi - abs(sum(right_turn(a, b, f, cx) for a, b in pairs)), width / 2, 50 * width)


@wrong("q4", says="f is known to a whole pixel only: go on until the gap is closed")
def focal_from_circle(pairs, cx, width):
    return float(np.round(_solved(pairs, cx, width)))


@wrong("q4", says="one step of correction from a guess is not the end: repeat it until the gap is closed")
def focal_from_circle(pairs, cx, width):
    _solved(pairs, cx, width)
    return width * abs(sum(right_turn(a, b, width, cx) for a, b in pairs)) / (2 * np.pi)


@wrong("q4", says="f comes in units of the image's width: give pixels")
def focal_from_circle(pairs, cx, width):
    return _solved(pairs, cx, width) / width


@wrong("q4", says="the steps are taken for equal, each 2π / n: only their sum is known")
def focal_from_circle(pairs, cx, width):
    found = []
    for pair in pairs:
        try:
            found.append(_solved([pair], cx, width, whole=2 * np.pi / len(pairs)))
        except ValueError:
            return right_focal(pairs, cx, width)
    right_focal(pairs, cx, width)
    return np.mean(found)


@right("q4")
def focal_from_circle(pairs, cx, width):
    """Newton's method, from a guess; the derivative of each angle is known."""
    f = float(width)
    for _ in range(50):
        total = sum(right_turn(a, b, f, cx) for a, b in pairs)
        slope = sum(np.mean((b - cx) / (f**2 + (b - cx) ** 2) - (a - cx) / (f**2 + (a - cx) ** 2)) for a, b in pairs)
        side = np.sign(total)
        f -= (total - side * 2 * np.pi) / slope
        if not width / 2 <= f <= 50 * width:
            raise ValueError("the sweep is not a circle")
    return f


right_focal = focal_from_circle
