"""Checks of exercise 06_descriptors, the mistakes they know, and second solutions.

Oracles: ``scipy.ndimage`` for blur and interpolation, ``scipy.spatial`` for distances, ``scipy.stats``
for normalising and for the area under a curve; plain loops over the definitions for the rest.
"""

import math

import numpy as np
import pytest
from scipy import ndimage, stats
from scipy.spatial.distance import cdist

from cvcourse.checks import StudentError, expect, right, wrong

LIBRARIES = ("cvcourse.descriptors", "scipy", "skimage", "sklearn", "cv2", "PIL", "torch")
FORBIDDEN = {
    "q1": (*LIBRARIES, "cvcourse.edges", "cvcourse.corners", "cvcourse.blobs"),
    **{question: LIBRARIES for question in ("q2", "q3", "q4", "q5")},
}


def collected(student, atlas, name, cases, read=np.asarray):
    """Give the answers to several calls together, and what each wrong version gives to all of them."""
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case)))
        for says, result in atlas(name, *case).items():
            looks.setdefault(says, []).append(read(result))
    return answers, {says: results for says, results in looks.items() if len(results) == len(cases)}


def blurred(image, sigma):
    """Blur with SciPy's Gaussian, whose border and cut are those of the course's."""
    return ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=4.0)


def read_at(image, x, y):
    """Read between the pixels with SciPy's bilinear interpolation."""
    return ndimage.map_coordinates(image, [y, x], order=1, mode="reflect")


# ---------------------------------------------------------------------------------------------
# Question 1: which way up, and where to look


def direction(angle):
    """Turn an angle into a point of the unit circle: whole turns make no difference."""
    try:
        return np.exp(1j * np.asarray(angle, dtype=np.float64))
    except (TypeError, ValueError):
        raise AssertionError(f"the orientation should be one number, not {type(angle).__name__}") from None


def texture(rng, shape, size=3.0):
    """Make spots of about `size` pixels, of mean 0.5 and standard deviation 0.1."""
    spots = ndimage.gaussian_filter(rng.normal(size=shape), size)
    return 0.5 + 0.1 * (spots - spots.mean()) / spots.std()


@pytest.mark.q("q1", 1)
def test_planes(student, atlas, rng):
    """On a plane the orientation is the way up the slope, in each of the four quadrants."""
    height, width, x, y = 53, 61, int(rng.integers(26, 36)), int(rng.integers(22, 28))
    row, col = np.indices((height, width))
    angles = np.array([0.1, 0.6, 1.1, 1.6]) * np.pi + rng.uniform(0, 0.3 * np.pi, 4)
    cases = [(0.01 * (np.cos(a) * col + np.sin(a) * row), x, y) for a in angles]
    answers, looks = collected(student, atlas, "orientation", cases, direction)
    expect(answers, np.exp(1j * angles), looks, what="cos θ + i sin θ on four planes")


@pytest.mark.q("q1", 1)
def test_texture(student, atlas, rng):
    """On any texture it is the direction of the blurred gradient at (x, y), for the given sigma."""
    image = texture(rng, (47, 58), size=1.5)
    cases, truth = [], []
    for sigma in (4.5, 2.0, 3.0):
        smooth = blurred(image, sigma)
        x, y = int(rng.integers(24, 40)), int(rng.integers(8, 22))
        Ix, Iy = (smooth[y, x + 1] - smooth[y, x - 1]) / 2, (smooth[y + 1, x] - smooth[y - 1, x]) / 2
        cases.append((image, x, y) if sigma == 4.5 else (image, x, y, sigma))
        truth.append((Ix + 1j * Iy) / math.hypot(Ix, Iy))
    answers, looks = collected(student, atlas, "orientation", cases, direction)
    expect(answers, truth, looks, what="cos θ + i sin θ at three places of a texture")


@pytest.mark.q("q1", 1)
def test_upright_points(student, atlas, rng):
    """For θ = 0 the 64 points lie 5 px apart, their middle on the keypoint; the last axis is (x, y)."""
    x, y = rng.uniform(20, 90, 2)
    truth = np.empty((8, 8, 2))
    for i in range(8):
        for j in range(8):
            truth[i, j] = x - 17.5 + 5 * j, y - 17.5 + 5 * i
    expect(student.patch_points(x, y, 0.0), truth, atlas("patch_points", x, y, 0.0), what="the points for θ = 0")


@pytest.mark.q("q1", 2)
def test_turned_points(student, atlas, rng):
    """For any θ the rows of the patch run along θ, and its columns a quarter turn further."""
    for theta in (rng.uniform(0.2, 1.3), rng.uniform(-2.9, -1.8)):
        x, y = rng.uniform(20, 90, 2)
        grid = np.arange(8) - 3.5
        # Complex numbers turn by multiplication: from +x towards +y is from 1 towards i.
        z = complex(x, y) + 5 * np.exp(1j * theta) * (grid[None, :] + 1j * grid[:, None])
        truth = np.stack([z.real, z.imag], axis=-1)
        looks = atlas("patch_points", x, y, theta)
        expect(student.patch_points(x, y, theta), truth, looks, what=f"the points for θ = {theta:.2f}")


def _gradient_at(image, x, y, sigma):
    smooth = blurred(image, sigma) if sigma > 0 else image
    return (smooth[y, x + 1] - smooth[y, x - 1]) / 2, (smooth[y + 1, x] - smooth[y - 1, x]) / 2


@wrong(
    "q1",
    says="the arguments of arctan2 are swapped: it takes the y part first, so this angle is "
    "counted from +y, not from +x",
)
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, sigma)
    return np.arctan2(Ix, Iy)


@wrong("q1", says="the angle has the wrong sign: y runs downwards here, and θ is counted from +x towards +y")
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, sigma)
    return np.arctan2(-Iy, Ix)


@wrong(
    "q1",
    says="arctan(Iy / Ix) cannot tell a direction from its opposite: half of all patches would stand on their head; "
    "arctan2 sees both signs",
)
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, sigma)
    return np.arctan(Iy / Ix)


@wrong("q1", says="this angle is in degrees; NumPy's functions, and the question, use radians")
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, sigma)
    return np.degrees(np.arctan2(Iy, Ix))


@wrong("q1", says="this points down the slope; asked for is the direction in which the brightness grows")
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, sigma)
    return np.arctan2(-Iy, -Ix)


@wrong("q1", says="the orientation is read at image[x, y]: x counts columns, so the pixel is image[y, x]")
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, y, x, sigma)
    return np.arctan2(Iy, Ix)


@wrong(
    "q1",
    says="this is the gradient of the raw image: two pixels decide, and noise turns the patch; blur with sigma first",
)
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, 0)
    return np.arctan2(Iy, Ix)


@wrong("q1", says="the argument sigma is not used: the blur is 4.5 pixels whatever is asked for")
def orientation(image, x, y, sigma=4.5):
    Ix, Iy = _gradient_at(image, x, y, 4.5)
    return np.arctan2(Iy, Ix)


@right("q1")
def orientation(image, x, y, sigma=4.5):
    """The differences of the window's weights, instead of those of a blurred image."""
    radius = int(4 * sigma + 0.5)
    bell = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    bell /= bell.sum()
    wide = np.pad(bell, 1)
    slope = (np.append(0, wide[:-1]) - np.append(wide[1:], 0)) / 2
    padded = np.pad(image, radius + 1, mode="symmetric")
    window = padded[y : y + len(wide), x : x + len(wide)]
    return math.atan2(slope @ window @ wide, wide @ window @ slope)


def _points(x, y, theta, grid=None, spacing=5.0, sign=1):
    """Give the points of the patch; wrong versions change one thing each."""
    grid = np.arange(8) - 3.5 if grid is None else grid
    v, u = spacing * np.meshgrid(grid, grid, indexing="ij")[0], spacing * np.meshgrid(grid, grid)[0]
    cos, sin = np.cos(theta), sign * np.sin(theta)
    return np.stack([x + cos * u - sin * v, y + sin * u + cos * v], axis=-1)


@wrong(
    "q1",
    says="the patch is turned by −θ: its rows should run along (cos θ, sin θ) in the image; the matrix that turns the "
    "image upright turns the grid the other way",
)
def patch_points(x, y, theta):
    return _points(x, y, theta, sign=-1)


@wrong(
    "q1",
    says="the grid lies half a sample off: eight samples have their middle between the fourth and the fifth, so they "
    "stand at ±½, ±1½, … spacings",
)
def patch_points(x, y, theta):
    return _points(x, y, theta, grid=np.arange(8.0) - 4)


@wrong(
    "q1",
    says="the eight samples end on the rims of the window, 40/7 pixels apart; each stands in the middle of its own "
    "5 pixels",
)
def patch_points(x, y, theta):
    return _points(x, y, theta, grid=np.linspace(-4, 4, 8))


@wrong("q1", says="the points are 1 pixel apart: this describes 8 × 8 pixels, not a window of 40 × 40")
def patch_points(x, y, theta):
    return _points(x, y, theta, spacing=1.0)


@wrong("q1", says="the last axis holds (y, x): points are (x, y) in this course")
def patch_points(x, y, theta):
    return _points(x, y, theta)[..., ::-1]


@wrong("q1", says="rows and columns of the patch are exchanged: points[i, j + 1] is the next one along θ")
def patch_points(x, y, theta):
    return _points(x, y, theta).transpose(1, 0, 2)


@wrong("q1", says="θ is taken for degrees and converted once more: it comes in radians")
def patch_points(x, y, theta):
    return _points(x, y, np.radians(theta))


@wrong(
    "q1",
    says="the grid is turned about the corner (0, 0) of the image: turn it about the "
    "keypoint, and only then move it there",
)
def patch_points(x, y, theta):
    points, cos, sin = _points(x, y, 0.0), np.cos(theta), np.sin(theta)
    return points @ np.array([[cos, sin], [-sin, cos]])


@wrong("q1", says="θ is not used: the patch does not turn with the picture")
def patch_points(x, y, theta):
    return _points(x, y, 0.0)


@right("q1")
def patch_points(x, y, theta):
    """Invert the map from image to patch: move, turn back, shrink, centre."""
    cos, sin = math.cos(theta), math.sin(theta)
    move = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    shrink = np.diag([0.2, 0.2, 1])
    centre = np.array([[1, 0, 3.5], [0, 1, 3.5], [0, 0, 1]])
    back = np.linalg.inv(centre @ shrink @ turn @ move)
    points = np.empty((8, 8, 2))
    for i in range(8):
        for j in range(8):
            points[i, j] = (back @ [j, i, 1])[:2]
    return points


# ---------------------------------------------------------------------------------------------
# Question 2: MOPS

PATCH_CHANGED = "normalise overwrites the patch: `patch -= …` works on the caller's array; compute in a new one"


@pytest.mark.q("q2", 1)
def test_normalised(student, atlas, rng):
    """The 64 numbers have mean 0 and standard deviation 1, row by row; the patch stays as it is."""
    patch = rng.uniform(0.2, 0.8, (8, 8))
    answer = student.normalise(patch)
    expect(answer, stats.zscore(patch.ravel()), atlas("normalise", patch), what="the normalised patch")
    assert not student.changed, PATCH_CHANGED


@pytest.mark.q("q2", 1)
def test_gain_and_offset(student, atlas, rng):
    """Gain and offset change nothing, even when the gain leaves hardly any contrast."""
    pattern = rng.normal(size=(8, 8))
    truth = stats.zscore(pattern.ravel())
    for gain, offset in [(3.0, -0.4), (2e-3, 0.5), (1e-4, 0.3)]:
        patch = gain * pattern + offset
        # The smallest gain leaves 1e-4 of contrast on 0.3: rounding is 1e-16 · 0.3 / 1e-4.
        looks = atlas("normalise", patch)
        expect(student.normalise(patch), truth, looks, what=f"the patch under gain {gain:g} and offset {offset:g}")


@pytest.mark.q("q2", 1)
def test_flat_patches(student, atlas, rng):
    """A patch without structure gives zeros, also if rounding left a trace of noise; a faint one does not."""
    level = rng.uniform(0.2, 0.8)
    faint = level + 1e-5 * rng.normal(size=(8, 8))
    flat = [np.full((8, 8), level), level + 1e-12 * rng.normal(size=(8, 8))]
    answers, looks = collected(student, atlas, "normalise", [(patch,) for patch in [*flat, faint]])
    shapes = {np.shape(answer) for answer in answers}
    assert shapes == {(64,)}, f"normalise should give 64 numbers, got the shape {shapes.pop()}"
    truth = [np.zeros(64), np.zeros(64), stats.zscore(faint.ravel())]
    # Contrast 1e-5 on a level below 1: 2e-16 of rounding in the mean become 2e-11.
    expect(answers, truth, looks, what="[a flat patch, the same with noise of 1e-12, a faint one]")


def mops_truth(image, x, y, theta):
    """Blur, read, normalise: all three by SciPy."""
    grid = 5 * (np.arange(8) - 3.5)
    z = complex(x, y) + np.exp(1j * theta) * (grid[None, :] + 1j * grid[:, None])
    return stats.zscore(read_at(blurred(image, 2.5), z.real, z.imag).ravel())


@pytest.mark.q("q2", 2)
def test_mops(student, atlas, rng):
    """The descriptor of a keypoint in a texture, for three orientations."""
    image = texture(rng, (75, 90)) + 0.05 * rng.normal(size=(75, 90))
    for theta in (0.0, rng.uniform(0.3, 1.2), rng.uniform(-2.8, -1.9)):
        x, y = rng.uniform(42, 50), rng.uniform(32, 38)
        answer = student.mops(image, x, y, theta)
        assert not student.changed, "mops overwrites the image: compute in new arrays"
        looks = atlas("mops", image, x, y, theta)
        expect(answer, mops_truth(image, x, y, theta), looks, what=f"the descriptor for θ = {theta:.2f}")


@pytest.mark.q("q2", 1)
def test_quarter_turns(student, atlas, rng):
    """Turn the picture by 90° three times, and the keypoint with it: every time the same vector."""
    image = texture(rng, (71, 83))
    x, y, theta = rng.uniform(38, 44), rng.uniform(33, 37), rng.uniform(0.2, 1.3)
    truth = np.asarray(student.mops(image, x, y, theta))
    assert truth.shape == (64,), f"mops should give 64 numbers, got the shape {truth.shape}"
    assert np.std(truth) > 0.5, "the descriptor of a textured patch should have the standard deviation 1"
    for quarter in (1, 2, 3):
        x, y, theta = y, image.shape[1] - 1 - x, theta - np.pi / 2  # np.rot90 turns +x into -y
        image = np.rot90(image).copy()
        looks = atlas("mops", image, x, y, theta)
        what = f"the descriptor after {quarter} quarter turn{'s' * (quarter > 1)}, compared with the one before"
        expect(student.mops(image, x, y, theta), truth, looks, what=what)


def _normalised(patch):
    flat = np.ravel(patch) - np.mean(patch)
    return flat / np.std(patch) if np.std(patch) > 1e-6 else np.zeros(64)


@wrong("q2", says="the patch is divided by its variance; divide by its square root, the standard deviation")
def normalise(patch):
    return (patch - patch.mean()).ravel() / max(patch.var(), 1e-12) * (patch.std() > 1e-6)


@wrong(
    "q2",
    says="the vector is scaled to length 1: that is as invariant, but asked for is the standard deviation 1, length 8",
)
def normalise(patch):
    return _normalised(patch) / 8


@wrong("q2", says="the mean is not subtracted: a brighter exposure moves all 64 numbers")
def normalise(patch):
    return patch.ravel() / patch.std() if patch.std() > 1e-6 else np.zeros(64)


@wrong("q2", says="the standard deviation is taken with N − 1 (ddof=1): the 64 numbers then have a variance of 63/64")
def normalise(patch):
    return _normalised(patch) * np.sqrt(63 / 64)


@wrong("q2", says="each row is normalised by itself: mean and standard deviation are those of all 64 numbers")
def normalise(patch):
    with np.errstate(all="ignore"):
        return ((patch - patch.mean(axis=1, keepdims=True)) / patch.std(axis=1, keepdims=True)).ravel()


@wrong("q2", says="the numbers come column by column; the rows of the patch should follow each other")
def normalise(patch):
    return _normalised(patch).reshape(8, 8).T.ravel()


@wrong("q2", says="the guard is missing: a flat patch has the standard deviation 0, or its rounding, and gave no zeros")
def normalise(patch):
    with np.errstate(all="ignore"):
        return ((patch - patch.mean()) / patch.std()).ravel()


@wrong(
    "q2",
    says="the guard asks for a standard deviation of exactly 0: rounding leaves 1e-12, and noise is blown up to "
    "variance 1; compare with the given bound",
)
def normalise(patch):
    deviation = patch.std() if np.ptp(patch) > 0 else 0.0
    return (patch - patch.mean()).ravel() / deviation if deviation != 0 else np.zeros(64)


@wrong(
    "q2",
    says="a constant is added to the standard deviation: no division by 0, but faint patches come out shorter than "
    "strong ones",
)
def normalise(patch):
    return (patch - patch.mean()).ravel() / (patch.std() + 1e-6)


@wrong("q2", says=PATCH_CHANGED)
def normalise(patch):
    result = _normalised(patch)
    patch -= patch.mean()
    return result


@right("q2")
def normalise(patch):
    """Centre by a projection, then scale by the length."""
    v = np.reshape(patch, 64)
    v = v - np.full((64, 64), 1 / 64) @ v
    length = math.sqrt(math.fsum(v * v))
    return np.zeros(64) if length < 8e-6 else 8 * v / length


@wrong("q2", says="the blur is missing: with samples 5 pixels apart the fine texture between them turns into noise")
def mops(image, x, y, theta):
    points = _points(x, y, theta)
    return _normalised(read_at(image, points[..., 0], points[..., 1]))


@wrong("q2", says="the blur comes after the sampling, on the small patch: by then the aliases are in it")
def mops(image, x, y, theta):
    points = _points(x, y, theta)
    return _normalised(blurred(read_at(image, points[..., 0], points[..., 1]), 0.5))


@wrong("q2", says="the blur is 5 pixels; asked for is half the spacing, 2.5 pixels")
def mops(image, x, y, theta):
    points = _points(x, y, theta)
    return _normalised(read_at(blurred(image, 5), points[..., 0], points[..., 1]))


@wrong("q2", says="the patch turns against the picture: the sign of θ in the descriptor is wrong")
def mops(image, x, y, theta):
    points = _points(x, y, theta, sign=-1)
    return _normalised(read_at(blurred(image, 2.5), points[..., 0], points[..., 1]))


@wrong("q2", says="the descriptor does not turn with θ: after a quarter turn it is another vector")
def mops(image, x, y, theta):
    points = _points(x, y, 0)
    return _normalised(read_at(blurred(image, 2.5), points[..., 0], points[..., 1]))


@wrong("q2", says="x and y are swapped when the blurred image is read: the last axis of the points is (x, y)")
def mops(image, x, y, theta):
    points = _points(x, y, theta)
    return _normalised(read_at(blurred(image, 2.5), points[..., 1], points[..., 0]))


@wrong("q2", says="the points are rounded to whole pixels: read between them, bilinearly")
def mops(image, x, y, theta):
    points = np.round(_points(x, y, theta))
    return _normalised(read_at(blurred(image, 2.5), points[..., 0], points[..., 1]))


@wrong("q2", says="the descriptor is not normalised: gain and offset of the exposure are still in it")
def mops(image, x, y, theta):
    points = _points(x, y, theta)
    return read_at(blurred(image, 2.5), points[..., 0], points[..., 1]).ravel()


@right("q2")
def mops(image, x, y, theta):
    """Weigh all pixels by tents, one sample at a time."""
    radius = 10
    bell = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * 2.5**2))
    bell /= bell.sum()
    smooth = np.pad(image, radius, mode="symmetric")
    smooth = np.apply_along_axis(np.convolve, 0, smooth, bell, "valid")
    smooth = np.apply_along_axis(np.convolve, 1, smooth, bell, "valid")
    rows, cols = np.arange(image.shape[0]), np.arange(image.shape[1])
    along, across = np.array([np.cos(theta), np.sin(theta)]), np.array([-np.sin(theta), np.cos(theta)])
    values = []
    for v in np.linspace(-17.5, 17.5, 8):
        for u in np.linspace(-17.5, 17.5, 8):
            px, py = np.array([x, y]) + u * along + v * across
            values.append(np.maximum(0, 1 - abs(rows - py)) @ smooth @ np.maximum(0, 1 - abs(cols - px)))
    values = np.array(values) - np.mean(values)
    length = np.linalg.norm(values)
    return 8 * values / length if length > 8e-6 else 0 * values


# ---------------------------------------------------------------------------------------------
# Question 3: SIFT

ARGUMENTS_CHANGED = "the gradients are overwritten: the caller needs them again; compute in new arrays"


def tents(Ix, Iy, weight):
    """Each pixel votes for a bin by its angular distance from the bin's middle, in units of 45 degrees."""
    votes = np.zeros(8)
    for gx, gy, w in zip(np.ravel(Ix), np.ravel(Iy), np.ravel(weight), strict=True):
        for k in range(8):
            away = abs(math.remainder(math.atan2(gy, gx) - k * math.pi / 4, 2 * math.pi)) / (math.pi / 4)
            votes[k] += w * math.hypot(gx, gy) * max(0.0, 1 - away)
    return votes


def sift_truth(Ix, Iy, clip):
    """Give the 128 numbers, pixel by pixel in each cell."""
    middle = np.arange(16) - 7.5
    window = np.exp(-(middle[:, None] ** 2 + middle**2) / 128)
    cells = [np.s_[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] for i in range(4) for j in range(4)]
    v = np.concatenate([tents(Ix[cell], Iy[cell], window[cell]) for cell in cells])
    v = np.minimum(v / np.linalg.norm(v), clip)
    return v / np.linalg.norm(v)


def polar(length, angle):
    return length * np.cos(angle), length * np.sin(angle)


@pytest.mark.q("q3", 1)
def test_bin_middles(student, atlas, rng):
    """A gradient at k · 45° votes for bin k alone, with its magnitude."""
    length = rng.uniform(0.5, 2, 8)
    steps = np.array([[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]])
    gradients = length[:, None] * steps
    order = rng.permutation(8)
    Ix, Iy = gradients[order].reshape(2, 4, 2).transpose(2, 0, 1)
    weight = np.ones((2, 4))
    looks = atlas("cell_histogram", Ix, Iy, weight)
    truth = length * np.hypot(*steps.T)
    expect(student.cell_histogram(Ix, Iy, weight), truth, looks, what="the histogram of the eight main directions")


@pytest.mark.q("q3", 1)
def test_between_bins(student, atlas, rng):
    """A gradient between two bins is shared by its distances, also between 315° and 360°."""
    angles = np.radians(np.array([20, 67, 115, 170, 205, 260, 290, 350]) + rng.uniform(-6, 6, 8))
    cases = [(*polar(np.full((1, 1), 1.0), angle), np.ones((1, 1))) for angle in angles]
    answers, looks = collected(student, atlas, "cell_histogram", cases)
    shapes = {np.shape(answer) for answer in answers}
    assert shapes == {(8,)}, f"a histogram has 8 bins, got the shape {shapes.pop()}"
    truth = [tents(*case) for case in cases]
    expect(answers, truth, looks, what="the histograms of eight single gradients (one a row)")


@pytest.mark.q("q3", 1)
def test_whole_cells(student, atlas, rng):
    """Many pixels: the votes for one bin add up, each weighted; the arguments stay as they are."""
    Ix, Iy = polar(rng.uniform(0, 2, (5, 7)), rng.uniform(-np.pi, 2.0, (5, 7)))
    weight = rng.uniform(0.2, 1, (5, 7))
    answer = student.cell_histogram(Ix, Iy, weight)
    looks = atlas("cell_histogram", Ix, Iy, weight)
    expect(answer, tents(Ix, Iy, weight), looks, what="the histogram of a 5 × 7 cell")
    assert not student.changed, ARGUMENTS_CHANGED


@pytest.mark.q("q3", 1)
def test_layout(student, atlas, rng):
    """One gradient in a cell leaves one number: cells row by row, eight bins in each."""
    cases, truth = [], []
    for i, j in [(0, 3), (1, 0), (2, 1), (3, 2)]:
        k = int(rng.integers(1, 8))
        Ix, Iy = np.zeros((2, 16, 16))
        row, col = 4 * i + rng.integers(4), 4 * j + rng.integers(4)
        Ix[row, col], Iy[row, col] = polar(rng.uniform(0.1, 0.5), k * np.pi / 4)
        cases.append((Ix, Iy))
        truth.append(np.arange(128) == 8 * (4 * i + j) + k)
    answers, looks = collected(student, atlas, "sift_descriptor", cases)
    shapes = {np.shape(answer) for answer in answers}
    assert shapes == {(128,)}, f"the descriptor has 4 · 4 · 8 = 128 numbers, got the shape {shapes.pop()}"
    expect(answers, truth, looks, what="the descriptors of four single gradients (one a row)")


def gradients(rng):
    """Gradients of 16 x 16 pixels that favour one side and a few directions, none strong enough to be clipped."""
    length = rng.uniform(0.5, 1, (16, 16)) * np.linspace(0.6, 1, 16) * np.linspace(1, 0.8, 16)[:, None]
    return polar(length, rng.uniform(-np.pi, np.pi, (16, 16)))


@pytest.mark.q("q3", 1)
def test_window(student, atlas, rng):
    """With clip = 1 nothing is clipped: votes under the Gaussian window, scaled to length 1."""
    Ix, Iy = gradients(rng)
    answer = student.sift_descriptor(Ix, Iy, 1.0)
    assert not student.changed, ARGUMENTS_CHANGED
    looks = atlas("sift_descriptor", Ix, Iy, 1.0)
    expect(answer, sift_truth(Ix, Iy, 1.0), looks, what="the descriptor with clip = 1")


@pytest.mark.q("q3", 1)
def test_clip(student, atlas, rng):
    """Strong entries are clipped after normalising, then it is scaled to length 1 again."""
    Ix, Iy = gradients(rng)
    row, col = rng.integers([1, 9], [7, 15])
    Ix[row, col] *= 12
    Iy[row, col] *= 12
    for options in ((), (0.1,)):
        looks = atlas("sift_descriptor", Ix, Iy, *options)
        truth = sift_truth(Ix, Iy, *(options or (0.2,)))
        expect(student.sift_descriptor(Ix, Iy, *options), truth, looks, what=f"the descriptor with clip {options}")


@pytest.mark.q("q3", 1)
def test_no_gradient(student, atlas, rng):
    """A window without any gradient gives zeros; a faint one (1e-6) still has length 1."""
    Ix, Iy = gradients(rng)
    cases = [(np.zeros((16, 16)), np.zeros((16, 16)), 1.0), (1e-6 * Ix, 1e-6 * Iy, 1.0)]
    answers, looks = collected(student, atlas, "sift_descriptor", cases)
    shapes = {np.shape(answer) for answer in answers}
    assert shapes == {(128,)}, f"the descriptor has 4 · 4 · 8 = 128 numbers, got the shape {shapes.pop()}"
    expect(answers, [np.zeros(128), sift_truth(Ix, Iy, 1.0)], looks, what="[no gradient, faint gradients]")


def _histogram(t, votes):
    """Share votes at the places t, in bins, between the two bins around."""
    t, votes = np.ravel(t) % 8, np.ravel(votes)
    low = np.floor(t).astype(int)
    share = t - low
    return np.bincount(low % 8, votes * (1 - share), 8) + np.bincount((low + 1) % 8, votes * share, 8)


def _place(Ix, Iy):
    """Give the direction in bins of 45 degrees; a hair off a bin's middle is the middle."""
    t = np.arctan2(Iy, Ix) * (4 / np.pi)
    return np.where(np.abs(t - np.round(t)) < 1e-9, np.round(t), t)


@wrong("q3", says="whole votes for the bin below: a direction between two bins should be shared between both")
def cell_histogram(Ix, Iy, weight):
    return _histogram(np.floor(_place(Ix, Iy)), weight * np.hypot(Ix, Iy))


@wrong(
    "q3",
    says="whole votes for the nearest bin: at a boundary the smallest turn moves a vote by 45°; share it between "
    "both bins",
)
def cell_histogram(Ix, Iy, weight):
    return _histogram(np.round(_place(Ix, Iy)), weight * np.hypot(Ix, Iy))


@wrong("q3", says="bins are a circle: between 315° and 360° the vote goes to bins 7 and 0, here bin 0 got nothing")
def cell_histogram(Ix, Iy, weight):
    t, votes = np.ravel(_place(Ix, Iy)) % 8, np.ravel(weight * np.hypot(Ix, Iy))
    low = np.floor(t).astype(int)
    return np.bincount(low, votes * (1 - t + low), 9)[:8] + np.bincount(low + 1, votes * (t - low), 9)[:8]


@wrong("q3", says="negative angles are lost: arctan2 gives (−π, π], and −45° is bin 7")
def cell_histogram(Ix, Iy, weight):
    t = _place(Ix, Iy)
    return _histogram(t, np.where(t < 0, 0, weight * np.hypot(Ix, Iy)))


@wrong("q3", says="opposite directions fall into one bin: SIFT tells 0° from 180°, its bins cover the whole circle")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, Iy) % 4, weight * np.hypot(Ix, Iy))


@wrong("q3", says="every pixel votes alike: a vote weighs as much as the gradient is long, or noise decides")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, Iy), weight * (np.hypot(Ix, Iy) > 0))


@wrong("q3", says="the votes are squared magnitudes: a vote is the gradient's length, sqrt(Ix² + Iy²)")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, Iy), weight * np.hypot(Ix, Iy) ** 2)


@wrong("q3", says="`weight` is not used: pixels at the rim count as much as those in the middle")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, Iy), np.hypot(Ix, Iy))


@wrong("q3", says="the directions run the wrong way round: y points down, and bin 2 is the direction +y")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, -np.asarray(Iy)), weight * np.hypot(Ix, Iy))


@wrong("q3", says="the bins are centred at 22.5°, 67.5°, …; bin k should have its middle at k · 45°")
def cell_histogram(Ix, Iy, weight):
    return _histogram(_place(Ix, Iy) - 0.5, weight * np.hypot(Ix, Iy))


@wrong(
    "q3",
    says="votes got lost: with an array of indices, `histogram[k] += votes` counts each bin once only; np.add.at or "
    "np.bincount add up all",
)
def cell_histogram(Ix, Iy, weight):
    t, votes = np.ravel(_place(Ix, Iy)) % 8, np.ravel(weight * np.hypot(Ix, Iy))
    low, histogram = np.floor(t).astype(int), np.zeros(8)
    histogram[low % 8] += votes * (1 - t + low)
    histogram[(low + 1) % 8] += votes * (t - low)
    return histogram


@wrong("q3", says=ARGUMENTS_CHANGED)
def cell_histogram(Ix, Iy, weight):
    votes = weight * np.hypot(Ix, Iy)
    result = _histogram(_place(Ix, Iy), votes)
    weight *= np.hypot(Ix, Iy)
    return result


@right("q3")
def cell_histogram(Ix, Iy, weight):
    """In each sector a gradient's share of the next bin is its angle beyond the sector's first side."""
    length = np.hypot(Ix, Iy)
    histogram = np.zeros(8)
    for k in range(8):
        cos, sin = np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)
        beyond = np.arctan2(cos * Iy - sin * Ix, cos * Ix + sin * Iy) / (np.pi / 4)  # turned back by k · 45°
        inside = (beyond >= 0) & (beyond < 1)
        histogram[k] += np.sum((weight * length * (1 - beyond))[inside])
        histogram[(k + 1) % 8] += np.sum((weight * length * beyond)[inside])
    return histogram


def _votes(Ix, Iy, sigma=8.0, middle=7.5):
    """Give the votes (4, 4, 8): row of the cell, column of the cell, direction."""
    row, col = np.indices((16, 16)) - middle
    window = np.exp(-(row**2 + col**2) / (2 * sigma**2))
    votes = np.empty((4, 4, 8))
    for i in range(4):
        for j in range(4):
            cell = np.s_[4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
            votes[i, j] = _histogram(_place(Ix[cell], Iy[cell]), window[cell] * np.hypot(Ix[cell], Iy[cell]))
    return votes


def _unit(v):
    length = np.sqrt(np.sum(v * v))
    return v / length if length > 0 else v


def _finished(votes, clip):
    return _unit(np.minimum(_unit(votes.ravel()), clip))


@wrong("q3", says="the cells come column by column: after the first cell its right neighbour should follow")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(_votes(Ix, Iy).transpose(1, 0, 2), clip)


@wrong("q3", says="the 16 cells of one direction stand together; the eight bins of one cell should")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(_votes(Ix, Iy).transpose(2, 0, 1), clip)


@wrong("q3", says="the Gaussian window is missing: pixels at the rim, the first to leave the window, count fully")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(_votes(Ix, Iy, sigma=1e9), clip)


@wrong("q3", says="the window is centred on pixel 8: the middle of pixels 0 … 15 is 7.5")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(_votes(Ix, Iy, middle=8.0), clip)


@wrong("q3", says="the window's σ is 4 pixels; asked for is half the width of the patch, 8")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(_votes(Ix, Iy, sigma=4.0), clip)


@wrong("q3", says="the entries are not clipped: one highlight dominates the vector")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _unit(_votes(Ix, Iy).ravel())


@wrong("q3", says="the votes are clipped before they are normalised: then the contrast decides what is clipped")
def sift_descriptor(Ix, Iy, clip=0.2):
    return _unit(np.minimum(_votes(Ix, Iy).ravel(), clip))


@wrong("q3", says="after clipping the vector is shorter than 1: normalise it a second time")
def sift_descriptor(Ix, Iy, clip=0.2):
    return np.minimum(_unit(_votes(Ix, Iy).ravel()), clip)


@wrong("q3", says="the entries are scaled to the sum 1; it is the length, the root of the sum of squares, that is 1")
def sift_descriptor(Ix, Iy, clip=0.2):
    v = _votes(Ix, Iy).ravel()
    v = np.minimum(v / max(v.sum(), 1e-300), clip)
    return v / max(v.sum(), 1e-300)


@wrong(
    "q3", says="each cell is normalised by itself: a cell with hardly any gradient then counts as much as the others"
)
def sift_descriptor(Ix, Iy, clip=0.2):
    return _finished(np.array([_unit(v) for v in _votes(Ix, Iy).reshape(16, 8)]), clip)


@wrong("q3", says="a window without gradients divides 0 by 0: leave the zeros as they are")
def sift_descriptor(Ix, Iy, clip=0.2):
    with np.errstate(all="ignore"):
        v = _votes(Ix, Iy).ravel()
        v = np.minimum(v / np.linalg.norm(v), clip)
        return v / np.linalg.norm(v)


@wrong("q3", says="a constant is added to the length: no division by 0, but a faint window does not get the length 1")
def sift_descriptor(Ix, Iy, clip=0.2):
    v = _votes(Ix, Iy).ravel()
    v = np.minimum(v / (np.linalg.norm(v) + 1e-5), clip)
    return v / (np.linalg.norm(v) + 1e-5)


@right("q3")
def sift_descriptor(Ix, Iy, clip=0.2):
    """Tents of all pixels for all directions at once, summed by a matrix that knows the cells."""
    x = np.arange(16) - 7.5
    bell = np.exp(-(x**2) / 128)
    cells = np.kron(np.eye(4), np.ones(4)) * bell
    turn = np.angle((Ix + 1j * Iy)[..., None] * np.exp(-0.25j * np.pi * np.arange(8))) * 4 / np.pi
    votes = np.maximum(0, 1 - np.abs(turn)) * np.abs(Ix + 1j * Iy)[..., None]
    v = np.einsum("ir,jc,rck->ijk", cells, cells, votes).reshape(128)
    for bound in (clip, np.inf):
        v = np.minimum(v / (np.sqrt(v @ v) or 1), bound)
    return v


# ---------------------------------------------------------------------------------------------
# Question 4: matching

ONE = "with one candidate there is no second nearest to ask for: the ratio counts as 1, without an error"
ALONE = (
    "a single candidate is accepted without a rival to compare with: its ratio counts as 1, so no bound lets it pass"
)
EMPTY = "where no pair is left the result should still have the shape (0, 2), not (0,)"


def two_rows(answer):
    """Put (indices, ratios) into one array of two rows."""
    good = isinstance(answer, tuple | list | np.ndarray) and len(answer) == 2
    if not good or np.ndim(answer[0]) != 1 or np.shape(answer[0]) != np.shape(answer[1]):
        raise AssertionError(
            "two arrays of one length are expected: (indices, ratios), one entry a descriptor of set 1"
        )
    return np.array([answer[0], answer[1]], dtype=np.float64)


def nearest_truth(d1, d2):
    """Sort SciPy's distances."""
    distance = cdist(d1.astype(float), d2.astype(float))
    first, second = np.sort(distance, axis=1)[:, :2].T
    return np.array([np.argmin(distance, axis=1), first / second])


@pytest.mark.q("q4", 1)
def test_nearest(student, atlas, rng):
    """Index of the nearest, and distance over second distance."""
    d1, d2 = rng.normal(size=(9, 5)), rng.normal(size=(12, 5)) * rng.uniform(0.4, 1.5, (12, 1))
    answer = two_rows(student.distance_ratios(d1, d2))
    assert not student.changed, "distance_ratios overwrites its arguments: compute in new arrays"
    looks = {says: two_rows(result) for says, result in atlas("distance_ratios", d1, d2).items()}
    expect(answer, nearest_truth(d1, d2), looks, what="[indices, ratios]")


@pytest.mark.q("q4", 1)
def test_one_candidate(student, atlas, rng):
    """A single candidate has the ratio 1: nothing says that it is right."""
    d1, d2 = rng.normal(size=(4, 3)), rng.normal(size=(1, 3))
    try:
        answer = two_rows(student.distance_ratios(d1, d2))
    except StudentError as problem:
        unwritten = "still to be written" in str(problem)
        raise AssertionError(str(problem) if unwritten else f"{ONE} ({problem})") from None
    looks = {says: two_rows(result) for says, result in atlas("distance_ratios", d1, d2).items()}
    assert np.isfinite(answer).all(), ONE
    expect(answer, [[0] * 4, [1] * 4], looks, what="[indices, ratios] for one candidate")


@pytest.mark.q("q4", 1)
def test_equally_near(student, atlas, rng):
    """Two candidates that are equally near have the ratio 1, even at distance 0."""
    a, b = 100.0 * rng.permutation(5)[:2, None] + rng.integers(-9, 9, (2, 4))  # whole numbers: exact distances
    step = np.eye(4)[int(rng.integers(4))]
    d1, d2 = np.stack([a, b, a + 3 * step]), np.stack([b + 20, a, b - step, a, b + step])
    answer = two_rows(student.distance_ratios(d1, d2))
    if answer.shape == (2, 3):  # either of the two may be named
        for k, (first, other) in enumerate([(1, 3), (2, 4), (1, 3)]):
            answer[0, k] = first if answer[0, k] == other else answer[0, k]
    looks = {says: two_rows(result) for says, result in atlas("distance_ratios", d1, d2).items()}
    expect(answer, [[1, 2, 1], [1, 1, 1]], looks, what="[indices, ratios] with ties")


@pytest.mark.q("q4", 1)
def test_bytes(student, atlas, rng):
    """Descriptors stored as uint8, as many programs do, give the same as their floats."""
    d1, d2 = rng.integers(0, 256, (7, 6), dtype=np.uint8), rng.integers(0, 256, (10, 6), dtype=np.uint8)
    looks = {says: two_rows(result) for says, result in atlas("distance_ratios", d1, d2).items()}
    expect(two_rows(student.distance_ratios(d1, d2)), nearest_truth(d1, d2), looks, what="[indices, ratios] for uint8")


def with_ratios(rng, ratios, columns=3):
    """Two sets: descriptor i of the first has its two nearest at distances with the ratio ratios[i]."""
    places = 100.0 * np.arange(len(ratios))[:, None] * np.eye(columns)[0] + rng.uniform(-5, 5, (len(ratios), columns))
    way = rng.normal(size=(len(ratios), columns))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    second = rng.uniform(2, 4, (len(ratios), 1))
    d2 = np.concatenate([places + np.reshape(ratios, (-1, 1)) * second * way, places - second * way])
    order = rng.permutation(len(d2))
    return places, d2[order], np.argsort(order)[: len(ratios)]


@pytest.mark.q("q4", 1)
def test_ratio(student, atlas, rng):
    """Pairs (i, j) with distance < ratio · second distance are kept, in the order of i."""
    ratios = rng.permutation([0.3, 0.55, 0.62, 0.66, 0.72, 0.78, 0.82, 0.86, 0.91, 0.97])
    d1, d2, j = with_ratios(rng, ratios)
    for options in ((), (0.6,), (0.88,)):
        kept = ratios < (options or (0.8,))[0]
        truth = np.column_stack([np.flatnonzero(kept), j[kept]])
        answer = student.match(d1, d2, *options)
        expect(answer, truth, atlas("match", d1, d2, *options), what=f"the pairs with the options {options}")
        assert np.asarray(answer).dtype.kind in "iu", "the pairs are indices: whole numbers, not floats"


@pytest.mark.q("q4", 1)
def test_mutual(student, atlas, rng):
    """mutual=True keeps only pairs in which each is the other's nearest; without it all stay."""
    # Along a line: B and A look at P, which is nearer to A; D looks at R, but R's nearest is E, whose nearest is Q.
    line1 = {"B": 0.5, "A": 0.1, "D": 21.1, "E": 20.2, "F": 40.0}
    line2 = {"P": 0.0, "Q": 20.15, "R": 20.6, "S": 40.1, "T": 60.0}
    names1, names2 = ["B", *rng.permutation(["A", "D", "E", "F"])], list(rng.permutation(list(line2)))
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    d1, d2 = np.outer([line1[n] for n in names1], way), np.outer([line2[n] for n in names2], way)
    loose = {"B": "P", "A": "P", "D": "R", "E": "Q", "F": "S"}
    for mutual, partner in [(True, {"A": "P", "E": "Q", "F": "S"}), (False, loose)]:
        truth = [(i, names2.index(partner[n])) for i, n in enumerate(names1) if n in partner]
        answer = student.match(d1, d2, 0.8, mutual)
        assert not student.changed, "match overwrites its arguments: compute in new arrays"
        expect(answer, truth, atlas("match", d1, d2, 0.8, mutual), what=f"the pairs with mutual={mutual}")


@pytest.mark.q("q4", 1)
def test_no_pair(student, atlas, rng):
    """Where nothing is clear, there are no pairs: shape (0, 2); one clear case is found."""
    d1, d2, j = with_ratios(rng, np.array([0.93, 0.4, 0.96]))
    expect(student.match(d1, d2), [[1, j[1]]], atlas("match", d1, d2), what="the only pair")
    doubtful = (d1[[0, 2]], d2)
    answer = np.asarray(student.match(*doubtful))
    assert answer.shape != (0,), EMPTY
    for says, result in atlas("match", *doubtful).items():
        assert not (len(answer) and np.array_equal(result, answer)), says
    assert answer.shape == (0, 2), f"no pair is clear here, the shape should be (0, 2); got {answer.shape}"
    answer = np.asarray(student.match(d1, d2[:1]))
    assert len(answer) == 0, ALONE
    assert answer.shape == (0, 2), EMPTY


def _distances(d1, d2):
    difference = np.asarray(d1, dtype=float)[:, None] - np.asarray(d2, dtype=float)
    return np.sqrt(np.sum(difference**2, axis=2))


def _nearest(distance):
    """Give indices and ratios, of a table of distances or of something like it."""
    ordered = np.sort(distance, axis=1)
    if distance.shape[1] == 1:
        return np.zeros(len(distance), int), np.ones(len(distance))
    ratio = np.divide(ordered[:, 0], ordered[:, 1], out=np.ones(len(distance)), where=ordered[:, 1] > 0)
    return np.argmin(distance, axis=1), ratio


@wrong("q4", says="this is the ratio of the squared distances (SSD): 0.8 between distances is 0.64 between squares")
def distance_ratios(d1, d2):
    return _nearest(_distances(d1, d2) ** 2)


@wrong("q4", says="the ratio is upside down: nearest over second nearest, so that a clear case is near 0")
def distance_ratios(d1, d2):
    index, ratio = _nearest(_distances(d1, d2))
    return index, np.divide(1, ratio, out=np.full(len(ratio), 1e9), where=ratio > 0)


@wrong("q4", says="the search runs the wrong way: for each descriptor of set 1 its nearest in set 2 is asked for")
def distance_ratios(d1, d2):
    return _nearest(_distances(d2, d1))


@wrong(
    "q4",
    says="the first of the sorted distances is skipped, as one does within one set, where it is the descriptor "
    "itself; here it is the nearest",
)
def distance_ratios(d1, d2):
    distance = _distances(d1, d2)
    if distance.shape[1] < 3:
        return _nearest(distance)
    order = np.argsort(distance, axis=1, kind="stable")
    ordered = np.take_along_axis(distance, order, axis=1)
    return order[:, 1], ordered[:, 1] / ordered[:, 2]


@wrong("q4", says="these are sums of absolute differences (L1); the distance is the root of the sum of squares")
def distance_ratios(d1, d2):
    return _nearest(np.abs(np.asarray(d1, float)[:, None] - np.asarray(d2, float)).sum(axis=2))


@wrong(
    "q4",
    says="the largest inner product is taken for the nearest: that is right for vectors of length 1 only",
)
def distance_ratios(d1, d2):
    d1, d2 = np.asarray(d1, float), np.asarray(d2, float)
    index = np.argmax(d1 @ d2.T, axis=1)
    distance = _distances(d1, d2)
    nearest = distance[np.arange(len(d1)), index]
    distance[np.arange(len(d1)), index] = np.inf
    second = distance.min(axis=1)
    finite = np.isfinite(second) & (second > 0)
    return index, np.divide(nearest, second, out=np.ones(len(d1)), where=finite)


@wrong("q4", says="two candidates at distance 0 give 0/0: equally near is not clear, the ratio counts as 1")
def distance_ratios(d1, d2):
    index, ratio = _nearest(_distances(d1, d2))
    if len(d2) > 1:
        first, second = np.sort(_distances(d1, d2), axis=1)[:, :2].T
        with np.errstate(all="ignore"):
            ratio = first / second
    return index, ratio


@wrong(
    "q4",
    says="the same distance is reached by two candidates, but the ratio is below 1: the second nearest may be as near "
    "as the nearest",
)
def distance_ratios(d1, d2):
    distance = _distances(d1, d2)
    index, ratio = _nearest(distance)
    for i, row in enumerate(distance):
        farther = row[row > row.min() + 1e-9]
        ratio[i] = row.min() / farther.min() if len(farther) else 1
    return index, ratio


@wrong("q4", says=ONE)
def distance_ratios(d1, d2):
    distance = _distances(d1, d2)
    order = np.argsort(distance, axis=1, kind="stable")
    index, second = order[:, 0], order[:, 1]
    rows = np.arange(len(d1))
    return index, np.where(distance[rows, second] > 0, distance[rows, index] / (distance[rows, second] + 1e-300), 1)


@wrong(
    "q4", says="a single candidate got the ratio 0, as if it were beyond doubt: with no rival nothing is known, so 1"
)
def distance_ratios(d1, d2):
    index, ratio = _nearest(_distances(d1, d2))
    return index, ratio * (len(d2) > 1)


@wrong("q4", says="differences of uint8 wrap round: 3 − 5 gives 254; make the descriptors floats first")
def distance_ratios(d1, d2):
    difference = d1[:, None] - d2
    return _nearest(np.sqrt(np.sum(difference.astype(float) ** 2, axis=2)))


@right("q4")
def distance_ratios(d1, d2):
    """One descriptor at a time, by a sorted list of Python numbers."""
    indices, ratios = [], []
    for a in d1:
        ranked = sorted((math.dist(map(float, a), map(float, b)), j) for j, b in enumerate(d2))
        indices.append(ranked[0][1])
        alone = len(ranked) == 1 or ranked[1][0] == 0
        ratios.append(1.0 if alone else ranked[0][0] / ranked[1][0])
    return np.array(indices), np.array(ratios)


def _pairs(d1, d2, kept, back=None):
    """Give the pairs of the descriptors marked `kept`, if `back` agrees."""
    index, _ = _nearest(_distances(d1, d2))
    kept = np.array(kept)
    if back is not None:
        kept &= back[index] == np.arange(len(d1))
    return np.column_stack([np.flatnonzero(kept), index[kept]])


def _ratio(d1, d2):
    return _nearest(_distances(d1, d2))[1]


def _back(d1, d2, mutual):
    return np.argmin(_distances(d1, d2), axis=0) if mutual else None


@wrong("q4", says="the bound is compared with squared distances: 0.8 then lets ratios up to 0.89 pass")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) ** 2 < ratio, _back(d1, d2, mutual))


@wrong("q4", says="the doubtful pairs are kept and the clear ones thrown away: a small ratio is good")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) >= ratio, _back(d1, d2, mutual))


@wrong("q4", says="the argument `ratio` is not used: the bound is always 0.8")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) < 0.8, _back(d1, d2, mutual))


@wrong("q4", says="every nearest is accepted, however doubtful: compare the ratio with the bound")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, np.ones(len(d1), bool), _back(d1, d2, mutual))


@wrong("q4", says="the columns are exchanged: first the index in set 1, then the index in set 2")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) < ratio, _back(d1, d2, mutual))[:, ::-1]


@wrong(
    "q4",
    says="the kept pairs are numbered 0, 1, 2, …: the first column should say which descriptor of set 1 it was",
)
def match(d1, d2, ratio=0.8, mutual=False):
    pairs = _pairs(d1, d2, _ratio(d1, d2) < ratio, _back(d1, d2, mutual))
    return np.column_stack([np.arange(len(pairs)), pairs[:, 1]])


@wrong("q4", says="the pairs are sorted by their ratio; asked for is the order of set 1")
def match(d1, d2, ratio=0.8, mutual=False):
    pairs = _pairs(d1, d2, _ratio(d1, d2) < ratio, _back(d1, d2, mutual))
    return pairs[np.argsort(_ratio(d1, d2)[pairs[:, 0]], kind="stable")]


@wrong("q4", says="`mutual` is not used: two descriptors still share one partner")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) < ratio)


@wrong("q4", says="the mutual check is made even where mutual=False")
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, _ratio(d1, d2) < ratio, _back(d1, d2, True))


@wrong(
    "q4",
    says="of two descriptors with one partner the first is kept; mutual means that the partner's own nearest is kept",
)
def match(d1, d2, ratio=0.8, mutual=False):
    pairs = _pairs(d1, d2, _ratio(d1, d2) < ratio)
    return pairs[np.sort(np.unique(pairs[:, 1], return_index=True)[1])] if mutual else pairs


@wrong(
    "q4",
    says="of the pairs with one partner the nearest is kept; but its partner may be nearer still to a descriptor of "
    "set 1 that chose another: search from set 2 through all of set 1",
)
def match(d1, d2, ratio=0.8, mutual=False):
    pairs, distance = _pairs(d1, d2, _ratio(d1, d2) < ratio), _distances(d1, d2)
    if mutual:
        best = [distance[i, j] == min(distance[a, b] for a, b in pairs if b == j) for i, j in pairs]
        pairs = pairs[np.array(best, dtype=bool)]
    return pairs


@wrong("q4", says=EMPTY)
def match(d1, d2, ratio=0.8, mutual=False):
    return np.array(_pairs(d1, d2, _ratio(d1, d2) < ratio, _back(d1, d2, mutual)).tolist(), dtype=int)


@wrong("q4", says=ALONE)
def match(d1, d2, ratio=0.8, mutual=False):
    return _pairs(d1, d2, (_ratio(d1, d2) < ratio) | (len(d2) == 1), _back(d1, d2, mutual))


@right("q4")
def match(d1, d2, ratio=0.8, mutual=False):
    """Count the rivals: a pair is clear if all others are farther than distance / ratio."""
    pairs = []
    for i, a in enumerate(d1):
        distance = [math.dist(map(float, a), map(float, b)) for b in d2]
        j = distance.index(min(distance))
        clear = len(d2) > 1 and sum(d <= distance[j] / ratio for d in distance) == 1
        if mutual and clear:
            back = [math.dist(map(float, c), map(float, d2[j])) for c in d1]
            clear = back.index(min(back)) == i
        if clear:
            pairs.append((i, j))
    return np.array(pairs, dtype=int).reshape(-1, 2)


# ---------------------------------------------------------------------------------------------
# Question 5: ROC and AUC

ONE_CLASS = (
    "if all labels are of one kind, one of the two rates is 0/0: there is no curve, so raise a ValueError instead of "
    "returning something"
)


def curve(answer):
    """Put (fpr, tpr) into one array of two rows."""
    good = isinstance(answer, tuple | list | np.ndarray) and len(answer) == 2
    if not good or np.ndim(answer[0]) != 1 or np.shape(answer[0]) != np.shape(answer[1]):
        raise AssertionError("two arrays of one length are expected: (fpr, tpr)")
    return np.array([answer[0], answer[1]], dtype=np.float64)


def roc_truth(scores, labels):
    """Count for every threshold, from one above all scores down to the lowest."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = scores >= threshold
        points.append((np.mean(accepted[~labels]), np.mean(accepted[labels])))
    return np.array(points).T


def scored(rng, true, false):
    """Scores and labels, mixed; true ones tend to score higher."""
    scores = np.r_[rng.normal(0.8, 1, true), rng.normal(0, 1, false)]
    labels = np.arange(true + false) < true
    order = rng.permutation(true + false)
    return scores[order], labels[order]


@pytest.mark.q("q5", 1)
def test_curve(student, atlas, rng):
    """One point a threshold, from (0, 0) to (1, 1): shares of the true and of the false that are accepted."""
    scores, labels = scored(rng, 6, 17)
    answer = curve(student.roc(scores, labels))
    assert not student.changed, "roc overwrites its arguments: sort copies"
    looks = {says: curve(result) for says, result in atlas("roc", scores, labels).items()}
    expect(answer, roc_truth(scores, labels), looks, what="[fpr, tpr]")


@pytest.mark.q("q5", 1)
def test_ties(student, atlas, rng):
    """Equal scores are accepted together: they make one point, and a slanted piece of the curve."""
    scores, labels = scored(rng, 12, 9)
    scores = np.round(scores)
    scores[:6], labels[:6] = 1.0, [True, False, True, False, True, False]
    looks = {says: curve(result) for says, result in atlas("roc", scores, labels).items()}
    expect(curve(student.roc(scores, labels)), roc_truth(scores, labels), looks, what="[fpr, tpr] with equal scores")


@pytest.mark.q("q5", 1)
def test_monotone_transforms(student, atlas, rng):
    """Only the order of the scores counts: a rising function of them gives the same curve."""
    scores, labels = scored(rng, 8, 13)
    truth = roc_truth(scores, labels)
    for what, changed in [("the exponentials", np.exp(3 * scores)), ("0.001 times the cubes", 1e-3 * scores**3)]:
        looks = {says: curve(result) for says, result in atlas("roc", changed, labels).items()}
        expect(curve(student.roc(changed, labels)), truth, looks, what=f"[fpr, tpr] of {what} of the scores")


@pytest.mark.q("q5", 1)
def test_smallest_and_impossible(student, atlas, rng):
    """Two labels make a curve; labels of one kind make none, and raise a ValueError."""
    low, high = np.sort(rng.normal(size=2))
    scores, labels = np.array([low, high]), np.array([True, False])
    looks = {says: curve(result) for says, result in atlas("roc", scores, labels).items()}
    expect(curve(student.roc(scores, labels)), [[0, 1, 1], [0, 0, 1]], looks, what="[fpr, tpr] of two scores")
    for kind in (True, False):
        try:
            student.roc(rng.normal(size=4), np.full(4, kind))
            happened = "nothing was raised"
        except StudentError as problem:
            happened = str(problem)
        assert "ValueError" in happened, f"{ONE_CLASS} ({happened})"


@pytest.mark.q("q5", 1)
def test_area(student, atlas, rng):
    """The area under straight lines from point to point: the chance that a true one scores above a false one."""
    scores, labels = scored(rng, 11, 14)
    scores = np.round(2 * scores) / 2
    # U counts the pairs (true, false) in the right order, an equal pair as one half.
    truth = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic / (11 * 14)
    fpr, tpr = roc_truth(scores, labels)
    answer = student.auc(fpr, tpr)
    expect(answer, truth, atlas("auc", fpr, tpr), what="the area")


@pytest.mark.q("q5", 1)
def test_area_of_unsorted_points(student, atlas, rng):
    """The same points in falling order, or shuffled, have the same area under their curve."""
    scores, labels = scored(rng, 9, 7)
    fpr, tpr = roc_truth(scores, labels)
    truth = stats.mannwhitneyu(scores[labels], scores[~labels]).statistic / (9 * 7)
    for order in (np.arange(len(fpr))[::-1], _shuffled(rng, fpr, tpr)):
        answer = student.auc(fpr[order], tpr[order])
        assert not student.changed, "auc overwrites its arguments: sort copies"
        expect(answer, truth, atlas("auc", fpr[order], tpr[order]), what="the area of unsorted points")


def _shuffled(rng, fpr, tpr):
    """Draw an order that neither an absolute value nor sorting by fpr alone can mend."""
    area = np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1])) / 2
    while True:
        order = rng.permutation(len(fpr))
        x, y = fpr[order], tpr[order]
        by_fpr = np.argsort(x, kind="stable")
        as_they_come = np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2
        half_sorted = np.sum(np.diff(x[by_fpr]) * (y[by_fpr][1:] + y[by_fpr][:-1])) / 2
        if as_they_come < -0.01 and abs(as_they_come + area) > 0.01 and abs(half_sorted - area) > 0.01:
            return order


def _counts(scores, labels):
    """Counts of accepted true and false ones, with each score's own point, highest first."""
    order = np.argsort(-scores, kind="stable")
    true = np.asarray(labels, dtype=bool)[order]
    last = np.append(np.diff(scores[order]) != 0, True)
    return np.cumsum(true)[last], np.cumsum(~true)[last]


def _refuse(labels):
    if np.all(labels) or not np.any(labels):
        raise ValueError("one kind only")


def _from_zero(fpr, tpr):
    return np.append(0.0, fpr), np.append(0.0, tpr)


@wrong(
    "q5",
    says="FP is divided by the number of true pairs: the false positive rate is the share of the false ones that are "
    "accepted, FP / (FP + TN), and never exceeds 1",
)
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return _from_zero(fp / tp[-1], tp / tp[-1])


@wrong(
    "q5",
    says="FP / (TP + FP) is the share of false ones among the accepted, 1 − precision; the rate asks how many of all "
    "false ones are accepted",
)
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return _from_zero(fp / (tp + fp), tp / tp[-1])


@wrong(
    "q5",
    says="TP / (TP + FP) is the precision; the true positive rate is the recall, TP / (TP + FN)",
)
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return _from_zero(fp / fp[-1], tp / (tp + fp))


@wrong("q5", says="the counts are not divided: rates are shares, and the curve ends at (1, 1)")
def roc(scores, labels):
    _refuse(labels)
    return _from_zero(*_counts(scores, labels)[::-1])


@wrong("q5", says="the lowest scores are accepted first: sort downwards, a high score means rather true")
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(-scores, labels)
    return _from_zero(fp / fp[-1], tp / tp[-1])


@wrong(
    "q5",
    says="equal scores make several points: no threshold can part them, and how they happen to be ordered would decide "
    "about the area",
)
def roc(scores, labels):
    _refuse(labels)
    true = np.asarray(labels, dtype=bool)[np.argsort(-scores, kind="stable")]
    return _from_zero(np.cumsum(~true) / np.sum(~true), np.cumsum(true) / np.sum(true))


@wrong("q5", says="the point (0, 0) is missing: above the highest score nothing is accepted")
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return fp / fp[-1], tp / tp[-1]


@wrong("q5", says="the point (1, 1) is missing: at the lowest score everything is accepted, so compare with >=")
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return tuple(rate[:-1] for rate in _from_zero(fp / fp[-1], tp / tp[-1]))


@wrong("q5", says="the two arrays are exchanged: fpr, the horizontal axis, comes first")
def roc(scores, labels):
    _refuse(labels)
    tp, fp = _counts(scores, labels)
    return _from_zero(fp / fp[-1], tp / tp[-1])[::-1]


@wrong(
    "q5",
    says="the curve is read at evenly spaced thresholds: it then depends on the units of the score; take the scores "
    "themselves as thresholds",
)
def roc(scores, labels):
    _refuse(labels)
    labels = np.asarray(labels, dtype=bool)
    accepted = scores >= np.linspace(scores.max() + 1e-9, scores.min(), len(set(scores)) + 1)[:, None]
    return accepted[:, ~labels].mean(axis=1), accepted[:, labels].mean(axis=1)


@wrong("q5", says=ONE_CLASS)
def roc(scores, labels):
    tp, fp = _counts(scores, labels)
    return _from_zero(fp / max(fp[-1], 1), tp / max(tp[-1], 1))


@right("q5")
def roc(scores, labels):
    """Two sorted lists: how many of each kind lie at or above a threshold."""
    labels = np.asarray(labels, dtype=bool)
    if labels.sum() in (0, len(labels)):
        raise ValueError("labels of both kinds are needed")
    true, false = np.sort(scores[labels]), np.sort(scores[~labels])
    thresholds = np.append(np.inf, np.unique(scores)[::-1])
    return (
        1 - np.searchsorted(false, thresholds) / len(false),
        1 - np.searchsorted(true, thresholds) / len(true),
    )


@wrong("q5", says="the points are not sorted: the trapezoid rule runs to and fro, and its pieces cancel")
def auc(fpr, tpr):
    return np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1])) / 2


@wrong(
    "q5",
    says="the absolute value mends a falling order only: points in any order must be sorted before the trapezoid rule",
)
def auc(fpr, tpr):
    return abs(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1])) / 2)


@wrong(
    "q5",
    says="only fpr decides about the order: where the curve rises vertically, points of one fpr must be sorted by tpr "
    "too",
)
def auc(fpr, tpr):
    order = np.argsort(fpr, kind="stable")
    return np.sum(np.diff(fpr[order]) * (tpr[order][1:] + tpr[order][:-1])) / 2


@wrong("q5", says="fpr is sorted but tpr is left behind: the two must move together")
def auc(fpr, tpr):
    return np.sum(np.diff(np.sort(fpr)) * (tpr[1:] + tpr[:-1])) / 2


@wrong(
    "q5",
    says="these are rectangles under the left ends: where scores tie, the curve is slanted, and a triangle is missing",
)
def auc(fpr, tpr):
    fpr, tpr = np.sort(fpr), np.sort(tpr)
    return np.sum(np.diff(fpr) * tpr[:-1])


@wrong(
    "q5",
    says="these are rectangles under the right ends: where scores tie, the curve is slanted, and a triangle is too much",
)
def auc(fpr, tpr):
    fpr, tpr = np.sort(fpr), np.sort(tpr)
    return np.sum(np.diff(fpr) * tpr[1:])


@wrong("q5", says="this is the area on the left of the curve: integrate tpr over fpr, not fpr over tpr")
def auc(fpr, tpr):
    fpr, tpr = np.sort(fpr), np.sort(tpr)
    return np.sum(np.diff(tpr) * (fpr[1:] + fpr[:-1])) / 2


@wrong("q5", says="the mean of tpr is no area: each piece counts as much as it is wide in fpr")
def auc(fpr, tpr):
    return np.mean(tpr)


@right("q5")
def auc(fpr, tpr):
    """Shoelace formula of the polygon between the curve and the corner (1, 0)."""
    x, y = np.append(np.sort(fpr), 1.0), np.append(np.sort(tpr), 0.0)
    return float(np.sum(np.roll(x, -1) * y - x * np.roll(y, -1))) / 2
