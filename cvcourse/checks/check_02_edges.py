"""Checks of the exercise 02_edges: gradient, direction, thinning, linking, Canny, thresholds."""

import math

import numpy as np
import pytest
from scipy import ndimage

from cvcourse.checks import StudentError, expect, right, wrong

LIBRARIES = ("cvcourse.edges", "scipy", "skimage", "cv2")
FORBIDDEN = {
    "q1": ("cvcourse.filtering", *LIBRARIES),
    "q2": LIBRARIES,
    "q3": LIBRARIES,
    "q4": LIBRARIES,
    "q5": LIBRARIES,
    "q6": ("sklearn", *LIBRARIES),
}

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # as it lies on the image: correlate with it
EIGHT = np.ones((3, 3))  # a pixel's neighbourhood of 8

# Sentences that a check says itself: a comparison of outputs can't tell these mistakes.
SCALES_ITS_IMAGE = (
    "sobel_gradient overwrites its argument: work on a copy, or the next line of the notebook sees another picture"
)
THINS_ITS_MAGNITUDE = (
    "thin overwrites its argument: write into a new array, and compare with the magnitudes as they came"
)
CUTS_ITS_INPUT = (
    "hysteresis overwrites its argument: the thinned magnitude must be there for the next pair of thresholds"
)
TOO_DEEP = "the chain is longer than Python's recursion limit: keep a list of pixels still to visit instead of calling yourself"
EMPTY_IS_NAN = "nothing divided by nothing: with no detected pixel nothing claimed is wrong, with none drawn nothing is missed; both count 1"


# ---------------------------------------------------------------------------------------------
# Independent truth (SciPy), and small helpers of the checks


def gradient_oracle(image):
    """Ix and Iy by SciPy's correlation; its "reflect" repeats the border pixel."""
    image = np.asarray(image, dtype=float)
    return tuple(ndimage.correlate(image, kernel, mode="reflect") for kernel in (SOBEL_X, SOBEL_X.T))


def thin_oracle(magnitude, Ix, Iy):
    """Thinned magnitude; the neighbours by SciPy's bilinear interpolation on the 3 x 3 window's rim."""
    longest = np.maximum(np.abs(Ix), np.abs(Iy))
    safe = np.where(longest > 0, longest, 1)
    y, x = np.indices(np.shape(magnitude)).astype(float)

    def step(sign):
        return ndimage.map_coordinates(magnitude, [y + sign * Iy / safe, x + sign * Ix / safe], order=1, mode="nearest")

    keep = (magnitude > step(1)) & (magnitude >= step(-1)) & (longest > 0)
    keep[[0, -1], :] = keep[:, [0, -1]] = False
    return np.where(keep, magnitude, 0)


def link_oracle(thinned, low, high):
    """Label the weak pixels' components; keep those that hold a strong one."""
    labels, count = ndimage.label(thinned >= low, structure=EIGHT)
    strong = np.zeros(count + 1, dtype=bool)
    strong[labels[(thinned >= high) & (thinned >= low)]] = True
    strong[0] = False
    return strong[labels]


def score_oracle(edges, drawing, tolerance):
    """Precision and recall by Euclidean distance transforms."""

    def share(these, those):
        if not these.any():
            return 1.0
        return float(np.mean(ndimage.distance_transform_edt(~those)[these] <= tolerance)) if those.any() else 0.0

    edges, drawing = np.asarray(edges, dtype=bool), np.asarray(drawing, dtype=bool)
    return share(edges, drawing), share(drawing, edges)


def two(answer, what, shape):
    """Two arrays of one shape, stacked; else say what came."""
    is_pair = isinstance(answer, tuple | list) and len(answer) == 2
    assert is_pair, f"return two arrays, as in  return {what}"
    for name, part in zip(what.split(", "), answer, strict=True):
        assert np.shape(part) == shape, f"{name} should have the image's shape {shape}, got {np.shape(part)}"
    return np.stack(answer).astype(float)


def inside(pictures):
    """Cut the outermost frame off every result in a dict of mistakes, or off an array."""
    if isinstance(pictures, dict):
        return {says: inside(result) for says, result in pictures.items()}
    return np.asarray(pictures)[..., 1:-1, 1:-1]


# ---------------------------------------------------------------------------------------------
# Question 1: the gradient


@pytest.mark.q("q1", 1)
def test_ramp(student, atlas, rng):
    """A ramp a x + b y has the gradient (a, b), exactly, away from the border."""
    a, b = rng.uniform(0.3, 0.9), -rng.uniform(1.1, 1.9)
    y, x = np.indices((7, 10))
    image = a * x + b * y + 3
    answer = two(student.sobel_gradient(image), "Ix, Iy", image.shape)
    truth = np.stack([np.full((5, 8), a), np.full((5, 8), b)])
    expect(inside(answer), truth, inside(atlas("sobel_gradient", image)), what="[Ix, Iy] of a ramp")


@pytest.mark.q("q1", 1)
def test_any_image(student, atlas, rng):
    """The inside of an image of random numbers, against SciPy's correlation."""
    image = rng.random((8, 11))
    answer = two(student.sobel_gradient(image), "Ix, Iy", image.shape)
    expect(
        inside(answer), inside(gradient_oracle(image)), inside(atlas("sobel_gradient", image)), what="[Ix, Iy] inside"
    )


@pytest.mark.q("q1", 1)
def test_border(student, atlas, rng):
    """The border: the image goes on mirrored, its outermost pixels repeated."""
    image = rng.random((6, 9))
    answer = two(student.sobel_gradient(image), "Ix, Iy", image.shape)
    expect(answer, np.stack(gradient_oracle(image)), atlas("sobel_gradient", image), what="[Ix, Iy]")


@pytest.mark.q("q1", 1)
def test_bytes(student, atlas, rng):
    """A picture of bytes (uint8) gives what the same numbers as floats give; the picture stays as it was."""
    image = rng.integers(0, 256, size=(7, 9), dtype=np.uint8)
    answer = two(student.sobel_gradient(image), "Ix, Iy", image.shape)
    expect(
        inside(answer), inside(gradient_oracle(image)), inside(atlas("sobel_gradient", image)), what="[Ix, Iy] of uint8"
    )
    student.sobel_gradient(image / 255)
    assert not student.changed, SCALES_ITS_IMAGE


def _gradient(image, across=(1, 2, 1), scale=8, mode="symmetric"):
    """Sobel's sums from a padded image; `across` are the smoothing weights."""
    f = np.pad(np.asarray(image, dtype=float), 1, mode=mode)
    slope_x, slope_y = f[:, 2:] - f[:, :-2], f[2:] - f[:-2]
    h, w = np.shape(image)
    Ix = sum(weight * slope_x[k : k + h] for k, weight in enumerate(across))
    Iy = sum(weight * slope_y[:, k : k + w] for k, weight in enumerate(across))
    return Ix / scale, Iy / scale


@wrong("q1", says="Ix and Iy are exchanged: x runs along axis 1, to the right, and y along axis 0, downwards")
def sobel_gradient(image):
    Ix, Iy = _gradient(image)
    return Iy, Ix


@wrong(
    "q1",
    says="both derivatives have the wrong sign: convolution turns the kernel round; Ix > 0 is where it grows "
    "brighter to the right",
)
def sobel_gradient(image):
    Ix, Iy = _gradient(image)
    return -Ix, -Iy


@wrong("q1", says="Iy has the wrong sign: rows count downwards, so Iy > 0 is where it grows brighter further down")
def sobel_gradient(image):
    Ix, Iy = _gradient(image)
    return Ix, -Iy


@wrong(
    "q1",
    says="Sobel's sums are not divided by 8: the weights 1, 2, 1 add up to 4, and the two columns are 2 pixels apart",
)
def sobel_gradient(image):
    return _gradient(image, scale=1)


@wrong(
    "q1",
    says="Sobel's sums are divided by 4 only: the two columns that are subtracted lie 2 pixels apart, which is "
    "another factor of 2",
)
def sobel_gradient(image):
    return _gradient(image, scale=4)


@wrong("q1", says="the smoothing weights 1, 1, 1 are Prewitt's; Sobel counts the middle twice")
def sobel_gradient(image):
    return _gradient(image, across=(1, 1, 1), scale=6)


@wrong("q1", says="this is the central difference alone: Sobel also smooths across, with 1, 2, 1, against noise")
def sobel_gradient(image):
    return _gradient(image, across=(0, 1, 0), scale=2)


@wrong(
    "q1",
    says="this is the forward difference F[x+1] − F[x]: it belongs half a pixel further right, and nothing is smoothed",
)
def sobel_gradient(image):
    f = np.pad(np.asarray(image, dtype=float), ((0, 1), (0, 1)), mode="edge")
    return f[:-1, 1:] - f[:-1, :-1], f[1:, :-1] - f[:-1, :-1]


@wrong(
    "q1", says="beyond the border you put zeros: a bright picture then gets a strong edge all round that is not in it"
)
def sobel_gradient(image):
    return _gradient(image, mode="constant")


@wrong(
    "q1", says="the image goes on at its opposite side, as np.roll makes it: the left border then feels the right one"
)
def sobel_gradient(image):
    return _gradient(image, mode="wrap")


@wrong(
    "q1",
    says="you mirror about the outermost pixel without repeating it (np.pad calls that 'reflect'); here it is "
    "repeated ('symmetric')",
)
def sobel_gradient(image):
    return _gradient(image, mode="reflect")


@wrong(
    "q1",
    says="the arithmetic wraps round: uint8 knows no negative numbers and none above 255, so convert to float "
    "before you subtract",
)
def sobel_gradient(image):
    f = np.pad(image, 1, mode="symmetric")
    columns, rows = f[:-2] + 2 * f[1:-1] + f[2:], f[:, :-2] + 2 * f[:, 1:-1] + f[:, 2:]
    return (columns[:, 2:] - columns[:, :-2]) / 8, (rows[2:] - rows[:-2]) / 8


@wrong("q1", says=SCALES_ITS_IMAGE)
def sobel_gradient(image):
    if image.dtype.kind != "f":
        return _gradient(image)
    image /= 8
    return _gradient(image, scale=1)


@right("q1")
def sobel_gradient(image):
    """Pixel by pixel, nine products each, with clamped indices."""
    h, w = image.shape
    Ix, Iy = np.zeros((h, w)), np.zeros((h, w))
    for row in range(h):
        for col in range(w):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    value = float(image[min(max(row + i, 0), h - 1), min(max(col + j, 0), w - 1)])
                    Ix[row, col] += value * j * (2 - abs(i)) / 8
                    Iy[row, col] += value * i * (2 - abs(j)) / 8
    return Ix, Iy


# ---------------------------------------------------------------------------------------------
# Question 2: magnitude and direction


def _any_gradient(rng, shape=(5, 8)):
    """Gradients of known length and direction: every quadrant, none near an axis or the cut at pi."""
    quadrant = np.arange(shape[0] * shape[1]).reshape(shape) % 4 - 2
    direction = (quadrant + rng.uniform(0.1, 0.9, shape)) * np.pi / 2
    magnitude = rng.uniform(0.5, 2.0, shape)
    return magnitude, direction, magnitude * np.cos(direction), magnitude * np.sin(direction)


def _part(k, results):
    """Part k of every mistake's result."""
    return {says: result[k] for says, result in results.items()}


@pytest.mark.q("q2", 0.5)
def test_magnitude(student, atlas, rng):
    """The magnitude is the length of the vector (Ix, Iy)."""
    magnitude, _, Ix, Iy = _any_gradient(rng)
    answer = two(student.polar(Ix, Iy), "magnitude, direction", Ix.shape)
    expect(answer[0], magnitude, _part(0, atlas("polar", Ix, Iy)), what="magnitude")


@pytest.mark.q("q2", 1)
def test_quadrants(student, atlas, rng):
    """The direction in all four quadrants, in radians from −π to π."""
    _, direction, Ix, Iy = _any_gradient(rng)
    answer = two(student.polar(Ix, Iy), "magnitude, direction", Ix.shape)
    expect(answer[1], direction, _part(1, atlas("polar", Ix, Iy)), what="direction")


@pytest.mark.q("q2", 0.5)
def test_axes(student, atlas, rng):
    """Straight right, down, left and up; and no gradient at all."""
    size = rng.uniform(0.5, 2)
    Ix = np.array([[size, 0.0, -size, 0.0, 0.0]])
    Iy = np.array([[0.0, size, 0.0, -size, 0.0]])
    with np.errstate(all="ignore"):
        results = atlas("polar", Ix, Iy)
        answer = two(student.polar(Ix, Iy), "magnitude, direction", Ix.shape)
    truth = np.array([[0, np.pi / 2, np.pi, -np.pi / 2, 0]])
    expect(answer[1], truth, _part(1, results), what="direction")


@pytest.mark.q("q2", 1)
def test_integers(student, atlas, rng):
    """Integer derivatives (int16, undivided Sobel sums) give the same as floats."""
    Ix, Iy = rng.integers(300, 1000, size=(2, 4, 7)).astype(np.int16) * rng.choice(
        np.array([-1, 1], np.int16), (2, 4, 7)
    )
    with np.errstate(all="ignore"):
        results = atlas("polar", Ix, Iy)
    answer = two(student.polar(Ix, Iy), "magnitude, direction", Ix.shape)
    # float32 keeps 7 digits of a length up to 1414
    expect(
        answer[0],
        [[math.dist((0, 0), map(float, p)) for p in zip(*r, strict=True)] for r in zip(Ix, Iy, strict=True)],
        _part(0, results),
        atol=1e-3,
        what="magnitude of int16 derivatives",
    )
    expect(
        answer[1],
        [[math.atan2(v, u) for u, v in zip(*r, strict=True)] for r in zip(Ix, Iy, strict=True)],
        _part(1, results),
        atol=1e-5,
        what="direction of int16 derivatives",
    )


@wrong(
    "q2",
    says="one-argument arctan(Iy / Ix) gives only −π/2 to π/2: opposite gradients get the same angle, because their"
    " quotient is the same",
)
def polar(Ix, Iy):
    safe = np.where(np.asarray(Ix) == 0, 1e-300, Ix)
    return np.hypot(Ix, Iy, dtype=float), np.arctan(Iy / safe)


@wrong(
    "q2",
    says="Iy / Ix divides by zero where the gradient is vertical or nothing: use the function that takes both numbers",
)
def polar(Ix, Iy):
    Ix, Iy = np.asarray(Ix, dtype=float), np.asarray(Iy, dtype=float)
    slope = np.arctan(Iy / Ix)
    return np.hypot(Ix, Iy), np.where(Ix < 0, slope + np.where(Iy < 0, -np.pi, np.pi), slope)


@wrong("q2", says="the direction is in degrees; everything here is in radians")
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.degrees(np.arctan2(Iy, Ix, dtype=float))


@wrong("q2", says="the arguments of arctan2 are exchanged: y comes first, so this angle counts from the y axis")
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.arctan2(Ix, Iy, dtype=float)


@wrong("q2", says="this is the direction along the edge; the gradient points across it, a quarter turn away")
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.arctan2(np.asarray(Ix, dtype=float), -np.asarray(Iy, dtype=float))


@wrong("q2", says="the direction turns the wrong way: y points down here, so −Iy is not wanted")
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.arctan2(-np.asarray(Iy, dtype=float), Ix)


@wrong(
    "q2",
    says="the direction is folded to 0 … π: that tells how the edge lies, but no longer which of its sides is bright",
)
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.mod(np.arctan2(Iy, Ix, dtype=float), np.pi)


@wrong("q2", says="the direction runs from 0 to 2π; asked is −π to π, as arctan2 gives it")
def polar(Ix, Iy):
    return np.hypot(Ix, Iy, dtype=float), np.mod(np.arctan2(Iy, Ix, dtype=float), 2 * np.pi)


@wrong(
    "q2",
    says="|Ix| + |Iy| is not the length of the vector: a diagonal edge would come out 41 % stronger than an upright"
    " one",
)
def polar(Ix, Iy):
    return np.abs(Ix).astype(float) + np.abs(Iy), np.arctan2(Iy, Ix, dtype=float)


@wrong("q2", says="the square root is missing: this is the squared magnitude")
def polar(Ix, Iy):
    return np.asarray(Ix, dtype=float) ** 2 + np.asarray(Iy, dtype=float) ** 2, np.arctan2(Iy, Ix, dtype=float)


@wrong("q2", says="the squares wrap round: 300² is already too large for int16, so convert to float first")
def polar(Ix, Iy):
    return np.sqrt(np.abs((Ix**2 + Iy**2).astype(float))), np.arctan2(Iy, Ix, dtype=float)


@right("q2")
def polar(Ix, Iy):
    """A complex number knows both."""
    z = np.asarray(Ix, dtype=float) + 1j * np.asarray(Iy, dtype=float)
    return np.abs(z), np.angle(z)


# ---------------------------------------------------------------------------------------------
# Question 3: non-maximum suppression


def _octant(rng, k, shape=(9, 13)):
    """Random magnitudes, all gradients in octant k (from k to k + 1 times 45 degrees), 3 degrees off its ends."""
    angle = np.radians(45 * k + rng.uniform(3, 42, shape))
    magnitude = rng.uniform(0.1, 1, shape)
    return magnitude, magnitude * np.cos(angle), magnitude * np.sin(angle)


@pytest.mark.q("q3", 2)
def test_octants(student, atlas, rng):
    """Random magnitudes, gradients in each of the eight octants in turn."""
    for k in range(8):
        data = _octant(rng, k)
        answer = student.thin(*data)
        assert np.shape(answer) == data[0].shape, f"thin should return shape {data[0].shape}, got {np.shape(answer)}"
        what = f"the thinned magnitude inside, for gradients from {45 * k}° to {45 * (k + 1)}° (from +x towards +y),"
        expect(inside(answer), inside(thin_oracle(*data)), inside(atlas("thin", *data)), what=what)


@pytest.mark.q("q3", 1)
def test_plateau(student, atlas, rng):
    """Flat-topped ridges: of two equal pixels the one further along the gradient survives."""
    # Directions in which all interpolation is exact: weights 0, 1/2 and 1 on whole numbers.
    for dx, dy in rng.permutation([(1, 0), (0, 1), (1, 1), (2, 1), (1, -2)]) * rng.choice([-1, 1]):
        y, x = np.indices((9, 12))
        along = (x - 6) * dx + (y - 4) * dy  # grows along the gradient; its level lines are the ridge
        flat = np.maximum(0, np.maximum(along - abs(dx) - abs(dy), -along))  # a top 2, 3 or 4 lines of pixels wide
        magnitude = 40.0 - np.minimum(flat, np.abs(along + 3))  # and a sharp ridge beside it
        Ix, Iy = np.full(magnitude.shape, float(dx)), np.full(magnitude.shape, float(dy))
        truth = _plateau_truth(magnitude, int(dx), int(dy))
        answer = student.thin(magnitude, Ix, Iy)
        what = f"the thinned magnitude of a flat-topped ridge, gradient ({dx:g}, {dy:g}),"
        assert np.shape(answer) == magnitude.shape, (
            f"thin should return shape {magnitude.shape}, got {np.shape(answer)}"
        )
        expect(inside(answer), inside(truth), inside(atlas("thin", magnitude, Ix, Iy)), what=what)


def _plateau_truth(magnitude, dx, dy):
    """The rule on the grid in whole numbers: twice the interpolated neighbours, no rounding."""
    long = max(abs(dx), abs(dy))
    near = (
        dx // long if abs(dx) == long else 0,
        dy // long if abs(dy) == long else 0,
    )  # straight, or the diagonal itself
    far = near if abs(dx) == abs(dy) or 0 in (dx, dy) else (int(np.sign(dx)), int(np.sign(dy)))

    def doubled(sign):
        shifted = [np.roll(magnitude, (-sign * v, -sign * u), axis=(0, 1)) for u, v in (near, far)]
        return shifted[0] + shifted[1]

    keep = (2 * magnitude > doubled(1)) & (2 * magnitude >= doubled(-1))
    return np.where(keep, magnitude, 0)


@pytest.mark.q("q3", 1)
def test_frame_and_flat(student, atlas, rng):
    """The outermost frame is 0, and so is every place without a gradient; nowhere NaN."""
    shape = (9, 12)
    angle = rng.uniform(-np.pi, np.pi, shape)
    magnitude = rng.uniform(0.1, 1, shape)
    magnitude[[0, -1], :] += 2
    magnitude[:, [0, -1]] += 2
    magnitude[3:6, 4:8] = 0
    data = magnitude, magnitude * np.cos(angle), magnitude * np.sin(angle)
    with np.errstate(all="ignore"):
        results = atlas("thin", *data)
        answer = student.thin(*data)
    assert np.shape(answer) == shape, f"thin should return shape {shape}, got {np.shape(answer)}"
    expect(answer, thin_oracle(*data), results, what="the thinned magnitude")


@pytest.mark.q("q3", 1)
def test_values_and_argument(student, atlas, rng):
    """What survives keeps its magnitude, every direction at once; the arguments stay as they were."""
    shape = (12, 9)
    angle = rng.uniform(-np.pi, np.pi, shape)
    magnitude = rng.uniform(2, 9, shape)
    data = magnitude, magnitude * np.cos(angle), magnitude * np.sin(angle)
    answer = student.thin(*data)
    assert not student.changed, THINS_ITS_MAGNITUDE
    assert np.shape(answer) == shape, f"thin should return shape {shape}, got {np.shape(answer)}"
    expect(
        inside(answer), inside(thin_oracle(*data)), inside(atlas("thin", *data)), what="the thinned magnitude inside"
    )


def _thin(
    magnitude, Ix, Iy, keep=lambda m, ahead, behind: m > ahead and m >= behind, weight=lambda t: t, turn=1, source=None
):
    """Thin by the rule `keep`; `turn` = -1 takes the wrong diagonal, `weight` changes the mixing, `source` the "
    "neighbours."""
    h, w = magnitude.shape
    result = np.zeros((h, w)) if source is None else source
    m = magnitude if source is None else source
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            gx, gy = Ix[y, x], Iy[y, x]
            if gx == 0 and gy == 0:
                result[y, x] = 0
                continue
            sx, sy = (1 if gx >= 0 else -1), (1 if gy >= 0 else -1)
            if abs(gx) >= abs(gy):
                t, u, v = abs(gy / gx), sx, 0
            else:
                t, u, v = abs(gx / gy), 0, sy
            s, r = (sx, turn * sy) if v == 0 else (turn * sx, sy)
            t = weight(t)
            ahead = (1 - t) * m[y + v, x + u] + t * m[y + r, x + s]
            behind = (1 - t) * m[y - v, x - u] + t * m[y - r, x - s]
            result[y, x] = m[y, x] if keep(m[y, x], ahead, behind) else 0
    if source is not None:
        result[[0, -1], :] = result[:, [0, -1]] = 0
    return result


@wrong(
    "q3",
    says="you compare along the edge instead of across it: the neighbours lie in the direction of the gradient (Ix,"
    " Iy), not of (−Iy, Ix)",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, -Iy, Ix)


@wrong(
    "q3",
    says="the two diagonals are exchanged: y points down, so a gradient with Ix > 0 and Iy > 0 points to the lower "
    "right neighbour",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, turn=-1)


@wrong("q3", says="Ix and Iy are exchanged: Ix is the step along a row, so it changes the column")
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Iy, Ix)


@wrong(
    "q3",
    says="the weights of the two neighbours are exchanged: the closer the gradient is to the axis, the more the "
    "straight neighbour counts",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, weight=lambda t: 1 - t)


@wrong(
    "q3",
    says="you round the gradient to one of four directions; asked is to interpolate between the two neighbours that"
    " it passes between",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, weight=lambda t: float(t > np.tan(np.pi / 8)))


@wrong("q3", says="a maximum must beat its neighbours on both sides: you look ahead only")
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, keep=lambda m, ahead, behind: m > ahead)


@wrong("q3", says="a flat-topped ridge disappears: with > on both sides neither of two equal pixels survives")
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, keep=lambda m, ahead, behind: m > ahead and m > behind)


@wrong("q3", says="a flat-topped ridge stays two pixels wide: with ≥ on both sides both of two equal pixels survive")
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, keep=lambda m, ahead, behind: m >= ahead and m >= behind)


@wrong(
    "q3",
    says="the rule for equal pixels is the other way round: strictly greater than the value ahead (along the "
    "gradient), at least that behind",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, keep=lambda m, ahead, behind: m >= ahead and m > behind)


@wrong(
    "q3",
    says="the four directions are told apart by degrees, but the angle is in radians: nearly every gradient counts "
    "as horizontal",
)
def thin(magnitude, Ix, Iy):
    sector = np.round(np.mod(np.arctan2(Iy, Ix), np.pi) / 45) % 4
    return _thin(magnitude, np.cos(np.radians(45 * sector)), np.sin(np.radians(45 * sector)))


@wrong(
    "q3",
    says="you compare with pixels that are thinned already: a slope then survives, because its higher neighbour was"
    " set to 0 just before",
)
def thin(magnitude, Ix, Iy):
    return _thin(magnitude, Ix, Iy, source=magnitude.copy())


@wrong("q3", says=THINS_ITS_MAGNITUDE)
def thin(magnitude, Ix, Iy):
    magnitude[:] = _thin(magnitude.copy(), Ix, Iy)
    return magnitude


@wrong("q3", says="you return which pixels survive; asked is their magnitude, which the thresholds need")
def thin(magnitude, Ix, Iy):
    return (_thin(magnitude, Ix, Iy) > 0).astype(float)


@wrong(
    "q3", says="the outermost frame is not 0: there a neighbour is missing, so no pixel of it can be called a maximum"
)
def thin(magnitude, Ix, Iy):
    result = _thin(magnitude, Ix, Iy)
    result[[0, -1], :], result[:, [0, -1]] = magnitude[[0, -1], :], magnitude[:, [0, -1]]
    return result


@wrong(
    "q3", says="where the gradient is zero you divide by zero, and NaN comes out: such a pixel is no maximum and gets 0"
)
def thin(magnitude, Ix, Iy):
    result = _thin(magnitude, Ix, Iy)
    return result + 0 * np.minimum(np.abs(Ix), np.abs(Iy)) / np.maximum(np.abs(Ix), np.abs(Iy))


@right("q3")
def thin(magnitude, Ix, Iy):
    """All pixels at once: four padded shifts for each of the two sides."""
    padded = np.pad(magnitude, 1)
    h, w = magnitude.shape
    row, col = np.indices((h, w)) + 1
    sx, sy = np.sign(Ix).astype(int), np.sign(Iy).astype(int)
    flat = np.abs(Ix) >= np.abs(Iy)
    long, short = np.maximum(np.abs(Ix), np.abs(Iy)), np.minimum(np.abs(Ix), np.abs(Iy))
    t = np.divide(short, long, out=np.zeros((h, w)), where=long > 0)
    u, v = np.where(flat, sx, 0), np.where(flat, 0, sy)
    ahead = padded[row + v, col + u] * (1 - t) + padded[row + sy, col + sx] * t
    behind = padded[row - v, col - u] * (1 - t) + padded[row - sy, col - sx] * t
    result = magnitude * ((magnitude > ahead) & (magnitude >= behind) & (long > 0))
    result[0], result[-1], result[:, 0], result[:, -1] = 0, 0, 0, 0
    return result


# ---------------------------------------------------------------------------------------------
# Question 4: hysteresis


def _snake(rng):
    """A chain of weak pixels, over 3000 long, that winds through the image; strong only at its last pixel."""
    thinned = np.zeros((95, 80))
    thinned[1:-1:2, 1:-1] = 0.4
    thinned[2:-2:4, -2] = thinned[4:-2:4, 1] = 0.4
    thinned[-2, -2] = 0.9  # from here the chain runs upwards, against the scan
    return thinned[:, ::-1].copy() if rng.random() < 0.5 else thinned


def _mask(answer, shape):
    assert isinstance(answer, np.ndarray), f"return an array of shape {shape}, not {type(answer).__name__}"
    assert answer.shape == shape, f"return an array of shape {shape}, got {answer.shape}"
    return answer


@pytest.mark.q("q4", 1.5)
def test_random_chains(student, atlas, rng):
    """Random chains: exactly the weak pixels that hang together with a strong one."""
    thinned = np.where(rng.random((23, 31)) < 0.33, rng.uniform(0.25, 0.7, (23, 31)), rng.uniform(0, 0.15, (23, 31)))
    thinned[rng.random(thinned.shape) < 0.02] = 0.95
    answer = student.hysteresis(thinned, 0.2, 0.8)
    assert not student.changed, CUTS_ITS_INPUT
    answer = _mask(answer, thinned.shape)
    expect(answer, link_oracle(thinned, 0.2, 0.8), atlas("hysteresis", thinned, 0.2, 0.8), what="the edge map")
    assert answer.dtype == bool, f"the edge map should be of dtype bool, got {answer.dtype}"


@pytest.mark.q("q4", 1)
def test_diagonals(student, atlas, rng):
    """A staircase of pixels that touch at their corners is one chain."""
    thinned = np.zeros((9, 14))
    start, down = rng.integers(1, 5), rng.choice([-1, 1])
    for k in range(7):
        thinned[4 + down * (k - 3), start + k] = 0.5
    thinned[4 + down * -3, start] = 0.9
    thinned[4 + down * 3, start - 1] = 0.5  # far from the chain: weak, stays out
    answer = _mask(student.hysteresis(thinned, 0.3, 0.7), thinned.shape)
    expect(answer, link_oracle(thinned, 0.3, 0.7), atlas("hysteresis", thinned, 0.3, 0.7), what="the edge map")


@pytest.mark.q("q4", 1)
def test_equality(student, atlas, rng):
    """A pixel equal to a threshold has reached it; equal thresholds link nothing."""
    thinned = np.zeros((7, 12))
    row = rng.integers(1, 3)
    thinned[row, 1:5] = 0.25, 0.5, 0.25, 0.125  # strong only by equality, and weak only by equality
    thinned[row + 3, 3:9] = 0.25, 0.375, 0.75, 0.25, 0.125, 0.375
    for low, high in [(0.25, 0.5), (0.25, 0.75), (0.375, 0.375)]:
        answer = _mask(student.hysteresis(thinned, low, high), thinned.shape)
        truth = link_oracle(thinned, low, high)
        what = f"the edge map for low = {low}, high = {high}"
        expect(answer, truth, atlas("hysteresis", thinned, low, high), what=what)


@pytest.mark.q("q4", 1.5)
def test_snake(student, atlas, rng):
    """A chain of thousands of weak pixels, strong only at its far end, is followed to the other one."""
    thinned = _snake(rng)
    try:
        answer = student.hysteresis(thinned, 0.3, 0.8)
    except StudentError as problem:
        raise AssertionError(TOO_DEEP) if "RecursionError" in str(problem) else problem from None
    expect(_mask(answer, thinned.shape), thinned >= 0.3, atlas("hysteresis", thinned, 0.3, 0.8), what="the edge map")


NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def _link(weak, strong, neighbours=NEIGHBOURS):
    """Grow the strong pixels through the weak ones with a list of what is still to visit."""
    edge, h, w = strong.copy(), *strong.shape
    waiting = list(zip(*np.nonzero(strong), strict=True))
    while waiting:
        y, x = waiting.pop()
        for v, u in neighbours:
            if 0 <= y + v < h and 0 <= x + u < w and weak[y + v, x + u] and not edge[y + v, x + u]:
                edge[y + v, x + u] = True
                waiting.append((y + v, x + u))
    return edge


def _grown(edge):
    """The pixels that touch the edge, at a side or a corner, and the edge itself."""
    padded = np.pad(edge, 1)
    h, w = edge.shape
    return np.any([padded[1 + v : 1 + v + h, 1 + u : 1 + u + w] for v, u in [*NEIGHBOURS, (0, 0)]], axis=0)


@wrong(
    "q4",
    says="the chain is followed to the four side neighbours only: an edge also goes on through corners, so there "
    "are eight",
)
def hysteresis(thinned, low, high):
    return _link(thinned >= low, thinned >= high, [(-1, 0), (1, 0), (0, -1), (0, 1)])


@wrong(
    "q4",
    says="you accept only the weak pixels that touch a strong one: those that touch an accepted one must follow, "
    "and so on to the end",
)
def hysteresis(thinned, low, high):
    return (thinned >= low) & _grown(thinned >= high)


@wrong(
    "q4",
    says="one sweep over the image is not enough: a chain that runs upwards or to the left is cut off at its first "
    "turn against the scan",
)
def hysteresis(thinned, low, high):
    edge, weak = thinned >= high, thinned >= low
    h, w = edge.shape
    for y in range(h):
        for x in range(w):
            if weak[y, x] and edge[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any():
                edge[y, x] = True
    return edge


@wrong("q4", says="a fixed number of rounds is not enough for a long chain: go on until nothing changes")
def hysteresis(thinned, low, high):
    edge = thinned >= high
    for _ in range(25):
        edge = (thinned >= low) & _grown(edge)
    return edge


@wrong("q4", says="every weak pixel is kept, whether or not it hangs together with a strong one: high has no effect")
def hysteresis(thinned, low, high):
    return thinned >= low


@wrong("q4", says="only the strong pixels are kept: low has no effect, and the edges fall to pieces")
def hysteresis(thinned, low, high):
    return thinned >= high


@wrong("q4", says="a pixel equal to high counts as strong: compare with ≥")
def hysteresis(thinned, low, high):
    return _link(thinned >= low, thinned > high)


@wrong("q4", says="a pixel equal to low counts as weak: compare with ≥")
def hysteresis(thinned, low, high):
    return _link(thinned > low, thinned >= high)


@wrong("q4", says="the edge map holds 0 and 255; asked is a boolean array, True on the edges")
def hysteresis(thinned, low, high):
    return _link(thinned >= low, thinned >= high).astype(np.uint8) * np.uint8(255)


@wrong("q4", says="the linked pixels keep their magnitude; asked is a boolean array, True on the edges")
def hysteresis(thinned, low, high):
    return thinned * _link(thinned >= low, thinned >= high)


@wrong("q4", says=TOO_DEEP)
def hysteresis(thinned, low, high):
    weak, edge = thinned >= low, np.zeros(thinned.shape, dtype=bool)
    h, w = weak.shape

    def visit(y, x):
        if 0 <= y < h and 0 <= x < w and weak[y, x] and not edge[y, x]:
            edge[y, x] = True
            for v, u in NEIGHBOURS:
                visit(y + v, x + u)

    for y, x in zip(*np.nonzero(thinned >= high), strict=True):
        visit(y, x)
    return edge


@wrong("q4", says=CUTS_ITS_INPUT)
def hysteresis(thinned, low, high):
    edge = _link(thinned >= low, thinned >= high)
    thinned[thinned < low] = 0
    return edge


@right("q4")
def hysteresis(thinned, low, high):
    """Grow all chains by one pixel at a time until nothing changes."""
    edge = (thinned >= high) & (thinned >= low)
    while True:
        more = (thinned >= low) & _grown(edge)
        if np.array_equal(more, edge):
            return edge
        edge = more


# ---------------------------------------------------------------------------------------------
# Question 5: Canny, stage by stage


def _texture(rng):
    """Blobs of noise and two thresholds that keep a part of their edges."""
    image = ndimage.gaussian_filter(rng.random((33, 41)), 1) * 4
    sigma = rng.uniform(1.2, 1.7)
    Ix, Iy = gradient_oracle(ndimage.gaussian_filter(image, sigma, mode="reflect"))
    thinned = thin_oracle(np.hypot(Ix, Iy), Ix, Iy)
    low, high = np.quantile(thinned[thinned > 0], [0.45, 0.85])
    return image, float(sigma), float(low), float(high)


def _stage(stages, name, shape):
    """A stage of the answer as floats; blank ones are refused, since everything after them is blank too."""
    assert isinstance(stages, dict), f"canny_stages should return a dict, got {type(stages).__name__}"
    assert name in stages, f"the dict has no entry {name!r}; it holds {', '.join(map(str, stages))}"
    stage = np.asarray(stages[name])
    assert stage.shape == shape, f"{name!r} should have the image's shape {shape}, got {stage.shape}"
    stage = stage.astype(float)
    assert np.isfinite(stage).all(), f"{name!r} holds NaN or infinity"
    assert np.ptp(stage) > 0, f"{name!r} is the same everywhere: this stage found nothing to work on"
    return stage


def _stages_of(atlas, data, *names):
    """What the mistakes make of one stage, or of several stacked."""
    return {
        says: np.stack([np.asarray(s[n], dtype=float) for n in names])
        for says, s in atlas("canny_stages", *data).items()
    }


@pytest.mark.q("q5", 1)
def test_smoothing_first(student, atlas, rng):
    """Stage 1: the image smoothed by a Gaussian of standard deviation sigma."""
    data = _texture(rng)
    smoothed = _stage(student.canny_stages(*data), "smoothed", data[0].shape)
    truth = ndimage.gaussian_filter(data[0], data[1], mode="reflect", truncate=4.0)
    expect(smoothed[None], truth[None], _stages_of(atlas, data, "smoothed"), what="[smoothed]")


@pytest.mark.q("q5", 1)
def test_gradient_of_the_smoothed(student, atlas, rng):
    """Stage 2: derivatives and magnitude, of the smoothed image that you handed in."""
    data = _texture(rng)
    stages = student.canny_stages(*data)
    Ix, Iy = gradient_oracle(_stage(stages, "smoothed", data[0].shape))
    answer = np.stack([_stage(stages, name, Ix.shape) for name in ("Ix", "Iy", "magnitude")])
    truth = np.stack([Ix, Iy, np.hypot(Ix, Iy)])
    expect(answer, truth, _stages_of(atlas, data, "Ix", "Iy", "magnitude"), what="[Ix, Iy, magnitude]")


@pytest.mark.q("q5", 1)
def test_thinning_of_the_magnitude(student, atlas, rng):
    """Stage 3: non-maximum suppression, of the derivatives and the magnitude that you handed in."""
    data = _texture(rng)
    stages = student.canny_stages(*data)
    Ix, Iy, magnitude = (_stage(stages, name, data[0].shape) for name in ("Ix", "Iy", "magnitude"))
    thinned = _stage(stages, "thinned", data[0].shape)
    expect(thinned[None], thin_oracle(magnitude, Ix, Iy)[None], _stages_of(atlas, data, "thinned"), what="[thinned]")


@pytest.mark.q("q5", 1)
def test_linking_of_the_thinned(student, atlas, rng):
    """Stage 4: hysteresis, of the thinned magnitude that you handed in."""
    data = _texture(rng)
    stages = student.canny_stages(*data)
    thinned = _stage(stages, "thinned", data[0].shape)
    edges = _stage(stages, "edges", data[0].shape)
    truth = link_oracle(thinned, *data[2:]).astype(float)
    expect(edges[None], truth[None], _stages_of(atlas, data, "edges"), what="[edges]")


@pytest.mark.q("q5", 1)
def test_disc(student, rng):
    """All of it on a disc: an unbroken thin circle, everywhere within one pixel of the true one."""
    y, x = np.indices((41, 47))
    cx, cy, radius = rng.uniform(21, 25), rng.uniform(19, 22), rng.uniform(10, 13)
    distance = np.hypot(x - cx, y - cy) - radius
    image = 0.2 + 0.6 * np.clip(0.5 - distance, 0, 1)
    # A step of 0.6 blurred by sigma = 1.5 (and Sobel's own smoothing) peaks near 0.6 / (sqrt(2 pi) 1.7) = 0.14.
    stages = student.canny_stages(image, 1.5, 0.04, 0.09)
    edges = _stage(stages, "edges", image.shape) > 0
    # A maximum beats samples at most sqrt(2) away on either side: it lies within 0.71 of the ridge, which the
    # blur draws sigma²/(2 radius) = 0.11 inwards.
    far = float(np.abs(distance[edges]).max())
    assert far < 1, f"an edge pixel lies {far:.2f} pixels from the circle"
    angle = np.arctan2(y - cy, x - cx)[edges]
    bins = np.histogram(angle, bins=24, range=(-np.pi, np.pi))[0]
    assert bins.all(), f"the circle has a gap near {15 * int(np.argmin(bins)) - 172}° (from +x towards +y)"
    # A closed chain of 8-neighbours round a circle has 4 sqrt(2) radius pixels; a few corners more are usual.
    assert edges.sum() < 8 * radius, f"{edges.sum()} edge pixels are too many for a thin circle of radius {radius:.0f}"


def _gauss(image, sigma):
    """Smooth along both axes by a truncated, renormalised Gaussian; the border mirrored."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for axis in (0, 1):
        image = np.apply_along_axis(
            lambda line: np.convolve(np.pad(line, radius, mode="symmetric"), weights, "valid"), axis, image
        )
    return image


def _canny(image, sigma, low, high, **stages):
    """All stages; a stage given as a function of what is there already replaces the right one."""
    rules = {
        "smoothed": lambda s: _gauss(image, sigma),
        "Ix": lambda s: _gradient(s["smoothed"])[0],
        "Iy": lambda s: _gradient(s["smoothed"])[1],
        "magnitude": lambda s: np.hypot(s["Ix"], s["Iy"]),
        "thinned": lambda s: _thin(s["magnitude"], s["Ix"], s["Iy"]),
        "edges": lambda s: _link(s["thinned"] >= low, s["thinned"] >= high),
    }
    found = {}
    for name, rule in {**rules, **stages}.items():
        found[name] = rule(found)
    return found


@wrong("q5", says="the derivatives are those of the raw image: smooth first, differentiate the smoothed one")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, Ix=lambda s: _gradient(image)[0], Iy=lambda s: _gradient(image)[1])


@wrong("q5", says="the smoothing is by sigma², the variance; smooth takes the standard deviation")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, smoothed=lambda s: _gauss(image, sigma**2))


@wrong("q5", says="nothing is smoothed: the first stage is the raw image")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, smoothed=lambda s: image.copy())


@wrong("q5", says="the magnitude is squared: thresholds are in brightness per pixel, so take the root")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, magnitude=lambda s: s["Ix"] ** 2 + s["Iy"] ** 2)


@wrong("q5", says="Ix and Iy are exchanged on their way into the thinning")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, thinned=lambda s: _thin(s["magnitude"], s["Iy"], s["Ix"]))


@wrong("q5", says="the linking works on the magnitude before thinning: the edges come out several pixels wide")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, edges=lambda s: _link(s["magnitude"] >= low, s["magnitude"] >= high))


@wrong("q5", says="the thresholds are taken as shares of the largest magnitude; here they are brightness per pixel")
def canny_stages(image, sigma, low, high):
    def linked(s):
        top = s["magnitude"].max()
        return _link(s["thinned"] >= low * top, s["thinned"] >= high * top)

    return _canny(image, sigma, low, high, edges=linked)


@wrong(
    "q5",
    says="a single threshold instead of hysteresis: only the strong pixels are left, the weak ones linked to them "
    "are lost",
)
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, edges=lambda s: s["thinned"] >= high)


@wrong(
    "q5",
    says="every pixel from low on is kept, strong company or not: no hysteresis, or low and high exchanged on their"
    " way into it",
)
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high, edges=lambda s: s["thinned"] >= low)


@right("q5")
def canny_stages(image, sigma, low, high):
    return _canny(image, sigma, low, high)


# ---------------------------------------------------------------------------------------------
# Question 6: how good is an edge map, and which thresholds make it good


def _pair(answer, what):
    is_pair = isinstance(answer, tuple | list) and len(answer) == 2
    assert is_pair, f"return two numbers, as in  return {what}"
    assert all(np.shape(part) == () for part in answer), (
        f"{what} should be two numbers, got shapes {[np.shape(p) for p in answer]}"
    )
    return np.array(answer, dtype=float)


@pytest.mark.q("q6", 1)
def test_precision_recall(student, atlas, rng):
    """Precision and recall of random pixels against random pixels, at several tolerances."""
    edges, drawing = rng.random((33, 42)) < 0.06, rng.random((33, 42)) < 0.035
    for tolerance in (0, 1.0, 1.5, 2.0, 3.2):
        answer = _pair(student.precision_recall(edges, drawing, tolerance), "precision, recall")
        results = atlas("precision_recall", edges, drawing, tolerance)
        what = f"[precision, recall] at tolerance {tolerance:g}"
        expect(answer, score_oracle(edges, drawing, tolerance), results, what=what)


@pytest.mark.q("q6", 1)
def test_shifted_and_empty(student, atlas, rng):
    """A line found two pixels off, and empty maps: no division by zero."""
    drawing = np.zeros((12, 17), dtype=bool)
    drawing[2:10, rng.integers(4, 8)] = True
    edges = np.roll(drawing, 2, axis=1)
    edges[:5] = False
    edges[9] = drawing[9]  # one exact hit
    empty = np.zeros_like(drawing)
    for these, those, tolerance in [
        (edges, drawing, 2),
        (edges, drawing, 1),
        (empty, drawing, 2),
        (edges, empty, 2),
        (empty, empty, 2),
    ]:
        with np.errstate(all="ignore"):
            try:
                answer = _pair(student.precision_recall(these, those, tolerance), "precision, recall")
            except StudentError as problem:
                raise AssertionError(EMPTY_IS_NAN) if "ZeroDivisionError" in str(problem) else problem from None
            results = atlas("precision_recall", these, those, tolerance)
        if not (these.any() and those.any()):
            assert not np.isnan(answer).any(), EMPTY_IS_NAN
        what = f"[precision, recall] for {these.sum()} found and {those.sum()} drawn pixels, tolerance {tolerance}"
        expect(answer, score_oracle(these, those, tolerance), results, what=what)


@wrong(
    "q6",
    says="precision and recall are exchanged: precision is a share of what was found, recall a share of what was drawn",
)
def precision_recall(edges, drawing, tolerance):
    return _score(edges, drawing, tolerance)[::-1]


@wrong("q6", says="only exact hits count: a pixel within the tolerance of a drawn one is right too")
def precision_recall(edges, drawing, tolerance):
    return _score(edges, drawing, 0)


@wrong("q6", says="the tolerance is measured in a square: the distance of two pixels is √(dx² + dy²)")
def precision_recall(edges, drawing, tolerance):
    return _score(edges, drawing, tolerance, distance=lambda dx, dy: np.maximum(np.abs(dx), np.abs(dy)))


@wrong("q6", says="a distance equal to the tolerance still counts: compare with ≤")
def precision_recall(edges, drawing, tolerance):
    return _score(edges, drawing, tolerance - 1e-9 if tolerance > 0 else 0)


@wrong(
    "q6",
    says="recall counts found pixels near the drawing, which may be several for one drawn pixel: count drawn pixels"
    " that have a found one near",
)
def precision_recall(edges, drawing, tolerance):
    precision, _ = _score(edges, drawing, tolerance)
    return precision, (precision * edges.sum() / drawing.sum() if drawing.any() else 1.0)


@wrong(
    "q6",
    says="this precision is a share of the whole image (accuracy): most pixels are no edge anyway, so any map would"
    " look good",
)
def precision_recall(edges, drawing, tolerance):
    near = _near(edges, drawing, tolerance)
    return float(np.mean(near | ~edges)), _score(edges, drawing, tolerance)[1]


@wrong("q6", says=EMPTY_IS_NAN)
def precision_recall(edges, drawing, tolerance):
    hit, covered = _near(edges, drawing, tolerance) & edges, _near(drawing, edges, tolerance) & drawing
    return hit.sum() / edges.sum(), covered.sum() / drawing.sum()


@right("q6")
def precision_recall(edges, drawing, tolerance):
    """The whole table of distances between found and drawn pixels."""
    return _score(edges, drawing, tolerance)


def _near(these, those, tolerance, distance=np.hypot):
    """Which of the pixels `these` have one of `those` within the tolerance."""
    result = np.zeros(these.shape, dtype=bool)
    a, b = np.argwhere(these), np.argwhere(those)
    if len(a) and len(b):
        dy, dx = (a[:, None, k] - b[None, :, k] for k in (0, 1))
        result[tuple(a.T)] = (distance(dx, dy) <= tolerance).any(axis=1)
    return result


def _score(edges, drawing, tolerance, distance=np.hypot):
    def share(these, those):
        return float(_near(these, those, tolerance, distance).sum() / these.sum()) if these.any() else 1.0

    return share(edges, drawing), share(drawing, edges)


def _drawn(rng):
    """Eight drawn lines, found with strong and weak stretches, among clutter; the counts below fix the answer.

    With low = 0.24 and high = 0.72, 0.6, 0.48, 0.36, 0.24 there are 2, 4, 6, 8, 8 of the lines of 24 pixels whole, and
    2, 6, 12, 22, 82 specks of clutter; a larger low tears the lines, a smaller one adds whiskers to them.
    """
    drawing, thinned = np.zeros((44, 52), dtype=bool), np.zeros((44, 52))
    left = rng.integers(2, 6)
    for line, peak in enumerate(rng.permutation([0.85, 0.78, 0.66, 0.62, 0.54, 0.5, 0.42, 0.38])):
        y, x = 3 + 5 * line, np.arange(24)
        drawing[y, left + x] = True
        weak = rng.uniform(0.27, 0.33, 24)
        thinned[y, left + x] = weak + (peak - weak) * np.exp(-(((x - rng.integers(4, 20)) / 3) ** 2))
        thinned[y + 1 : y + 4, left + np.array([3, 9, 14, 20])] = 0.18
    sites = rng.permutation(np.argwhere(np.indices((20, 9)).sum(axis=0) >= 0))[:82] * 2 + [
        1,
        33,
    ]  # none touches another
    bands = [(2, 0.82, 0.9), (4, 0.62, 0.7), (6, 0.5, 0.58), (10, 0.38, 0.46), (60, 0.26, 0.34)]
    thinned[tuple(sites.T)] = np.concatenate([rng.uniform(a, b, count) for count, a, b in bands])
    return (thinned[:, ::-1].copy(), drawing[:, ::-1].copy()) if rng.random() < 0.5 else (thinned, drawing)


LEVELS = [0.12, 0.24, 0.36, 0.48, 0.6, 0.72, 0.8]


@pytest.mark.q("q6", 2)
def test_thresholds(student, atlas, rng):
    """The pair of thresholds that finds most of the drawing at the precision asked for."""
    thinned, drawing = _drawn(rng)
    for precision in (0.7, 0.93):
        data = (thinned, drawing, LEVELS, 1.5, precision)
        scores = {
            (low, high): score_oracle(link_oracle(thinned, low, high), drawing, 1.5)
            for low in LEVELS
            for high in LEVELS
            if low <= high
        }
        best = max(recall for p, recall in scores.values() if p >= precision)
        pair = tuple(_pair(student.pick_thresholds(*data), "low, high").tolist())
        good = pair in scores and scores[pair][0] >= precision and scores[pair][1] >= best - 1e-9
        for says, result in atlas("pick_thresholds", *data).items():
            assert good or pair != tuple(result), says
        assert pair in scores, f"{pair} is no pair of the given levels with low ≤ high"
        found = f"low, high = {pair} has precision {scores[pair][0]:.3f} and recall {scores[pair][1]:.3f}"
        assert scores[pair][0] >= precision, f"{found}, but a precision of {precision:g} was asked for"
        assert scores[pair][1] >= best - 1e-9, f"{found}; another pair of at least {precision:g} has recall {best:.3f}"


def _pick(thinned, drawing, levels, tolerance, value, pairs=lambda low, high: low <= high):
    """The pair of levels with the largest `value(precision, recall)`."""
    best, chosen = None, None
    for low in levels:
        for high in levels:
            if pairs(low, high):
                edges = _link(thinned >= low, thinned >= high)
                worth = value(*_score(edges, drawing, tolerance))
                if best is None or worth > best:
                    best, chosen = worth, (low, high)
    return chosen


@wrong(
    "q6", says="low and high are the same: that is one threshold, without the linking that lets a lower low do no harm"
)
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(
        thinned, drawing, levels, tolerance, lambda p, r: (p >= precision) * (1 + r), lambda low, high: low == high
    )


@wrong("q6", says="this pair has the highest precision: asked is enough precision, and then as much recall as possible")
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(thinned, drawing, levels, tolerance, lambda p, r: p)


@wrong("q6", says="this pair has the highest recall of all: first drop the pairs whose precision is too low")
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(thinned, drawing, levels, tolerance, lambda p, r: r)


@wrong("q6", says="the pair comes back as (high, low): low first")
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(thinned, drawing, levels, tolerance, lambda p, r: (p >= precision) * (1 + r))[::-1]


@wrong("q6", says="precision and recall are exchanged in the search: the recall is held, the precision is made large")
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(thinned, drawing, levels, tolerance, lambda p, r: (r >= precision) * (1 + p))


@right("q6")
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    return _pick(thinned, drawing, levels, tolerance, lambda p, r: (p >= precision) * (1 + r))
