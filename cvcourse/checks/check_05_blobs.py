"""Checks of exercise 05_blobs, the mistakes they know, and second solutions.

Oracles: ``scipy.ndimage`` for filters and for maxima of neighbourhoods, ``scipy.optimize`` for the best radius,
quadratics and discs of known centre and size.
"""

import functools
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage, optimize

from cvcourse.checks import expect, right, wrong

BORROWED = ("cvcourse.blobs", "cvcourse.edges", "cvcourse.sampling", "cvcourse.corners", "cvcourse.descriptors")
LIBRARIES = ("scipy", "skimage", "cv2", "PIL", "torch")
FORBIDDEN = {question: (*BORROWED, *LIBRARIES) for question in ("q1", "q2", "q3", "q4", "q5")}
CHANGED = "{} writes into its arguments: the caller's data are lost; work on copies"


def only(mask, truth, answer):
    """Keep of an answer what lies in `mask`, so that each check judges one thing; elsewhere the truth."""
    return np.where(mask, answer, truth) if np.shape(answer) == np.shape(truth) else answer


def expect_in(mask, answer, truth, looks_like, atol=1e-9, what="the result"):
    """Compare where `mask` holds; what is within the tolerance there is right, whatever else it may look like."""
    if np.shape(answer) == np.shape(truth) and np.allclose(only(mask, truth, answer), truth, rtol=0, atol=atol):
        return
    named = {says: only(mask, truth, result) for says, result in looks_like.items()}
    expect(only(mask, truth, answer), truth, named, atol=atol, what=what)


def inside(shape, rim):
    """Mark the pixels that are at least `rim` away from the border of the last two axes."""
    mask = np.zeros(shape, dtype=bool)
    mask[..., rim : shape[-2] - rim, rim : shape[-1] - rim] = True
    return mask


def ndimage_smooth(image, sigma):
    return ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=4.0)  # SciPy's name of "mirrored"


@functools.lru_cache(maxsize=256)
def mirrored_gaussian(n, sigma):
    """Write the smoothing of n mirrored samples as an (n, n) matrix."""
    u = np.arange(-math.floor(4 * sigma + 0.5), math.floor(4 * sigma + 0.5) + 1)
    weights = np.exp(-(u**2) / (2 * sigma**2))
    source = (np.arange(n)[:, None] + u) % (2 * n)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], np.minimum(source, 2 * n - 1 - source)), weights / weights.sum())
    return matrix


def blur(image, sigma):
    """Smooth as the notebook does, with NumPy alone."""
    return mirrored_gaussian(image.shape[0], sigma) @ image @ mirrored_gaussian(image.shape[1], sigma).T


def five_points(f, mode="symmetric"):
    """Apply the stencil of question 1; the wrong versions change the border."""
    p = np.pad(f, 1, mode=mode)
    return p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1] - 4 * f


# ---------------------------------------------------------------------------------------------
# Question 1: the normalised stack


def log_truth(image, sigmas):
    return np.array([s**2 * ndimage.laplace(ndimage_smooth(image, s), mode="reflect") for s in sigmas])


@pytest.mark.q("q1", 1)
def test_laplacian_at_scale_one(student, atlas, rng):
    """Away from the border, at σ = 1: the five-point Laplacian of the smoothed image, with its sign."""
    image, sigmas = rng.uniform(size=(14, 19)), np.array([1.0])
    answer = student.log_stack(image, sigmas)
    assert not student.changed, CHANGED.format("log_stack")
    truth = log_truth(image, sigmas)
    what = "the inside of the slice for sigma = 1"
    expect_in(inside(truth.shape, 1), answer, truth, atlas("log_stack", image, sigmas), what=what)


@pytest.mark.q("q1", 1)
def test_every_scale_is_normalised(student, atlas, rng):
    """Away from the border, each slice has its own σ and the factor σ²."""
    image, sigmas = rng.uniform(size=(17, 22)), np.array([1.3, 2.1, 3.4]) * rng.uniform(0.9, 1.1)
    answer = student.log_stack(image, sigmas)
    truth = log_truth(image, sigmas)
    what = f"the inside of the stack for sigma = {np.round(sigmas, 2).tolist()}"
    expect_in(inside(truth.shape, 1), answer, truth, atlas("log_stack", image, sigmas), what=what)


@pytest.mark.q("q1", 1)
def test_border_of_the_stack(student, atlas, rng):
    """At the border the smoothed image is mirrored."""
    image, sigmas = rng.uniform(size=(11, 15)), np.array([0.8, 1.0])
    answer = student.log_stack(image, sigmas)
    truth = log_truth(image, sigmas)
    # The student's factors are taken as they are, so that a forgotten one isn't counted again: at sigma = 1 it is 1.
    mask = ~inside(truth.shape, 1) & (sigmas == 1)[:, None, None]
    expect_in(mask, answer, truth, atlas("log_stack", image, sigmas), what="the rim of the slice for sigma = 1")


@pytest.mark.q("q1", 1)
def test_a_disc_answers_at_its_own_scale(student, atlas, rng):
    """In the middle of a disc of radius r the answer is −c (r²/σ²) exp(−r²/2σ²), strongest at σ = r/√2."""
    r, shape, (y, x) = rng.uniform(6, 9), (71, 78), rng.integers([33, 35], [38, 43])
    for c in (rng.uniform(0.3, 0.5), -rng.uniform(0.3, 0.5)):
        image = 0.5 + c * drawn_disc(shape, (x, y), r)
        sigmas = r / np.sqrt(2) * np.array([0.6, 0.8, 1.0, 1.25, 1.5])
        answer = np.asarray(student.log_stack(image, sigmas))
        truth = -c * (r / sigmas) ** 2 * np.exp(-((r / sigmas) ** 2) / 2)
        assert answer.shape == (5, *shape), f"the stack should have the shape {(5, *shape)}, got {answer.shape}"
        looks = {
            says: result[:, y, x]
            for says, result in atlas("log_stack", image, sigmas).items()
            if np.shape(result) == answer.shape
        }
        # Pixels and stencil change the peak by about 1/(8 sigma²) of it, 1 % of at most 0.37.
        what = f"the answer in the middle of a disc of contrast {c:.2f}"
        expect_in(np.full(5, True), answer[:, y, x], truth, looks, atol=0.012, what=what)


def drawn_disc(shape, centre, r):
    """Draw a disc at (x, y): the share of each pixel that it covers, from 5 × 5 points in the pixel."""
    fine = (np.arange(5) - 2) / 5
    u = (np.arange(shape[1])[:, None] + fine - centre[0]).ravel()
    v = (np.arange(shape[0])[:, None] + fine - centre[1]).ravel()
    covered = u**2 + v[:, None] ** 2 < r**2
    return covered.reshape(shape[0], 5, shape[1], 5).mean(axis=(1, 3))


@wrong("q1", says="the factor σ² is missing: without it the answer fades as σ grows, and scales cannot be compared")
def log_stack(image, sigmas):
    return np.array([five_points(blur(image, s)) for s in sigmas])


@wrong("q1", says="the factor is σ; two derivatives need it twice, so multiply by σ²")
def log_stack(image, sigmas):
    return np.array([s * five_points(blur(image, s)) for s in sigmas])


@wrong("q1", says="you divide by σ²: the answer fades as σ grows already, so it must be multiplied")
def log_stack(image, sigmas):
    return np.array([five_points(blur(image, s)) / s**2 for s in sigmas])


@wrong("q1", says="the factor comes from the number of the slice, not from its σ: level 0 is not the scale 0")
def log_stack(image, sigmas):
    return np.array([k**2 * five_points(blur(image, s)) for k, s in enumerate(sigmas)])


@wrong(
    "q1", says="the sign is turned: a bright blob is a hill, and a hill curves downwards, so its Laplacian is negative"
)
def log_stack(image, sigmas):
    return -np.array([s**2 * five_points(blur(image, s)) for s in sigmas])


@wrong("q1", says="the sign is lost in an absolute value: bright and dark blobs can no longer be told apart")
def log_stack(image, sigmas):
    return np.abs([s**2 * five_points(blur(image, s)) for s in sigmas])


@wrong(
    "q1",
    says="each slice is smoothed from the one before by its full σ: variances add up, so the blur comes out too large",
)
def log_stack(image, sigmas):
    stack = []
    for s in sigmas:
        image = blur(image, s)
        stack.append(s**2 * five_points(image))
    return np.array(stack)


@wrong("q1", says="smooth takes the standard deviation, and was given the variance σ²")
def log_stack(image, sigmas):
    return np.array([s**2 * five_points(blur(image, s**2)) for s in sigmas])


@wrong("q1", says="this is only the second derivative along x; the Laplacian adds the one along y")
def log_stack(image, sigmas):
    padded = [np.pad(blur(image, s), [(0, 0), (1, 1)], mode="symmetric") for s in sigmas]
    return np.array([s**2 * np.diff(f, n=2, axis=1) for s, f in zip(sigmas, padded, strict=True)])


@wrong(
    "q1",
    says="np.gradient applied twice compares pixels two apart, f[x+2] − 2 f[x] + f[x−2], and misses fine blobs; "
    "use the stencil of the five nearest pixels",
)
def log_stack(image, sigmas):
    stack = []
    for s in sigmas:
        f = blur(image, s)
        stack.append(s**2 * (np.gradient(np.gradient(f, axis=0), axis=0) + np.gradient(np.gradient(f, axis=1), axis=1)))
    return np.array(stack)


@wrong("q1", says="np.roll takes the pixel at the opposite side: at the border the image should be mirrored instead")
def log_stack(image, sigmas):
    return np.array([s**2 * five_points(blur(image, s), "wrap") for s in sigmas])


@wrong(
    "q1", says="beyond the border you put zeros, so the rim of every bright image becomes an edge; mirror it instead"
)
def log_stack(image, sigmas):
    return np.array([s**2 * five_points(blur(image, s), "constant") for s in sigmas])


@wrong("q1", says='NumPy\'s mode "reflect" leaves out the outermost pixel; the one that repeats it is "symmetric"')
def log_stack(image, sigmas):
    return np.array([s**2 * five_points(blur(image, s), "reflect") for s in sigmas])


@wrong("q1", says="the scale is the last axis of your stack; it should be the first: stack[level, row, col]")
def log_stack(image, sigmas):
    return np.stack([s**2 * five_points(blur(image, s)) for s in sigmas], axis=-1)


@right("q1")
def log_stack(image, sigmas):
    """Second differences of the Gaussian weights, on an image that is mirrored far out, as sums of products."""
    height, width = image.shape
    stack = []
    for s in sigmas:
        r = math.floor(4 * s + 0.5)
        g = np.exp(-0.5 * (np.arange(-r, r + 1) / s) ** 2)
        g = np.pad(g / g.sum(), 1)
        second = np.convolve(g, [1, -2, 1], mode="same")
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, r + 1, mode="symmetric"), (2 * r + 3,) * 2)
        both = np.outer(second, g) + np.outer(g, second)
        stack.append(s**2 * np.tensordot(windows, both).reshape(height, width))
    return np.array(stack)


# ---------------------------------------------------------------------------------------------
# Question 2: peaks, and peaks between the samples


def beyond_all_neighbours(stack, threshold):
    """List (level, row, col) of the peaks: SciPy's maximum and minimum of the 26 neighbours."""
    others = np.ones((3, 3, 3), dtype=bool)
    others[1, 1, 1] = False
    high = (stack > ndimage.maximum_filter(stack, footprint=others)) & (stack > threshold)
    low = (stack < ndimage.minimum_filter(stack, footprint=others)) & (stack < -threshold)
    full = np.zeros(stack.shape, dtype=bool)
    full[1:-1, 1:-1, 1:-1] = True
    return np.argwhere((high | low) & full)


def clear_threshold(stack, share):
    """Find a threshold in the middle of a gap, that `share` of the peaks of `stack` pass."""
    strength = np.sort(np.abs(stack[tuple(beyond_all_neighbours(stack, 0).T)]))
    n = int(len(strength) * (1 - share))
    return (strength[n - 1] + strength[n]) / 2


def in_order(rows):
    """Sort the rows of a list of peaks; leave anything else as it is."""
    try:
        rows = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return rows
    return rows[np.lexsort(rows.T[::-1])] if rows.ndim == 2 else rows


def expect_peaks(student, atlas, stack, threshold):
    answer = student.find_peaks(stack, threshold)
    assert not student.changed, CHANGED.format("find_peaks")
    truth = beyond_all_neighbours(stack, threshold)
    looks = {says: in_order(result) for says, result in atlas("find_peaks", stack, threshold).items()}
    expect(in_order(answer), in_order(truth), looks, what="the list of peaks, in order")


@pytest.mark.q("q2", 1)
def test_maxima(student, atlas, rng):
    """Maxima in three dimensions above the threshold; hollows that stay above zero are no peaks."""
    stack = 6 + rng.normal(size=(6, 11, 14))
    stack = np.maximum(stack, 0.5)
    expect_peaks(student, atlas, stack, clear_threshold(stack, 0.3))


@pytest.mark.q("q2", 1)
def test_both_signs(student, atlas, rng):
    """Maxima above the threshold and minima below its negative, also side by side."""
    stack = rng.normal(size=(6, 12, 10))
    stack[2, 5, 4:6] = 3.5, -4.5  # a dark blob beside a brighter one: both are peaks
    expect_peaks(student, atlas, stack, clear_threshold(stack, 0.7))


@pytest.mark.q("q2", 1)
def test_no_peaks_on_the_border_or_on_plateaus(student, atlas, rng):
    """Nothing on the first and last level, row and column, and nothing where a neighbour is equal."""
    stack = rng.uniform(-1, 1, size=(5, 10, 13))
    for k, n in enumerate(stack.shape):  # on all six sides, each a strong one
        for side in (0, n - 1):
            place = [int(rng.integers(1, m - 1)) for m in stack.shape]
            place[k] = side
            stack[tuple(place)] = rng.choice([-1, 1]) * rng.uniform(5, 6)
    flat, single = rng.permutation([2, 4, 6, 8])[:2], rng.permutation([3, 6, 9])
    stack[2, flat[0], single[0] : single[0] + 2] = 3.0
    stack[2:4, flat[1], single[1]] = -3.0
    stack[2, 4 if 4 not in flat else 5, single[2] + 1] = 4.0
    expect_peaks(student, atlas, stack, 0.8)


def shifts(stack):
    """Give the 26 neighbours of every inner sample, one array for each direction."""
    S, H, W = stack.shape
    return {
        (s, y, x): stack[1 + s : S - 1 + s, 1 + y : H - 1 + y, 1 + x : W - 1 + x]
        for s, y, x in np.ndindex(3, 3, 3)
        for s, y, x in [(s - 1, y - 1, x - 1)]
        if (s, y, x) != (0, 0, 0)
    }


def peaks_by(stack, threshold, use=lambda s, y, x: True, strict=True):
    """Find peaks among chosen neighbours: maxima and minima, masks of the inner samples."""
    f = stack[1:-1, 1:-1, 1:-1]
    near = np.array([n for d, n in shifts(stack).items() if use(*d)])
    high = (f > near.max(axis=0)) if strict else (f >= near.max(axis=0))
    low = (f < near.min(axis=0)) if strict else (f <= near.min(axis=0))
    return high & (f > threshold), low & (f < -threshold)


@wrong("q2", says="only maxima are found, but bright blobs are minima: look below −threshold too")
def find_peaks(stack, threshold):
    return np.argwhere(peaks_by(stack, threshold)[0]) + 1


@wrong("q2", says="only minima are found, but dark blobs are maxima: look above the threshold too")
def find_peaks(stack, threshold):
    return np.argwhere(peaks_by(stack, threshold)[1]) + 1


@wrong(
    "q2",
    says="these are peaks of |stack|, in which a strong blob hides one of the other sign beside it: compare "
    "signed values, maxima and minima apart",
)
def find_peaks(stack, threshold):
    return np.argwhere(peaks_by(np.abs(stack), threshold)[0]) + 1


@wrong("q2", says="only the 8 neighbours in the same slice are compared: a blob must also be a peak among the scales")
def find_peaks(stack, threshold):
    return np.argwhere(np.logical_or(*peaks_by(stack, threshold, lambda s, y, x: s == 0))) + 1


@wrong("q2", says="only the 6 nearest neighbours are compared; along the diagonals there are 20 more")
def find_peaks(stack, threshold):
    near = functools.partial(peaks_by, stack, threshold, lambda s, y, x: abs(s) + abs(y) + abs(x) == 1)
    return np.argwhere(np.logical_or(*near())) + 1


@wrong(
    "q2", says="samples that only equal a neighbour are counted: a plateau is found several times; compare with > and <"
)
def find_peaks(stack, threshold):
    return np.argwhere(np.logical_or(*peaks_by(stack, threshold, strict=False))) + 1


@wrong("q2", says="samples on the border are found, where neighbours are missing: a larger one may lie just outside")
def find_peaks(stack, threshold):
    high = peaks_by(np.pad(stack, 1, constant_values=-np.inf), threshold)[0]
    return np.argwhere(high | peaks_by(np.pad(stack, 1, constant_values=np.inf), threshold)[1])


@wrong("q2", says="all indices are one too small: in an array without its border, sample 0 is sample 1 of the stack")
def find_peaks(stack, threshold):
    return np.argwhere(np.logical_or(*peaks_by(stack, threshold)))


@wrong("q2", says="the threshold is not used: weak peaks are found as well")
def find_peaks(stack, threshold):
    return np.argwhere(np.logical_or(*peaks_by(stack, -np.inf))) + 1


@wrong("q2", says="minima are kept if they are below +threshold; they must be as strong as maxima, below −threshold")
def find_peaks(stack, threshold):
    return np.argwhere(peaks_by(stack, threshold)[0] | peaks_by(stack, -threshold)[1]) + 1


@wrong("q2", says="the columns are (level, col, row); array order is asked for here: (level, row, col)")
def find_peaks(stack, threshold):
    return np.argwhere(np.logical_or(*peaks_by(stack, threshold)))[:, [0, 2, 1]] + 1


@right("q2")
def find_peaks(stack, threshold):
    """A loop over samples; only those beyond the threshold are looked at closely."""
    found = []
    for s, y, x in np.argwhere(np.abs(stack) > threshold):
        block = stack[max(s - 1, 0) : s + 2, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if block.shape == (3, 3, 3):
            others = np.delete(block.ravel(), 13)
            v = stack[s, y, x]
            if (v > 0 and v > others.max()) or (v < 0 and v < others.min()):
                found.append((int(s), int(y), int(x)))
    return found


def quadratics(rng, mixed, reach=0.45):
    """Three exact quadratics side by side in one stack.

    Gives the stack, the samples to start from, the true (x, y, sigma) and the sigmas.  The quadratic is
    ``± (2 - d' A d / 2)`` with d in samples from its peak, A positive definite, diagonal unless `mixed`.
    """
    sigmas = rng.uniform(1.2, 2.0) * rng.uniform(1.2, 1.5) ** np.arange(5)
    k = sigmas[1] / sigmas[0]
    blocks, peaks, truth = [], [], []
    for block in range(3):
        start = rng.integers([1, 2, 2], [4, 5, 7])
        offset = rng.uniform(0.2, reach, 3) * rng.choice([-1, 1], 3)
        A = np.diag(rng.uniform(0.6, 1.4, 3))
        if mixed:
            sign = rng.choice([-1, 1], 3)
            A[[0, 0, 1], [1, 2, 2]] = A[[1, 2, 2], [0, 0, 1]] = sign * rng.uniform(0.15, 0.25, 3)
        d = np.moveaxis(np.indices((5, 7, 9)), 0, -1) - (start + offset)
        blocks.append(rng.choice([-1, 1]) * (2 - np.einsum("...i,ij,...j->...", d, A, d) / 2))
        peaks.append(start + np.array([0, 0, 9 * block]))
        s, y, x = peaks[-1] + np.clip(offset, -1, 1)
        truth.append((x, y, sigmas[0] * k**s))
    return np.concatenate(blocks, axis=2), np.array(peaks), np.array(truth), sigmas


def expect_refined(student, atlas, data, columns, what):
    stack, peaks, truth, sigmas = data
    answer = student.refine(stack, peaks, sigmas)
    assert not student.changed, CHANGED.format("refine")
    mask = np.isin([0, 1, 2], columns)
    expect_in(mask, answer, truth, atlas("refine", stack, peaks, sigmas), what=what)


@pytest.mark.q("q2", 1)
def test_positions_between_the_samples(student, atlas, rng):
    """x and y of quadratics whose axes lie along x, y and σ are found exactly."""
    expect_refined(student, atlas, quadratics(rng, mixed=False), [0, 1], "the table of (x, y, sigma)")


@pytest.mark.q("q2", 1)
def test_oblique_quadratics(student, atlas, rng):
    """x and y of oblique quadratics are found exactly too: the mixed derivatives count."""
    expect_refined(student, atlas, quadratics(rng, mixed=True), [0, 1], "the table of (x, y, sigma)")


@pytest.mark.q("q2", 1)
def test_scales_between_the_samples(student, atlas, rng):
    """σ between the levels grows by the constant factor."""
    expect_refined(student, atlas, quadratics(rng, mixed=False), [2], "the table of (x, y, sigma)")


@pytest.mark.q("q2", 1)
def test_offsets_are_limited(student, atlas, rng):
    """No component of an offset goes beyond one sample."""
    expect_refined(student, atlas, quadratics(rng, False, reach=2.2), [0, 1], "the table of (x, y, sigma)")


def derivatives(stack, peaks):
    """Gradient (N, 3) and second derivatives (N, 3, 3) at peaks, by convolution-like sums over the 27 samples."""
    side, bend = np.array([-0.5, 0, 0.5]), np.array([1.0, -2, 1])
    one = np.array([0.0, 1, 0])
    near = np.array([stack[s - 1 : s + 2, y - 1 : y + 2, x - 1 : x + 2] for s, y, x in peaks])
    first = [np.where(np.arange(3)[:, None] == a, side, one) for a in range(3)]
    g = [np.einsum("nijk,i,j,k->n", near, *first[a]) for a in range(3)]
    H = np.empty((len(peaks), 3, 3))
    for a, b in np.ndindex(3, 3):
        kernels = [bend if c == a == b else side if c in (a, b) else one for c in range(3)]
        H[:, a, b] = np.einsum("nijk,i,j,k->n", near, *kernels)
    return np.stack(g, axis=-1), H


def solved(g, H):
    return -np.linalg.solve(H, g[..., None])[..., 0]


def placed(peaks, d, sigmas):
    """Give (x, y, sigma) of peaks moved by d = (ds, dy, dx)."""
    k = sigmas[1] / sigmas[0]
    return np.column_stack([peaks[:, 2] + d[:, 2], peaks[:, 1] + d[:, 1], sigmas[peaks[:, 0]] * k ** d[:, 0]])


@wrong("q2", says="these are (row, col): a point is (x, y), and x is the column")
def refine(stack, peaks, sigmas):
    return placed(peaks, np.clip(solved(*derivatives(stack, peaks)), -1, 1), sigmas)[:, [1, 0, 2]]


@wrong("q2", says="the third column is the number of the level, not its σ in pixels: look the scale up in `sigmas`")
def refine(stack, peaks, sigmas):
    d = np.clip(solved(*derivatives(stack, peaks)), -1, 1)
    return np.column_stack([peaks[:, 2] + d[:, 2], peaks[:, 1] + d[:, 1], peaks[:, 0] + d[:, 0]])


@wrong(
    "q2",
    says="the offset in levels was added to σ as if it were pixels: one level is a factor k, so multiply by k to the d",
)
def refine(stack, peaks, sigmas):
    d = np.clip(solved(*derivatives(stack, peaks)), -1, 1)
    result = placed(peaks, d, sigmas)
    result[:, 2] = sigmas[peaks[:, 0]] + d[:, 0]
    return result


@wrong(
    "q2",
    says="σ is interpolated along a straight line between two levels; it grows by a factor, so use k to the power d",
)
def refine(stack, peaks, sigmas):
    d = np.clip(solved(*derivatives(stack, peaks)), -1, 1)
    result = placed(peaks, d, sigmas)
    result[:, 2] = np.interp(peaks[:, 0] + d[:, 0], np.arange(len(sigmas)), sigmas)
    return result


@wrong(
    "q2", says="only the position is refined: σ is still that of the level, and the offset d has a component along it"
)
def refine(stack, peaks, sigmas):
    d = np.clip(solved(*derivatives(stack, peaks)), -1, 1)
    return placed(peaks, d * [0, 1, 1], sigmas)


@wrong(
    "q2",
    says="the offset points the wrong way: the quadratic is stationary where g + H d = 0, so there is a minus sign",
)
def refine(stack, peaks, sigmas):
    return placed(peaks, np.clip(-solved(*derivatives(stack, peaks)), -1, 1), sigmas)


@wrong(
    "q2",
    says="three separate parabolas leave out the mixed derivatives: on an oblique peak they miss; solve with all of H",
)
def refine(stack, peaks, sigmas):
    g, H = derivatives(stack, peaks)
    return placed(peaks, np.clip(-g / np.einsum("nii->ni", H), -1, 1), sigmas)


@wrong("q2", says="the gradient is twice too large: the samples on both sides are two apart, so halve their difference")
def refine(stack, peaks, sigmas):
    g, H = derivatives(stack, peaks)
    return placed(peaks, np.clip(solved(2 * g, H), -1, 1), sigmas)


@wrong("q2", says="the mixed derivatives are four times too large: their samples are two apart along both axes")
def refine(stack, peaks, sigmas):
    g, H = derivatives(stack, peaks)
    H = H * np.where(np.eye(3, dtype=bool), 1, 4)
    return placed(peaks, np.clip(solved(g, H), -1, 1), sigmas)


@wrong("q2", says="nothing is refined: these are the samples themselves")
def refine(stack, peaks, sigmas):
    return placed(peaks, np.zeros(peaks.shape), sigmas)


@wrong("q2", says="offsets are not limited: a component beyond ±1 leaves the samples that the fit has seen")
def refine(stack, peaks, sigmas):
    return placed(peaks, solved(*derivatives(stack, peaks)), sigmas)


@right("q2")
def refine(stack, peaks, sigmas):
    """Least squares over all 27 samples would differ on real data; so fit ten coefficients to the ones that count."""
    rows = []
    for s, y, x in peaks:
        f = stack[s - 1 : s + 2, y - 1 : y + 2, x - 1 : x + 2]
        g = np.array([f[2, 1, 1] - f[0, 1, 1], f[1, 2, 1] - f[1, 0, 1], f[1, 1, 2] - f[1, 1, 0]]) / 2
        sy = (f[2, 2, 1] - f[2, 0, 1] - f[0, 2, 1] + f[0, 0, 1]) / 4
        sx = (f[2, 1, 2] - f[2, 1, 0] - f[0, 1, 2] + f[0, 1, 0]) / 4
        yx = (f[1, 2, 2] - f[1, 2, 0] - f[1, 0, 2] + f[1, 0, 0]) / 4
        ss, yy, xx = (f[::2, 1, 1].sum(), f[1, ::2, 1].sum(), f[1, 1, ::2].sum())
        v = 2 * f[1, 1, 1]
        H = np.array([[ss - v, sy, sx], [sy, yy - v, yx], [sx, yx, xx - v]])
        d = np.maximum(np.minimum(np.linalg.lstsq(H, -g, rcond=None)[0], 1), -1)
        log_sigma = math.log(sigmas[0]) + (s + d[0]) * math.log(sigmas[-1] / sigmas[0]) / (len(sigmas) - 1)
        rows.append([x + d[2], y + d[1], math.exp(log_sigma)])
    return rows


# ---------------------------------------------------------------------------------------------
# Question 3: the difference of Gaussians


def dog_truth(image, sigmas):
    blurred = np.array([ndimage_smooth(image, s) for s in sigmas])
    return (blurred[1:] - blurred[:-1]) / np.log(sigmas[1:] / sigmas[:-1])[:, None, None]


@pytest.mark.q("q3", 1)
def test_differences(student, atlas, rng):
    """With σ growing by the factor e each slice is G(eσ) − G(σ)."""
    image, sigmas = rng.uniform(size=(16, 21)), rng.uniform(0.6, 0.8) * np.exp([0.0, 1.0, 2.0])
    answer = student.dog_stack(image, sigmas)
    assert not student.changed, CHANGED.format("dog_stack")
    what = "the stack for scales that grow by the factor e"
    expect(answer, dog_truth(image, sigmas), atlas("dog_stack", image, sigmas), what=what)


@pytest.mark.q("q3", 1)
def test_each_pair_has_its_own_factor(student, atlas, rng):
    """Each slice is divided by the logarithm of its own ratio of scales."""
    image, sigmas = rng.uniform(size=(15, 22)), np.array([0.9, 1.2, 2.0, 2.6]) * rng.uniform(0.95, 1.05)
    answer = student.dog_stack(image, sigmas)
    what = f"the stack for sigma = {np.round(sigmas, 2).tolist()}"
    expect(answer, dog_truth(image, sigmas), atlas("dog_stack", image, sigmas), what=what)


@pytest.mark.q("q3", 2)
def test_errors(student, atlas, rng):
    """The error is max |D − L| / max |L|, with D about the same σ in the middle."""
    image = ndimage.gaussian_filter(rng.uniform(size=(30, 41)), 1.0)
    sigma, factors = rng.uniform(2.2, 3.2), np.array([1.3, 1.9, 3.0]) * rng.uniform(0.97, 1.03)
    answer = student.dog_errors(image, sigma, factors)
    # By the student's own log_stack and dog_stack: their faults are counted elsewhere.
    L = np.asarray(student.log_stack(image, np.array([sigma])))[0]
    pairs = [np.array([sigma / math.sqrt(k), sigma * math.sqrt(k)]) for k in factors]
    D = [np.asarray(student.dog_stack(image, pair))[0] for pair in pairs]
    assert np.any(L), "log_stack gives only zeros here: mend question 1 first"
    truth = [np.max(np.abs(d - L)) / np.max(np.abs(L)) for d in D]
    expect(answer, truth, atlas("dog_errors", image, sigma, factors), what="the list of errors")


@pytest.mark.q("q3", 1)
def test_best_radius(student, atlas, rng):
    """The disc to which a pair of Gaussians answers most strongly."""
    sigma, k = rng.uniform(1.5, 4), rng.uniform(1.4, 2.2)
    answer = student.dog_radius(sigma, k)
    expect(answer, strongest(sigma, k), atlas("dog_radius", sigma, k), 1e-5, f"dog_radius({sigma:.3f}, {k:.3f})")


@pytest.mark.q("q3", 1)
def test_best_radii_at_once(student, atlas, rng):
    """Many scales at once; as k comes near to 1 the radius goes to √2 σ."""
    sigma = rng.uniform(1.5, 6, size=(2, 3))
    for k in (1.02, 3.0):
        answer = student.dog_radius(sigma, k)
        truth = np.vectorize(strongest)(sigma, k)
        # The search for the maximum knows the radius to 1e-6 or better.
        expect(answer, truth, atlas("dog_radius", sigma, k), atol=1e-5, what=f"the radii for k = {k}")


def strongest(sigma, k):
    """Find the radius where the answer has no slope; the slope in r by hand, the root by SciPy."""

    def slope(r):
        return np.exp(-((r / sigma) ** 2) / 2) - np.exp(-((r / sigma / k) ** 2) / 2) / k**2

    return optimize.brentq(slope, 0.3 * sigma, 10 * sigma, xtol=1e-10)


def blurs(image, sigmas):
    return np.array([blur(image, s) for s in sigmas])


def per_slice(values):
    return np.asarray(values)[:, None, None]


@wrong(
    "q3",
    says="the sign is turned: the wider Gaussian minus the narrower one, so that bright blobs are negative as before",
)
def dog_stack(image, sigmas):
    return -np.diff(blurs(image, sigmas), axis=0) / per_slice(np.diff(np.log(sigmas)))


@wrong("q3", says="the differences are not divided by ln σ₂ − ln σ₁: a wider pair would then answer more strongly")
def dog_stack(image, sigmas):
    return np.diff(blurs(image, sigmas), axis=0)


@wrong(
    "q3", says="divided by k − 1, which is only the beginning of the series of ln k; Eq. (2) has the logarithm itself"
)
def dog_stack(image, sigmas):
    return np.diff(blurs(image, sigmas), axis=0) / per_slice(sigmas[1:] / sigmas[:-1] - 1)


@wrong("q3", says="divided by σ₂ − σ₁: that is the derivative by σ, and Eq. (2) asks for the one by ln σ")
def dog_stack(image, sigmas):
    return np.diff(blurs(image, sigmas), axis=0) / per_slice(np.diff(sigmas))


@wrong("q3", says="all slices are divided by the logarithm of the first ratio; here each pair has its own")
def dog_stack(image, sigmas):
    return np.diff(blurs(image, sigmas), axis=0) / np.log(sigmas[1] / sigmas[0])


@wrong("q3", says="the logarithm is the one to the base 10; d ln σ = dσ/σ needs the natural one, np.log")
def dog_stack(image, sigmas):
    return np.diff(blurs(image, sigmas), axis=0) / per_slice(np.diff(np.log10(sigmas)))


@wrong("q3", says="all differences are taken to the first scale; each slice belongs to two neighbouring ones")
def dog_stack(image, sigmas):
    f = blurs(image, sigmas)
    return (f[1:] - f[0]) / per_slice(np.diff(np.log(sigmas)))


@wrong("q3", says="each blur is made from the one before by its full σ; variances add, so the blur comes out too large")
def dog_stack(image, sigmas):
    f = [blur(image, sigmas[0])]
    for s in sigmas[1:]:
        f.append(blur(f[-1], s))
    return np.diff(f, axis=0) / per_slice(np.diff(np.log(sigmas)))


@right("q3")
def dog_stack(image, sigmas):
    """One filter for each pair, the difference of two sets of weights, as one matrix product along each axis."""
    slices = []
    for a, b in pairwise(sigmas):
        (ya, yb), (xa, xb) = ([mirrored_gaussian(n, s) for s in (a, b)] for n in image.shape)
        both = yb @ image @ (xb - xa).T + (yb - ya) @ image @ xa.T
        slices.append(both / math.log(b / a))
    return np.array(slices)


def quotient(image, low, high):
    return (blur(image, high) - blur(image, low)) / math.log(high / low)


def laplacian_at(image, sigma):
    return sigma**2 * five_points(blur(image, sigma))


@wrong(
    "q3",
    says="the pair is σ, kσ: then σ is the lower end, not the middle, and the error is of first order; use σ/√k, σ√k",
)
def dog_errors(image, sigma, factors):
    L = laplacian_at(image, sigma)
    return np.array([np.abs(quotient(image, sigma, k * sigma) - L).max() for k in factors]) / np.abs(L).max()


@wrong("q3", says="the pair is σ/k, kσ, whose ratio is k²; from σ/√k to σ√k it is k")
def dog_errors(image, sigma, factors):
    L = laplacian_at(image, sigma)
    return np.array([np.abs(quotient(image, sigma / k, k * sigma) - L).max() for k in factors]) / np.abs(L).max()


def centred(image, sigma, factors):
    return np.array([quotient(image, sigma / math.sqrt(k), sigma * math.sqrt(k)) for k in factors])


@wrong("q3", says="the error is not divided by max |L|: it is in units of brightness, and asked for is a share")
def dog_errors(image, sigma, factors):
    return np.abs(centred(image, sigma, factors) - laplacian_at(image, sigma)).max(axis=(1, 2))


@wrong("q3", says="the error is divided by max |D|, which changes with k itself; the measure is max |L|")
def dog_errors(image, sigma, factors):
    D = centred(image, sigma, factors)
    return np.abs(D - laplacian_at(image, sigma)).max(axis=(1, 2)) / np.abs(D).max(axis=(1, 2))


@wrong(
    "q3", says="|D| is compared with |L| at their peaks only; take the difference at every pixel, and its largest size"
)
def dog_errors(image, sigma, factors):
    L = np.abs(laplacian_at(image, sigma)).max()
    return np.abs(np.abs(centred(image, sigma, factors)).max(axis=(1, 2)) - L) / L


@wrong("q3", says="the mean of |D − L| is taken; asked for is the largest")
def dog_errors(image, sigma, factors):
    L = laplacian_at(image, sigma)
    return np.abs(centred(image, sigma, factors) - L).mean(axis=(1, 2)) / np.abs(L).max()


@wrong("q3", says="the ratio is taken pixel by pixel: where L passes through 0 it explodes; divide once, by max |L|")
def dog_errors(image, sigma, factors):
    L = laplacian_at(image, sigma)
    return np.abs((centred(image, sigma, factors) - L) / L).max(axis=(1, 2))


@right("q3")
def dog_errors(image, sigma, factors):
    """Loops, with the norms of NumPy."""
    L = laplacian_at(image, sigma).ravel()
    errors = []
    for k in factors:
        low = sigma / k**0.5
        errors.append(
            float(np.linalg.norm(quotient(image, low, low * k).ravel() - L, np.inf) / np.linalg.norm(L, np.inf))
        )
    return errors


@wrong("q3", says="√2 σ is the radius for the Laplacian at σ; the pair lies between σ and kσ, so its disc is larger")
def dog_radius(sigma, k):
    return np.sqrt(2) * sigma


@wrong("q3", says="√2 kσ is the radius for the Laplacian at the wider Gaussian; the pair's disc is smaller")
def dog_radius(sigma, k):
    return np.sqrt(2) * k * sigma


@wrong("q3", says="√2 √k σ, the middle of the pair, is near but not exact: set the derivative of the answer to zero")
def dog_radius(sigma, k):
    return np.sqrt(2 * k) * sigma


@wrong("q3", says="the relation is turned round: this is σ for a disc of radius r, asked for is r for a given σ")
def dog_radius(sigma, k):
    return sigma / np.sqrt(4 * np.log(k) / (1 - k**-2.0))


@wrong("q3", says="a square root is missing: this is r²/σ² times σ")
def dog_radius(sigma, k):
    return sigma * 4 * np.log(k) / (1 - k**-2.0)


@wrong(
    "q3",
    says="a factor √2 is missing: this is the scale at which the Laplacian would answer; the radius is √2 times that",
)
def dog_radius(sigma, k):
    return sigma * np.sqrt(2 * np.log(k) / (1 - k**-2.0))


@wrong("q3", says="the exponent r²/2k²σ² has k², so its derivative brings 1/k², not 1/k")
def dog_radius(sigma, k):
    return sigma * np.sqrt(2 * np.log(k) / (1 - 1 / k))


@right("q3")
def dog_radius(sigma, k):
    """Golden section on the answer itself."""
    low, high, g = 1.0, 2.0 * k, (math.sqrt(5) - 1) / 2

    def slope(t):  # of the answer along t = r / sigma
        return math.exp(-(t**2) / 2) - math.exp(-((t / k) ** 2) / 2) / k**2

    while high - low > 1e-12:
        middle = low + (1 - g) * (high - low)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return np.asarray(sigma) * low


# ---------------------------------------------------------------------------------------------
# Question 4: octaves

RIM = 9  # of an octave: a kernel of 4 √3 σ pixels, halved, and as much again for the octave before it


def expect_octaves(student, atlas, image, sigma, first, truth, rim):
    """Compare the octaves from number `first` on, away from their border."""
    count = len(truth)
    answer = student.octaves(image, sigma, count)
    assert not student.changed, CHANGED.format("octaves")
    looks = atlas("octaves", image, sigma, count)
    for says, result in looks.items():
        assert not (is_list(answer, len(result)) and len(result) != count), says
    assert isinstance(answer, list | tuple), f"octaves should give a list of arrays, got {type(answer).__name__}"
    assert len(answer) == count, f"octaves(image, sigma, {count}) should give {count} arrays, got {len(answer)}"
    for i in range(first, count):
        at_i = {says: result[i] for says, result in looks.items() if len(result) == count}
        # Sampled and cut at 4 sigma, Gaussians add their variances to 1e-4 or so.
        mask = inside(truth[i].shape, rim)
        expect_in(mask, answer[i], truth[i], at_i, atol=1e-3, what=f"octave {i}, away from its border,")


def is_list(answer, n):
    return isinstance(answer, list | tuple) and len(answer) == n


@pytest.mark.q("q4", 1)
def test_octaves_of_noise(student, atlas, rng):
    """Octave i is the image smoothed by 2ⁱσ in all, at every 2ⁱ-th pixel: here 0 and 1."""
    image, sigma = rng.uniform(size=(51, 64)), rng.uniform(1.1, 1.5)
    truth = [ndimage_smooth(image, 2**i * sigma)[:: 2**i, :: 2**i] for i in range(2)]
    expect_octaves(student, atlas, image, sigma, 0, truth, 7)


@pytest.mark.q("q4", 1)
def test_later_octaves(student, atlas, rng):
    """The blur is σ in the pixels of every octave, of the last one too."""
    image, sigma = rng.uniform(size=(123, 138)), rng.uniform(1.1, 1.3)
    truth = [ndimage_smooth(image, 2**i * sigma)[:: 2**i, :: 2**i] for i in range(3)]
    expect_octaves(student, atlas, image, sigma, 2, truth, RIM)


@pytest.mark.q("q4", 1)
def test_blobs_stay_where_they_are(student, atlas, rng):
    """Pixel (x, y) of octave 1 lies at (2x, 2y): a Gaussian blob keeps its place and gains the variance 4σ²."""
    shape, sigma, s = (61, 74), rng.uniform(1.1, 1.5), rng.uniform(2, 3)
    cx, cy = rng.uniform(26, 30), rng.uniform(32, 36)

    def blob(step, added):
        y, x = np.ogrid[: shape[0] : step, : shape[1] : step]
        variance = s**2 + added**2
        return s**2 / variance * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * variance))

    expect_octaves(student, atlas, blob(1, 0), sigma, 1, [blob(1, sigma), blob(2, 2 * sigma)], 0)


def pyramid_by(image, sigma, count, further, start=0, smaller=lambda f: f[::2, ::2]):
    """Build octaves from a base; the wrong versions change the further blur or the smaller grid."""
    pyramid = [blur(image, sigma) if start == 0 else image]
    while len(pyramid) < count:
        more = further(sigma, len(pyramid))
        f = pyramid[-1]
        pyramid.append(smaller(blur(f, more) if more else f))
    return pyramid


def root3(sigma, i):
    return math.sqrt(3) * sigma


@wrong(
    "q4",
    says="every second pixel is taken without smoothing to 2σ first: the next octave is aliased, and its blur is σ/2",
)
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count, lambda s, i: 0)


@wrong(
    "q4",
    says="each octave is smoothed by 2σ more: with the σ it has, that makes √5 σ; the variance still to be added "
    "is 4σ² − σ²",
)
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count, lambda s, i: 2 * s)


@wrong(
    "q4",
    says="each octave is smoothed by σ more, which makes √2 σ and not 2σ: variances add up, standard deviations don't",
)
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count, lambda s, i: s)


@wrong(
    "q4",
    says="the further blur doubles from octave to octave: in its own pixels every octave has the blur σ, so it "
    "stays the same",
)
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count, lambda s, i: root3(s, i) * 2 ** (i - 1))


@wrong(
    "q4",
    says="the smoothing comes after the subsampling: it acts on pixels twice as large, and what has been aliased "
    "by then cannot be taken out again",
)
def octaves(image, sigma, count):
    pyramid = [blur(image, sigma)]
    while len(pyramid) < count:
        pyramid.append(blur(pyramid[-1][::2, ::2], math.sqrt(3) * sigma))
    return pyramid


@wrong("q4", says="rows and columns 1, 3, 5, … are kept: begin with 0, so that (x, y) of the octave lies at (2x, 2y)")
def octaves(image, sigma, count):
    def odd(f):
        return np.pad(f, [(0, n % 2) for n in f.shape], mode="edge")[1::2, 1::2]

    return pyramid_by(image, sigma, count, root3, smaller=odd)


@wrong(
    "q4", says="the mean of 2 × 2 pixels stands between them, so blobs move by half a pixel: keep every second pixel"
)
def octaves(image, sigma, count):
    def means(f):
        f = np.pad(f, [(0, n % 2) for n in f.shape], mode="edge")
        return (f[::2, ::2] + f[1::2, ::2] + f[::2, 1::2] + f[1::2, 1::2]) / 4

    return pyramid_by(image, sigma, count, root3, smaller=means)


@wrong("q4", says="octave 0 is the image itself: it too should have the blur σ")
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count, root3, start=1)


@wrong("q4", says="there is one octave too many: `count` counts octave 0 too")
def octaves(image, sigma, count):
    return pyramid_by(image, sigma, count + 1, root3)


@right("q4")
def octaves(image, sigma, count):
    """Every octave straight from the image."""
    return [blur(image, 2**i * sigma)[:: 2**i, :: 2**i] for i in range(count)]


@pytest.mark.q("q4", 1)
def test_from_the_first_octave(student, atlas, rng):
    """Positions (x, y) found in octave 1, in pixels of the image."""
    points = np.column_stack([rng.uniform(5, 40, 4), rng.uniform(50, 90, 4), rng.uniform(1, 3, 4)])
    answer = student.to_image(points, 1)
    assert not student.changed, CHANGED.format("to_image")
    mask = np.array([True, True, False])
    expect_in(mask, answer, 2 * points, atlas("to_image", points, 1), what="the table of (x, y, sigma)")


@pytest.mark.q("q4", 1)
def test_from_any_octave(student, atlas, rng):
    """Positions and scales of octaves 0, 1 and 3."""
    points = np.column_stack([rng.uniform(5, 40, 3), rng.uniform(50, 90, 3), rng.uniform(1, 3, 3)])
    for octave, step in [(3, 8), (1, 2), (0, 1)]:
        answer = student.to_image(points, octave)
        what = f"the table of (x, y, sigma) for octave {octave}"
        expect(answer, step * points, atlas("to_image", points, octave), what=what)


@wrong(
    "q4",
    says="octave i is multiplied by 2 · i; every octave doubles the step once more, so the factor is 2 to the power i",
)
def to_image(points, octave):
    return points * 2.0 * octave


@wrong("q4", says="every octave is multiplied by 2, whatever its number; octave i has a step of 2 to the power i")
def to_image(points, octave):
    return points * 2.0


@wrong(
    "q4",
    says="coordinates are left in the pixels of the octave: one of those is 2 to the power i pixels of the image wide",
)
def to_image(points, octave):
    return points.copy()


@wrong(
    "q4",
    says="half a pixel is added: that rule is for pixels that are means of blocks; here pixel (x, y) was *taken "
    "from* (2x, 2y)",
)
def to_image(points, octave):
    step = 2.0**octave
    return np.column_stack([(points[:, :2] + 0.5) * step - 0.5, points[:, 2] * step])


@wrong("q4", says="the position is carried over, but not the scale: σ too is a length in pixels of the octave")
def to_image(points, octave):
    return points * np.array([2.0**octave, 2.0**octave, 1.0])


@wrong("q4", says="divided by the step: the image has more pixels than the octave, so coordinates grow")
def to_image(points, octave):
    return points / 2.0**octave


@wrong("q4", says="x and y are exchanged: points are (x, y) in both pictures")
def to_image(points, octave):
    return points[:, [1, 0, 2]] * 2.0**octave


@right("q4")
def to_image(points, octave):
    """Double them, octave by octave."""
    points = [list(point) for point in points]
    for _ in range(octave):
        points = [[2 * x, 2 * y, 2 * s] for x, y, s in points]
    return points


# ---------------------------------------------------------------------------------------------
# Question 5: unknown discs


def discs(rng, polarities, shape, noise=0.002, radii=(4.0, 12.0)):
    """Draw discs on gray: the image, and rows (x, y, r, polarity) by ascending x; all x and all y differ by 4.

    Without any noise a disc half-way between two pixels would have two equal samples, and no peak.
    """
    while True:
        truth = np.empty((0, 4))
        for polarity in polarities:
            for _ in range(200):
                r = rng.uniform(*radii)
                x, y = (rng.uniform(1.8 * r, n - 1 - 1.8 * r) for n in shape[::-1])
                apart = np.hypot(truth[:, 0] - x, truth[:, 1] - y) > 1.8 * (truth[:, 2] + r)
                if np.all(apart) and np.all(np.abs(truth[:, :2] - (x, y)) > 4) and abs(x - y) > 4:
                    truth = np.vstack([truth, (x, y, r, polarity)])
                    break
        if len(truth) == len(polarities):
            break
    image = 0.5 + rng.uniform(-noise, noise, size=shape)
    for x, y, r, polarity in truth:
        image += polarity * rng.uniform(0.27, 0.43) * drawn_disc(shape, (x, y), r)
    return image, truth[np.argsort(truth[:, 0])]


def by_x(rows):
    """Sort rows by their first column; leave anything else as it is."""
    rows = np.asarray(rows)
    return rows[np.argsort(rows[:, 0])] if rows.ndim == 2 and rows.shape[1] > 0 else rows


def expect_discs(student, atlas, image, truth, columns, atol):
    answer = student.measure_discs(image)
    assert not student.changed, CHANGED.format("measure_discs")
    try:
        answer = by_x(np.asarray(answer, dtype=np.float64))
    except (TypeError, ValueError):
        raise AssertionError("measure_discs should give one row of four numbers for each disc") from None
    mask = np.isin([0, 1, 2, 3], columns)
    looks = {says: by_x(result) for says, result in atlas("measure_discs", image).items()}
    for says, result in looks.items():
        assert not (result.shape == answer.shape != truth.shape and np.allclose(result, answer, atol=0.1)), says
    wanted = f"one row (x, y, r, polarity) for each disc, shape (N, 4), got {answer.shape}"
    assert answer.shape[1:] == (4,), f"measure_discs should give {wanted}"
    assert len(answer) == len(truth), f"{len(answer)} discs found where there are {len(truth)}"
    expect_in(mask, answer, truth, looks, atol=atol, what="the table of (x, y, r, polarity), by ascending x,")


# A good fit errs by 3 % of the radius and 0.1 pixel; the slips below by 29 % and more.


@pytest.mark.q("q5", 1)
def test_radius_of_a_bright_disc(student, atlas, rng):
    """One bright disc: its radius, within 7 %."""
    image, truth = discs(rng, [1], (62, 70), radii=(6, 12))
    expect_discs(student, atlas, image, truth, [2], 0.07 * truth[0, 2])


@pytest.mark.q("q5", 1)
def test_radius_of_a_dark_disc(student, atlas, rng):
    """One dark disc: its radius, within 7 %."""
    image, truth = discs(rng, [-1], (70, 62), radii=(6, 12))
    expect_discs(student, atlas, image, truth, [2], 0.07 * truth[0, 2])


@pytest.mark.q("q5", 1)
def test_places_of_both_polarities(student, atlas, rng):
    """Bright and dark discs together: all found once, within half a pixel of their (x, y)."""
    image, truth = discs(rng, [1, -1, -1, 1], (96, 118))
    expect_discs(student, atlas, image, truth, [0, 1], 0.5)


@pytest.mark.q("q5", 1)
def test_polarity(student, atlas, rng):
    """Polarity is +1 for bright and −1 for dark discs."""
    image, truth = discs(rng, [-1, 1, -1], (88, 96))
    expect_discs(student, atlas, image, truth, [3], 1e-9)


@pytest.mark.q("q5", 1)
def test_discs_in_noise(student, atlas, rng):
    """With noise: nothing but the discs is found, radii within 0.8 pixels."""
    image, truth = discs(rng, [1, -1, 1], (92, 110), noise=0.05)  # standard deviation 0.029
    expect_discs(student, atlas, image, truth, [2], 0.8)


def found(image, threshold=0.15, slices=False):
    """Blobs of an image as rows (x, y, sigma, polarity, level); kept, since each wrong version asks for the same."""
    return _found(image.tobytes(), image.shape, threshold, slices).copy()


@functools.lru_cache(maxsize=32)
def _found(data, shape, threshold, slices):
    stack, sigmas = _stack(data, shape)
    use = (lambda s, y, x: s == 0) if slices else (lambda s, y, x: True)
    peaks = np.argwhere(np.logical_or(*peaks_by(stack, threshold, use))) + 1
    points = placed(peaks, np.clip(solved(*derivatives(stack, peaks)), -1, 1), sigmas)
    return np.column_stack([points, -np.sign(stack[tuple(peaks.T)]), peaks[:, 0]])


@functools.lru_cache(maxsize=8)
def _stack(data, shape):
    image = np.frombuffer(data).reshape(shape)
    sigmas = 1.6 * 2 ** (np.arange(15) / 4)
    return np.array([laplacian_at(image, s) for s in sigmas]), sigmas


def table(blobs, factor):
    """Rows (x, y, r, polarity) with r = factor · sigma."""
    return blobs[:, :4] * [1, 1, factor, 1]


@wrong("q5", says="the radius is taken as σ itself; a disc of radius r answers most strongly at σ = r/√2, so r = √2 σ")
def measure_discs(image):
    return table(found(image), 1)


@wrong("q5", says="the relation is turned round: from σ = r/√2 follows r = √2 σ, not σ/√2")
def measure_discs(image):
    return table(found(image), 1 / math.sqrt(2))


@wrong("q5", says="r = 2σ belongs to the filter without σ², whose peak is at r/2; the normalised one peaks at r/√2")
def measure_discs(image):
    return table(found(image), 2)


@wrong("q5", says="this is the diameter; the radius is half of it")
def measure_discs(image):
    return table(found(image), 2 * math.sqrt(2))


@wrong("q5", says="the radius is computed from the number of the level; look the σ of the level up first")
def measure_discs(image):
    blobs = found(image)
    blobs[:, 2] = blobs[:, 4]
    return table(blobs, math.sqrt(2))


@wrong("q5", says="only the bright discs are found: a dark disc is a maximum of the stack, and counts as well")
def measure_discs(image):
    blobs = found(image)
    return table(blobs[blobs[:, 3] > 0], math.sqrt(2))


@wrong("q5", says="only the dark discs are found: a bright disc is a minimum of the stack, and counts as well")
def measure_discs(image):
    blobs = found(image)
    return table(blobs[blobs[:, 3] < 0], math.sqrt(2))


@wrong(
    "q5",
    says="the polarity is turned: the Laplacian is *negative* on a bright disc, so bright, +1, is where the "
    "stack is below 0",
)
def measure_discs(image):
    return table(found(image), math.sqrt(2)) * [1, 1, 1, -1]


@wrong("q5", says="all discs are called bright: the sign of the answer at the peak tells the polarity")
def measure_discs(image):
    return np.abs(table(found(image), math.sqrt(2)))


@wrong("q5", says="centres are given as (row, col): x is the column and comes first")
def measure_discs(image):
    return table(found(image), math.sqrt(2))[:, [1, 0, 2, 3]]


@wrong(
    "q5", says="each disc is found in many slices: the peak must be one along σ as well, which is what tells the size"
)
def measure_discs(image):
    return table(found(image, slices=True), math.sqrt(2))


@wrong(
    "q5",
    says="outlines are found too: an edge answers with 0.24 c at every scale, so the threshold must lie above 0.11",
)
def measure_discs(image):
    return table(found(image, threshold=0.02), math.sqrt(2))


@right("q5")
def measure_discs(image):
    """Differences of Gaussians, the strongest first, each peak silencing what lies within it; three parabolas."""
    k = 2 ** (1 / 5)
    sigmas = 1.5 * k ** np.arange(20)
    stack = np.diff(blurs(image, sigmas), axis=0) / math.log(k)
    strength = np.abs(stack)
    strength[[0, -1]] = strength[:, [0, -1]] = strength[:, :, [0, -1]] = 0
    rows, columns = np.indices(image.shape)
    result = []
    while True:
        s, y, x = np.unravel_index(np.argmax(strength), stack.shape)
        if strength[s, y, x] < 0.16:
            return result
        f, d = stack[s - 1 : s + 2, y - 1 : y + 2, x - 1 : x + 2], []
        for before, v, after in [f[:, 1, 1], f[1, :, 1], f[1, 1, :]]:
            d.append((before - after) / (2 * (before - 2 * v + after)))
        r = 1.5 * k ** (s + d[0]) * math.sqrt(4 * math.log(k) / (1 - k**-2))
        result.append((x + d[2], y + d[1], r, 1 if stack[s, y, x] < 0 else -1))
        strength[:, np.hypot(rows - y, columns - x) < 1.7 * r] = 0
