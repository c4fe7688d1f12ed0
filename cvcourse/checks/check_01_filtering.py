"""Checks of exercise 01_filtering, the mistakes they know, and second solutions.

Oracles: ``numpy.pad`` for the borders, ``scipy.signal`` and ``scipy.ndimage`` for the filters.
"""

import functools
import math

import numpy as np
import pytest
from scipy import ndimage, signal

from cvcourse.checks import expect, right, wrong

BORROWED = ("cvcourse.filtering", "cvcourse.edges", "cvcourse.sampling", "scipy", "skimage", "cv2", "PIL")
FORBIDDEN = {question: BORROWED for question in ("q1", "q2", "q3", "q4", "q5")}
PAD = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}


def only(mask, truth, answer):
    """Keep of an answer what lies in `mask`, so that each check judges one thing; elsewhere the truth."""
    return np.where(mask, answer, truth) if np.shape(answer) == np.shape(truth) else answer


def interior(shape, rows, columns):
    """Mark the pixels whose window, reaching so far from its middle, lies inside the image."""
    mask = np.zeros(shape, dtype=bool)
    mask[rows : shape[0] - rows, columns : shape[1] - columns] = True
    return mask


def expect_inside(answer, truth, looks_like, rows, columns, what):
    """Compare away from the border only."""
    mask = interior(truth.shape, rows, columns)
    named = {says: only(mask, truth, result) for says, result in looks_like.items()}
    expect(only(mask, truth, answer), truth, named, what=what)


def equal_to(answer, looks_like):
    """Keep the wrong versions that give the whole answer, where a check judges only a part of it."""
    return {says: r for says, r in looks_like.items() if np.shape(r) == np.shape(answer) and np.allclose(r, answer)}


# ---------------------------------------------------------------------------------------------
# Question 1: convolution

IMAGE_CHANGED = (
    "the result is written into the image itself: pixels that are still to be computed then read new values, "
    "and the caller's picture is lost; write into a fresh array"
)
KERNEL_CHANGED = (
    "the caller's kernel is changed: a kernel flipped in place is turned back by the next call, "
    "so every second answer is a correlation; flip a copy or a view"
)


def convolved(image, kernel, border):
    """Give the truth: SciPy's full convolution of NumPy's padded image, cut at the anchor (h // 2, w // 2)."""
    (h, w), (H, W) = kernel.shape, image.shape
    full = signal.convolve2d(np.pad(image, ((h, h), (w, w)), PAD[border]), kernel)
    top, left = h + h // 2, w + w // 2
    return full[top : top + H, left : left + W]


@pytest.mark.q("q1", 1)
def test_an_impulse_becomes_the_kernel(student, atlas, rng):
    """One white pixel comes out as the kernel: not turned, its middle on the pixel."""
    kernel, (y, x) = rng.normal(size=(3, 5)), rng.integers([3, 4], [7, 9])
    image, truth = np.zeros((2, 11, 14))
    image[y, x] = 1
    truth[y - 1 : y + 2, x - 2 : x + 3] = kernel
    answer = student.conv2d(image, kernel)
    expect(answer, truth, atlas("conv2d", image, kernel), what="the image of one white pixel")


@pytest.mark.q("q1", 1)
def test_convolution_inside(student, atlas, rng):
    """Away from the border every pixel is the weighted sum of Eq. (1)."""
    image, kernel = rng.normal(size=(10, 13)), rng.normal(size=(5, 3))
    truth = convolved(image, kernel, "mirror")
    answer = student.conv2d(image, kernel, border="mirror")
    expect_inside(answer, truth, atlas("conv2d", image, kernel, border="mirror"), 2, 1, "the inside of the result")


@pytest.mark.q("q1", 1)
def test_even_kernels(student, atlas, rng):
    """Kernels of even size hang on the entry [h // 2, w // 2]."""
    for shape in [(4, 3), (2, 4)]:
        image, kernel = rng.normal(size=(11, 13)), rng.normal(size=shape)
        truth = convolved(image, kernel, "mirror")
        answer = student.conv2d(image, kernel, border="mirror")
        looks_like = atlas("conv2d", image, kernel, border="mirror")
        expect_inside(answer, truth, looks_like, 2, 2, f"the inside of the result for a {shape} kernel")


def check_borders(student, atlas, rng, borders):
    """Use a symmetric kernel: here a forgotten flip costs nothing."""
    column, row = rng.normal(size=3), rng.normal(size=4)
    kernel = np.outer(np.r_[column, column[1::-1]], np.r_[row, row[2::-1]])  # 5 x 7
    image = rng.normal(size=(9, 12))
    for border in borders:
        answer = student.conv2d(image, kernel, border=border)
        looks_like = atlas("conv2d", image, kernel, border=border)
        expect(answer, convolved(image, kernel, border), looks_like, what=f'the result with border="{border}"')


@pytest.mark.q("q1", 1)
def test_mirror_and_clamp(student, atlas, rng):
    """The borders "mirror" and "clamp"."""
    check_borders(student, atlas, rng, ["mirror", "clamp"])


@pytest.mark.q("q1", 1)
def test_wrap_and_zero(student, atlas, rng):
    """The borders "wrap" and "zero"."""
    check_borders(student, atlas, rng, ["wrap", "zero"])


@pytest.mark.q("q1", 1)
def test_integers_and_arguments(student, atlas, rng):
    """Images of integers are converted first, and both arguments stay as they were."""
    image = rng.integers(0, 256, size=(9, 12)).astype(np.uint8)
    whole = rng.permutation(np.arange(-7, 8)).reshape(3, 5)
    shares = rng.dirichlet(np.ones(15)).reshape(3, 5)
    for kernel, name in [(whole, "a kernel of whole numbers"), (shares, "a kernel of fractions")]:
        answer = student.conv2d(image, kernel)
        assert 0 not in student.changed, IMAGE_CHANGED
        assert 1 not in student.changed, KERNEL_CHANGED
        truth = convolved(image.astype(np.float64), kernel, "mirror")
        expect(answer, truth, atlas("conv2d", image, kernel), what=f"the result for a uint8 image and {name}")


def shift_and_add(image, kernel, border, anchor=None, pad=PAD):
    """Sum shifted copies of the image; the wrong versions change one thing each."""
    image, kernel = np.asarray(image, dtype=np.float64), np.asarray(kernel, dtype=np.float64)
    (h, w), (H, W) = kernel.shape, image.shape
    a, b = (h // 2, w // 2) if anchor is None else anchor
    padded = np.pad(image, ((h, h), (w, w)), pad[border])
    result = np.zeros((H, W))
    for i in range(h):
        for j in range(w):
            top, left = h - i + a, w - j + b
            result += kernel[i, j] * padded[top : top + H, left : left + W]
    return result


@wrong(
    "q1",
    says="this is correlation: the kernel is not flipped. In Eq. (1) the image's indices fall where the kernel's grow",
)
def conv2d(image, kernel, border="mirror"):
    h, w = kernel.shape
    return shift_and_add(image, kernel[::-1, ::-1], border, anchor=(h - 1 - h // 2, w - 1 - w // 2))


@wrong("q1", says="the kernel is flipped top to bottom only; a convolution turns it by 180°, so flip both axes")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel[:, ::-1], border)


@wrong("q1", says="the kernel is flipped left to right only; a convolution turns it by 180°, so flip both axes")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel[::-1], border)


@wrong("q1", says="rows and columns of the kernel are exchanged: a transposed kernel is mirrored at its diagonal")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel.T, border)


@wrong(
    "q1",
    says="the whole result is shifted by one pixel down and right: the padding at the top and left is one too large",
)
def conv2d(image, kernel, border="mirror"):
    h, w = kernel.shape
    return shift_and_add(image, kernel, border, anchor=(h // 2 - 1, w // 2 - 1))


@wrong(
    "q1",
    says="odd kernels are right, but an even one hangs on the entry before its middle: the anchor is [h // 2, w // 2]",
)
def conv2d(image, kernel, border="mirror"):
    h, w = kernel.shape
    return shift_and_add(image, kernel, border, anchor=((h - 1) // 2, (w - 1) // 2))


@wrong("q1", says="only the pixels whose window fits into the image are there; the result has the image's shape")
def conv2d(image, kernel, border="mirror"):
    h, w = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(image, dtype=np.float64), (h, w))
    return np.einsum("yxij,ij->yx", windows, kernel[::-1, ::-1])


@wrong("q1", says='"mirror" repeats the border pixel, dcba|abcd|dcba; this one leaves it out, dcb|abcd|cba')
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel, border, pad={**PAD, "mirror": "reflect"})


@wrong("q1", says="whatever the border rule, the image goes on at its opposite side, as a Fourier transform lets it")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel, "wrap")


@wrong("q1", says="whatever the border rule, there are zeros outside the image: the argument border is not used")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel, "zero")


@wrong("q1", says="the result is divided by the kernel's sum; Eq. (1) is not, and the sum of a derivative kernel is 0")
def conv2d(image, kernel, border="mirror"):
    return shift_and_add(image, kernel, border) / np.sum(kernel)


@wrong(
    "q1",
    says="the sum is kept in the image's own type, where uint8 wraps around: 200 + 100 gives 44. Convert to float first",
)
def conv2d(image, kernel, border="mirror"):
    (h, w), (H, W) = kernel.shape, image.shape
    padded = np.pad(image, ((h, h), (w, w)), PAD[border])
    result = np.zeros_like(image)
    for i in range(h):
        for j in range(w):
            top, left = h - i + h // 2, w - j + w // 2
            result += (kernel[i, j] * padded[top : top + H, left : left + W]).astype(image.dtype)
    return result


@wrong(
    "q1",
    says="the result is turned back into the image's integers: fractions and values outside 0 … 255 are lost. "
    "Return float64",
)
def conv2d(image, kernel, border="mirror"):
    result = shift_and_add(image, kernel, border)
    return np.clip(result, 0, 255).astype(np.uint8) if image.dtype == np.uint8 else result


@wrong("q1", says=IMAGE_CHANGED)
def conv2d(image, kernel, border="mirror"):
    image = image.astype(np.float64, copy=False)
    (h, w), (H, W) = kernel.shape, image.shape
    padded = np.pad(image, ((h, h), (w, w)), PAD[border])
    for y in range(H):
        for x in range(W):
            top, left = y + h // 2 + 1, x + w // 2 + 1
            window = padded[top : top + h, left : left + w]
            image[y, x] = padded[y + h, x + w] = np.sum(kernel[::-1, ::-1] * window)
    return image


@wrong("q1", says=KERNEL_CHANGED)
def conv2d(image, kernel, border="mirror"):
    result = shift_and_add(image, kernel, border)
    kernel[:] = kernel[::-1, ::-1].copy()
    return result


@right("q1")
def conv2d(image, kernel, border="mirror"):
    """Multiply spectra: the padding keeps what wraps around away from the result."""
    (h, w), (H, W) = kernel.shape, image.shape
    padded = np.pad(np.asarray(image, dtype=np.float64), ((h, h), (w, w)), PAD[border])
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel, padded.shape)
    top, left = h + h // 2, w + w // 2
    return np.fft.irfft2(spectrum, padded.shape)[top : top + H, left : left + W]


# ---------------------------------------------------------------------------------------------
# Question 2: Gaussian weights and the separable blur

BLUR_CHANGED = "blur writes into the caller's image: the unblurred picture is lost; write into a fresh array"


def draw_sigma(rng, low=5, high=21):
    """Draw a sigma for which 4 sigma + 1/2 is far from a whole number, and which is never 1."""
    return int(rng.integers(low, high)) / 8 + 1 / 16


def gaussian_truth(sigma):
    """Give SciPy's own weights: its answer to an impulse (it cuts at floor(4 sigma + 1/2) too)."""
    radius = math.floor(4 * sigma + 0.5)
    impulse = np.zeros(2 * radius + 1)
    impulse[radius] = 1
    return ndimage.gaussian_filter1d(impulse, sigma, mode="constant", truncate=4.0)


def blurred(image, sigma):
    return ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=4.0)  # SciPy's name of "mirror"


@pytest.mark.q("q2", 1)
def test_number_of_weights(student, atlas, rng):
    """There are 2r + 1 weights with r = ⌊4σ + ½⌋, symmetric, the largest in the middle."""
    for sigma in (draw_sigma(rng, 5, 9), draw_sigma(rng, 12, 21)):
        answer = student.gaussian_weights(sigma)
        radius = math.floor(4 * sigma + 0.5)
        lengths = {says: np.size(result) for says, result in atlas("gaussian_weights", sigma).items()}
        expect(np.size(answer), 2 * radius + 1, lengths, what=f"the number of weights for sigma = {sigma}")
        weights = np.asarray(answer, dtype=np.float64)
        assert weights.ndim == 1, f"the weights should be a row of numbers, got an array of shape {weights.shape}"
        assert np.allclose(weights, weights[::-1]), "the weights are not symmetric about the middle one"
        assert np.all(np.diff(weights[radius:]) < 0), "the weights do not fall from the middle outwards"


@pytest.mark.q("q2", 1)
def test_values_of_weights(student, atlas, rng):
    """The weights are samples of the Gaussian and sum to 1."""
    for sigma in (draw_sigma(rng, 5, 7), draw_sigma(rng, 12, 21)):
        answer = student.gaussian_weights(sigma)
        looks_like = atlas("gaussian_weights", sigma)
        expect(answer, gaussian_truth(sigma), looks_like, what=f"the row of weights for sigma = {sigma}")


@pytest.mark.q("q2", 1)
def test_blur_inside(student, atlas, rng):
    """Two 1-D passes give the 2-D Gaussian."""
    sigma = draw_sigma(rng, 5, 8)  # radius 3 or 4
    image = rng.normal(size=(15, 19))
    g = gaussian_truth(sigma)
    truth = convolved(image, np.outer(g, g), "mirror")
    expect_inside(
        student.blur(image, sigma), truth, atlas("blur", image, sigma), 4, 4, "the inside of the blurred image"
    )


@pytest.mark.q("q2", 1)
def test_blur_at_the_border(student, atlas, rng):
    """At the border the image goes on mirrored; the caller's image stays as it was."""
    sigma = draw_sigma(rng, 8, 12)
    image = rng.uniform(0.2, 1, size=(11, 16))
    answer = student.blur(image, sigma)
    expect(answer, blurred(image, sigma), atlas("blur", image, sigma), what="the blurred image")
    assert not student.changed, BLUR_CHANGED


def gaussian_samples(sigma, radius=None):
    radius = math.floor(4 * sigma + 0.5) if radius is None else radius
    x = np.arange(-radius, radius + 1)
    return np.exp(-(x**2) / (2 * sigma**2))


@wrong(
    "q2", says="the number of weights is even, so none is in the middle and the blur shifts the image by half a pixel"
)
def gaussian_weights(sigma):
    radius = math.floor(4 * sigma + 0.5)
    weights = np.exp(-((np.arange(2 * radius) - radius + 0.5) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


@wrong("q2", says="the last weight is missing: np.arange(-r, r) ends at r − 1")
def gaussian_weights(sigma):
    weights = gaussian_samples(sigma)[:-1]
    return weights / weights.sum()


@wrong("q2", says="the number of weights is always 5; it must grow with sigma, or a wide Gaussian is cut to a box")
def gaussian_weights(sigma):
    weights = gaussian_samples(sigma, radius=2)
    return weights / weights.sum()


@wrong(
    "q2",
    says="the samples of 1/(√(2π)σ)·exp(…) are used as they are: the area under the curve is 1, but the sum of its "
    "samples is not. Divide by the sum",
)
def gaussian_weights(sigma):
    return gaussian_samples(sigma) / (math.sqrt(2 * math.pi) * sigma)


@wrong(
    "q2", says="the middle weight is 1 and the sum is above 1, so a blur would brighten the image: divide by the sum"
)
def gaussian_weights(sigma):
    return gaussian_samples(sigma)


@wrong("q2", says="sigma is used as if it were the variance: the exponent is −x² / (2σ²), with the square of sigma")
def gaussian_weights(sigma):
    weights = gaussian_samples(math.sqrt(sigma), radius=math.floor(4 * sigma + 0.5))
    return weights / weights.sum()


@wrong("q2", says="the factor 2 is missing in the exponent −x² / (2σ²): this Gaussian is narrower by √2")
def gaussian_weights(sigma):
    weights = gaussian_samples(sigma / math.sqrt(2), radius=math.floor(4 * sigma + 0.5))
    return weights / weights.sum()


def two_passes(image, weights, border="mirror"):
    return shift_and_add(shift_and_add(image, weights[:, None], border), weights[None, :], border)


def normalised(sigma):
    weights = gaussian_samples(sigma)
    return weights / weights.sum()


@wrong("q2", says="the image is blurred in one direction only; the second pass, along the other axis, is missing")
def blur(image, sigma):
    return shift_and_add(image, normalised(sigma)[:, None], "mirror")


@wrong("q2", says="both passes run along the same axis; one of them needs the weights as a column, the other as a row")
def blur(image, sigma):
    row = normalised(sigma)[None, :]
    return shift_and_add(shift_and_add(image, row, "mirror"), row, "mirror")


@wrong("q2", says="the two passes are averaged; the second must work on the result of the first")
def blur(image, sigma):
    weights = normalised(sigma)
    return (shift_and_add(image, weights[:, None], "mirror") + shift_and_add(image, weights[None, :], "mirror")) / 2


@wrong("q2", says="the image is dark along its frame: there are zeros outside, where it should go on mirrored")
def blur(image, sigma):
    return two_passes(image, normalised(sigma), "zero")


@wrong("q2", says="the opposite side leaks in at the border: the image goes on by wrap instead of mirrored")
def blur(image, sigma):
    return two_passes(image, normalised(sigma), "wrap")


@wrong("q2", says="the blurred image is brighter than the image: the weights must sum to 1 in both passes")
def blur(image, sigma):
    return two_passes(image, gaussian_samples(sigma))


@wrong("q2", says=BLUR_CHANGED)
def blur(image, sigma):
    image[:] = two_passes(image, normalised(sigma))
    return image


@right("q2")
def gaussian_weights(sigma):
    """Build one side by products: exp(-(k + 1)² s) = exp(-k² s) · exp(-(2k + 1) s)."""
    side, s = [1.0], 1 / (2 * sigma * sigma)
    for k in range(math.floor(4 * sigma + 0.5)):
        side.append(side[-1] * math.exp(-(2 * k + 1) * s))
    total = 2 * sum(side) - 1
    return [w / total for w in side[:0:-1] + side]


@right("q2")
def blur(image, sigma):
    """Write each pass as a matrix: one row of weights a pixel, folded back at the border."""

    def matrix(n):
        weights, M = normalised(sigma), np.zeros((n, n))
        for y in range(n):
            for k, w in enumerate(weights):
                source = (y + k - len(weights) // 2) % (2 * n)
                M[y, min(source, 2 * n - 1 - source)] += w
        return M

    return matrix(image.shape[0]) @ image @ matrix(image.shape[1]).T


# ---------------------------------------------------------------------------------------------
# Question 3: sharpening

SHARP_CHANGED = "unsharp changes the caller's image (image += … does that); write into a fresh array"


def sharpened(image, sigma, amount):
    return image + amount * (image - blurred(image, sigma))


@pytest.mark.q("q3", 1)
def test_unsharp_formula(student, atlas, rng):
    """The result is the image plus `amount` times its detail."""
    image, sigma, amount = rng.uniform(size=(12, 17)), draw_sigma(rng, 5, 12), round(rng.uniform(0.4, 2.5), 2)
    answer = student.unsharp(image, sigma, amount)
    expect(answer, sharpened(image, sigma, amount), atlas("unsharp", image, sigma, amount), what="the sharpened image")
    assert not student.changed, SHARP_CHANGED


@pytest.mark.q("q3", 1)
def test_a_constant_image_stays(student, atlas, rng):
    """A constant image has no detail and stays as it is, up to its corners."""
    level, sigma, amount = rng.uniform(0.3, 0.9), draw_sigma(rng, 5, 12), round(rng.uniform(0.4, 2.5), 2)
    image = np.full((9, 14), level)
    expect(
        student.unsharp(image, sigma, amount),
        image,
        atlas("unsharp", image, sigma, amount),
        what="a constant image, sharpened,",
    )


@pytest.mark.q("q3", 1)
def test_step(student, atlas, rng):
    """A step from 0 to 1 overshoots on both sides, by what theory says."""
    sigma, amount = draw_sigma(rng, 5, 12), round(rng.uniform(0.4, 2.5), 2)
    image = np.zeros((7, 40))
    image[:, 20:] = 1
    answer = student.unsharp(image, sigma, amount)
    gone = amount * (1 - gaussian_truth(sigma).max()) / 2
    assert np.shape(answer) == image.shape, f"expected an image of shape {image.shape}, got {np.shape(answer)}"
    looks_like = equal_to(answer, atlas("unsharp", image, sigma, amount))
    extremes = {says: [np.min(result), np.max(result)] for says, result in looks_like.items()}
    got = [np.min(answer), np.max(answer)]
    expect(got, [-gone, 1 + gone], extremes, what="(darkest, brightest) of a sharpened step")


@pytest.mark.q("q3", 1)
def test_overshoot_is_predicted(student, atlas, rng):
    """`overshoot` predicts what happens at a step, for narrow and wide Gaussians."""
    for sigma in (draw_sigma(rng, 5, 7), draw_sigma(rng, 12, 21)):
        amount = round(rng.uniform(1.2, 2.5), 2)
        step = np.zeros((1, 60))
        step[:, 30:] = 1
        truth = sharpened(step, sigma, amount).max() - 1
        answer = student.overshoot(sigma, amount)
        what = f"the overshoot for sigma = {sigma}, amount = {amount}"
        expect(answer, truth, atlas("overshoot", sigma, amount), what=what)


def smooth(image, sigma, border="mirror"):
    return two_passes(image, normalised(sigma), border)


@wrong("q3", says="the blurred image is added, not the detail: detail is the image *minus* its blurred self")
def unsharp(image, sigma, amount):
    return image + amount * smooth(image, sigma)


@wrong("q3", says="the detail has the wrong sign, so the image is blurred: detail is the image minus its blurred self")
def unsharp(image, sigma, amount):
    return image + amount * (smooth(image, sigma) - image)


@wrong("q3", says="only the detail is returned; it belongs on top of the image")
def unsharp(image, sigma, amount):
    return amount * (image - smooth(image, sigma))


@wrong(
    "q3",
    says="(1 + α)F − G leaves α out at the blurred image: the weights of F and G must sum to 1, else brightness changes",
)
def unsharp(image, sigma, amount):
    return (1 + amount) * image - smooth(image, sigma)


@wrong("q3", says="the amount is not used: the detail is added once, whatever alpha is")
def unsharp(image, sigma, amount):
    return 2 * image - smooth(image, sigma)


@wrong("q3", says="the result is clipped to [0, 1], which cuts off the overshoot; clip when you show it, not before")
def unsharp(image, sigma, amount):
    return np.clip(image + amount * (image - smooth(image, sigma)), 0, 1)


@wrong("q3", says="a bright frame appears: outside the image the blur sees zeros, where it should go on mirrored")
def unsharp(image, sigma, amount):
    return image + amount * (image - smooth(image, sigma, "zero"))


@wrong("q3", says=SHARP_CHANGED)
def unsharp(image, sigma, amount):
    image += amount * (image - smooth(image, sigma))
    return image


@wrong(
    "q3",
    says="α/2 is the limit for a very wide Gaussian; a narrow one takes less, for the pixel itself has a share in its own blur",
)
def overshoot(sigma, amount):
    return amount / 2


@wrong("q3", says="this is twice the overshoot: the step is split evenly, half above 1 and half below 0")
def overshoot(sigma, amount):
    return amount * (1 - normalised(sigma).max())


@wrong(
    "q3",
    says="(1 + g[0]) / 2 is what the blur leaves of the brightest pixel; the overshoot is α times what it takes *away*",
)
def overshoot(sigma, amount):
    return amount * (1 + normalised(sigma).max()) / 2


@wrong(
    "q3",
    says="1/(√(2π)σ) is the height of the continuous curve; the middle weight that blur really uses is slightly different",
)
def overshoot(sigma, amount):
    return amount * (1 - 1 / (math.sqrt(2 * math.pi) * sigma)) / 2


@wrong("q3", says="the overshoot does not grow with the amount here; it is proportional to it")
def overshoot(sigma, amount):
    return (1 - normalised(sigma).max()) / 2


@wrong("q3", says="this is the brightest value, 1 + the overshoot; asked is how far above 1 it lies")
def overshoot(sigma, amount):
    return 1 + amount * (1 - normalised(sigma).max()) / 2


@right("q3")
def unsharp(image, sigma, amount):
    """One convolution with (1 + α)δ − αG."""
    weights = normalised(sigma)
    kernel = -amount * np.outer(weights, weights)
    kernel[len(weights) // 2, len(weights) // 2] += 1 + amount
    return shift_and_add(image, kernel, "mirror")


@right("q3")
def overshoot(sigma, amount):
    """Sum what the dark side takes: the weights on one side of the middle."""
    weights = normalised(sigma)
    return float(amount * weights[: len(weights) // 2].sum())


# ---------------------------------------------------------------------------------------------
# Question 4: median and bilateral

MEDIAN_CHANGED = (
    "medians are written into the image while later windows still read it: "
    "they mix old and new pixels, and the caller's picture is lost; write into a fresh array"
)
SPREADS = [0.7, 0.8, 1.2, 1.3]  # sigma_space of radius 2 and 3, far from where ceil jumps


def bilateral_truth(image, sigma_space, sigma_range):
    """Evaluate the formula window by window; SciPy moves the window and mirrors the border."""
    radius = math.ceil(2 * sigma_space)
    i, j = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    space = np.exp(-(i**2 + j**2) / (2 * sigma_space**2)).ravel()

    def average(values):
        middle = values[len(values) // 2]
        return np.average(values, weights=space * np.exp(-((values - middle) ** 2) / (2 * sigma_range**2)))

    return ndimage.generic_filter(image, average, size=2 * radius + 1, mode="reflect")


@pytest.mark.q("q4", 1)
def test_median_inside(student, atlas, rng):
    """Away from the border every pixel is the median of its window."""
    for size in (3, 5):
        image = rng.uniform(size=(11, 14))
        truth = ndimage.median_filter(image, size=size, mode="reflect")
        answer = student.median_filter(image, size)
        looks_like = atlas("median_filter", image, size)
        expect_inside(answer, truth, looks_like, size // 2, size // 2, f"the inside of the median of size {size}")


@pytest.mark.q("q4", 1)
def test_median_at_the_border(student, atlas, rng):
    """At the border the windows see the mirrored image; the caller's image stays as it was."""
    image = rng.uniform(0.1, 1, size=(9, 13))
    answer = student.median_filter(image, 5)
    assert not student.changed, MEDIAN_CHANGED
    truth = ndimage.median_filter(image, size=5, mode="reflect")
    expect(answer, truth, atlas("median_filter", image, 5), what="the median of size 5")


@pytest.mark.q("q4", 1)
def test_bilateral_inside(student, atlas, rng):
    """Away from the border every pixel is the average weighted by distance and by difference."""
    image, sigma_space, sigma_range = rng.uniform(size=(10, 13)), rng.choice(SPREADS), rng.uniform(0.1, 0.3)
    arguments = (image, float(sigma_space), round(sigma_range, 3))
    truth = bilateral_truth(*arguments)
    answer = student.bilateral_filter(*arguments)
    expect_inside(answer, truth, atlas("bilateral_filter", *arguments), 3, 3, "the inside of the bilateral filter")


@pytest.mark.q("q4", 1)
def test_bilateral_at_the_border(student, atlas, rng):
    """At the border, too, the weights sum to 1 and the image goes on mirrored."""
    arguments = (rng.uniform(0.1, 1, size=(8, 11)), float(rng.choice(SPREADS)), round(rng.uniform(0.1, 0.3), 3))
    truth = bilateral_truth(*arguments)
    expect(
        student.bilateral_filter(*arguments), truth, atlas("bilateral_filter", *arguments), what="the bilateral filter"
    )


@pytest.mark.q("q4", 1)
def test_bilateral_becomes_gaussian(student, atlas, rng):
    """With a huge sigma_range only distance counts: a plain Gaussian average."""
    image, sigma_space = rng.uniform(size=(9, 12)), float(rng.choice(SPREADS))
    radius = math.ceil(2 * sigma_space)
    i, j = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    space = np.exp(-(i**2 + j**2) / (2 * sigma_space**2))
    truth = ndimage.correlate(image, space / space.sum(), mode="reflect")
    arguments = (image, sigma_space, 1e6)  # differences < 1 change a weight by less than 1e-12
    answer = student.bilateral_filter(*arguments)
    expect(answer, truth, atlas("bilateral_filter", *arguments), what="the bilateral filter for sigma_range = 1e6")


def windows_of(image, size, mode="symmetric"):
    padded = np.pad(image, size // 2, mode)
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size)).reshape(*image.shape, -1)


@wrong("q4", says="this is the mean of the window; one outlier moves a mean, and leaves a median where it is")
def median_filter(image, size):
    return windows_of(image, size).mean(axis=-1)


@wrong("q4", says="not the middle of the sorted values but the one before it: of n values the middle is number n // 2")
def median_filter(image, size):
    return np.sort(windows_of(image, size), axis=-1)[..., size * size // 2 - 1]


@wrong(
    "q4",
    says="medians of rows, then of columns: unlike the Gaussian the median is not separable. "
    "Take all values of the window at once",
)
def median_filter(image, size):
    padded = np.pad(image, size // 2, "symmetric")
    rows = np.median(np.lib.stride_tricks.sliding_window_view(padded, size, axis=1), axis=-1)
    return np.median(np.lib.stride_tricks.sliding_window_view(rows, size, axis=0), axis=-1)


@wrong(
    "q4",
    says="size is taken for the radius: the window has size pixels on a side, size // 2 on each side of its middle",
)
def median_filter(image, size):
    return np.median(windows_of(image, 2 * size + 1), axis=-1)


@wrong("q4", says="at the border the median also counts zeros outside the image, where it should go on mirrored")
def median_filter(image, size):
    return np.median(windows_of(image, size, "constant"), axis=-1)


@wrong(
    "q4",
    says="at the border the median counts pixels of the opposite side; the image should go on mirrored, not by wrap",
)
def median_filter(image, size):
    return np.median(windows_of(image, size, "wrap"), axis=-1)


@wrong("q4", says=MEDIAN_CHANGED)
def median_filter(image, size):
    r = size // 2
    padded = np.pad(image, r, "symmetric")
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            image[y, x] = padded[y + r, x + r] = np.median(padded[y : y + size, x : x + size])
    return image


def weighted(image, sigma_space, range_weight, mode="symmetric", divide="all"):
    """Average with weights of distance and, through `range_weight`, of difference."""
    r = math.ceil(2 * sigma_space)
    padded = np.pad(image, r, mode)
    total, norm = np.zeros(image.shape), np.zeros(image.shape)
    for i in range(-r, r + 1):
        for j in range(-r, r + 1):
            near = math.exp(-(i * i + j * j) / (2 * sigma_space**2))
            values = padded[r + i : r + i + image.shape[0], r + j : r + j + image.shape[1]]
            weight = near * range_weight(values - image)
            total += weight * values
            norm += weight if divide == "all" else near
    return total if divide == "none" else total / norm


def bell(sigma):
    return lambda difference: np.exp(-(difference**2) / (2 * sigma**2))


@wrong("q4", says="differences in brightness are not looked at: this is a plain Gaussian, and it blurs edges")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, np.ones_like)


@wrong("q4", says="the weighted sum is not divided by the sum of the weights, so the brightness changes")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, bell(sigma_range), divide="none")


@wrong(
    "q4",
    says="the sum is divided by the weights of distance alone: pixels near an edge get dark. "
    "Divide by the sum of the products, pixel by pixel",
)
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, bell(sigma_range), divide="space")


@wrong("q4", says="sigma_range is used as if it were a variance: the exponent needs its square")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, bell(math.sqrt(sigma_range)))


@wrong("q4", says="the difference in brightness is not squared in the exponent: |e| / (2σ²) instead of e² / (2σ²)")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, lambda difference: np.exp(-np.abs(difference) / (2 * sigma_range**2)))


@wrong(
    "q4", says="the two sigmas are exchanged: sigma_space belongs to the distance in pixels, sigma_range to brightness"
)
def bilateral_filter(image, sigma_space, sigma_range):
    r = math.ceil(2 * sigma_space)
    total, norm = np.zeros(image.shape), np.zeros(image.shape)
    padded = np.pad(image, r, "symmetric")
    for i in range(-r, r + 1):
        for j in range(-r, r + 1):
            values = padded[r + i : r + i + image.shape[0], r + j : r + j + image.shape[1]]
            weight = math.exp(-(i * i + j * j) / (2 * sigma_range**2)) * bell(sigma_space)(values - image)
            total, norm = total + weight * values, norm + weight
    return total / norm


@wrong("q4", says="at the border the bilateral filter averages with zeros outside the image; let it go on mirrored")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, bell(sigma_range), mode="constant")


@wrong("q4", says="at the border the bilateral filter sees the opposite side (wrap); let the image go on mirrored")
def bilateral_filter(image, sigma_space, sigma_range):
    return weighted(image, sigma_space, bell(sigma_range), mode="wrap")


@right("q4")
def median_filter(image, size):
    """Sort every window in plain loops."""
    r = size // 2
    padded = np.pad(image, r, "symmetric")
    return [
        [sorted(padded[y : y + size, x : x + size].ravel().tolist())[size * size // 2] for x in range(image.shape[1])]
        for y in range(image.shape[0])
    ]


@right("q4")
def bilateral_filter(image, sigma_space, sigma_range):
    """All windows at once: arrays of shape (H, W, window)."""
    r = math.ceil(2 * sigma_space)
    values = windows_of(image, 2 * r + 1)
    i, j = np.indices((2 * r + 1, 2 * r + 1)) - r
    exponent = (i**2 + j**2).ravel() / (2 * sigma_space**2) + (values - image[..., None]) ** 2 / (2 * sigma_range**2)
    weights = np.exp(-exponent)
    return np.einsum("yxk,yxk->yx", weights, values) / weights.sum(axis=-1)


# ---------------------------------------------------------------------------------------------
# Question 5: black boxes

#                    kernel, shift | median, |.| | offset, threshold, auto-contrast | 4 that vary from place to place | both
LINEAR = np.array([1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0], dtype=bool)
INVARIANT = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)


def box(number, image):
    """Do the same as the notebook's cell; each check makes sure that it does."""
    secret = np.random.default_rng(number)
    kind, kernel, level = secret.integers(12), secret.normal(size=(3, 3)), secret.uniform(0.3, 0.7)
    F = np.asarray(image, dtype=np.float64)
    y, x = np.indices(F.shape)
    around = np.stack([np.roll(F, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    filtered = np.tensordot(kernel.ravel(), around, axes=1)
    return [
        filtered,
        np.roll(F, (2, -1), axis=(0, 1)),
        np.median(around, axis=0),
        np.abs(filtered),
        filtered + level,
        np.where(level < F, 1.0, 0.0),
        F / (np.abs(F).max() + 1e-9),
        F * (1 + np.cos(2 * np.pi * x / F.shape[1])),
        filtered * (1 + y / F.shape[0]),
        F[:, ::-1],
        F[y - y % 2, x - x % 2],
        F**2 * (1 + y / F.shape[0]),
    ][kind]


def kind_of(number):
    return int(np.random.default_rng(number).integers(12))


def one_of_each(rng):
    """Draw boxes until there is one of each kind; sorted by kind."""
    found = {}
    while len(found) < len(LINEAR):
        number = int(rng.integers(1_000_000))
        found.setdefault(kind_of(number), number)
    return [found[kind] for kind in sorted(found)]


def boxes_are_sealed(student, numbers, rng):
    probe = rng.normal(size=(5, 6))
    for number in numbers:
        same = np.allclose(student.box(number, probe), box(number, probe))
        assert same, "the cell that defines box was changed; restore it from the notebook as it was handed out"


def check_kinds(student, atlas, rng, kinds):
    """Judge the answers for boxes of these kinds; to name a mistake, look at the answers for all kinds."""
    numbers = one_of_each(rng)
    boxes_are_sealed(student, numbers, rng)
    answers = [student.classify(number) for number in numbers]
    for answer in answers:
        pair = np.shape(answer) == (2,) and np.asarray(answer).dtype.kind in "biuf"
        assert pair, f"classify should return a pair of bools (linear, shift_invariant), got {answer!r}"
    answers, truth = np.array(answers, dtype=np.float64), np.stack([LINEAR, INVARIANT], axis=1)
    if np.array_equal(answers[kinds], truth[kinds]):
        return
    tables = {}
    for number in numbers:
        for says, result in atlas("classify", number).items():
            tables.setdefault(says, []).append(result)
    named = next(iter(equal_to(answers, tables)), "")
    assert not named, named
    for kind in kinds:
        wanted, got = tuple(truth[kind].tolist()), tuple(answers[kind].astype(bool).tolist())
        says = f"box {numbers[kind]}: (linear, shift_invariant) should be {wanted}, classify says {got}"
        assert np.array_equal(answers[kind], truth[kind]), says


@pytest.mark.q("q5", 1)
def test_steal_a_kernel(student, atlas, rng):
    """The kernel of a linear, shift-invariant box is stolen with one picture."""
    numbers = []
    while len(numbers) < 3:
        number = int(rng.integers(1_000_000))
        numbers += [number] if kind_of(number) == 0 else []
    boxes_are_sealed(student, numbers, rng)
    for number in numbers:
        secret = np.random.default_rng(number)
        secret.integers(12)
        answer = student.steal_kernel(number)
        expect(answer, secret.normal(size=(3, 3)), atlas("steal_kernel", number), what=f"the kernel of box {number}")


@pytest.mark.q("q5", 1)
def test_classify_convolutions(student, atlas, rng):
    """Boxes that one kernel describes: linear and shift-invariant."""
    check_kinds(student, atlas, rng, [0, 1])


@pytest.mark.q("q5", 1)
def test_classify_scalable(student, atlas, rng):
    """Boxes that pass the test of scaling, yet are not linear."""
    check_kinds(student, atlas, rng, [2, 3])


@pytest.mark.q("q5", 1)
def test_classify_nonlinear(student, atlas, rng):
    """Other boxes that are shift-invariant, yet not linear."""
    check_kinds(student, atlas, rng, [4, 5, 6])


@pytest.mark.q("q5", 1)
def test_classify_varying(student, atlas, rng):
    """Boxes that are not the same everywhere."""
    check_kinds(student, atlas, rng, [7, 8, 9, 10, 11])


@functools.cache
def responses(number, shift=(1, 2), shape=(10, 14)):
    """Probe a box with a, b, a + b, 2a and a shifted; give also the shifted response to a."""
    a, b = np.random.default_rng(7).normal(size=(2, *shape))
    moved = np.roll(a, shift, axis=(0, 1))
    f = [box(number, probe) for probe in (a, b, a + b, 2 * a, moved)]
    return [*f, np.roll(f[0], shift, axis=(0, 1))]


@functools.cache
def both_properties(number):
    fa, fb, fab, f2a, moved, shifted = responses(number)
    return np.allclose(fab, fa + fb) and np.allclose(f2a, 2 * fa), np.allclose(moved, shifted)


@wrong(
    "q5",
    says="linearity is judged by scaling alone: a median passes that test too. "
    "Superposition needs sums of two different images",
)
def classify(number):
    fa, _, _, f2a, moved, shifted = responses(number)
    return np.allclose(f2a, 2 * fa), np.allclose(moved, shifted)


@wrong(
    "q5",
    says="a box that adds a constant passes for linear: f(a + b) must be f(a) + f(b) itself, also where f(0) is not 0",
)
def classify(number):
    fa, fb, fab, _, moved, shifted = responses(number)
    return np.allclose(fab - fb, fa - box(number, np.zeros((10, 14)))), np.allclose(moved, shifted)


@wrong(
    "q5",
    says="linearity is probed with single white pixels far apart: they never meet in one window, so a median, a "
    "magnitude and a threshold all look linear. Probe with full images",
)
def classify(number):
    a, b = np.zeros((2, 10, 14))
    a[2, 3] = b[7, 10] = 1
    linear = np.allclose(box(number, a + b), box(number, a) + box(number, b))
    return linear, both_properties(number)[1]


@wrong(
    "q5",
    says="shifts are tried along the rows only: a box may change from row to row. Shift in both directions",
)
def classify(number):
    moved, shifted = responses(number, shift=(0, 1))[-2:]
    return both_properties(number)[0], np.allclose(moved, shifted)


@wrong(
    "q5",
    says="shifts are tried along the columns only: a box may change from column to column. Shift in both directions",
)
def classify(number):
    moved, shifted = responses(number, shift=(1, 0))[-2:]
    return both_properties(number)[0], np.allclose(moved, shifted)


@wrong(
    "q5",
    says="only even shifts are tried: a box that works in blocks of two pixels passes them. Shift by one pixel",
)
def classify(number):
    moved, shifted = responses(number, shift=(2, 4))[-2:]
    return both_properties(number)[0], np.allclose(moved, shifted)


@wrong(
    "q5",
    says="the response to the shifted image is compared with the response itself; it should equal the *shifted* response",
)
def classify(number):
    fa, _, _, _, moved, _ = responses(number)
    return both_properties(number)[0], np.allclose(moved, fa)


@wrong(
    "q5",
    says="linear boxes are missed because responses are compared with ==: sums in another order round differently. "
    "Allow for rounding",
)
def classify(number):
    fa, fb, fab, f2a, moved, shifted = responses(number)
    return np.array_equal(fab, fa + fb) and np.array_equal(f2a, 2 * fa), np.array_equal(moved, shifted)


@wrong("q5", says="the two answers are exchanged: the pair is (linear, shift_invariant), in this order")
def classify(number):
    return both_properties(number)[::-1]


@wrong(
    "q5",
    says="a box that is not linear is called not shift-invariant as well: these are two properties, and a median has one",
)
def classify(number):
    linear, invariant = both_properties(number)
    return linear, linear and invariant


def impulse_response(number, height=1.0):
    image = np.zeros((7, 8))
    image[3, 4] = height
    return box(number, image)


@wrong(
    "q5", says="the stolen kernel is turned by 180°: a convolution shows its kernel unturned in the image of an impulse"
)
def steal_kernel(number):
    return impulse_response(number)[2:5, 3:6][::-1, ::-1]


@wrong("q5", says="rows and columns of the stolen kernel are exchanged")
def steal_kernel(number):
    return impulse_response(number)[2:5, 3:6].T


@wrong("q5", says="the kernel is cut out one pixel too far down and right: its middle is where the white pixel was")
def steal_kernel(number):
    return impulse_response(number)[3:6, 4:7]


@wrong("q5", says="the whole response is returned; the kernel is the 3 × 3 pixels around the place of the impulse")
def steal_kernel(number):
    return impulse_response(number)


@wrong("q5", says="the probe was 255 high and so is the stolen kernel: divide by the height of the impulse")
def steal_kernel(number):
    return impulse_response(number, height=255.0)[2:5, 3:6]


@right("q5")
def classify(number):
    """Superpose and shift with several random probes and shifts, an error relative to the response."""
    rng = np.random.default_rng(11)
    linear = invariant = True
    for _ in range(3):
        a, b, (s, t) = rng.uniform(-1, 1, size=(9, 13)), rng.uniform(-1, 1, size=(9, 13)), rng.normal(size=2)
        error = box(number, s * a + t * b) - s * box(number, a) - t * box(number, b)
        linear &= bool(np.abs(error).max() < 1e-10)
        step = (int(rng.integers(1, 9)), int(rng.integers(1, 13)))
        error = box(number, np.roll(a, step, (0, 1))) - np.roll(box(number, a), step, (0, 1))
        invariant &= bool(np.abs(error).max() < 1e-10)
    return [int(linear), int(invariant)]


@right("q5")
def steal_kernel(number):
    """Any picture without a zero in its spectrum will do: divide the spectra."""
    probe = np.random.default_rng(5).normal(size=(6, 9))
    response = np.fft.ifft2(np.fft.fft2(box(number, probe)) / np.fft.fft2(probe)).real
    return np.roll(response, (1, 1), axis=(0, 1))[:3, :3]
