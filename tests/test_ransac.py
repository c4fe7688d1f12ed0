import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage import measure
from skimage import transform as skimage_transform

from cvcourse import ransac as module
from cvcourse.alignment import fit_homography, fit_similarity, fit_translation, transfer_errors
from cvcourse.homogeneous import transform_points
from cvcourse.ransac import (
    HOMOGRAPHY,
    Estimator,
    exact_rounds,
    is_twisted,
    ransac,
    ransac_homography,
    residual_threshold,
    rounds_needed,
    trials,
)
from cvcourse.transforms import is_same_transform

H_TRUE = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [4e-4, -2e-4, 1.0]])
H_OTHER = np.array([[0.8, -0.3, 150.0], [0.2, 1.1, -40.0], [-2e-4, 3e-4, 1.0]])
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def fit_line(x, y):
    """Slope and intercept; two equal x do not determine them."""
    if np.ptp(x) == 0:
        raise ValueError("a vertical line")
    return np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y)[0]


LINE = Estimator(fit_line, lambda line, x, y: np.abs(line[0] * x + line[1] - y), 2)
SHIFT = Estimator(fit_translation, transfer_errors, 1)
SIMILARITY = Estimator(fit_similarity, transfer_errors, 2)


def line_data(n=100, share=0.6, seed=0, sigma=0.0):
    """Points of y = 2 x + 1 with a share of inliers, in random order; the rest lies 5 or more away."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-10, 10, n)
    good = rng.permutation(n) < round(share * n)
    y = 2 * x + 1 + sigma * rng.normal(size=n)
    y[~good] += rng.choice([-1, 1], (~good).sum()) * rng.uniform(5, 50, (~good).sum())
    return x, y, good


def pairs(n=200, share=0.5, seed=0, sigma=0.5, T=H_TRUE):
    """Pairs of T and random ones, in random order; the truth is who is of T."""
    rng = np.random.default_rng(seed)
    src = rng.uniform((0, 0), (640, 480), (n, 2))
    good = rng.permutation(n) < round(share * n)
    dst = np.where(good[:, None], transform_points(T, src) + sigma * rng.normal(size=(n, 2)), 0)
    dst[~good] = rng.uniform((0, 0), (640, 480), ((~good).sum(), 2))
    return src, dst, good


# --- rounds

# Hartley & Zisserman, 2nd ed., table 4.3: rows s = 2 ... 8, columns the share of outliers in percent
BOOK_OUTLIERS = (5, 10, 20, 25, 30, 40, 50)
BOOK = {
    2: (2, 3, 5, 6, 7, 11, 17),
    3: (3, 4, 7, 9, 11, 19, 35),
    4: (3, 5, 9, 13, 17, 34, 72),
    5: (4, 6, 12, 17, 26, 57, 146),
    6: (4, 7, 16, 24, 37, 97, 293),
    7: (4, 8, 20, 33, 54, 163, 588),
    8: (5, 9, 26, 44, 78, 272, 1177),
}


@pytest.mark.parametrize("size", BOOK)
def test_rounds_are_those_of_the_book(size):
    assert tuple(rounds_needed(1 - share / 100, size) for share in BOOK_OUTLIERS) == BOOK[size]


@pytest.mark.parametrize(
    "n, inliers, size, exact, formula", [(12, 6, 4, 150, 72), (20, 10, 4, 104, 72), (100, 50, 8, 1594, 1177)]
)
def test_few_points_need_more_rounds_than_the_formula(n, inliers, size, exact, formula):
    assert exact_rounds(inliers, n, size) == exact
    assert rounds_needed(inliers / n, size) == formula


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.data())
def test_exact_rounds_are_the_fewest_that_suffice(n, data):
    inliers, size = data.draw(st.integers(0, n)), data.draw(st.integers(1, min(n, 8)))
    confidence = data.draw(st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.9999]))
    rounds = exact_rounds(inliers, n, size, confidence)
    clean = Fraction(math.comb(inliers, size), math.comb(n, size))
    if clean == 0:
        assert rounds == math.inf
        return
    assert isinstance(rounds, int) and rounds >= 1
    if clean < 1:  # (1 - clean)^rounds <= 1 - confidence: enough rounds, and one fewer is not, to rounding
        wanted = math.log1p(-confidence) / math.log1p(-float(clean))
        assert wanted * (1 - 1e-9) <= rounds < wanted * (1 + 1e-9) + 1


@pytest.mark.parametrize("inliers, n, size", [(6, 12, 4), (31, 90, 5), (4, 4, 4), (300, 1000, 8)])
def test_the_chance_is_hypergeometric(inliers, n, size):
    chance = stats.hypergeom(n, inliers, size).pmf(size)
    assert module._clean_chance(inliers, n, size) == pytest.approx(chance, rel=1e-9)


def test_many_points_are_as_good_as_replacement():
    assert exact_rounds(500_000, 1_000_000, 4) == rounds_needed(0.5, 4)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.floats(0.01, 0.999))
def test_more_inliers_never_need_more_rounds(p, q, size, confidence):
    low, high = sorted((p, q))
    assert rounds_needed(low, size, confidence) >= rounds_needed(high, size, confidence)
    assert rounds_needed(low, size + 1, confidence) >= rounds_needed(low, size, confidence)


def test_ends_of_the_range():
    assert rounds_needed(1, 4) == 1 and rounds_needed(1.0, 4, 0.999999) == 1
    assert rounds_needed(0, 4) == math.inf
    assert exact_rounds(7, 7, 7) == 1 and exact_rounds(3, 100, 4) == math.inf
    assert rounds_needed(1e-60, 8) == math.inf  # 1e-480 is no float
    assert rounds_needed(0.5, 1, 0.75) == 2  # a whole number is not rounded up to the next
    assert rounds_needed(0.9, 1, 0.01) == 1


@pytest.mark.parametrize("ratio, size", [(1e-5, 4), (1e-3, 8), (1e-30, 3)])
def test_a_tiny_chance_does_not_divide_by_zero(ratio, size):
    assert math.log(1 - ratio**size) == 0  # the trap
    assert rounds_needed(ratio, size) == pytest.approx(-math.log1p(-0.99) / ratio**size, rel=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("coverage", [0.5, 0.95, 0.999])
def test_threshold_covers_what_it_says(dim, coverage):
    threshold = residual_threshold(0.7, dim, coverage)
    assert threshold == pytest.approx(0.7 * math.sqrt(stats.chi2.ppf(coverage, dim)), rel=1e-9)
    lengths = np.linalg.norm(0.7 * np.random.default_rng(1).normal(size=(20_000, dim)), axis=1)
    # a share of 20,000: its standard deviation is at most sqrt(1/4 / 20,000) = 0.0035
    assert np.mean(lengths <= threshold) == pytest.approx(coverage, abs=0.0142)


def test_the_threshold_of_homographies_is_the_root_of_5_99():
    assert residual_threshold(1.0) == pytest.approx(math.sqrt(5.99), abs=1e-3)


# --- the generic loop


@pytest.mark.parametrize("share", [1.0, 0.6, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_finds_the_line_among_outliers(share, seed):
    x, y, good = line_data(share=share, seed=seed)
    found = ransac(x, y, LINE, 0.1, rng=seed, confidence=0.9999)
    np.testing.assert_allclose(found.model, [2, 1], atol=1e-9)
    np.testing.assert_array_equal(found.inliers, good)
    assert 1 <= found.rounds <= exact_rounds(int(good.sum()), 100, 2, 0.9999)  # each clean sample sees all, so stops


@pytest.mark.parametrize(
    "estimator, T",
    [
        (SHIFT, np.array([[1, 0, 20], [0, 1, -7], [0, 0, 1.0]])),
        (SIMILARITY, np.array([[2, -1, 3], [1, 2, 4], [0, 0, 1.0]])),
        (HOMOGRAPHY, H_TRUE),
    ],
)
def test_any_model_goes_through_the_same_loop(estimator, T):
    src, dst, good = pairs(80, 0.7, sigma=0, T=T)
    found = ransac(src, dst, estimator, 0.01, rng=3, confidence=0.9999)
    np.testing.assert_array_equal(found.inliers, good)
    assert is_same_transform(found.model, T, atol=1e-7)


def test_the_model_is_the_fit_to_its_inliers_and_these_are_its_own():
    src, dst, _ = pairs(300, 0.6, seed=4)
    for found in (ransac(src, dst, HOMOGRAPHY, 1.2, rng=0), ransac_homography(src, dst, 1.2, rng=0)):
        np.testing.assert_array_equal(found.inliers, transfer_errors(found.model, src, dst) <= 1.2)
        refitted = fit_homography(src[found.inliers], dst[found.inliers])
        np.testing.assert_allclose(found.model, refitted, rtol=1e-7)


def test_refitting_lowers_the_error():
    """A line through 2 points of noise sigma against one through 60: less in every run but few."""
    better = 0
    for seed in range(40):
        x, y, _ = line_data(seed=seed, sigma=0.2)
        steps = itertools.islice(trials(x, y, LINE, 0.5, rng=seed), 40)
        best = max(steps, key=lambda trial: trial.inliers.sum())
        found = ransac(x, y, LINE, 0.5, rng=seed)
        better += np.hypot(*(found.model - [2, 1])) < np.hypot(*(best.model - [2, 1]))
    assert better >= 30


def test_agrees_with_scikit_image():
    src, dst, good = pairs(150, 0.5, sigma=0.1)
    _, inliers = measure.ransac(
        (src, dst), skimage_transform.ProjectiveTransform, 4, 1.0, max_trials=3000, stop_probability=0.9999, rng=0
    )
    found = ransac_homography(src, dst, 1.0, rng=0, confidence=0.9999)
    np.testing.assert_array_equal(found.inliers, inliers)
    np.testing.assert_array_equal(found.inliers, good)


def test_success_is_as_frequent_as_promised():
    """2,000 runs of exactly R rounds on exact data: within the 99.99 % interval of the binomial distribution."""
    src, dst, good = pairs(40, 0.5, sigma=0)
    rounds = exact_rounds(20, 40, 4, 0.9)
    won = sum(
        np.array_equal(ransac_homography(src, dst, 0.01, rng=seed, max_rounds=rounds).inliers, good)
        for seed in range(2000)
    )
    clean = 1 - (1 - module._clean_chance(20, 40, 4)) ** rounds
    low, high = stats.binom(2000, clean).interval(0.9999)
    assert low <= won <= high


def test_trials_are_the_rounds_of_ransac():
    x, y, _ = line_data()
    found = ransac(x, y, LINE, 0.1, rng=7)
    steps = list(itertools.islice(trials(x, y, LINE, 0.1, rng=7), found.rounds))
    needed = [step.needed for step in steps]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] <= found.rounds and all(k < rounds for k, rounds in enumerate(needed[:-1], start=1))
    for step in steps:
        assert len(set(step.sample.tolist())) == 2
        np.testing.assert_array_equal(step.inliers, LINE.residuals(step.model, x, y) <= 0.1)


def test_samples_are_drawn_evenly_and_without_repetition():
    """All C(6, 4) = 15 subsets of six pairs, by chi-squared with 14 degrees: 36 is exceeded once in a thousand."""
    src = np.random.default_rng(0).uniform(size=(6, 2))
    generic = [tuple(sorted(t.sample)) for t in itertools.islice(trials(src, src, HOMOGRAPHY, 1.0, rng=0), 3000)]
    columns, p, q = np.arange(6.0) * np.ones((4, 1)), np.empty((4, 2)), np.empty((4, 2))
    state, compiled, first = np.uint64(5), [], []
    for _ in range(3000):
        state = module._draw_four(columns, p, q, np.uint64(state))
        compiled.append(tuple(sorted(p[:, 0].astype(int).tolist())))
        first.append(int(p[0, 0]))
    for drawn in (generic, compiled):
        counts = np.unique(drawn, axis=0, return_counts=True)[1]
        assert len(counts) == 15 and np.sum((counts - 200) ** 2 / 200) < 36
    assert np.sum((np.bincount(first, minlength=6) - 500) ** 2 / 500) < 20.5  # 5 degrees


def test_rejected_samples_count_as_rounds_and_have_no_model():
    x, y, _ = line_data()
    never = LINE._replace(is_degenerate=lambda x, y: True)
    step = next(trials(x, y, never, 0.1, rng=0))
    assert step.model is None and not step.inliers.any() and step.needed == math.inf
    with pytest.raises(ValueError, match="no model in 50 rounds"):
        ransac(x, y, never, 0.1, rng=0, max_rounds=50)
    with pytest.raises(ValueError, match="no model in 50 rounds"):  # fit itself refuses
        ransac(np.ones(9), np.arange(9.0), LINE, 0.1, rng=0, max_rounds=50)


def test_inliers_that_determine_nothing_leave_the_sample_s_model():
    """One sample fits; all its inliers together are refused by a picky fit."""

    def picky(x, y):
        if len(x) > 2:
            raise ValueError("too many")
        return fit_line(x, y)

    x, y, good = line_data()
    found = ransac(x, y, LINE._replace(fit=picky), 0.1, rng=0, confidence=0.9999)
    np.testing.assert_array_equal(found.inliers, good)
    np.testing.assert_allclose(found.model, [2, 1], atol=1e-9)


def test_nan_residuals_are_no_inliers():
    x, y, good = line_data()
    spoilt = LINE._replace(residuals=lambda m, x, y: np.where(x > 0, np.nan, LINE.residuals(m, x, y)))
    found = ransac(x, y, spoilt, 0.1, rng=0, confidence=0.9999)
    np.testing.assert_array_equal(found.inliers, good & (x <= 0))


# --- chance


@pytest.mark.parametrize("search", [lambda *a, **k: ransac(*a[:2], HOMOGRAPHY, a[2], **k), ransac_homography])
def test_the_seed_alone_decides(search):
    src, dst, _ = pairs(60, 0.5, seed=2, sigma=1.0)
    before, state = (src.copy(), dst.copy()), np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = search(src, dst, 2.0, rng=5), search(src, dst, 2.0, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(one.model, two.model)
    assert one.rounds == two.rounds
    assert len({search(src, dst, 2.0, rng=seed).rounds for seed in range(8)}) > 1
    rng = np.random.default_rng(5)
    assert len({search(src, dst, 2.0, rng=rng).rounds for _ in range(8)}) > 1  # the generator moves on
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002 - nobody's global generator does
    np.testing.assert_array_equal(before, (src, dst))


# --- homographies


@pytest.mark.parametrize("n, share", [(8, 0.8), *itertools.product([50, 127, 129, 1000], [0.5, 0.8])])
def test_compiled_and_generic_loops_agree(n, share):
    src, dst, good = pairs(n, share, seed=n, sigma=0.1)
    generic = ransac(src, dst, HOMOGRAPHY, 0.6, rng=1, confidence=0.9999)
    compiled = ransac_homography(src, dst, 0.6, rng=1, confidence=0.9999)
    np.testing.assert_array_equal(generic.inliers, compiled.inliers)
    np.testing.assert_allclose(generic.model, compiled.model, rtol=1e-6)
    assert compiled.inliers[good].all()
    assert np.max(transfer_errors(compiled.model, src[good], transform_points(H_TRUE, src[good]))) < 0.6


def test_counting_gives_up_only_what_cannot_win():
    src, dst, _ = pairs(1000, 0.5, seed=3)
    columns, _ = module._shuffled(src, dst, np.uint64(1))
    exact = float(np.sum(transfer_errors(H_TRUE, src, dst) <= 1.5))
    assert module._count(columns, H_TRUE, 1.5**2, 0.0) == exact
    assert module._count(columns, H_TRUE, 1.5**2, exact - 1) == exact
    assert module._count(columns, H_TRUE, 1.5**2, exact) == 0  # as good is not better
    assert module._count(columns, np.eye(3), 1.5**2, exact) == 0


def test_giving_up_rarely_loses_a_model_as_good_as_the_best():
    src, dst, _ = pairs(1000, 0.3, seed=3)
    exact = float(np.sum(transfer_errors(H_TRUE, src, dst) <= 1.5))
    lost = 0
    for seed in range(2000):
        columns, _ = module._shuffled(src, dst, np.uint64(seed))
        lost += module._count(columns, H_TRUE, 1.5**2, exact - 1) == 0
    assert lost <= 3  # 7 blocks at 3e-5 each: 0.4 of 2,000 expected


@pytest.mark.parametrize("offset, scale", [(1e6, 1.0), (0, 1e-4), (-5e4, 1e3)])
def test_far_or_small_coordinates(offset, scale):
    src, dst, good = pairs(100, 0.6, sigma=0)
    found = ransac_homography(scale * src + offset, scale * dst + offset, 0.01 * scale, rng=0)
    np.testing.assert_array_equal(found.inliers, good)


def test_a_homography_without_a_last_one():
    H = np.array([[1.0, 0.3, 200.0], [-0.2, 1.0, 100.0], [2e-3, 1e-3, 0.0]])
    src, dst, good = pairs(100, 0.6, sigma=0, T=H)
    found = ransac_homography(src, dst, 0.01, rng=0, confidence=0.9999)
    np.testing.assert_array_equal(found.inliers, good)
    assert is_same_transform(found.model, H, atol=1e-7)


def test_the_larger_of_two_planes_wins():
    first, second = pairs(60, 1.0, seed=1), pairs(40, 1.0, seed=2, T=H_OTHER)
    src, dst = (np.concatenate(both) for both in zip(first[:2], second[:2], strict=True))
    for order in (np.arange(100), np.arange(100)[::-1]):
        found = ransac_homography(src[order], dst[order], 2.0, rng=0, confidence=0.9999)
        assert np.sum(found.inliers[np.argsort(order)][:60]) >= 57 and found.inliers.sum() <= 63


def test_four_pairs_fit_themselves():
    found = ransac_homography(SQUARE, 2 * SQUARE + [3, 4], 0.1, rng=0)
    np.testing.assert_allclose(found.model, [[2, 0, 3], [0, 2, 4], [0, 0, 1]], atol=1e-9)
    assert found.inliers.all() and found.rounds == 1


@pytest.mark.parametrize("T", [H_TRUE, H_OTHER, -H_TRUE, np.diag([-1.0, 1.0, 1.0]) @ H_TRUE])
def test_photographs_are_not_twisted(T):
    """A homography that keeps all points on one side of its vanishing line, a mirror too."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        src = rng.uniform((0, 0), (640, 480), (4, 2))
        assert not is_twisted(src, transform_points(T, src))


def test_twisted_is_what_passes_through_infinity():
    """The homography through four pairs has third coordinates of both signs exactly for the twisted ones."""
    rng = np.random.default_rng(1)
    seen = []
    for _ in range(200):
        src, dst = rng.uniform(0, 100, (2, 4, 2))
        w = np.column_stack([src, np.ones(4)]) @ fit_homography(src, dst)[2]
        assert is_twisted(src, dst) == (abs(np.sign(w).sum()) != 4)
        seen.append(is_twisted(src, dst))
    assert 0 < sum(seen) < 200


def test_flat_samples_are_twisted():
    flat = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [0.0, 5.0]])
    assert is_twisted(flat, SQUARE) and is_twisted(SQUARE, flat) and is_twisted(np.zeros((4, 2)), SQUARE)


@settings(max_examples=30, deadline=None)
@given(st.integers(4, 40), st.sampled_from(["C", "F", "strided", "list", "float32", "int"]), st.integers(0, 50))
def test_any_layout_is_served(n, layout, seed):
    src, dst, _ = pairs(n, 1.0, seed=seed, sigma=0)
    src = np.round(src) if layout == "int" else src
    dst = transform_points(np.diag([2, 3, 1]), src)
    given_src = {
        "C": src, "F": np.asfortranarray(src), "strided": np.repeat(src, 2, axis=0)[::2], "list": src.tolist(),
        "float32": src.astype(np.float32), "int": src.astype(np.int64),
    }[layout]  # fmt: skip
    found = ransac_homography(given_src, dst, 0.1, rng=seed)
    assert found.inliers.shape == (n,) and found.inliers.dtype == bool and found.model.shape == (3, 3)
    assert found.inliers.all() and np.isfinite(found.model).all()


# --- refusals

ROW = np.column_stack([np.arange(9.0), np.arange(9.0)])
GOOD = np.random.default_rng(0).uniform(size=(9, 2))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: rounds_needed(-0.1, 4), ValueError, "inlier_ratio is a probability"),
        (lambda: rounds_needed(1.1, 4), ValueError, "got 1.1"),
        (lambda: rounds_needed(math.nan, 4), ValueError, "got nan"),
        (lambda: rounds_needed(0.5, 0), ValueError, "1 or more points, got 0"),
        (lambda: rounds_needed(0.5, 4, 1.0), ValueError, "confidence is a probability"),
        (lambda: rounds_needed(0.5, 4, 0.0), ValueError, "both excluded"),
        (lambda: exact_rounds(3, 3, 4), ValueError, "sample of 4 cannot be drawn from 3"),
        (lambda: exact_rounds(5, 4, 2), ValueError, "0 … 4 are inliers, got 5"),
        (lambda: exact_rounds(-1, 4, 2), ValueError, "got -1"),
        (lambda: residual_threshold(0), ValueError, "sigma"),
        (lambda: residual_threshold(math.inf), ValueError, "sigma"),
        (lambda: residual_threshold(1, dim=0), ValueError, "number of coordinates"),
        (lambda: residual_threshold(1, coverage=1), ValueError, "coverage"),
        (lambda: ransac(GOOD, GOOD[:5], HOMOGRAPHY, 1, rng=0), ValueError, "same number of rows"),
        (lambda: ransac(1.0, GOOD, HOMOGRAPHY, 1, rng=0), ValueError, "same number of rows"),
        (lambda: ransac(GOOD[:3], GOOD[:3], HOMOGRAPHY, 1, rng=0), ValueError, "takes 4 pairs, got 3"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY, 0, rng=0), ValueError, "threshold"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY, math.nan, rng=0), ValueError, "threshold"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY, 1, rng=None), TypeError, "rng must be"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY, 1, rng=0, confidence=1), ValueError, "confidence"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY, 1, rng=0, max_rounds=0), ValueError, "max_rounds"),
        (lambda: ransac(GOOD, GOOD, HOMOGRAPHY._replace(sample_size=0), 1, rng=0), ValueError, "1 or more points"),
        (
            lambda: ransac(GOOD, GOOD, HOMOGRAPHY._replace(residuals=lambda m, s, d: d - s), 1, rng=0),
            ValueError,
            r"9 numbers, one a row, got shape \(9, 2\)",
        ),
        (lambda: ransac_homography(GOOD, GOOD[:5], 1, rng=0), ValueError, "same number of rows"),
        (lambda: ransac_homography(GOOD[:3], GOOD[:3], 1, rng=0), ValueError, "takes 4 pairs, got 3"),
        (lambda: ransac_homography(GOOD, GOOD * np.nan, 1, rng=0), ValueError, "dst hold NaN"),
        (lambda: ransac_homography(GOOD, GOOD, -1, rng=0), ValueError, "threshold"),
        (lambda: ransac_homography(GOOD, GOOD, 1, rng=0, confidence=0), ValueError, "confidence"),
        (lambda: ransac_homography(GOOD, GOOD, 1, rng=0, max_rounds=-3), ValueError, "max_rounds"),
        (lambda: ransac_homography(GOOD, GOOD, 1, rng="0"), TypeError, "rng must be"),
        (lambda: ransac_homography(ROW, ROW, 1, rng=0, max_rounds=90), ValueError, "no model in 90 rounds"),
        (lambda: is_twisted(SQUARE[:3], SQUARE), ValueError, "four pairs are needed, got 3 and 4"),
    ],
)
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
