"""Checks of the exercise 03_sampling: aliases, bilinear and cubic interpolation, resizing, pyramids."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cvcourse.checks import expect, right, wrong

LIBRARIES = ("scipy", "skimage", "cv2", "PIL", "torch", "cvcourse.sampling", "cvcourse.filtering", "cvcourse.warping")
FORBIDDEN = {
    "q1": ("scipy", "cvcourse.sampling"),
    **{q: (*LIBRARIES, "numpy.interp") for q in ("q2", "q3", "q4", "q5")},
}

# ---------------------------------------------------------------------------------------------
# q1: the alias of a frequency, the ghosts of a zone plate


def measured_frequency(frequency, step, n=48):
    """Sample the cosine and find its peak in the spectrum; `n` samples hold whole periods."""
    samples = np.cos(2 * np.pi * frequency * step * np.arange(n))
    return np.argmax(np.abs(np.fft.rfft(samples))) / n


def measured_ghosts(size, highest, step):
    """All radii up to the mid-edge whose frequency is a multiple of 1 / step, in exact fractions."""
    R, f = Fraction(size - 1, 2), Fraction(highest)
    return [float(r) for k in range(1, 100) if (r := R * k / (step * f)) <= R]


@pytest.mark.q("q1", 1)
def test_alias_is_what_the_samples_show(student, atlas, rng):
    """The alias is the frequency that the spectrum of the samples shows."""
    step = int(rng.integers(3, 6))
    bins = np.r_[rng.integers(2, 23, 2), rng.integers(26, 47, 2), rng.integers(50, 70)]  # cycles in 48 samples
    frequency = bins / 48 / step
    truth = [measured_frequency(f, step) for f in frequency]
    answer = student.alias_frequency(frequency, step)
    # An arccos near 1 keeps half of the digits, so this much is rounding.
    expect(answer, truth, atlas("alias_frequency", frequency, step), atol=1e-6, what="the alias")
    assert not student.changed, "alias_frequency overwrites its argument: compute in a new array"


@pytest.mark.q("q1", 1)
def test_alias_of_any_frequency(student, atlas, rng):
    """It folds again and again, for negative frequencies too, and keeps the array's shape."""
    step = int(rng.integers(2, 6))
    bins = rng.permutation(np.r_[rng.integers(73, 96, 2), rng.integers(97, 120, 2), -rng.integers(25, 72, 2)])
    frequency = bins.reshape(2, 3) / 48 / step
    truth = np.vectorize(measured_frequency)(frequency, step)
    answer = student.alias_frequency(frequency, step)
    expect(answer, truth, atlas("alias_frequency", frequency, step), atol=1e-6, what="the alias")


@pytest.mark.q("q1", 1)
def test_ghosts_of_the_zone_plate(student, atlas, rng):
    """The ghosts stand where the local frequency is a multiple of the sampling frequency."""
    size = 2 * int(rng.integers(40, 150)) + 1
    # On the way 0.5 · 4 or 8 · 0.375 end exactly at the mid-edge; the other ends lie far from a multiple.
    for highest, step in [(0.4375, int(rng.integers(5, 9))), (0.5, 2 * int(rng.integers(2, 5))), (0.375, 8)]:
        truth = measured_ghosts(size, highest, step)
        answer = student.ghost_radii(size, highest, step)
        looks = atlas("ghost_radii", size, highest, step)
        expect(answer, truth, looks, atol=1e-6, what=f"ghost_radii({size}, {highest}, {step})")


@wrong("q1", says="this is frequency · step, not folded: samples cannot tell it from a frequency between 0 and 1/2")
def alias_frequency(frequency, step):
    return np.abs(np.asarray(frequency)) * step


@wrong(
    "q1",
    says="the whole turns are taken off, but what is left may exceed 1/2: there c and 1 − c give the same samples",
)
def alias_frequency(frequency, step):
    return np.abs(np.asarray(frequency) * step) % 1


@wrong(
    "q1",
    says="this alias is in cycles per old pixel; the question asks for cycles per new sample, which lie `step` "
    "pixels apart",
)
def alias_frequency(frequency, step):
    cycles = np.asarray(frequency) * step
    return np.abs(cycles - np.round(cycles)) / step


@wrong("q1", says="the step is not used: one cycle per new sample is 1/step cycles per pixel")
def alias_frequency(frequency, step):
    return np.abs(np.asarray(frequency) - np.round(frequency))


@wrong("q1", says="a frequency above the limit does not stop at 1/2, it is mirrored back from it")
def alias_frequency(frequency, step):
    return np.minimum(np.abs(np.asarray(frequency)) * step, 0.5)


@wrong("q1", says="a remainder by 1/2 starts again at 0; beyond 1/2 the alias should come down from 1/2")
def alias_frequency(frequency, step):
    return np.abs(np.asarray(frequency) * step) % 0.5


@wrong(
    "q1",
    says="the alias of a negative frequency came out negative: −f and f give the same cosine, so the answer lies "
    "in [0, 1/2]",
)
def alias_frequency(frequency, step):
    cycles = np.asarray(frequency) * step
    return np.sign(cycles) * np.abs(cycles - np.round(cycles))


@right("q1")
def alias_frequency(frequency, step):
    angle = 2 * np.pi * step * np.asarray(frequency)
    return np.arctan2(np.abs(np.sin(angle)), np.cos(angle)) / (2 * np.pi)


@wrong("q1", says="these radii are in pixels of the subsampled picture; asked for are pixels of the full one")
def ghost_radii(size, highest, step):
    return _radii(size, highest, step, 1 / step)


@wrong("q1", says="radius 0 is the true middle of the rings, not a ghost: start with the first multiple of 1/step")
def ghost_radii(size, highest, step):
    return np.r_[0, _radii(size, highest, step)]


@wrong(
    "q1",
    says="these are the multiples of half the sampling frequency; a ghost's middle looks constant, so its alias is 0",
)
def ghost_radii(size, highest, step):
    return _radii(size, highest, 2 * step)


@wrong("q1", says="`highest` is not used: the frequency at the mid-edge is not always 1/2")
def ghost_radii(size, highest, step):
    return _radii(size, 0.5, step)


@wrong("q1", says="the mid-edge lies at R = (size − 1)/2 from the middle: pixel centres run from 0 to size − 1")
def ghost_radii(size, highest, step):
    return _radii(size + 1, highest, step)


@wrong("q1", says="the last ghost is missing: one that stands exactly at the mid-edge, r = R, counts too")
def ghost_radii(size, highest, step):
    radii = _radii(size, highest, step)
    return radii[radii < (size - 1) / 2]


@wrong(
    "q1",
    says="the radii fall where they should grow: at distance r the frequency is highest · r / R, solve that for r",
)
def ghost_radii(size, highest, step):
    R = (size - 1) / 2
    return R * step * highest / np.arange(1, int(step * highest) + 1)


@right("q1")
def ghost_radii(size, highest, step):
    R, found = (size - 1) / 2, []
    while (len(found) + 1) / step <= highest:
        found.append((len(found) + 1) / step / highest * R)
    return np.array(found)


def _radii(size, highest, step, unit=1.0):
    return (size - 1) / 2 * np.arange(1, int(np.floor(step * highest)) + 1) / (step * highest) * unit


# ---------------------------------------------------------------------------------------------
# q2: bilinear sampling


@pytest.mark.q("q2", 1)
def test_planes_are_exact(student, atlas, rng):
    """A plane a x + b y + c is met exactly between the pixels."""
    height, width = 6, 9
    a, b, c = rng.uniform(0.5, 2, 3) * [1, -1, 1]
    image = a * np.arange(width) + b * np.arange(height)[:, None] + c
    x, y = rng.uniform(0, width - 2, 12), rng.uniform(0, height - 2, 12)
    answer = student.bilinear(image, x, y)
    expect(answer, a * x + b * y + c, atlas("bilinear", image, x, y), what="the plane between its pixels")


@pytest.mark.q("q2", 1)
def test_pixel_centres(student, atlas, rng):
    """At a pixel's centre it gives the pixel, in the last row and column too."""
    image = rng.normal(size=(5, 7))
    y, x = np.mgrid[:5, :7].astype(np.float64)
    answer = student.bilinear(image, x, y)
    expect(answer, image, atlas("bilinear", image, x, y), what="the image at its pixel centres")


@pytest.mark.q("q2", 1)
def test_any_texture(student, atlas, rng):
    """Between four pixels of any texture their weights are right."""
    image = rng.normal(size=(8, 6))
    x, y = rng.uniform(0, 4, (3, 5)), rng.uniform(0, 6, (3, 5))
    truth = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest")
    answer = student.bilinear(image, x, y)
    expect(answer, truth, atlas("bilinear", image, x, y), what="the texture between its pixels")


@pytest.mark.q("q2", 1)
def test_beyond_the_border(student, atlas, rng):
    """Beyond the border the image goes on with its border pixels; nothing is overwritten."""
    image = rng.normal(size=(6, 5))
    x = np.r_[rng.uniform(-0.9, -0.1, 2), rng.uniform(-3.9, -1.1, 2), rng.uniform(4.1, 8, 3), rng.uniform(0, 4, 6)]
    y = np.r_[rng.uniform(0, 5, 7), rng.uniform(-0.9, -0.1, 2), rng.uniform(-3.9, -1.1, 2), rng.uniform(5.1, 9, 2)]
    truth = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest")
    answer = student.bilinear(image, x, y)
    assert not student.changed, OVERWRITES
    expect(answer, truth, atlas("bilinear", image, x, y), what="the image beyond its border")


def _corners(image, x0, y0, a, b):
    """Mix the four pixels around with weights a and b; indices are held inside."""
    height, width = image.shape
    x0, y0 = x0.astype(int), y0.astype(int)
    left, right_, top, low = (
        np.clip(k, 0, n - 1) for k, n in ((x0, width), (x0 + 1, width), (y0, height), (y0 + 1, height))
    )
    upper = (1 - a) * image[top, left] + a * image[top, right_]
    lower = (1 - a) * image[low, left] + a * image[low, right_]
    return (1 - b) * upper + b * lower


@wrong("q2", says="x and y are swapped: x counts columns, so the pixel at (x, y) is image[y, x]")
def bilinear(image, x, y):
    return _corners(image, np.floor(y), np.floor(x), y - np.floor(y), x - np.floor(x))


@wrong(
    "q2",
    says="int() cuts towards zero: for −0.3 it gives 0, where the pixel to the left is −1; np.floor always goes left",
)
def bilinear(image, x, y):
    return _corners(image, np.trunc(x), np.trunc(y), x - np.trunc(x), y - np.trunc(y))


@wrong("q2", says="this is the nearest pixel only: mix the four pixels around the point by their distances")
def bilinear(image, x, y):
    return _corners(image, np.floor(x + 0.5), np.floor(y + 0.5), 0.0, 0.0)


@wrong(
    "q2",
    says="rounding takes the nearest pixel as the left one; the weights then run from −1/2 to 1/2 instead of 0 to 1",
)
def bilinear(image, x, y):
    x0, y0 = np.floor(x + 0.5), np.floor(y + 0.5)
    return _corners(image, x0, y0, x - x0, y - y0)


@wrong("q2", says="the last row and column are never reached: coordinates may go up to W − 1 and H − 1")
def bilinear(image, x, y):
    x, y = np.clip(x, 0, image.shape[1] - 2), np.clip(y, 0, image.shape[0] - 2)
    return _corners(image, np.floor(x), np.floor(y), x - np.floor(x), y - np.floor(y))


@wrong(
    "q2",
    says="everything is half a pixel off: pixel centres lie at whole coordinates here, no 1/2 is to be subtracted",
)
def bilinear(image, x, y):
    x, y = x - 0.5, y - 0.5
    return _corners(image, np.floor(x), np.floor(y), x - np.floor(x), y - np.floor(y))


@wrong("q2", says="the weights are exchanged: the pixel that the point lies closer to should get the larger weight")
def bilinear(image, x, y):
    return _corners(image, np.floor(x), np.floor(y), 1 - (x - np.floor(x)), 1 - (y - np.floor(y)))


@wrong(
    "q2",
    says="index −1 is the last pixel in Python: left of column 0 should come column 0 again, not the other side",
)
def bilinear(image, x, y):
    wrapped = np.pad(image, 12, mode="wrap")
    return _corners(wrapped, np.floor(x) + 12, np.floor(y) + 12, x - np.floor(x), y - np.floor(y))


@wrong("q2", says="beyond the border this is 0; asked for is the border pixel going on")
def bilinear(image, x, y):
    padded = np.pad(image, 12)
    return _corners(padded, np.floor(x) + 12, np.floor(y) + 12, x - np.floor(x), y - np.floor(y))


@wrong(
    "q2",
    says="beyond the border the slope of the last two pixels is continued: hold the coordinate, not only the "
    "index, inside",
)
def bilinear(image, x, y):
    x0, y0 = np.clip(np.floor(x), 0, image.shape[1] - 2), np.clip(np.floor(y), 0, image.shape[0] - 2)
    return _corners(image, x0, y0, x - x0, y - y0)


OVERWRITES = "bilinear overwrites its coordinates: what is clipped in place is lost to the caller; make new arrays"


@wrong("q2", says=OVERWRITES)
def bilinear(image, x, y):
    np.clip(x, 0, image.shape[1] - 1, out=x)
    np.clip(y, 0, image.shape[0] - 1, out=y)
    return _corners(image, np.floor(x), np.floor(y), x - np.floor(x), y - np.floor(y))


@right("q2")
def bilinear(image, x, y):
    """Weigh all pixels by a tent around the point: most weights are 0."""
    height, width = image.shape
    result = np.empty(np.shape(x))
    for k in np.ndindex(np.shape(x)):
        px, py = min(max(x[k], 0), width - 1), min(max(y[k], 0), height - 1)
        wx = np.maximum(0, 1 - np.abs(np.arange(width) - px))
        wy = np.maximum(0, 1 - np.abs(np.arange(height) - py))
        result[k] = wy @ image @ wx
    return result


# ---------------------------------------------------------------------------------------------
# q3: the cubic kernel


def kernel_from_its_conditions(x, a):
    """Solve the eight conditions for the eight coefficients of the two pieces, and evaluate."""

    def value(s):
        return [1, s, s**2, s**3]

    def slope(s):
        return [0, 1, 2 * s, 3 * s**2]

    none = [0, 0, 0, 0]
    conditions = [value(0) + none, slope(0) + none, value(1) + none, slope(1) + none]
    conditions += [none + value(1), none + slope(1), none + value(2), none + slope(2)]
    c = np.linalg.solve(np.array(conditions, dtype=float), [1, 0, 0, a, 0, a, 0, 0])
    s = np.abs(x)
    return np.where(s < 1, np.polyval(c[3::-1], s), np.where(s < 2, np.polyval(c[:3:-1], s), 0.0))


def other_slope(rng):
    """Some a that is neither -1/2 nor -3/4."""
    return float(rng.choice([-0.95, -0.3]) + rng.uniform(-0.04, 0.04))


@pytest.mark.q("q3", 1)
def test_knots(student, atlas, rng):
    """The kernel is 1 at 0, and 0 at every other whole number."""
    x = rng.permutation(np.arange(-4.0, 4)).reshape(2, 4)
    a = other_slope(rng)
    answer = student.cubic_kernel(x, a)
    expect(answer, x == 0, atlas("cubic_kernel", x, a), what="the kernel at whole numbers")


@pytest.mark.q("q3", 1)
def test_conditions(student, atlas, rng):
    """Between the knots it is the one smooth pair of cubics, for any slope a."""
    x = np.r_[rng.uniform(-3, 3, 10), 0.3, 1.4, -0.6, -1.7, 2.5]
    for options in ({}, {"a": other_slope(rng)}):
        truth = kernel_from_its_conditions(x, options.get("a", -0.5))
        answer = student.cubic_kernel(x, **options)
        assert not student.changed, "cubic_kernel overwrites its argument: compute in a new array"
        expect(answer, truth, atlas("cubic_kernel", x, **options), what="the kernel between the knots")


@pytest.mark.q("q3", 1)
def test_weights(student, atlas, rng):
    """The four weights belong to the samples k − 1, k, k + 1, k + 2, in this order, and sum to 1."""
    t, a = np.r_[0.0, 0.2, rng.uniform(0, 1, 4)], other_slope(rng)
    truth = kernel_from_its_conditions(t[:, None] - [-1, 0, 1, 2], a)
    answer = student.cubic_weights(t, a)
    expect(answer, truth, atlas("cubic_weights", t, a), what="the weights")


@pytest.mark.q("q3", 1)
def test_parabolas(student, atlas, rng):
    """With the default a = −1/2 every parabola is met exactly."""
    t = np.r_[0.3, rng.uniform(0, 1, 6)]
    c0, c1, c2 = rng.uniform(0.5, 2, 3)
    samples = c0 + c1 * np.arange(-1, 3) + c2 * np.arange(-1, 3) ** 2
    answer = np.asarray(student.cubic_weights(t))
    assert answer.shape == (7, 4), f"for 7 fractions the weights should have shape (7, 4), got {answer.shape}"
    looks = {says: weights @ samples for says, weights in atlas("cubic_weights", t).items() if weights.shape == (7, 4)}
    expect(answer @ samples, c0 + c1 * t + c2 * t**2, looks, what="the parabola between its samples")


def _cubic(s, a):
    """Both pieces, for s >= 0."""
    inner = (a + 2) * s**3 - (a + 3) * s**2 + 1
    outer = a * (s**3 - 5 * s**2 + 8 * s - 4)
    return np.where(s < 1, inner, np.where(s < 2, outer, 0.0))


@wrong("q3", says="the kernel is not even: take |x| first, the weight depends on the distance only")
def cubic_kernel(x, a=-0.5):
    inner = (a + 2) * x**3 - (a + 3) * x**2 + 1
    return np.where(np.abs(x) < 1, inner, np.where(np.abs(x) < 2, a * (x**3 - 5 * x**2 + 8 * x - 4), 0.0))


@wrong("q3", says="beyond |x| = 2 the kernel should be 0; there the outer cubic just goes on")
def cubic_kernel(x, a=-0.5):
    s = np.abs(x)
    return np.where(s < 1, _cubic(s, a), a * (s**3 - 5 * s**2 + 8 * s - 4))


@wrong("q3", says="the sign of a is turned: w'(1) = a, and for a < 0 the kernel dips below 0 between 1 and 2")
def cubic_kernel(x, a=-0.5):
    return _cubic(np.abs(x), -a)


@wrong("q3", says="the argument a is not used: the kernel is the same for every slope")
def cubic_kernel(x, a=-0.5):
    return _cubic(np.abs(x), -0.5)


@wrong(
    "q3",
    says="this is the cubic B-spline: it is 2/3 at 0, so it smooths the samples instead of passing through them",
)
def cubic_kernel(x, a=-0.5):
    s = np.abs(x)
    return np.where(s < 1, 2 / 3 - s**2 + s**3 / 2, np.maximum(0, 2 - s) ** 3 / 6)


@wrong("q3", says="this is the tent of bilinear interpolation: it has a kink at 0 and at 1")
def cubic_kernel(x, a=-0.5):
    return np.maximum(0, 1 - np.abs(x))


@wrong("q3", says="the outer piece is missing: between 1 and 2 the kernel is not 0 (only at 1 and at 2)")
def cubic_kernel(x, a=-0.5):
    return np.where(np.abs(x) < 1, _cubic(np.abs(x), a), 0.0)


@wrong("q3", says="the kernel's default is a = −3/4, as OpenCV and PyTorch have it; asked for is a = −1/2")
def cubic_kernel(x, a=-0.75):
    return _cubic(np.abs(x), a)


@right("q3")
def cubic_kernel(x, a=-0.5):
    """Hermite form: value 1 at 0, slope a at 1 from both sides."""
    s = np.abs(np.asarray(x, dtype=float))
    u = s - 1
    result = np.zeros(s.shape)
    near, far = s < 1, (s >= 1) & (s < 2)
    result[near] = ((1 + 2 * s) * u**2 + a * s**2 * u)[near]
    result[far] = (a * u * (u - 1) ** 2)[far]
    return result


@wrong("q3", says="the weights come in reverse order: the first belongs to the sample k − 1")
def cubic_weights(t, a=-0.5):
    return _cubic(np.abs(t[:, None] - [2, 1, 0, -1]), a)


@wrong("q3", says="the four samples are k − 2 … k + 1; two samples should lie on either side: k − 1 … k + 2")
def cubic_weights(t, a=-0.5):
    return _cubic(np.abs(t[:, None] - [-2, -1, 0, 1]), a)


@wrong("q3", says="the four samples are k … k + 3; two samples should lie on either side: k − 1 … k + 2")
def cubic_weights(t, a=-0.5):
    return _cubic(np.abs(t[:, None] - [0, 1, 2, 3]), a)


@wrong("q3", says="the weights are stored as (4, N): a row should hold the four weights of one fraction, so (N, 4)")
def cubic_weights(t, a=-0.5):
    return _cubic(np.abs(t - np.array([[-1], [0], [1], [2]])), a)


@wrong("q3", says="a is not handed on: the weights are the same for every slope")
def cubic_weights(t, a=-0.5):
    return _cubic(np.abs(t[:, None] - [-1, 0, 1, 2]), -0.5)


@wrong("q3", says="the weights' default is a = −3/4: of all slopes only a = −1/2 reproduces parabolas")
def cubic_weights(t, a=-0.75):
    return _cubic(np.abs(t[:, None] - [-1, 0, 1, 2]), a)


@wrong("q3", says="two neighbours only: the outer samples k − 1 and k + 2 got no weight")
def cubic_weights(t, a=-0.5):
    return np.column_stack([0 * t, 1 - t, t, 0 * t])


@right("q3")
def cubic_weights(t, a=-0.5):
    """The matrix form: each weight as a cubic in t."""
    M = [[0, a, -2 * a, a], [1, 0, -a - 3, a + 2], [0, -a, 2 * a + 3, -a - 2], [0, 0, a, -a]]
    return np.vander(t, 4, increasing=True) @ np.transpose(M)


# ---------------------------------------------------------------------------------------------
# q4: resizing


def pillow(image, shape):
    """Pillow's resize with a tent: pixel centres, widened when shrinking, normalised; float32."""
    picture = Image.fromarray(np.asarray(image, dtype=np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=float)


def centroid(image):
    """Give (x, y) of the centre of brightness."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([np.sum(x * image), np.sum(y * image)]) / np.sum(image)


@pytest.mark.q("q4", 1)
def test_enlarging(student, atlas, rng):
    """Enlarging interpolates linearly at x = (x′ + ½) s − ½."""
    n_in = int(rng.integers(6, 9))
    n_out = n_in + int(rng.integers(2, 5))  # s > 1/2, where a tent of half width s is not yet the nearest sample
    x = np.linspace(-0.5, n_in - 0.5, 2 * n_out + 1)[1::2]  # middles of n_out equal parts of the signal
    truth = np.column_stack([np.interp(x, np.arange(n_in), unit) for unit in np.eye(n_in)])
    answer = student.resize_weights(n_in, n_out)
    expect(answer, truth, atlas("resize_weights", n_in, n_out), what=f"resize_weights({n_in}, {n_out})")


@pytest.mark.q("q4", 1)
def test_shrinking(student, atlas, rng):
    """Shrinking averages under a tent as wide as the step."""
    n_in, n_out = int(rng.integers(19, 26)), int(rng.integers(5, 8))
    truth = pillow(np.eye(n_in), (n_out, n_in))
    answer = student.resize_weights(n_in, n_out)
    looks = atlas("resize_weights", n_in, n_out)
    # Pillow stores float32: 6e-8 relative to 1.
    expect(answer, truth, looks, atol=1e-6, what=f"resize_weights({n_in}, {n_out})")


@pytest.mark.q("q4", 1)
def test_a_constant_is_kept(student, atlas, rng):
    """A constant stays a constant, up to the border, for any two sizes."""
    sizes = [(5, 12), (int(rng.integers(14, 30)), 5), (int(rng.integers(2, 9)), 1), (7, 7), (30, 29)]
    for n_in, n_out in sizes:
        answer = np.asarray(student.resize_weights(n_in, n_out))
        looks = {s: w.sum(axis=1) for s, w in atlas("resize_weights", n_in, n_out).items() if w.shape == (n_out, n_in)}
        assert answer.shape == (n_out, n_in), (
            f"resize_weights({n_in}, {n_out}): a row for each new sample makes {(n_out, n_in)}, got {answer.shape}"
        )
        expect(answer.sum(axis=1), np.ones(n_out), looks, what=f"each row's sum of resize_weights({n_in}, {n_out})")


@pytest.mark.q("q4", 1)
def test_images(student, atlas, rng):
    """Images are resized along both axes, one enlarged and one shrunk too."""
    image = rng.uniform(size=(23, 16))
    for shape in [(int(rng.integers(6, 9)), 5), (int(rng.integers(8, 12)), 27)]:
        answer = student.resize(image, shape)
        assert not student.changed, "resize overwrites the image: work on a copy"
        # Pillow keeps float32 after each of the two axes.
        expect(answer, pillow(image, shape), atlas("resize", image, shape), atol=1e-6, what=f"resize to {shape}")


@pytest.mark.q("q4", 1)
def test_nothing_moves(student, atlas, rng):
    """A spot stays where it was: its centre moves by less than 0.05 pixels."""
    height, width = 60, 84
    cx, cy = rng.uniform(36, 48), rng.uniform(26, 34)
    y, x = np.mgrid[:height, :width]
    image = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 5.0**2))  # its tails are below 1e-5 at the border
    shapes = [(20, 21), (25, 30), (90, 150)]
    for shape in shapes:
        answer = np.asarray(student.resize(image, shape), dtype=float)
        sx, sy = width / shape[1], height / shape[0]
        truth = np.array([(cx + 0.5) / sx - 0.5, (cy + 0.5) / sy - 0.5])
        looks = {says: centroid(im) for says, im in atlas("resize", image, shape).items() if im.shape == shape}
        assert answer.shape == shape, f"the resized image should have shape {shape}, got {answer.shape}"
        assert np.sum(answer) > 0, "the spot is gone: the resized image is black"
        expect(centroid(answer), truth, looks, atol=0.05, what=f"the spot's centre (x, y) after resizing to {shape}")


def _tent_weights(x, n_in, width):
    """Tents of half width `width` about the positions x, each divided by its sum."""
    weights = np.maximum(0, 1 - np.abs(np.arange(n_in) - np.asarray(x)[:, None]) / width)
    weights[weights.sum(axis=1) == 0] = 1e-300  # no sample below this tent
    return weights / weights.sum(axis=1, keepdims=True)


def _weights(n_in, n_out):
    s = n_in / n_out
    return _tent_weights((np.arange(n_out) + 0.5) * s - 0.5, n_in, max(s, 1))


def _no_half(n_in, n_out):
    s = n_in / n_out
    return _tent_weights(np.arange(n_out) * s, n_in, max(s, 1))


def _corners_aligned(n_in, n_out):
    return _tent_weights(np.arange(n_out) * ((n_in - 1) / (n_out - 1)), n_in, max(n_in / n_out, 1))


def _unfiltered(n_in, n_out):
    x = np.clip((np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5, 0, n_in - 1)
    return _tent_weights(x, n_in, 1)


@wrong(
    "q4",
    says="x = s·x′ ties the middles of the first pixels together, so the picture moves; the pixels' outer edges "
    "should meet: think of (x′ + ½) s",
)
def resize_weights(n_in, n_out):
    return _no_half(n_in, n_out)


@wrong(
    "q4",
    says="this ties the first and last pixel centres together (corners aligned): then s is not n_in / n_out and "
    "objects change size",
)
def resize_weights(n_in, n_out):
    return _corners_aligned(n_in, n_out)


@wrong(
    "q4",
    says="the prefilter is forgotten: when shrinking, a tent of width 1 skips samples, and what it skips comes "
    "back as aliases",
)
def resize_weights(n_in, n_out):
    return _unfiltered(n_in, n_out)


@wrong(
    "q4",
    says="the tents are divided by s, not by their sum: rows that are cut off at the ends, or whose s is not "
    "whole, do not sum to 1",
)
def resize_weights(n_in, n_out):
    s = n_in / n_out
    x = (np.arange(n_out) + 0.5) * s - 0.5
    return np.maximum(0, 1 - np.abs(np.arange(n_in) - x[:, None]) / max(s, 1)) / max(s, 1)


@wrong("q4", says="the scale is upside down: one new sample covers s = n_in / n_out old ones")
def resize_weights(n_in, n_out):
    s = n_out / n_in
    return _tent_weights((np.arange(n_out) + 0.5) * s - 0.5, n_in, max(s, 1))


@wrong(
    "q4",
    says="the tent became narrower than 1 when enlarging: then it misses its two neighbours; its half width is "
    "max(s, 1)",
)
def resize_weights(n_in, n_out):
    s = n_in / n_out
    return _tent_weights((np.arange(n_out) + 0.5) * s - 0.5, n_in, s)


@wrong(
    "q4",
    says="each new sample copies the nearest old one: that is no linear interpolation, and no average when shrinking",
)
def resize_weights(n_in, n_out):
    x = np.floor((np.arange(n_out) + 0.5) * (n_in / n_out)).astype(int)
    return np.eye(n_in)[x]


@wrong("q4", says="the matrix is transposed: a row should belong to a new sample, a column to an old one")
def resize_weights(n_in, n_out):
    return _weights(n_in, n_out).T


@wrong("q4", says="the columns sum to 1, not the rows: divide each new sample's weights by their sum")
def resize_weights(n_in, n_out):
    s = n_in / n_out
    x = (np.arange(n_out) + 0.5) * s - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(n_in) - x[:, None]) / max(s, 1))
    return weights / np.maximum(weights.sum(axis=0), 1e-300)


@wrong(
    "q4",
    says="the sign of the half pixels is wrong: (x′ + ½) s is counted from the outer edge, from the first centre "
    "it is ½ less",
)
def resize_weights(n_in, n_out):
    s = n_in / n_out
    return _tent_weights((np.arange(n_out) + 0.5) * s + 0.5, n_in, max(s, 1))


@wrong(
    "q4",
    says="the weights beyond the ends went to the end samples; here they are dropped, and the rest is divided by "
    "its sum",
)
def resize_weights(n_in, n_out):
    s = n_in / n_out
    x = (np.arange(n_out) + 0.5) * s - 0.5
    more = int(np.ceil(s)) + 1
    wide = _tent_weights(x + more, n_in + 2 * more, max(s, 1))
    weights = wide[:, more:-more].copy()
    weights[:, 0] += wide[:, :more].sum(axis=1)
    weights[:, -1] += wide[:, -more:].sum(axis=1)
    return weights


@right("q4")
def resize_weights(n_in, n_out):
    """Loops, in coordinates counted from the outer edge."""
    weights = np.zeros((n_out, n_in))
    for new in range(n_out):
        center = (2 * new + 1) * n_in / (2 * n_out)
        for old in range(n_in):
            distance = abs(old + 0.5 - center)
            weights[new, old] = max(0.0, 1 - distance / max(1, n_in / n_out))
        weights[new] /= sum(weights[new])
    return weights


def _resize(image, shape, weights):
    return weights(image.shape[0], shape[0]) @ image @ weights(image.shape[1], shape[1]).T


@wrong("q4", says="width and height are swapped: shape is (rows, columns), as image.shape is")
def resize(image, shape):
    return _resize(image, shape[::-1], _weights)


@wrong(
    "q4",
    says="the blur comes after the subsampling: by then the aliases are in the picture, and no filter can tell "
    "them from the truth",
)
def resize(image, shape):
    small = _resize(image, shape, _unfiltered)
    return ndimage.correlate1d(ndimage.correlate1d(small, [0.25, 0.5, 0.25], axis=0), [0.25, 0.5, 0.25], axis=1)


@wrong(
    "q4",
    says="the image is subsampled without a prefilter: use the widened tents of resize_weights along both axes",
)
def resize(image, shape):
    return _resize(image, shape, _unfiltered)


@wrong("q4", says="the resized picture has moved: new pixel x′ should stand at (x′ + ½) s − ½, not at x′ s")
def resize(image, shape):
    return _resize(image, shape, _no_half)


@wrong("q4", says="only the rows are filtered: the columns are picked without averaging or interpolating")
def resize(image, shape):
    columns = np.floor((np.arange(shape[1]) + 0.5) * (image.shape[1] / shape[1])).astype(int)
    return (_weights(image.shape[0], shape[0]) @ image)[:, columns]


@wrong(
    "q4",
    says="the weights of the rows and of the columns are exchanged: rows go from H to shape[0], columns from W to "
    "shape[1]",
)
def resize(image, shape):
    return _resize(image.T, shape, _weights)


@wrong("q4", says="the resized image is upside down or mirrored: multiply by the weights as they are")
def resize(image, shape):
    return _resize(image, shape, _weights)[::-1, ::-1]


@right("q4")
def resize(image, shape):
    """Sum over the old pixels, one new pixel at a time."""
    rows, columns = resize_weights(image.shape[0], shape[0]), resize_weights(image.shape[1], shape[1])
    result = np.empty(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            result[i, j] = np.sum(np.outer(rows[i], columns[j]) * image)
    return result


# ---------------------------------------------------------------------------------------------
# q5: the pyramid

TAPS = np.array([1, 4, 6, 4, 1]) / 16


def smooth(image, mode="reflect"):
    """SciPy's filter: its "reflect" is dcba|abcd|dcba."""
    return ndimage.correlate1d(ndimage.correlate1d(image, TAPS, axis=0, mode=mode), TAPS, axis=1, mode=mode)


def doubled(n_in, n_out):
    """The expansion along one axis as a matrix, column by column from zeros between the samples."""
    matrix = np.zeros((n_out, n_in))
    for k, unit in enumerate(np.eye(n_in)):
        zeros_between = np.zeros(2 * n_in + 4)
        zeros_between[::2] = np.pad(unit, 1, mode="edge")
        matrix[:, k] = np.convolve(zeros_between, 2 * TAPS, mode="same")[2 : 2 + n_out]
    return matrix


@pytest.mark.q("q5", 1)
def test_reduce_inside(student, atlas, rng):
    """Reducing filters first, then keeps every second pixel, the first one included."""
    image = rng.uniform(size=(12, 17))
    answer = student.reduce(image)
    assert not student.changed, "reduce overwrites its image: work on a copy"
    assert np.shape(answer) == (6, 9), f"an image of shape (12, 17) should be reduced to (6, 9), got {np.shape(answer)}"
    looks = {says: result[1:-1, 1:-1] for says, result in atlas("reduce", image).items()}
    expect(np.asarray(answer)[1:-1, 1:-1], smooth(image)[::2, ::2][1:-1, 1:-1], looks, what="the inside")


@pytest.mark.q("q5", 1)
def test_reduce_border(student, atlas, rng):
    """At the border the image is mirrored: dcba|abcd|dcba."""
    image = rng.uniform(size=(9, int(rng.integers(6, 8))))
    answer = student.reduce(image)
    expect(answer, smooth(image)[::2, ::2], atlas("reduce", image), what="the reduced image")


@pytest.mark.q("q5", 1)
def test_expand(student, atlas, rng):
    """Expanding keeps constants up to the border and puts coarse pixel k on fine pixel 2k."""
    coarse = rng.uniform(size=(4, 6))
    for shape in [(7, 12), (8, 11)]:
        answer = student.expand(coarse, shape)
        assert not student.changed, "expand overwrites its image: work on a copy"
        truth = doubled(4, shape[0]) @ coarse @ doubled(6, shape[1]).T
        expect(answer, truth, atlas("expand", coarse, shape), what=f"the image expanded to {shape}")


@pytest.mark.q("q5", 1)
def test_bands(student, atlas, rng):
    """Each band is what the next coarser level, expanded, leaves unsaid; the last level is the coarsest itself."""
    image = rng.uniform(size=(13, 18))
    levels = 3
    answer = student.laplacian_pyramid(image, levels)
    looks = atlas("laplacian_pyramid", image, levels)
    for says, pyramid in looks.items():
        assert not alike(answer, pyramid), says
    assert isinstance(answer, list | tuple), f"a pyramid is a list of arrays, got {type(answer).__name__}"
    assert len(answer) == levels, f"laplacian_pyramid(image, 3) should hold 3 levels, got {len(answer)}"
    level = image
    for k in range(levels - 1):  # by the student's own reduce and expand: their faults are counted elsewhere
        coarse = student.reduce(level)
        expanded = np.asarray(student.expand(coarse, level.shape))
        assert expanded.shape == level.shape, f"expand should give the shape {level.shape}, got {expanded.shape}"
        expect(answer[k], level - expanded, what=f"level {k}")
        level = np.asarray(coarse)
    expect(answer[-1], level, what="the last level")


@pytest.mark.q("q5", 1)
def test_reconstruction_is_exact(student, atlas, rng):
    """The pyramid gives back its image, to rounding, odd sizes too."""
    for shape in [(13, 18), (16, int(rng.integers(9, 15)))]:
        image = rng.uniform(size=shape)
        pyramid = student.laplacian_pyramid(image, 4)
        answer = student.reconstruct(pyramid)
        looks = named_by_result(atlas, pyramid) if isinstance(pyramid, list) else {}
        expect(answer, image, looks, atol=1e-12, what="the image from its pyramid")


@pytest.mark.q("q5", 1)
def test_reconstruct_any_pyramid(student, atlas, rng):
    """Any bands can be put together, edited ones too; the pyramid is left as it was."""
    pyramid = [rng.normal(size=shape) for shape in [(21, 27), (11, 14), (6, 7), (3, 4)]]
    image = pyramid[-1]
    for band in pyramid[-2::-1]:  # by the student's own expand
        expanded = np.asarray(student.expand(image, band.shape))
        assert expanded.shape == band.shape, f"expand should give the shape {band.shape}, got {expanded.shape}"
        image = band + expanded
    answer = student.reconstruct(pyramid)
    assert not student.changed, OVERWRITES_PYRAMID
    expect(answer, image, named_by_result(atlas, pyramid), what="the image from the bands")


def named_by_result(atlas, pyramid):
    """Give the wrong versions' results, but for the one whose result is right: it overwrites its argument."""
    looks = atlas("reconstruct", [level.copy() for level in pyramid])
    return {says: result for says, result in looks.items() if says != OVERWRITES_PYRAMID}


def alike(answer, pyramid):
    """Tell whether two pyramids agree level by level."""
    if not isinstance(answer, list | tuple) or len(answer) != len(pyramid):
        return False
    levels = [(np.asarray(a), b) for a, b in zip(answer, pyramid, strict=True)]
    return all(a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-9) for a, b in levels)


def _filter(image, mode="symmetric", taps=TAPS):
    for axis in (0, 1):
        width = [(2, 2) if k == axis else (0, 0) for k in (0, 1)]
        image = np.apply_along_axis(np.convolve, axis, np.pad(image, width, mode=mode), taps, "valid")
    return image


def _double(image, shape):
    for axis in (0, 1):
        f = np.moveaxis(np.pad(image, [(1, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge"), axis, 0)
        fine = np.empty((2 * (len(f) - 2), f.shape[1]))
        fine[::2] = (f[:-2] + 6 * f[1:-1] + f[2:]) / 8
        fine[1::2] = (f[1:-1] + f[2:]) / 2
        image = np.moveaxis(fine[: shape[axis]], 0, axis)
    return image


def _stuffed(image, taps, mode="constant"):
    zeros_between = np.zeros((2 * image.shape[0], 2 * image.shape[1]))
    zeros_between[::2, ::2] = image
    return _filter(zeros_between, mode, taps)


def _gaussian(image, levels):
    pyramid = [image]
    while len(pyramid) < levels:
        pyramid.append(_filter(pyramid[-1])[::2, ::2])
    return pyramid


def _laplacian(image, levels):
    g = _gaussian(image, levels)
    return [fine - _double(coarse, fine.shape) for fine, coarse in pairwise(g)] + g[-1:]


@wrong(
    "q5",
    says="the prefilter is forgotten: every second pixel alone keeps the frequencies that the coarse grid cannot hold",
)
def reduce(image):
    return image[::2, ::2]


@wrong("q5", says="the filter comes after the subsampling: filter the fine image first, then keep every second pixel")
def reduce(image):
    return _filter(image[::2, ::2])


@wrong("q5", says="pixels 1, 3, 5, … are kept: coarse pixel k should stand on fine pixel 2k, so start with 0")
def reduce(image):
    fine = np.pad(_filter(image), [(0, n % 2) for n in image.shape], mode="edge")
    return fine[1::2, 1::2]


@wrong("q5", says="the five weights sum to 16: divide by 16 along each axis, else the image grows 256 times brighter")
def reduce(image):
    return 256 * _filter(image)[::2, ::2]


@wrong("q5", says="beyond the border you put zeros, which darkens the rim; mirror the image instead")
def reduce(image):
    return _filter(image, "constant")[::2, ::2]


@wrong(
    "q5",
    says='NumPy\'s mode "reflect" leaves out the border pixel (cb|abcd|cb); dcba|abcd|dcba is its mode "symmetric"',
)
def reduce(image):
    return _filter(image, "reflect")[::2, ::2]


@wrong("q5", says="the border pixel is repeated (aa|abcd|dd); mirrored would be ba|abcd|dc")
def reduce(image):
    return _filter(image, "edge")[::2, ::2]


@wrong(
    "q5",
    says="the mean of 2 × 2 pixels stands between pixels, half a pixel off; use the weights 1 4 6 4 1 about pixel 2k",
)
def reduce(image):
    even = np.pad(image, [(0, n % 2) for n in image.shape], mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


@wrong("q5", says="only one axis is filtered: the other one aliases as before")
def reduce(image):
    padded = np.pad(image, [(2, 2), (0, 0)], mode="symmetric")
    return np.apply_along_axis(np.convolve, 0, padded, TAPS, "valid")[::2, ::2]


@right("q5")
def reduce(image):
    """Loops over the 25 neighbours of every second pixel, with mirrored indices."""
    height, width = image.shape
    result = np.zeros(((height + 1) // 2, (width + 1) // 2))
    for i, j in np.ndindex(result.shape):
        for p, q in np.ndindex(5, 5):
            y, x = 2 * i + p - 2, 2 * j + q - 2
            y = -1 - y if y < 0 else 2 * height - 1 - y if y >= height else y
            x = -1 - x if x < 0 else 2 * width - 1 - x if x >= width else x
            result[i, j] += TAPS[p] * TAPS[q] * image[y, x]
    return result


@wrong(
    "q5",
    says="the expanded image is four times too dark: after putting in zeros, the filter needs the gain 2 along "
    "each axis",
)
def expand(image, shape):
    return (doubled(image.shape[0], shape[0]) @ image @ doubled(image.shape[1], shape[1]).T) / 4


@wrong("q5", says="every pixel is just repeated: expanding should interpolate with the weights of 1 4 6 4 1")
def expand(image, shape):
    return np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


@wrong("q5", says="`shape` is not used: an odd fine image has one row or column less than twice the coarse one")
def expand(image, shape):
    return _double(image, (2 * image.shape[0], 2 * image.shape[1]))


@wrong(
    "q5",
    says="the rim of the expanded image is darker: the coarse image should go on with its border pixel before "
    "zeros are put between",
)
def expand(image, shape):
    return _stuffed(image, 2 * TAPS)[: shape[0], : shape[1]]


@wrong(
    "q5",
    says="the mirror is taken after the zeros were put in: it then falls on the wrong pixels, and a constant is "
    "not kept at the border",
)
def expand(image, shape):
    return _stuffed(image, 2 * TAPS, "symmetric")[: shape[0], : shape[1]]


@wrong(
    "q5",
    says="the expanded image is shifted by one pixel: coarse pixel k should stand on fine pixel 2k, not 2k + 1",
)
def expand(image, shape):
    padded = np.pad(image, [(1, 0), (1, 0)], mode="edge")
    return _double(padded, (2 * padded.shape[0], 2 * padded.shape[1]))[1 : 1 + shape[0], 1 : 1 + shape[1]]


@wrong(
    "q5",
    says="the middles are interpolated, but the pixels 2k are copied: they too are a mix, with weights 1/8, 6/8, 1/8",
)
def expand(image, shape):
    for axis in (0, 1):
        f = np.moveaxis(np.pad(image, [(0, 1) if k == axis else (0, 0) for k in (0, 1)], mode="edge"), axis, 0)
        fine = np.empty((2 * (len(f) - 1), f.shape[1]))
        fine[::2], fine[1::2] = f[:-1], (f[:-1] + f[1:]) / 2
        image = np.moveaxis(fine[: shape[axis]], 0, axis)
    return image


@right("q5")
def expand(image, shape):
    """Zeros between the pixels of an image with a rim, then one 5 × 5 sum."""
    rim = np.pad(image, 1, mode="edge")
    zeros_between = np.zeros((2 * rim.shape[0] + 4, 2 * rim.shape[1] + 4))
    zeros_between[2:-2:2, 2:-2:2] = rim
    windows = np.lib.stride_tricks.sliding_window_view(zeros_between, (5, 5))
    fine = np.einsum("ijpq,p,q->ij", windows, 2 * TAPS, 2 * TAPS)
    return fine[2 : 2 + shape[0], 2 : 2 + shape[1]]


@wrong("q5", says="the coarsest level is missing: without it the mean brightness of the image is lost")
def laplacian_pyramid(image, levels):
    return _laplacian(image, levels + 1)[:-1]


@wrong("q5", says="these are the Gaussian levels; a band is the difference between a level and the next one, expanded")
def laplacian_pyramid(image, levels):
    return _gaussian(image, levels)


@wrong("q5", says="a level minus its own blur is not what `reconstruct` adds back: subtract the *expanded next level*")
def laplacian_pyramid(image, levels):
    g = _gaussian(image, levels)
    return [level - _filter(level) for level in g[:-1]] + g[-1:]


@wrong("q5", says="the sign of the bands is turned: fine level minus expanded coarse level")
def laplacian_pyramid(image, levels):
    pyramid = _laplacian(image, levels)
    return [-band for band in pyramid[:-1]] + pyramid[-1:]


@wrong("q5", says="the levels come coarsest first; level 0 should be the finest")
def laplacian_pyramid(image, levels):
    return _laplacian(image, levels)[::-1]


@wrong("q5", says="there is one level too many: `levels` counts the coarsest one too")
def laplacian_pyramid(image, levels):
    return _laplacian(image, levels + 1)


@wrong("q5", says="the next level is reduced from the band; it should be reduced from the Gaussian level before it")
def laplacian_pyramid(image, levels):
    pyramid, level = [], image
    for _ in range(levels - 1):
        coarse = _filter(level)[::2, ::2]
        band = level - _double(coarse, level.shape)
        pyramid.append(band)
        level = _filter(band)[::2, ::2]
    return [*pyramid, level]


@right("q5")
def laplacian_pyramid(image, levels):
    """By recursion."""
    if levels == 1:
        return [image]
    coarse = reduce(image)
    return [image - expand(coarse, image.shape), *laplacian_pyramid(coarse, levels - 1)]


@wrong("q5", says="the coarsest level is not added: start with it and work towards the finest")
def reconstruct(pyramid):
    image = np.zeros(pyramid[-1].shape)
    for band in pyramid[-2::-1]:
        image = band + _double(image, band.shape)
    return image


@wrong(
    "q5",
    says="only two levels are put together: the sum must be expanded and added to, level by level, down to level 0",
)
def reconstruct(pyramid):
    return pyramid[0] + _double(pyramid[1], pyramid[0].shape)


@wrong("q5", says="the bands are subtracted; they are what is to be added to the expanded level")
def reconstruct(pyramid):
    image = pyramid[-1]
    for band in pyramid[-2::-1]:
        image = _double(image, band.shape) - band
    return image


@wrong("q5", says="pixels are repeated here where the pyramid was made with expand: both ways must use the same expand")
def reconstruct(pyramid):
    image = pyramid[-1]
    for band in pyramid[-2::-1]:
        image = band + np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)[: band.shape[0], : band.shape[1]]
    return image


@wrong("q5", says="only the coarsest level was expanded: the bands are never added")
def reconstruct(pyramid):
    image = pyramid[-1]
    for band in pyramid[-2::-1]:
        image = _double(image, band.shape)
    return image


OVERWRITES_PYRAMID = (
    "reconstruct overwrites the pyramid it is given: image += … writes into the last level; write image = image + …"
)


@wrong("q5", says=OVERWRITES_PYRAMID)
def reconstruct(pyramid):
    image = pyramid[-1]
    for band in pyramid[-2::-1]:
        band += _double(image, band.shape)
        image = band
    return image


@right("q5")
def reconstruct(pyramid):
    """Expand every level by itself all the way down, and add all: the pyramid is linear."""
    total = np.zeros(pyramid[0].shape)
    for k, level in enumerate(pyramid):
        for finer in pyramid[:k][::-1]:
            level = expand(level, finer.shape)
        total = total + level
    return total
