"""Checks of exercise 04_corners, the mistakes they know, and second solutions.

Oracles: hand-made sums, ``scipy.ndimage`` for filters and maxima, eigenvalues by ``numpy.linalg``,
``scipy.spatial`` for distances.
"""

import numpy as np
import pytest
from scipy import ndimage, spatial

from cvcourse.checks import StudentError, expect, right, wrong

BORROWED = ("cvcourse.corners", "cvcourse.blobs", "cvcourse.descriptors", "scipy", "skimage", "cv2")
FORBIDDEN = {
    "q1": ("numpy.linalg", *BORROWED),
    "q2": BORROWED,
    "q3": BORROWED,
    "q4": ("numpy.linalg", *BORROWED),
    "q5": BORROWED,
}

# Sentences that a check says itself: a comparison of outputs can't tell these mistakes.
PATCH_CHANGED = "patch_sums overwrites its patch: work on a copy, the caller still needs the picture"
TENSOR_IMAGE_CHANGED = (
    "structure_tensor overwrites its image: take the products in new arrays, the next cell needs the picture"
)
RESPONSE_CHANGED = (
    "peaks overwrites the response: the caller still wants to read the strength of each keypoint from it; "
    "mark in a new array what is suppressed"
)
NOTHING_FOUND = (
    "repeatability fails when the second detector found nothing: then no keypoint is found again, and the answer is 0"
)


def three(answer, what, shape=()):
    """Three arrays of one shape, stacked; else say what came."""
    is_three = isinstance(answer, tuple | list) and len(answer) == 3
    assert is_three, f"return three values, as in  return {what}"
    for name, part in zip(what.split(", "), answer, strict=True):
        assert np.shape(part) == shape, f"{name} should have the shape {shape}, got {np.shape(part)}"
    return np.stack([np.asarray(part, dtype=float) for part in answer])


def inside(results, reach):
    """Cut a frame off an array, or off every result in a dict of mistakes."""
    if isinstance(results, dict):
        return {says: inside(result, reach) for says, result in results.items()}
    return np.asarray(results)[..., reach:-reach, reach:-reach]


# ---------------------------------------------------------------------------------------------
# Question 1: the matrix of a patch, and R


def sums_oracle(patch):
    """The three sums, the differences by SciPy's correlation."""
    patch = np.asarray(patch, dtype=float)
    Ix, Iy = (ndimage.correlate1d(patch, [-0.5, 0, 0.5], axis=axis)[1:-1, 1:-1] for axis in (1, 0))
    return np.array([np.vdot(Ix, Ix), np.vdot(Ix, Iy), np.vdot(Iy, Iy)])


@pytest.mark.q("q1", 1)
def test_ramp_patch(student, atlas, rng):
    """A patch a x + b y has the sums n a², n a b, n b², with n pixels inside."""
    a, b = rng.uniform(0.3, 0.9), rng.uniform(1.1, 1.9)
    y, x = np.indices((5, 8))
    patch = a * x + b * y + 7
    answer = three(student.patch_sums(patch), "Sxx, Sxy, Syy")
    truth = 18 * np.array([a * a, a * b, b * b])
    expect(answer, truth, atlas("patch_sums", patch), what="[Sxx, Sxy, Syy] of a ramp")


@pytest.mark.q("q1", 1)
def test_any_patch(student, atlas, rng):
    """A patch of random numbers; it stays as it was."""
    patch = rng.normal(size=(6, 9))
    answer = three(student.patch_sums(patch), "Sxx, Sxy, Syy")
    assert not student.changed, PATCH_CHANGED
    expect(answer, sums_oracle(patch), atlas("patch_sums", patch), what="[Sxx, Sxy, Syy] of random numbers")


@pytest.mark.q("q1", 1)
def test_patch_of_bytes(student, atlas, rng):
    """Patches of bytes (uint8): the corner that was done by hand, and any bytes."""
    corner = np.zeros((5, 5), dtype=np.uint8)
    corner[3:, 2:] = 2
    for patch, truth in [(corner, [2, 1, 4]), (corner.T.copy(), [4, 1, 2]), (corner[:, ::-1].copy(), [2, -1, 4])]:
        answer = three(student.patch_sums(patch), "Sxx, Sxy, Syy")
        expect(answer, truth, atlas("patch_sums", patch), what="[Sxx, Sxy, Syy] of a toy corner")
    patch = rng.integers(0, 256, size=(7, 5), dtype=np.uint8)
    answer = three(student.patch_sums(patch), "Sxx, Sxy, Syy")
    expect(answer, sums_oracle(patch), atlas("patch_sums", patch), what="[Sxx, Sxy, Syy] of bytes")


def random_matrices(rng, shape):
    """Eigenvalues large >= small > 0 of random matrices, and their entries."""
    small, turn = rng.uniform(0.5, 1.5, shape), rng.uniform(0, np.pi, shape)
    large = small + rng.uniform(0.5, 2.5, shape)
    c, s = np.cos(turn), np.sin(turn)
    return large, small, (large * c * c + small * s * s, (large - small) * c * s, large * s * s + small * c * c)


@pytest.mark.q("q1", 1)
def test_harris(student, atlas, rng):
    """R is λ₁λ₂ − α(λ₁ + λ₂)², for a matrix at every pixel and for a single one, for any α."""
    for shape, options in [((4, 7), {}), ((3, 5), {"alpha": rng.uniform(0.1, 0.2)}), ((), {"alpha": 0.15})]:
        large, small, entries = random_matrices(rng, shape)
        entries = tuple(entries) if shape else tuple(float(entry) for entry in entries)
        truth = large * small - options.get("alpha", 0.05) * (large + small) ** 2
        answer = student.harris(*entries, **options)
        expect(answer, truth, atlas("harris", *entries, **options), what=f"R for {options or 'the default alpha'}")


def _differences(patch):
    f = np.asarray(patch, dtype=float)
    return (f[1:-1, 2:] - f[1:-1, :-2]) / 2, (f[2:, 1:-1] - f[:-2, 1:-1]) / 2


def _sums(Ix, Iy):
    return np.sum(Ix * Ix), np.sum(Ix * Iy), np.sum(Iy * Iy)


@wrong(
    "q1",
    says="Sxx and Syy are exchanged: Ix is the difference along axis 1 (to the right), Iy along axis 0 (downwards)",
)
def patch_sums(patch):
    return _sums(*_differences(patch)[::-1])


@wrong(
    "q1",
    says="the gradients are summed before they are squared: then every patch has a single direction and det M = 0; "
    "multiply at each pixel, then sum",
)
def patch_sums(patch):
    Ix, Iy = (np.sum(d) for d in _differences(patch))
    return Ix * Ix, Ix * Iy, Iy * Iy


@wrong(
    "q1", says="the differences are not divided by 2: the two pixels are 2 apart, so all three sums come out fourfold"
)
def patch_sums(patch):
    Ix, Iy = _differences(patch)
    return _sums(2 * Ix, 2 * Iy)


@wrong("q1", says="this is the mean over the inside pixels; Eq. (2) asks for the sum")
def patch_sums(patch):
    Ix, Iy = _differences(patch)
    return tuple(total / Ix.size for total in _sums(Ix, Iy))


@wrong("q1", says="the sums run over the outermost pixels too, where no central difference exists")
def patch_sums(patch):
    Iy, Ix = np.gradient(np.asarray(patch, dtype=float))
    return _sums(Ix, Iy)


@wrong("q1", says="these are differences of direct neighbours, I[x+1] − I[x]; Eq. (1) takes the pixels on either side")
def patch_sums(patch):
    f = np.asarray(patch, dtype=float)
    return _sums(f[1:-1, 2:] - f[1:-1, 1:-1], f[2:, 1:-1] - f[1:-1, 1:-1])


@wrong("q1", says="Sxy has lost its sign: a negative Ix Iy says which way the edge leans, so no absolute values")
def patch_sums(patch):
    Ix, Iy = _differences(patch)
    return np.sum(Ix * Ix), np.sum(np.abs(Ix * Iy)), np.sum(Iy * Iy)


@wrong("q1", says="Sxy has the wrong sign: y points down, so Iy > 0 is where it grows brighter further down")
def patch_sums(patch):
    Ix, Iy = _differences(patch)
    return _sums(Ix, -Iy)


@wrong("q1", says="the bytes wrap round: in uint8 0 − 2 is 254, so convert the patch to float before you subtract")
def patch_sums(patch):
    if patch.dtype.kind == "f":
        return _sums(*_differences(patch))
    return _sums((patch[1:-1, 2:] - patch[1:-1, :-2]) / 2, (patch[2:, 1:-1] - patch[:-2, 1:-1]) / 2)


@wrong("q1", says="the bytes are divided by 255 on their way to float; here they are taken as they are")
def patch_sums(patch):
    return _sums(*_differences(patch if patch.dtype.kind == "f" else patch / 255))


@wrong("q1", says=PATCH_CHANGED)
def patch_sums(patch):
    if patch.dtype.kind == "f":
        patch -= patch.mean()
    return _sums(*_differences(patch))


@right("q1")
def patch_sums(patch):
    """Pixel by pixel, in Python's own numbers."""
    rows = patch.tolist()
    Sxx = Sxy = Syy = 0.0
    for y in range(1, len(rows) - 1):
        for x in range(1, len(rows[0]) - 1):
            Ix, Iy = (rows[y][x + 1] - rows[y][x - 1]) / 2, (rows[y + 1][x] - rows[y - 1][x]) / 2
            Sxx, Sxy, Syy = Sxx + Ix * Ix, Sxy + Ix * Iy, Syy + Iy * Iy
    return Sxx, Sxy, Syy


@wrong("q1", says="the α term is added: it must be subtracted, or edges would score highest")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy - Sxy**2 + alpha * (Sxx + Syy) ** 2


@wrong("q1", says="the trace is not squared: det M is of second degree in M, so what is subtracted must be too")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy - Sxy**2 - alpha * (Sxx + Syy)


@wrong("q1", says="the determinant has a plus: it is the product of the diagonal minus Sxy squared")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy + Sxy**2 - alpha * (Sxx + Syy) ** 2


@wrong("q1", says="Sxy is not squared in the determinant: it stands in the matrix twice")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy - Sxy - alpha * (Sxx + Syy) ** 2


@wrong("q1", says="the argument alpha is not used: the score is the same for every α")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy - Sxy**2 - 0.05 * (Sxx + Syy) ** 2


@wrong("q1", says="α is squared together with the trace: only the trace belongs inside the square")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return Sxx * Syy - Sxy**2 - (alpha * (Sxx + Syy)) ** 2


@wrong("q1", says="R has the wrong sign: corners are where it is large and positive")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    return alpha * (Sxx + Syy) ** 2 - Sxx * Syy + Sxy**2


@right("q1")
def harris(Sxx, Sxy, Syy, alpha=0.05):
    """By the eigenvalues."""
    mean, root = (Sxx + Syy) / 2, np.hypot((Sxx - Syy) / 2, Sxy)
    return (1 - 2 * alpha) * (mean + root) * (mean - root) - alpha * ((mean + root) ** 2 + (mean - root) ** 2)


# ---------------------------------------------------------------------------------------------
# Question 2: the structure tensor of an image


def bell(sigma):
    """Weights of the notebook's Gaussian at whole numbers, cut at 4 sigma, and its derivative."""
    radius = max(1, int(4 * sigma + 0.5))
    u = np.arange(-radius, radius + 1)
    g = np.exp(-(u**2) / (2 * max(sigma, 0.05) ** 2))
    return g / g.sum(), u * g / (u**2 @ g)  # for correlation; exact on ramps


def tensor_oracle(image, sigma_d, sigma_w):
    """Eq. (3) by SciPy's correlation; its "reflect" repeats the border pixel."""
    (g, dg), (window, _) = bell(sigma_d), bell(sigma_w)

    def along(f, row, column):
        return ndimage.correlate1d(ndimage.correlate1d(f, row, axis=1, mode="reflect"), column, axis=0, mode="reflect")

    Ix, Iy = along(image, dg, g), along(image, g, dg)
    return np.stack([along(product, window, window) for product in (Ix * Ix, Ix * Iy, Iy * Iy)])


@pytest.mark.q("q2", 1)
def test_ramp_image(student, atlas, rng):
    """A ramp a x + b y has Sxx = a², Sxy = a b, Syy = b² away from the border, whatever the sigmas."""
    a, b = rng.uniform(0.3, 0.9), -rng.uniform(1.1, 1.9)
    y, x = np.indices((20, 24))
    image = a * x + b * y
    answer = three(student.structure_tensor(image, 0.7, 1.0), "Sxx, Sxy, Syy", image.shape)
    truth = np.array([a * a, a * b, b * b])[:, None, None] * np.ones((3, 20, 24))
    looks_like = inside(atlas("structure_tensor", image, 0.7, 1.0), 8)
    expect(inside(answer, 8), inside(truth, 8), looks_like, what="[Sxx, Sxy, Syy] of a ramp")


def check_tensor(student, atlas, image, sigma_d, sigma_w, reach):
    answer = three(student.structure_tensor(image, sigma_d, sigma_w), "Sxx, Sxy, Syy", image.shape)
    assert not student.changed, TENSOR_IMAGE_CHANGED
    truth, looks_like = tensor_oracle(image, sigma_d, sigma_w), atlas("structure_tensor", image, sigma_d, sigma_w)
    if reach:
        answer, truth, looks_like = inside(answer, reach), inside(truth, reach), inside(looks_like, reach)
    what = f"[Sxx, Sxy, Syy] for sigma_d = {sigma_d:.2f}, sigma_w = {sigma_w:.2f}"
    expect(answer, truth, looks_like, what=what)


@pytest.mark.q("q2", 1)
def test_tensor_inside(student, atlas, rng):
    """The inside of an image of random numbers: products first, then the window."""
    check_tensor(student, atlas, rng.random((26, 29)), rng.uniform(0.7, 0.8), rng.uniform(1.4, 1.6), 10)


@pytest.mark.q("q2", 1)
def test_tensor_border(student, atlas, rng):
    """The whole of it, up to the border; the image stays as it was."""
    check_tensor(student, atlas, rng.random((13, 18)), rng.uniform(0.9, 1.1), rng.uniform(1.9, 2.1), 0)


@pytest.mark.q("q2", 1)
def test_two_sigmas(student, atlas, rng):
    """Each sigma at its own place, also where the one of the derivatives is the larger."""
    check_tensor(student, atlas, rng.random((24, 28)), rng.uniform(1.3, 1.4), rng.uniform(0.6, 0.7), 9)
    check_tensor(student, atlas, rng.random((24, 28)), rng.uniform(0.5, 0.6), rng.uniform(1.3, 1.4), 9)


def _filter(image, row, column):
    """Correlate with a row and a column of weights, the border mirrored."""
    f = np.asarray(image, dtype=float)
    for axis, weights in ((1, row), (0, column)):
        r = len(weights) // 2
        pad = [(0, 0), (0, 0)]
        pad[axis] = (r, r)
        f = np.apply_along_axis(np.convolve, axis, np.pad(f, pad, mode="symmetric"), weights[::-1], "valid")
    return f


def _slopes(image, sigma):
    g, dg = bell(sigma)
    return _filter(image, dg, g), _filter(image, g, dg)


def _window(image, sigma):
    g, _ = bell(sigma)
    return _filter(image, g, g)


def _tensor(image, sigma_d, sigma_w):
    Ix, Iy = _slopes(image, sigma_d)
    return _window(Ix * Ix, sigma_w), _window(Ix * Iy, sigma_w), _window(Iy * Iy, sigma_w)


@wrong("q2", says="Sxx and Syy are exchanged: gradient gives Ix first, and Sxx is made of it")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(image, sigma_d, sigma_w)[::-1]


@wrong(
    "q2",
    says="the window comes before the products: you blur Ix and Iy and multiply afterwards, and det S is 0 everywhere; "
    "multiply first",
)
def structure_tensor(image, sigma_d, sigma_w):
    Ix, Iy = (_window(slope, sigma_w) for slope in _slopes(image, sigma_d))
    return Ix * Ix, Ix * Iy, Iy * Iy


@wrong(
    "q2", says="there is no window: the bare products of one pixel's gradient have det S = 0, and nothing is a corner"
)
def structure_tensor(image, sigma_d, sigma_w):
    Ix, Iy = _slopes(image, sigma_d)
    return Ix * Ix, Ix * Iy, Iy * Iy


@wrong("q2", says="the two sigmas are exchanged: sigma_d belongs to the derivatives, sigma_w to the window")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(image, sigma_w, sigma_d)


@wrong("q2", says="the window has the derivatives' sigma_d: it has a sigma of its own, sigma_w")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(image, sigma_d, sigma_d)


@wrong("q2", says="the derivatives have the window's sigma_w: they have a sigma of their own, sigma_d")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(image, sigma_w, sigma_w)


@wrong("q2", says="the window is blurred by sigma_w², the variance; blur takes the standard deviation")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(image, sigma_d, sigma_w**2)


@wrong("q2", says="the image is smoothed twice by sigma_d: gradient smooths already")
def structure_tensor(image, sigma_d, sigma_w):
    return _tensor(_window(image, sigma_d), sigma_d, sigma_w)


@wrong("q2", says="Sxy has lost its sign: blur the product Ix Iy as it is, not its absolute value")
def structure_tensor(image, sigma_d, sigma_w):
    Ix, Iy = _slopes(image, sigma_d)
    return _window(Ix * Ix, sigma_w), _window(np.abs(Ix * Iy), sigma_w), _window(Iy * Iy, sigma_w)


@wrong("q2", says=TENSOR_IMAGE_CHANGED)
def structure_tensor(image, sigma_d, sigma_w):
    result = _tensor(image, sigma_d, sigma_w)
    image -= image.mean()
    return result


@right("q2")
def structure_tensor(image, sigma_d, sigma_w):
    """With matrices that filter a whole column: mirrored Gaussians as rows."""

    def matrix(n, weights):
        r, rows = len(weights) // 2, np.zeros((n, n))
        for k, weight in enumerate(weights, start=-r):
            place = (np.arange(n) + k) % (2 * n)
            np.add.at(rows, (np.arange(n), np.minimum(place, 2 * n - 1 - place)), weight)
        return rows

    (H, W), (g, dg), (w, _) = image.shape, bell(sigma_d), bell(sigma_w)
    Ix, Iy = matrix(H, g) @ image @ matrix(W, dg).T, matrix(H, dg) @ image @ matrix(W, g).T
    down, across = matrix(H, w), matrix(W, w).T
    return down @ Ix**2 @ across, down @ (Ix * Iy) @ across, down @ Iy**2 @ across


# ---------------------------------------------------------------------------------------------
# Question 3: local maxima


def peaks_oracle(response, size, threshold):
    """The three rules by SciPy's maximum filter over what comes earlier and later in reading order."""
    place = np.arange(size * size).reshape(size, size)
    middle = size * size // 2
    keep = (response > threshold * response.max()) & (response > 0)
    for before in (True, False):
        window = place < middle if before else place > middle
        if window.any():
            rival = ndimage.maximum_filter(response, footprint=window, mode="constant", cval=-np.inf)
            keep &= response > rival if before else response >= rival
    points = [(-response[y, x], y, x) for y, x in np.argwhere(keep).tolist()]
    return np.array([(x, y) for _, y, x in sorted(points)], dtype=float).reshape(-1, 2)


def expect_peaks(student, atlas, data, truth):
    """Compare lists of keypoints; name the mistake, else a point that is missing or too many."""
    answer = student.peaks(*data)
    assert not student.changed, RESPONSE_CHANGED
    assert isinstance(answer, np.ndarray | list | tuple), "peaks should return an (N, 2) array of keypoints (x, y)"
    truth = np.asarray(truth, dtype=float).reshape(-1, 2)
    for says, result in atlas("peaks", *data).items():
        assert np.array_equal(result, truth) or not np.array_equal(answer, result), says
    got = np.asarray(answer, dtype=float)
    is_list = got.ndim == 2 and got.shape[1] == 2
    assert is_list, f"peaks should return an array of shape (N, 2), got shape {got.shape}"
    mine, wanted = ({tuple(map(float, point)) for point in points} for points in (got, truth))
    strength = {(x, y): data[0][int(y), int(x)] for x, y in wanted}
    if missing := wanted - mine:
        x, y = max(missing, key=strength.get)
        raise AssertionError(f"the peak {strength[x, y]:.3g} at (x, y) = ({x:g}, {y:g}) is missing")
    if spare := mine - wanted:
        raise AssertionError(f"there is no peak at (x, y) = ({min(spare)[0]:g}, {min(spare)[1]:g})")
    assert len(got) == len(truth), f"{len(got)} rows for {len(truth)} keypoints: some come twice"
    assert np.array_equal(got, truth), "the keypoints are right, but not their order: the strongest first"


@pytest.mark.q("q3", 1.5)
def test_hills(student, atlas, rng):
    """Smooth hills, some with a valley beside them: their tops, as (x, y), the highest first."""
    y, x = np.indices((22, 31))
    tops = np.array([(4, 15), (11, 5), (18, 16), (26, 4), (26, 12)]) + rng.integers(-1, 2, (5, 2))
    heights = rng.permutation([3.0, 4.2, 5.1, 6.3, 7.7])
    dips = [(11, 13, -6.0), (18, 7, -9.0), (4, 7, -5.0)]
    hills = [*((u, v, height) for (u, v), height in zip(tops.tolist(), heights, strict=True)), *dips]
    response = sum(height * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 4) for u, v, height in hills)
    expect_peaks(student, atlas, (response, 5, 0.3), tops[np.argsort(-heights)])


@pytest.mark.q("q3", 1)
def test_windows(student, atlas, rng):
    """Random numbers, with windows of several sizes."""
    for size in (3, 7, 5, 1):
        response = rng.normal(size=(13, 19))
        data = (response, size, 0.2)
        expect_peaks(student, atlas, data, peaks_oracle(*data))


@pytest.mark.q("q3", 1)
def test_peaks_at_the_border(student, atlas, rng):
    """Peaks in the corners and at the border of the image: there the window is cut off."""
    response = rng.uniform(0.0, 0.4, (9, 14))
    tops = [(0, 0), (13, 8), (13, 1), (6, 8), (0, 5), (6, 3)]
    heights = rng.permutation([9.0, 8.0, 7.0, 6.0, 5.0, 4.0])
    for (x, y), height in zip(tops, heights, strict=True):
        response[y, x] = height
    expect_peaks(student, atlas, (response, 3, 0.1), np.array(tops)[np.argsort(-heights)])


@pytest.mark.q("q3", 1)
def test_ties(student, atlas, rng):
    """Equal values: a plateau gives one keypoint, its first in reading order; flat ground gives none."""
    response = np.zeros((12, 17))
    x, y = rng.integers(1, 4), rng.integers(1, 4)
    response[y : y + 2, x : x + 3] = 6  # a plateau
    response[8, 11] = response[9, 10] = 6  # two equal neighbours: the upper one is first
    response[y + 1, x + 8] = 6  # as strong, far from all others
    response[9, 3:8] = 4  # a plateau longer than the window
    truth = [*sorted([(y, x), (8, 11), (y + 1, x + 8)]), (9, 3)]
    expect_peaks(student, atlas, (response, 3, 0.0), [(u, v) for v, u in truth])


@pytest.mark.q("q3", 0.5)
def test_threshold(student, atlas, rng):
    """The threshold is a share of the largest response, and no peak is 0 or below."""
    scale = float(rng.choice([0.02, 50.0]))
    response = -scale * rng.uniform(0.1, 3, (11, 16))
    places, heights = [(3, 2), (12, 3), (7, 8), (13, 8), (2, 7)], [1.0, 0.5, 0.3, 0.25, 0.1]
    for (x, y), height in zip(places, heights, strict=True):
        response[y, x] = scale * height
    for threshold, count in [(0.4, 2), (0.25, 3), (0.0, 5)]:  # exactly the threshold is not above it
        expect_peaks(student, atlas, (response, 3, threshold), places[:count])
    expect_peaks(student, atlas, (-np.abs(response), 3, 0.0), [])


def _peaks(response, size, threshold, earlier=np.greater, later=np.greater_equal, level=None, padding=-np.inf, step=1):
    """The three rules by shifts; the wrong versions change one thing each.  Gives rows, columns, sorted."""
    (H, W), r = response.shape, size // 2 * step
    padded = np.pad(response, r, constant_values=padding) if padding is not None else np.pad(response, r, mode="wrap")
    keep = response > (max(threshold * response.max(), 0) if level is None else level)
    for dy in range(-r, r + 1):
        for dx in range(-r, r + 1):
            if (dy, dx) != (0, 0):
                rule = earlier if (dy, dx) < (0, 0) else later
                keep &= rule(response, padded[r + dy : r + dy + H, r + dx : r + dx + W])
    y, x = np.nonzero(keep)
    order = np.argsort(-response[y, x], kind="stable")
    return y[order], x[order]


@wrong("q3", says="the keypoints are (row, column); asked is (x, y), and x counts the columns")
def peaks(response, size, threshold):
    return np.column_stack(_peaks(response, size, threshold))


@wrong(
    "q3",
    says="a flat index is split by the height of the image: one row has as many pixels as the image is wide",
)
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold)
    flat = y * response.shape[1] + x
    return np.column_stack([flat % response.shape[0], flat // response.shape[0]])


@wrong("q3", says="these are minima: small and negative responses are edges, the corners are where R is large")
def peaks(response, size, threshold):
    y, x = _peaks(-response, size, threshold)
    return np.column_stack([x, y])


@wrong("q3", says="the absolute value of the response is searched: strong negative responses are edges and no peaks")
def peaks(response, size, threshold):
    y, x = _peaks(np.abs(response), size, threshold)
    return np.column_stack([x, y])


@wrong("q3", says="the threshold is taken as it is; asked is a share of the largest response")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, level=threshold)
    return np.column_stack([x, y])


@wrong("q3", says="a pixel that just equals the threshold, or 0, is kept: it must be above")
def peaks(response, size, threshold):
    level = max(threshold * response.max(), 0)
    y, x = _peaks(response, size, threshold, level=np.nextafter(level, -np.inf))
    return np.column_stack([x, y])


@wrong("q3", says="all pixels of a plateau are kept: of equal ones in a window only the first may stay")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, earlier=np.greater_equal)
    return np.column_stack([x, y])


@wrong(
    "q3", says="equal neighbours strike each other out, and a plateau gives no keypoint: its first pixel should stay"
)
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, later=np.greater)
    return np.column_stack([x, y])


@wrong("q3", says="of equal pixels the last in reading order is kept; asked is the first")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, earlier=np.greater_equal, later=np.greater)
    return np.column_stack([x, y])


@wrong("q3", says="peaks near the border are left out: there the window is cut off, but a peak counts")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, padding=np.inf)
    return np.column_stack([x, y])


@wrong("q3", says="the window goes on at the opposite side of the image, as np.roll makes it: cut it off at the border")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold, padding=None)
    return np.column_stack([x, y])


@wrong("q3", says="size is taken as the window's half width: the window has size × size pixels in all")
def peaks(response, size, threshold):
    y, x = _peaks(response, 2 * size + 1, threshold)
    return np.column_stack([x, y])


@wrong("q3", says="only the eight neighbours are compared, whatever the size of the window")
def peaks(response, size, threshold):
    y, x = _peaks(response, 3, threshold)
    return np.column_stack([x, y])


@wrong("q3", says="nothing is suppressed: every pixel above the threshold is there, not only the largest of its window")
def peaks(response, size, threshold):
    y, x = _peaks(response, 1, threshold)
    return np.column_stack([x, y])


@wrong(
    "q3",
    says="the strongest is taken and its window struck out, again and again: so a pixel on the slope of a struck "
    "neighbour becomes a peak; compare with all values as they came",
)
def peaks(response, size, threshold):
    left, r, found = response.astype(float), size // 2, []
    level = max(threshold * response.max(), 0)
    while left.max() > level:
        y, x = divmod(int(np.argmax(left)), response.shape[1])
        found.append((x, y))
        left[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1] = -np.inf
    return np.array(found, dtype=int).reshape(-1, 2)


@wrong("q3", says="the order is turned round: the strongest comes first")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold)
    return np.column_stack([x, y])[::-1]


@wrong("q3", says="the keypoints come in reading order: sort them by their response, the strongest first")
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold)
    order = np.lexsort((x, y))
    return np.column_stack([x, y])[order]


@wrong("q3", says=RESPONSE_CHANGED)
def peaks(response, size, threshold):
    y, x = _peaks(response, size, threshold)
    response[response <= threshold * response.max()] = 0
    return np.column_stack([x, y])


@right("q3")
def peaks(response, size, threshold):
    """Window by window: argmax gives the first of equal values."""
    (H, W), r = response.shape, size // 2
    level, found = max(threshold * float(response.max()), 0.0), []
    for y in range(H):
        for x in range(W):
            if response[y, x] > level:
                top, left = max(y - r, 0), max(x - r, 0)
                window = response[top : y + r + 1, left : x + r + 1]
                j, i = divmod(int(np.argmax(window)), window.shape[1])
                if (top + j, left + i) == (y, x):
                    found.append((-float(response[y, x]), y, x))
    return np.array([(x, y) for _, y, x in sorted(found)], dtype=float).reshape(-1, 2)


# ---------------------------------------------------------------------------------------------
# Question 4: two more scores, and contrast


@pytest.mark.q("q4", 1)
def test_weakest(student, atlas, rng):
    """λ₂ is the smaller root of det(S − λ Id) = 0, at every pixel."""
    _, small, entries = random_matrices(rng, (5, 8))
    answer = student.weakest(*entries)
    expect(answer, small, atlas("weakest", *entries), what="the smaller eigenvalue")


@pytest.mark.q("q4", 1)
def test_det_over_trace(student, atlas, rng):
    """h = det S / trace S, also for the small numbers of a soft photograph."""
    for size in (1.0, 1e-5):
        large, small, entries = random_matrices(rng, (5, 8))
        entries = tuple(size * entry for entry in entries)
        answer = student.det_over_trace(*entries)
        truth = size * large * small / (large + small)
        # a few roundings of numbers of this size
        expect(answer, truth, atlas("det_over_trace", *entries), atol=1e-9 * size, what="det S / trace S")


@pytest.mark.q("q4", 1)
def test_flat_windows(student, atlas, rng):
    """A flat window scores 0 in both, not NaN; a corner beside it keeps its score."""
    large, small, entries = random_matrices(rng, (3, 5))
    keep = np.indices((3, 5)).sum(axis=0) % 3 > 0
    entries = tuple(entry * keep for entry in entries)
    with np.errstate(all="ignore"):
        for name, truth in [("weakest", small * keep), ("det_over_trace", large * small / (large + small) * keep)]:
            answer = getattr(student, name)(*entries)
            expect(answer, truth, atlas(name, *entries), what=f"{name} with flat windows")


def scores_of(entries):
    """The three scores of matrices, by LAPACK's eigenvalues; alpha = 0.05."""
    Sxx, Sxy, Syy = entries
    small, large = np.moveaxis(
        np.linalg.eigvalsh(np.stack([Sxx, Sxy, Sxy, Syy], axis=-1).reshape(*Sxx.shape, 2, 2)), -1, 0
    )
    return {
        "weakest": small,
        "harris": small * large - 0.05 * (small + large) ** 2,
        "det_over_trace": small * large / (small + large),
    }


@pytest.mark.q("q4", 2)
def test_adapted_threshold(student, atlas, rng):
    """In a I + b the adapted threshold keeps the pixels that the old one keeps in I, for each score."""
    image = ndimage.gaussian_filter(rng.random((30, 37)), 1)
    before = scores_of(tensor_oracle(image, 1.0, 1.5))
    for a, b in [(rng.uniform(0.4, 0.6), 0.2), (rng.uniform(1.5, 1.9), -0.3), (-rng.uniform(0.5, 0.7), 0.9)]:
        after = scores_of(tensor_oracle(a * image + b, 1.0, 1.5))
        for score, values in before.items():
            level = np.sort(values[values > 0])
            middle = len(level) // 2
            t = float(level[middle - 1 : middle + 1].mean())  # half-way between two values: no rounding matters
            truth = np.median(after[score][values > 0] / values[values > 0]) * t
            answer = student.adapted_threshold(t, score, a, b)
            what = f'the threshold for "{score}" and a = {a:.3f}'
            expect(answer, truth, atlas("adapted_threshold", t, score, a, b), atol=1e-6 * truth, what=what)
            kept, wanted = int(np.sum(after[score] > float(answer))), int(np.sum(values > t))
            assert kept == wanted, f"{what} keeps {kept} pixels, not {wanted}"


@wrong("q4", says="this is the larger eigenvalue: a window is only as good as its weaker direction")
def weakest(Sxx, Sxy, Syy):
    return (Sxx + Syy) / 2 + np.hypot((Sxx - Syy) / 2, Sxy)


@wrong(
    "q4", says="this is the smaller entry of the diagonal, an eigenvalue only where Sxy = 0: a turned corner is missed"
)
def weakest(Sxx, Sxy, Syy):
    return np.minimum(Sxx, Syy)


@wrong("q4", says="the division by 2 of the quadratic formula is missing: this is twice the smaller eigenvalue")
def weakest(Sxx, Sxy, Syy):
    return Sxx + Syy - np.hypot(Sxx - Syy, 2 * Sxy)


@wrong("q4", says="Sxx − Syy is not halved under the root, as the trace before it is")
def weakest(Sxx, Sxy, Syy):
    return (Sxx + Syy) / 2 - np.hypot(Sxx - Syy, Sxy)


@wrong("q4", says="the root is missing: the discriminant itself is subtracted, which has the wrong unit")
def weakest(Sxx, Sxy, Syy):
    return (Sxx + Syy) / 2 - ((Sxx - Syy) ** 2 / 4 + Sxy**2)


@wrong("q4", says="Sxy is not squared under the root: it stands twice in the determinant")
def weakest(Sxx, Sxy, Syy):
    return (Sxx + Syy) / 2 - np.sqrt(np.abs(((Sxx - Syy) / 2) ** 2 + Sxy))


@right("q4")
def weakest(Sxx, Sxy, Syy):
    """Turn the matrix until it is diagonal."""
    angle = np.arctan2(2 * Sxy, Sxx - Syy) / 2 + np.pi / 2
    c, s = np.cos(angle), np.sin(angle)
    return c * c * Sxx + 2 * c * s * Sxy + s * s * Syy


@wrong("q4", says="det / trace is 0 / 0 in a flat window: say what the score is there, 0, before you divide")
def det_over_trace(Sxx, Sxy, Syy):
    with np.errstate(all="ignore"):
        return (Sxx * Syy - Sxy**2) / (Sxx + Syy)


@wrong("q4", says="a small number is added to the trace against 0 / 0: it changes all other scores as well")
def det_over_trace(Sxx, Sxy, Syy):
    return (Sxx * Syy - Sxy**2) / (Sxx + Syy + 1e-7)


@wrong("q4", says="this is the harmonic mean itself, 2 det / trace; asked is det / trace, half of it")
def det_over_trace(Sxx, Sxy, Syy):
    return 2 * _divided(Sxx * Syy - Sxy**2, Sxx + Syy)


@wrong("q4", says="the trace is squared: det / trace² is a pure number and calls even the faintest noise a corner")
def det_over_trace(Sxx, Sxy, Syy):
    return _divided(Sxx * Syy - Sxy**2, (Sxx + Syy) ** 2)


@wrong("q4", says="the determinant has a plus here: it is the product of the diagonal minus Sxy²")
def det_over_trace(Sxx, Sxy, Syy):
    return _divided(Sxx * Syy + Sxy**2, Sxx + Syy)


@wrong("q4", says="the quotient is upside down: this is trace / det, small at the corners")
def det_over_trace(Sxx, Sxy, Syy):
    return _divided(Sxx + Syy, Sxx * Syy - Sxy**2)


@right("q4")
def det_over_trace(Sxx, Sxy, Syy):
    """Pixel by pixel, by the sum of the inverse eigenvalues."""
    result = np.zeros(Sxx.shape)
    for place in np.ndindex(*Sxx.shape):
        A, B, C = float(Sxx[place]), float(Sxy[place]), float(Syy[place])
        if A + C > 0:
            result[place] = (A * C - B * B) / (A + C)
    return result


def _divided(a, b):
    return np.where(b > 0, a, 0) / np.where(b > 0, b, 1)


@wrong("q4", says="the threshold is multiplied by a² for every score: R is of second degree in S, so it grows faster")
def adapted_threshold(threshold, score, a, b):
    return threshold * a**2


@wrong("q4", says="the threshold is multiplied by a⁴ for every score: λ₂ and h are of first degree in S")
def adapted_threshold(threshold, score, a, b):
    return threshold * a**4


@wrong("q4", says="the power is turned round: where the scores become smaller the threshold must become smaller, too")
def adapted_threshold(threshold, score, a, b):
    return threshold / a ** (4 if score == "harris" else 2)


@wrong("q4", says="only the derivative's factor a is counted: the scores are made of products of derivatives")
def adapted_threshold(threshold, score, a, b):
    return threshold * abs(a) ** (2 if score == "harris" else 1)


@wrong("q4", says="the threshold is left as it was: no score of these is invariant to contrast")
def adapted_threshold(threshold, score, a, b):
    return threshold


@wrong(
    "q4", says="the threshold is changed like a brightness, a t + b: a score is made of derivatives, where b is gone"
)
def adapted_threshold(threshold, score, a, b):
    return a * threshold + b


@wrong("q4", says="the sign of a is kept: squares of derivatives are the same in a photographic negative")
def adapted_threshold(threshold, score, a, b):
    return threshold * np.sign(a) * a ** (4 if score == "harris" else 2)


@right("q4")
def adapted_threshold(threshold, score, a, b):
    """By the scores of a matrix and of a² times the matrix."""
    A, B, C = 2.0, 1.0, 3.0

    def value(k):
        if score == "harris":
            return k * A * k * C - (k * B) ** 2 - 0.05 * (k * A + k * C) ** 2
        return (k * A * k * C - (k * B) ** 2) / (k * A + k * C)

    return threshold * value(a * a) / value(1.0)


# ---------------------------------------------------------------------------------------------
# Question 5: repeatability


def repeatability_oracle(keypoints1, keypoints2, T, shape, tolerance):
    """By SciPy's table of distances, in homogeneous coordinates one point at a time."""
    mapped = []
    for x, y in keypoints1.tolist():
        u, v, w = T @ [x, y, 1]
        if -0.5 <= u / w < shape[1] - 0.5 and -0.5 <= v / w < shape[0] - 0.5:
            mapped.append((u / w, v / w))
    if not mapped or not len(keypoints2):
        return 0.0
    nearest = spatial.distance.cdist(mapped, keypoints2).min(axis=1)
    return sum(distance <= tolerance for distance in nearest.tolist()) / len(mapped)


def unambiguous(looks_like, truth):
    """Keep the mistakes whose number no other mistake shares: one number alone is a weak witness."""
    numbers = {says: f"{float(result):.9f}" for says, result in looks_like.items() if not np.isclose(result, truth)}
    given = list(numbers.values())
    return {says: looks_like[says] for says, number in numbers.items() if given.count(number) == 1}


def expect_share(student, atlas, data, truth, what):
    with np.errstate(all="ignore"):
        answer = student.repeatability(*data)
        looks_like = unambiguous(atlas("repeatability", *data), truth)
    assert np.shape(answer) == (), f"repeatability should return one number, got shape {np.shape(answer)}"
    expect(answer, truth, looks_like, what=what)


@pytest.mark.q("q5", 1)
def test_shifted_points(student, atlas, rng):
    """A shift, with points found again exactly, nearly, and not at all."""
    shape = (61, 97)
    points = np.stack(np.meshgrid(np.arange(20, 80, 12.0), np.arange(16, 40, 12.0)), axis=-1).reshape(-1, 2)
    dx, dy = float(rng.integers(4, 9)), -float(rng.integers(2, 7))
    T = np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1]])
    again = rng.permutation(points + T[:2, 2])[:4] + rng.uniform(-0.7, 0.7, (4, 2))  # 4 of 10, at most 1 px off
    clutter = np.column_stack([rng.uniform(0, 90, 7), rng.uniform(50, 60, 7)])
    data = (points, rng.permutation(np.vstack([again, clutter])), T, shape, 1.5)
    expect_share(student, atlas, data, 0.4, "the repeatability of 10 points, 4 of them found again")


@pytest.mark.q("q5", 1)
def test_projective_map(student, atlas, rng):
    """Any homography: divide by w, compare in image 2, count the visible points only."""

    def draw():
        T = np.array([[1.1, -0.35, 12], [0.3, 0.9, -9], [0.0011, -0.0016, 1]])
        T[:2] += rng.uniform(-0.03, 0.03, (2, 3))
        points = rng.uniform((2, 2), (88, 58), (120, 2))
        u, v, w = T @ np.column_stack([points, np.ones(120)]).T
        again = np.column_stack([u / w, v / w])[:60] + rng.normal(0, 1.6, (60, 2))
        keypoints2 = rng.permutation(np.vstack([again, rng.uniform((0, 0), (90, 60), (40, 2))]))
        data = (points, keypoints2, float(rng.uniform(0.8, 1.2)) * T, (60, 90), 2.5)
        return data, repeatability_oracle(*data)

    def told_apart(case):
        with np.errstate(all="ignore"):
            return len(unambiguous(atlas("repeatability", *case[0]), case[1]))

    for data, truth in sorted((draw() for _ in range(8)), key=told_apart)[-2:]:  # where the mistakes differ most
        expect_share(student, atlas, data, truth, "the repeatability under a homography")


@pytest.mark.q("q5", 1)
def test_visible_points(student, atlas, rng):
    """Only points that lie in image 2 count, to the outer edge of its pixels."""
    H, W = 40, 70
    T = np.array([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 1]])
    seen = np.array([(0, 0), (69.4, 39.4), (-0.4, 20), (55, 12), (33, -0.4), (69.3, 8), (44, 30), (9, 25)])
    lost = np.array([(-0.7, 3), (69.7, 30), (20, 39.8), (12, 55), (-30, -9), (40, -0.8), (85, 20), (100, 60), (36, 66)])
    points = np.vstack([seen, lost])[rng.permutation(17)] / 2
    keypoints2 = np.vstack([seen[[0, 1, 2, 3, 5]], lost[[0, 3, 6, 7]]])  # points outside are there to be found, too
    data = (points, keypoints2, T, (H, W), 0.25)
    expect_share(student, atlas, data, 5 / 8, "the repeatability with 8 of 17 points visible")


@pytest.mark.q("q5", 1)
def test_tolerance_and_nothing(student, atlas, rng):
    """Distances equal to the tolerance, another tolerance, and empty lists."""
    x, y = rng.integers(10, 14), rng.integers(10, 14)
    places = [(0, 0), (20, 0), (40, 0), (60, 0), (0, 20), (20, 20), (40, 20)]
    points = np.array([(x + dx, y + dy) for dx, dy in places], dtype=float)
    # at 5, 5.25, 5.66, 1.41, 2, 2.13 and 2.5 pixels, numbers without rounding
    offsets = np.array([(3, 4), (0, 5.25), (4, 4), (1, 1), (-2, 0), (0, -2.125), (1.5, 2)])
    for tolerance, share in [(5.0, 5 / 7), (2.0, 2 / 7), (5.5, 6 / 7)]:
        data = (points, points + offsets, np.eye(3), (50, 100), tolerance)
        expect_share(student, atlas, data, share, f"the repeatability at a tolerance of {tolerance:g}")
    empty = np.zeros((0, 2))
    away = np.array([[1.0, 0, 1000], [0, 1, 0], [0, 0, 1]])
    for data, what in [
        ((points, empty, np.eye(3), (50, 100), 2.0), "the repeatability when nothing was found in image 2"),
        ((points, points, away, (50, 100), 2.0), "the repeatability when no point is visible"),
        ((empty, points, np.eye(3), (50, 100), 2.0), "the repeatability of no points"),
    ]:
        try:
            expect_share(student, atlas, data, 0.0, what)
        except StudentError as problem:
            raise AssertionError(NOTHING_FOUND if data[1].size == 0 else f"{what} is 0; {problem}") from None


def _mapped(keypoints, T):
    u, v, w = T @ np.column_stack([keypoints, np.ones(len(keypoints))]).T
    return np.column_stack([u / w, v / w])


def _inside(points, shape):
    H, W = shape
    return np.all((points >= -0.5) & (points < (W - 0.5, H - 0.5)), axis=1)


def _near(these, those, tolerance, distance=np.hypot):
    if not len(these) or not len(those):
        return np.zeros(len(these), dtype=bool)
    dx, dy = (these[:, None, k] - those[None, :, k] for k in (0, 1))
    return (distance(dx, dy) <= tolerance).any(axis=1)


def _share(hits, count):
    return float(np.sum(hits) / count) if count else 0.0


@wrong("q5", says="the points are carried the wrong way: T takes image 1 to image 2, its inverse goes back")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, np.linalg.inv(T))
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="w is not divided out: (u, v, w) is the point (u/w, v/w)")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = (T @ np.column_stack([keypoints1, np.ones(len(keypoints1))]).T)[:2].T
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="points are not carried over at all: they are compared at their place in image 1")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = keypoints1[_inside(_mapped(keypoints1, T), shape)]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="height and width are exchanged: shape is (H, W), and x runs over the width")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape[::-1])]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="T is applied to (y, x): keypoints are (x, y) already, no swap is needed")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1[:, ::-1], T)[:, ::-1]
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong(
    "q5",
    says="points that have left the picture are counted as not found again: nobody can find them, divide by the number"
    " of visible ones",
)
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    return _share(_near(p, keypoints2, tolerance) & _inside(p, shape), len(p))


@wrong("q5", says="points outside image 2 take part: leave out those that T carries out of the picture")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="the number of keypoints of image 2 is the divisor; Eq. (5) divides by the visible ones of image 1")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    return _share(_near(p[_inside(p, shape)], keypoints2, tolerance), len(keypoints2))


@wrong("q5", says="this is the share of image 2's keypoints that have a partner; asked is that of image 1's")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    return _share(_near(keypoints2, p[_inside(p, shape)], tolerance), len(keypoints2))


@wrong("q5", says="the squared distance is compared with the tolerance: take the root, or square the tolerance")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, np.sqrt(tolerance)), len(p))


@wrong("q5", says="x and y are held to the tolerance one by one, which is a square: the distance is √(dx² + dy²)")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    near = _near(p, keypoints2, tolerance, distance=lambda dx, dy: np.maximum(np.abs(dx), np.abs(dy)))
    return _share(near, len(p))


@wrong("q5", says="a distance equal to the tolerance counts too: compare with ≤")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, tolerance * (1 - 1e-12)), len(p))


@wrong("q5", says="the argument tolerance is not used: it is always 2 pixels")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    return _share(_near(p, keypoints2, 2.0), len(p))


@wrong(
    "q5",
    says="the picture ends at the centres of its outermost pixels for you: each pixel reaches half a pixel further",
)
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[np.all((p >= 0) & (p <= (shape[1] - 1, shape[0] - 1)), axis=1)]
    return _share(_near(p, keypoints2, tolerance), len(p))


@wrong("q5", says="none of no points is 0 / 0, NaN: if no keypoint is visible, return 0")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    return float(np.sum(_near(p, keypoints2, tolerance)) / np.float64(len(p)))


@wrong("q5", says=NOTHING_FOUND)
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    p = _mapped(keypoints1, T)
    p = p[_inside(p, shape)]
    if not len(p):
        return 0.0
    distance = np.hypot(*(p[:, None] - keypoints2[None]).transpose(2, 0, 1))
    return float(np.mean(distance.min(axis=1) <= tolerance))


@right("q5")
def repeatability(keypoints1, keypoints2, T, shape, tolerance):
    """Point by point, in plain Python."""
    visible = found = 0
    rows = T.tolist()
    for x, y in keypoints1.tolist():
        u, v, w = (row[0] * x + row[1] * y + row[2] for row in rows)
        u, v = u / w, v / w
        if -0.5 <= u < shape[1] - 0.5 and -0.5 <= v < shape[0] - 0.5:
            visible += 1
            found += any((u - x2) ** 2 + (v - y2) ** 2 <= tolerance**2 for x2, y2 in keypoints2.tolist())
    return found / visible if visible else 0.0
