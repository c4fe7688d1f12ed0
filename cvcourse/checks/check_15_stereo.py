"""Checks of exercise 15_stereo, the mistakes they know, and second solutions.

Oracles: the definitions summed window by window, ``numpy.corrcoef``, ``numpy.polyfit`` for the parabola, scenes whose
disparities are known by construction, points projected into two cameras, and Dijkstra's shortest path for the rows.
"""

import itertools

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from cvcourse.checks import expect, right, wrong

LATER = ("two_view", "structure_from_motion")
LIBRARIES = ("scipy", "skimage", "cv2", "PIL", "torch", "cvcourse.stereo", *(f"cvcourse.{name}" for name in LATER))
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5")}

UNKNOWN = -999.0  # stands for NaN and CANNOT for infinity, so that answers can be compared
CANNOT = 9999.0


# ---------------------------------------------------------------------------------------------
# Reading the answers


def numbers(answer, *case):
    """Read an answer as numbers; NaN and infinity become numbers that nothing else is."""
    assert answer is not None, "the result is None: does the function end with a return?"
    try:
        values = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"the result should be numbers, not {type(answer).__name__}") from None
    return np.where(np.isnan(values), UNKNOWN, np.clip(values, -CANNOT, CANNOT))


def judge(student, atlas, name, cases, truth, what, atol=1e-9, read=numbers):
    """Compare the answers to one or several calls with the truth, and name the mistake that fits all of them."""
    __tracebackhide__ = True
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case), *case))
        assert not student.changed, CHANGED
        for says, result in atlas(name, *case).items():
            try:
                looks.setdefault(says, []).append(read(result, *case))
            except AssertionError:
                continue
    looks = {says: given for says, given in looks.items() if len(given) == len(cases)}
    for k, (answer, expected) in enumerate(zip(answers, truth, strict=True)):
        if not _equal(answer, expected, atol):
            fitting = {
                says: given[k]
                for says, given in looks.items()
                if all(_equal(a, g, atol) for a, g in zip(answers, given, strict=True))
            }
            expect(answer, numbers(expected), fitting or {s: g[k] for s, g in looks.items()}, atol=atol, what=what)


def _equal(a, b, atol):
    return np.shape(a) == np.shape(b) and bool(np.allclose(a, numbers(b), rtol=0, atol=atol))


CHANGED = "an argument is overwritten: the caller needs it again; work on copies, or in new arrays"


# ---------------------------------------------------------------------------------------------
# Question 1: comparing windows


def definition(left, right, first, last, size):
    """Eq. (1), pixel by pixel."""
    H, W = left.shape
    r = size // 2
    volume = np.full((H, W, last - first + 1), np.inf)
    for y, x, k in np.ndindex(*volume.shape):
        d = first + k
        if x >= d:
            terms = [
                (left[v, u] - right[v, u - d]) ** 2
                for v in range(max(0, y - r), min(H, y + r + 1))
                for u in range(max(0, d, x - r), min(W, x + r + 1))
            ]
            volume[y, x, k] = sum(terms) / len(terms)
    return volume


@pytest.mark.q("q1", 1)
def test_single_pixels(student, atlas, rng):
    """Windows of one pixel, candidates from 0: squares, and infinity where no partner is."""
    left, right_ = rng.random((2, 4, 9))
    judge(student, atlas, "cost_volume", [(left, right_, 0, 4, 1)], [definition(left, right_, 0, 4, 1)], "the volume")


@pytest.mark.q("q1", 1)
def test_first_candidate(student, atlas, rng):
    """A range that does not begin at 0."""
    left, right_ = rng.random((2, 3, 11))
    judge(student, atlas, "cost_volume", [(left, right_, 3, 6, 1)], [definition(left, right_, 3, 6, 1)], "the volume")


@pytest.mark.q("q1", 2)
def test_windows(student, atlas, rng):
    """Windows of 3 x 3 and 5 x 5, with the right number of terms at the borders."""
    left, right_ = rng.random((2, 7, 12))
    cases = [(left, right_, 2, 5, size) for size in (3, 5)]
    judge(student, atlas, "cost_volume", cases, [definition(*case) for case in cases], "the volume")


@pytest.mark.q("q1", 1)
def test_shifted_pair(student, atlas, rng):
    """A pair that is shifted by 4: the candidate 4 costs nothing."""
    wide = rng.random((6, 24))
    left, right_ = wide[:, :18].copy(), wide[:, 4:22].copy()
    case = (left, right_, 1, 7, 3)
    judge(student, atlas, "cost_volume", [case], [definition(*case)], "the volume")


@pytest.mark.q("q1", 2)
def test_correlation(student, atlas, rng):
    """1 minus the correlation coefficient, whatever gain and offset; 1 for a flat window."""
    cases, truth = [], []
    for shape in ((3, 5), (7, 4)):
        A, B = rng.random((2, *shape))
        for other in (B, 0.6 * A + 0.1, 1 - 0.5 * A, 0.3 * B + 0.2):
            cases.append((A, other))
            truth.append(1 - np.corrcoef(A.ravel(), other.ravel())[0, 1])
    cases.append((rng.random((3, 3)), np.full((3, 3), 0.25)))
    truth.append(1.0)
    judge(student, atlas, "ncc_cost", cases, truth, "the cost")


def _volume(left, right_, first, last, size, sign=1, square=np.square, wrap=False, outside=np.inf, count=True, r=None):
    """Right, or with one thing changed."""
    H, W = left.shape
    r = size // 2 if r is None else r
    volume = np.full((H, W, last - first + 1), outside)
    for d in range(first, last + 1):
        lo, hi = (0, W) if wrap else (max(0, sign * d), W + min(0, sign * d))
        e = square(left - np.roll(right_, sign * d, axis=1))[:, lo:hi]
        padded, there = np.pad(e, r), np.pad(np.ones(e.shape), r)
        view, n = (np.lib.stride_tricks.sliding_window_view(a, (2 * r + 1, 2 * r + 1)) for a in (padded, there))
        n = n.sum(axis=(2, 3)) if count is True else count
        volume[:, lo:hi, d - first] = view.sum(axis=(2, 3)) / n
    return volume


@wrong("q1", says="the partner is sought at x + d: what is on the left at x is on the right at x − d, farther left")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, sign=-1)


@wrong("q1", says="np.roll wraps around: what leaves at one side comes in at the other, as partners that do not exist")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, wrap=True)


@wrong("q1", says="candidates without a partner cost 0: the least cost will be exactly there; they cost infinity")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, outside=0.0)


@wrong("q1", says="candidates without a partner are NaN: NaN beats every minimum; they cost infinity")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, outside=np.nan)


@wrong(
    "q1", says="this is the sum over the window, not the mean: at the borders it has fewer terms, so it looks cheaper"
)
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, count=1.0)


@wrong(
    "q1", says="the sum is divided by size² everywhere: at the borders there are fewer terms, divide by their number"
)
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, count=float(size * size))


@wrong("q1", says="these are absolute differences: Eq. (1) has squares")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, square=np.abs)


@wrong("q1", says="size is taken for the radius: the window has size × size pixels, size // 2 to each side")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, r=size)


@wrong("q1", says="the difference is squared after the mean: opposite differences cancel; square first")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size, square=lambda e: e) ** 2


@wrong("q1", says="the last candidate is missing: both ends of the range are included")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, first, last, size)[:, :, :-1]


@wrong("q1", says="the range begins at 0 instead of first: index k of the volume is the disparity first + k")
def cost_volume(left, right, first, last, size):
    return _volume(left, right, 0, last - first, size)


@wrong("q1", says="left and right are exchanged: the volume is for the pixels of the left picture")
def cost_volume(left, right, first, last, size):
    return _volume(right, left, first, last, size)


@wrong("q1", says=CHANGED)
def cost_volume(left, right, first, last, size):
    volume = _volume(left, right, first, last, size)
    left -= right
    return volume


@right("q1")
def cost_volume(left, right, first, last, size):
    """By tables of sums over everything up to a pixel."""
    H, W = left.shape
    r, planes = size // 2, []
    for d in range(first, last + 1):
        e, n = np.zeros((H, W)), np.zeros((H, W))
        e[:, d:], n[:, d:] = (left[:, d:] - right[:, : W - d]) ** 2, 1
        sums = []
        for field in (e, n):
            table = np.zeros((H + 1, W + 1))
            table[1:, 1:] = field.cumsum(axis=0).cumsum(axis=1)
            top, bottom = np.clip(np.arange(H) - r, 0, H)[:, None], np.clip(np.arange(H) + r + 1, 0, H)[:, None]
            lo, hi = np.clip(np.arange(W) - r, 0, W), np.clip(np.arange(W) + r + 1, 0, W)
            sums.append(table[bottom, hi] - table[top, hi] - table[bottom, lo] + table[top, lo])
        plane = np.full((H, W), np.inf)
        plane[:, d:] = sums[0][:, d:] / sums[1][:, d:]
        planes.append(plane)
    return np.stack(planes, axis=-1)


@wrong("q1", says="this is the correlation, large where windows agree: the cost is 1 minus it")
def ncc_cost(A, B):
    return 1 - right_ncc(A, B)


@wrong("q1", says="the means are not subtracted: an offset of brightness then changes the cost")
def ncc_cost(A, B):
    return 1 - np.sum(A * B) / np.sqrt(np.sum(A**2) * np.sum(B**2))


@wrong("q1", says="it is not divided by both contrasts: a gain then changes the cost")
def ncc_cost(A, B):
    return 1 - np.mean((A - A.mean()) * (B - B.mean()))


@wrong("q1", says="a flat window gives 0 / 0: say that it correlates with nothing, cost 1")
def ncc_cost(A, B):
    a, b = A - A.mean(), B - B.mean()
    with np.errstate(all="ignore"):
        return 1 - np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))


@wrong("q1", says="the sign of the correlation is lost: a negative is not alike")
def ncc_cost(A, B):
    return 1 - abs(1 - right_ncc(A, B))


@wrong("q1", says="the root is missing below the fraction: the result depends on the contrast")
def ncc_cost(A, B):
    a, b = A - A.mean(), B - B.mean()
    below = np.sum(a**2) * np.sum(b**2)
    return 1.0 if below < 1e-24 else 1 - np.sum(a * b) / below


@right("q1")
def ncc_cost(A, B):
    """The squared distance of unit vectors is twice 1 minus their scalar product."""
    a, b = (np.ravel(window) - np.mean(window) for window in (A, B))
    p, q = np.linalg.norm(a), np.linalg.norm(b)
    return 1.0 if p * q < 1e-12 else float(np.sum((a / p - b / q) ** 2) / 2)


right_ncc = ncc_cost


# ---------------------------------------------------------------------------------------------
# Question 2: the winner, and its fraction


def by_polyfit(volume, first):
    """Eq. (3) by fitting a polynomial of degree 2 to three costs."""
    out = np.full(volume.shape[:2], np.nan)
    for y, x in np.ndindex(*out.shape):
        curve = volume[y, x]
        if np.isinf(curve).all():
            continue
        k = int(np.argmin(curve))
        out[y, x] = first + k
        if 0 < k < len(curve) - 1 and np.isfinite(curve[k - 1 : k + 2]).all() and np.ptp(curve[k - 1 : k + 2]) > 0:
            a, b, _ = np.polyfit([-1, 0, 1], curve[k - 1 : k + 2], 2)
            out[y, x] += -b / (2 * a)
    return out


def curves_with_inner_winner(rng, shape=(3, 5), D=7):
    """Random costs whose least is never at an end."""
    volume = rng.uniform(1, 2, (*shape, D))
    k = rng.integers(1, D - 1, shape)
    np.put_along_axis(volume, k[..., None], rng.uniform(0, 0.9, (*shape, 1)), axis=2)
    return volume


@pytest.mark.q("q2", 1)
def test_true_parabolas(student, atlas, rng):
    """Costs that are parabolas: the lowest point comes back."""
    at = rng.uniform(1.6, 4.4, (4, 3))
    volume = rng.uniform(0.5, 3, (4, 3, 1)) * (np.arange(7) - at[..., None]) ** 2 + rng.uniform(0, 1, (4, 3, 1))
    judge(student, atlas, "winner", [(volume, 0)], [at], "the disparity", atol=1e-8)


@pytest.mark.q("q2", 1)
def test_inner_winners(student, atlas, rng):
    """Any costs, winners inside the range, which begins at 5."""
    volume = curves_with_inner_winner(rng)
    judge(student, atlas, "winner", [(volume, 5)], [by_polyfit(volume, 5)], "the disparity", atol=1e-8)


@pytest.mark.q("q2", 1)
def test_winners_at_the_ends(student, atlas, rng):
    """Winners at the first and the last candidate stay whole numbers."""
    volume = rng.uniform(1, 2, (2, 4, 5))
    volume[0, :, 0], volume[1, :, -1] = rng.uniform(0, 0.9, 4), rng.uniform(0, 0.9, 4)
    judge(student, atlas, "winner", [(volume, 2)], [np.repeat([[2.0], [6.0]], 4, axis=1)], "the disparity")


@pytest.mark.q("q2", 2)
def test_missing_candidates(student, atlas, rng):
    """Beside a candidate that does not exist there is no fraction; without any candidate the result is NaN."""
    volume = curves_with_inner_winner(rng, (3, 6))
    for x in range(6):
        volume[:, x, x + 1 :] = np.inf
    volume[1, 2:4] = np.inf
    volume[2, 5, :3] = np.inf
    judge(student, atlas, "winner", [(volume, 1)], [by_polyfit(volume, 1)], "the disparity", atol=1e-8)


@pytest.mark.q("q2", 1)
def test_flat_curves(student, atlas, rng):
    """Equal costs: the first of them, without a fraction of 0 / 0."""
    volume = np.full((2, 3, 4), 0.5)
    volume[0, 1] = [0.9, 0.2, 0.2, 0.2]
    volume[1, 2] = [0.7, 0.4, 0.4, 0.8]
    truth = by_polyfit(volume, 3)
    judge(student, atlas, "winner", [(volume, 3)], [truth], "the disparity", atol=1e-8)


def _winner(
    volume, first, best=np.argmin, fraction=lambda a, c, b: (a - b) / (2 * (a - 2 * c + b)), guard=True, nan=True
):
    """Right, or with one thing changed."""
    out = np.full(volume.shape[:2], np.nan)
    for y, x in np.ndindex(*out.shape):
        curve = volume[y, x]
        if nan and np.isinf(curve).all():
            continue
        k = int(best(curve))
        t = 0.0
        with np.errstate(all="ignore"):
            a, c, b = curve[k - 1], curve[k], curve[(k + 1) % len(curve)]
            fine = 0 < k < len(curve) - 1 and np.isfinite([a, b]).all() and a - 2 * c + b > 0
            if fine or not guard:
                t = fraction(a, c, b)
        out[y, x] = first + k + t
    return out


@wrong("q2", says="the range's first disparity is not added: index 0 is the disparity `first`")
def winner(volume, first):
    return _winner(volume, 0)


@wrong("q2", says="the fraction has the wrong sign: the lowest point lies towards the cheaper of the two neighbours")
def winner(volume, first):
    return _winner(volume, first, fraction=lambda a, c, b: (b - a) / (2 * (a - 2 * c + b)))


@wrong(
    "q2", says="the 2 below the fraction is missing: a winner beside an equal neighbour moves by half a pixel, not one"
)
def winner(volume, first):
    return _winner(volume, first, fraction=lambda a, c, b: (a - b) / (a - 2 * c + b))


@wrong("q2", says="the fraction is missing: these are whole disparities")
def winner(volume, first):
    return _winner(volume, first, fraction=lambda a, c, b: 0.0)


@wrong("q2", says="the fraction is cut off: the result is cast to integers")
def winner(volume, first):
    found = _winner(volume, first)
    return np.where(np.isnan(found), np.nan, np.floor(found))


@wrong("q2", says="the largest cost wins: costs are small where windows agree")
def winner(volume, first):
    return _winner(volume, first, best=lambda c: np.argmax(np.where(np.isinf(c), -1, c)))


@wrong("q2", says="an end of the range, an infinite neighbour or a flat curve takes part in the parabola: t is 0 there")
def winner(volume, first):
    return _winner(volume, first, guard=False)


@wrong("q2", says="where no candidate exists, argmin says 0, and that looks like an answer: the result is NaN")
def winner(volume, first):
    return _winner(volume, first, nan=False)


@wrong("q2", says="the last of several equal candidates is taken, not the first")
def winner(volume, first):
    return _winner(volume, first, best=lambda c: len(c) - 1 - np.argmin(c[::-1]))


@wrong("q2", says="the fraction is that of two straight lines, not of the parabola")
def winner(volume, first):
    return _winner(volume, first, fraction=lambda a, c, b: (a - b) / (2 * (max(a, b) - c)))


@wrong("q2", says=CHANGED)
def winner(volume, first):
    found = _winner(volume, first)
    volume[np.isinf(volume)] = 1e9
    return found


@right("q2")
def winner(volume, first):
    """Walk along the candidates, keeping the best so far and its neighbours."""
    H, W, D = volume.shape
    best, k = np.full((H, W), np.inf), np.zeros((H, W), int)
    for d in range(D):
        less = volume[:, :, d] < best
        best[less], k[less] = volume[:, :, d][less], d
    out = np.where(np.isfinite(best), first + k.astype(float), np.nan)
    for y, x in zip(*np.nonzero(np.isfinite(best) & (k > 0) & (k < D - 1)), strict=True):
        slope = np.diff(volume[y, x, k[y, x] - 1 : k[y, x] + 2])
        if np.isfinite(slope).all() and slope[1] - slope[0] > 0:
            out[y, x] -= (slope[0] + slope[1]) / 2 / (slope[1] - slope[0])
    return out


# ---------------------------------------------------------------------------------------------
# Question 3: the left-right check, and an honest score


def two_maps(rng, shape=(5, 16)):
    """Disparity maps that agree at some pixels, exactly or nearly, with unknown pixels in both."""
    d_left = rng.integers(0, 5, shape) + rng.uniform(-0.3, 0.3, shape)
    d_right = rng.uniform(0, 6, shape)
    for y, x in np.ndindex(*shape):
        there = round(x - d_left[y, x])
        if 0 <= there < shape[1] and rng.random() < 0.7:
            d_right[y, there] = d_left[y, x] + rng.choice([0, 0.6, -0.6])
    return d_left, d_right


def by_walking(d_left, d_right, tolerance):
    out = np.zeros(d_left.shape, bool)
    for y, x in np.ndindex(*d_left.shape):
        if np.isfinite(d_left[y, x]):
            there = int(np.round(x - d_left[y, x]))
            if 0 <= there < d_left.shape[1]:
                out[y, x] = abs(d_right[y, there] - d_left[y, x]) <= tolerance
    return out


@pytest.mark.q("q3", 1)
def test_constant_maps(student, atlas, rng):
    """Both pictures say 3 everywhere: all agree that have a partner."""
    maps = np.full((2, 3, 9), 3.0)
    judge(student, atlas, "agree", [(*maps, 0.5)], [np.tile(np.arange(9) >= 3, (3, 1))], "agree")


@pytest.mark.q("q3", 1)
def test_walk_there_and_back(student, atlas, rng):
    """Random maps, two tolerances, fractions to be rounded."""
    maps = two_maps(rng)
    cases = [(*maps, tolerance) for tolerance in (0.25, 1.0)]
    judge(student, atlas, "agree", cases, [by_walking(*case) for case in cases], "agree")


@pytest.mark.q("q3", 1)
def test_unknown_never_agrees(student, atlas, rng):
    """NaN in either map, and a difference that equals the tolerance."""
    d_left, d_right = two_maps(rng)
    d_left[rng.random(d_left.shape) < 0.2] = np.nan
    d_right[rng.random(d_right.shape) < 0.2] = np.nan
    exact = np.full((2, 8), 2.0), np.full((2, 8), 3.0)
    cases = [(d_left, d_right, 0.7), (*exact, 1.0)]
    judge(student, atlas, "agree", cases, [by_walking(*case) for case in cases], "agree")


def known_score(rng, unknown_truth, unknown_answer, threshold):
    """A map with a known number of bad pixels: the case, and its score."""
    n = 60
    truth, off = rng.uniform(5, 30, n), np.where(np.arange(n) < 21, rng.uniform(threshold + 0.1, 9, n), 0.5 * threshold)
    answer = truth + off * rng.choice([-1, 1], n)
    answer[40 : 40 + unknown_answer] = np.nan
    bad = 21 + unknown_answer
    truth = np.append(truth, np.full(unknown_truth, np.nan))
    answer = np.append(answer, rng.uniform(5, 30, unknown_truth))
    order = rng.permutation(n + unknown_truth)
    return (answer[order].reshape(5, -1), truth[order].reshape(5, -1), threshold), bad / n


@pytest.mark.q("q3", 1)
def test_score_of_a_full_map(student, atlas, rng):
    """Everything known, everything answered, two thresholds."""
    cases, scores = zip(*(known_score(rng, 0, 0, threshold) for threshold in (2.0, 1.0)), strict=True)
    judge(student, atlas, "bad_share", cases, scores, "the share")


@pytest.mark.q("q3", 2)
def test_score_with_unknown_pixels(student, atlas, rng):
    """Unknown truth does not count; a missing answer is bad."""
    cases, scores = zip(*(known_score(rng, *gaps, 2.0) for gaps in ((15, 0), (0, 9), (15, 9))), strict=True)
    judge(student, atlas, "bad_share", cases, scores, "the share")


def _agree(d_left, d_right, tolerance, sign=-1, step=np.rint, wrap=False, compare=lambda b, a, t: np.abs(b - a) <= t):
    row, col = np.indices(d_left.shape)
    there = step(col + sign * np.nan_to_num(d_left)).astype(int)
    inside = (there >= 0) & (there < d_left.shape[1])
    back = d_right[row, there % d_left.shape[1]]
    return (inside | wrap) & compare(back, d_left, tolerance) & np.isfinite(d_left)


@wrong("q3", says="it goes the wrong way, to x + d: the right picture shows it farther left")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, sign=1)


@wrong("q3", says="both maps are compared at the same pixel: the partner is d farther left")
def agree(d_left, d_right, tolerance):
    return np.abs(d_right - d_left) <= tolerance


@wrong("q3", says="x' is cut off, not rounded: astype(int) throws the fraction away")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, step=np.trunc)


@wrong("q3", says="a negative index counts from the other end: a partner outside the picture is no partner")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, wrap=True)


@wrong("q3", says="the two disparities are added: both are positive for the same point, so subtract")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, compare=lambda b, a, t: np.abs(b + a) <= t)


@wrong("q3", says="a difference that equals the tolerance agrees: ≤, not <")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, compare=lambda b, a, t: np.abs(b - a) < t)


@wrong("q3", says="the absolute value is missing: a partner that says much less disagrees, too")
def agree(d_left, d_right, tolerance):
    return _agree(d_left, d_right, tolerance, compare=lambda b, a, t: b - a <= t)


@wrong("q3", says="the mask is upside down: True where they agree")
def agree(d_left, d_right, tolerance):
    return ~_agree(d_left, d_right, tolerance)


@wrong("q3", says="NaN agrees here: a comparison with NaN is False, and its negation True")
def agree(d_left, d_right, tolerance):
    return _agree(np.nan_to_num(d_left), d_right, tolerance, compare=lambda b, a, t: ~(np.abs(b - a) > t)) | (
        np.isnan(d_left)
    )


@wrong("q3", says=CHANGED)
def agree(d_left, d_right, tolerance):
    result = by_walking(d_left, d_right, tolerance)
    d_left[~result] = -1
    return result


@right("q3")
def agree(d_left, d_right, tolerance):
    """Row by row, pixel by pixel."""
    result = []
    for left_row, right_row in zip(d_left, d_right, strict=True):
        line = []
        for x, d in enumerate(left_row):
            there = int(np.floor(x - d + 0.5)) if d == d else -1
            line.append(0 <= there < len(right_row) and bool(abs(right_row[there] - d) <= tolerance))
        result.append(line)
    return np.array(result)


@wrong("q3", says="this is the share of good pixels: give the bad ones")
def bad_share(disparity, truth, threshold):
    return np.mean(np.abs(disparity - truth)[np.isfinite(truth)] <= threshold)


@wrong("q3", says="unknown truth counts as good: a comparison with NaN is False; take the known pixels only")
def bad_share(disparity, truth, threshold):
    return np.mean((np.abs(disparity - truth) > threshold) | (np.isnan(disparity) & np.isfinite(truth)))


@wrong("q3", says="unknown truth counts as bad: nobody can be wrong about it; take the known pixels only")
def bad_share(disparity, truth, threshold):
    return 1 - np.mean(np.abs(disparity - truth) <= threshold)


@wrong("q3", says="a missing answer counts as good: `nan > threshold` is False; ask for <= and negate")
def bad_share(disparity, truth, threshold):
    return np.mean(np.abs(disparity - truth)[np.isfinite(truth)] > threshold)


@wrong("q3", says="missing answers are left out: then who answers only the easy pixels scores best; they are bad")
def bad_share(disparity, truth, threshold):
    return np.mean(np.abs(disparity - truth)[np.isfinite(truth) & np.isfinite(disparity)] > threshold)


@wrong("q3", says="this is a percentage: give a number from 0 to 1")
def bad_share(disparity, truth, threshold):
    return 100 * right_share(disparity, truth, threshold)


@wrong("q3", says="the absolute value is missing: too small is wrong, too")
def bad_share(disparity, truth, threshold):
    return 1 - np.mean((disparity - truth)[np.isfinite(truth)] <= threshold)


@wrong("q3", says="this is a number of pixels: divide by that of the known ones")
def bad_share(disparity, truth, threshold):
    return np.isfinite(truth).sum() * right_share(disparity, truth, threshold)


@right("q3")
def bad_share(disparity, truth, threshold):
    """Count them one by one."""
    bad = known = 0
    for d, t in zip(np.ravel(disparity), np.ravel(truth), strict=True):
        if t == t:
            known += 1
            bad += not abs(d - t) <= threshold
    return bad / known


right_share = bad_share


# ---------------------------------------------------------------------------------------------
# Question 4: metres


def seen_pair(rng, shape=(4, 6)):
    """Disparities of points at known depths, from their pixels in two cameras with different principal points."""
    f, B, cx, offset = rng.uniform(300, 900), rng.uniform(0.1, 0.4), rng.uniform(100, 200), rng.uniform(8, 25)
    Z, X = rng.uniform(1.5, 6, shape), rng.uniform(-1, 1, shape)
    x_left, x_right = f * X / Z + cx, f * (X - B) / Z + cx + offset
    return x_left - x_right, f, 1000 * B, offset, Z


@pytest.mark.q("q4", 2)
def test_depths_of_projected_points(student, atlas, rng):
    """Points seen by two cameras: their depths in metres, with and without an offset."""
    d, f, B, offset, Z = seen_pair(rng)
    cases = [(d, f, B, offset), (d + offset, f, B, 0.0)]
    judge(student, atlas, "depth_map", cases, [Z, Z], "the depth")


@pytest.mark.q("q4", 1)
def test_no_depth(student, atlas, rng):
    """NaN where the disparity is unknown, or d + offset is not positive."""
    d, f, B, offset, Z = seen_pair(rng)
    d[0, 1], d[2, 3], d[3, 0] = np.nan, -offset, -offset - 3
    Z[0, 1] = Z[2, 3] = Z[3, 0] = np.nan
    judge(student, atlas, "depth_map", [(d, f, B, offset)], [Z], "the depth")


def pair_of_ints(answer, *case):
    """Read (first, last), which must be whole numbers."""
    assert isinstance(answer, tuple | list), "a tuple (first, last) is expected"
    assert len(answer) == 2, "a tuple (first, last) is expected"
    values = numbers(answer)
    assert np.shape(values) == (2,), "first and last should be two numbers"
    whole = all(isinstance(v, int | np.integer) for v in answer)
    return np.append(values, 0.0 if whole else 1.0)


@pytest.mark.q("q4", 2)
def test_search_range(student, atlas, rng):
    """The whole disparities that hold all depths, with and without an offset; rounded outwards."""
    cases, truth = [], []
    for offset, part in ((0.0, 0.15), (float(rng.uniform(5, 20)), 0.7)):
        f, first, last = rng.uniform(400, 900), int(rng.integers(3, 12)), int(rng.integers(40, 60))
        low, high = first + part + rng.uniform(0, 0.15), last - part - rng.uniform(0, 0.15)
        B = rng.uniform(100, 300)
        cases.append((f * B / 1000 / (high + offset), f * B / 1000 / (low + offset), f, B, offset))
        truth.append([first, last, 0])
    judge(student, atlas, "search_range", cases, truth, "(first, last, 1 if they are not ints)", read=pair_of_ints)


def _depth(disparity, f, B, offset=0.0, guard=True):
    with np.errstate(all="ignore"):
        Z = f * B / (disparity + offset)
    return np.where(disparity + offset > 0, Z, np.nan) if guard else Z


@wrong("q4", says="the offset is missing: the principal points differ, and far depths come out far too large")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(disparity, f, baseline_mm / 1000)


@wrong("q4", says="the offset is subtracted: it is right minus left, and d = x_l − x_r, so it must be added")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(disparity, f, baseline_mm / 1000, -offset)


@wrong("q4", says="the depth is in millimetres: give metres")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(disparity, f, baseline_mm, offset)


@wrong("q4", says="the focal length is missing: d is in pixels")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(disparity, 1.0, baseline_mm / 1000, offset)


@wrong("q4", says="depth is proportional to d here: near things have the large disparities")
def depth_map(disparity, f, baseline_mm, offset):
    below = disparity + offset
    return np.where(below > 0, below * baseline_mm / 1000 / f, np.nan)


@wrong("q4", says="d + Δ ≤ 0 gives infinite or negative depths: no depth there, NaN")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(disparity, f, baseline_mm / 1000, offset, guard=False)


@wrong("q4", says="unknown disparities have got a depth: NaN stays NaN")
def depth_map(disparity, f, baseline_mm, offset):
    return _depth(np.nan_to_num(disparity), f, baseline_mm / 1000, offset)


@wrong("q4", says="the offset is added to the depth: it belongs to the disparity, before the division")
def depth_map(disparity, f, baseline_mm, offset):
    return np.where(disparity + offset > 0, _depth(disparity, f, baseline_mm / 1000, 0.0, guard=False) + offset, np.nan)


@wrong("q4", says=CHANGED)
def depth_map(disparity, f, baseline_mm, offset):
    disparity += offset
    return _depth(disparity, f, baseline_mm / 1000)


@right("q4")
def depth_map(disparity, f, baseline_mm, offset):
    """Pixel by pixel, by intersecting the two rays."""
    out = np.full(np.shape(disparity), np.nan)
    for place, d in np.ndenumerate(disparity):
        slopes = (d + offset) / f  # x_l / f - x_r / f with both from their own principal points
        if slopes > 0:
            out[place] = 1e-3 * baseline_mm / slopes
    return out


def _range(near, far, f, baseline_mm, offset, low=np.floor, high=np.ceil):
    product = f * baseline_mm / 1000
    return int(low(product / far - offset)), int(high(product / near - offset))


@wrong("q4", says="near and far are exchanged: the far end has the small disparities")
def search_range(near, far, f, baseline_mm, offset):
    return _range(far, near, f, baseline_mm, offset)


@wrong("q4", says="the ends are rounded inwards: the nearest and the farthest points are missed")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, baseline_mm, offset, np.ceil, np.floor)


@wrong("q4", says="both ends are cut off: the last candidate is one too small")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, baseline_mm, offset, np.floor, np.floor)


@wrong("q4", says="the offset is missing in the range: d = fB / Z − Δ")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, baseline_mm, 0.0)


@wrong("q4", says="the offset is added to the range: solve Eq. (5) for d, d = fB / Z − Δ")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, baseline_mm, -offset)


@wrong("q4", says="millimetres meet metres: the range is a thousand times too large")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, 1000 * baseline_mm, offset)


@wrong("q4", says="first and last are no ints: np.floor and np.ceil give floats")
def search_range(near, far, f, baseline_mm, offset):
    first, last = _range(near, far, f, baseline_mm, offset)
    return float(first), float(last)


@wrong("q4", says="the ends are rounded to the nearest: outwards, so that nothing is missed")
def search_range(near, far, f, baseline_mm, offset):
    return _range(near, far, f, baseline_mm, offset, np.rint, np.rint)


@right("q4")
def search_range(near, far, f, baseline_mm, offset):
    """Integer division rounds down; of the negative, up."""
    first, last = (1e-3 * f * baseline_mm / Z - offset for Z in (far, near))
    return int(first // 1), int(-(-last // 1))


# ---------------------------------------------------------------------------------------------
# Question 5: a row decides together


def price(cost, k, p1, p2):
    jumps = np.abs(np.diff(k))
    return cost[np.arange(len(k)), k].sum() + p1 * np.sum(jumps == 1) + p2 * np.sum(jumps > 1)


def all_sequences(cost, p1, p2):
    """The cheapest of all sequences, each tried."""
    tried = np.array(list(itertools.product(range(cost.shape[1]), repeat=len(cost))))
    return tried[np.argmin([price(cost, k, p1, p2) for k in tried])]


def dijkstra(cost, p1, p2):
    """The shortest path through a graph whose nodes are the candidates of all pixels."""
    W, D = cost.shape
    x, a, b = (m.ravel() for m in np.meshgrid(np.arange(W - 1), np.arange(D), np.arange(D), indexing="ij"))
    jumps = np.abs(a - b)
    weight = cost[x + 1, b] + np.where(jumps == 0, 0, np.where(jumps == 1, p1, p2)) + 1e-9
    source, sink = W * D, W * D + 1
    rows = np.concatenate([x * D + a, np.full(D, source), (W - 1) * D + np.arange(D)])
    cols = np.concatenate([(x + 1) * D + b, np.arange(D), np.full(D, sink)])
    data = np.concatenate([weight, cost[0] + 1e-9, np.full(D, 1e-9)])
    keep = np.isfinite(data)
    graph = sparse.csr_array((data[keep], (rows[keep], cols[keep])), shape=(W * D + 2, W * D + 2))
    _, before = csgraph.dijkstra(graph, indices=source, return_predecessors=True)
    node, path = before[sink], []
    while node != source:
        path.append(node % D)
        node = before[node]
    return np.array(path[::-1])


@pytest.mark.q("q5", 1)
def test_small_rows(student, atlas, rng):
    """Rows of 5 pixels and 4 candidates: the cheapest of all 1024 sequences."""
    cases = [(rng.random((5, 4)), 0.15, 0.4) for _ in range(3)]
    judge(student, atlas, "cheapest_row", cases, [all_sequences(*case) for case in cases], "the sequence")


@pytest.mark.q("q5", 2)
def test_long_rows(student, atlas, rng):
    """Rows of 40 pixels and 9 candidates: the shortest path through a graph."""
    cases = [(rng.random((40, 9)), p1, p2) for p1, p2 in ((0.1, 0.25), (0.3, 0.9), (0.0, 0.2))]
    judge(student, atlas, "cheapest_row", cases, [dijkstra(*case) for case in cases], "the sequence")


@pytest.mark.q("q5", 1)
def test_missing_candidates_in_a_row(student, atlas, rng):
    """Infinite costs at the left end, as at the border of a picture."""
    cost = rng.random((20, 6))
    for x in range(6):
        cost[x, x + 1 :] = np.inf
    judge(student, atlas, "cheapest_row", [(cost, 0.1, 0.3)], [dijkstra(cost, 0.1, 0.3)], "the sequence")


@pytest.mark.q("q5", 2)
def test_better_than_each_pixel_alone(student, atlas, rng):
    """A noisy row with two steps: at most half as many wrong as with each pixel alone, and the cheapest."""
    truth = np.repeat([2, 3, 8], [25, 20, 35])
    cost = 0.25 * rng.random((80, 11)) + 0.12 * np.minimum(np.abs(np.arange(11) - truth[:, None]), 1)
    judge(student, atlas, "cheapest_row", [(cost, 0.1, 0.3)], [dijkstra(cost, 0.1, 0.3)], "the sequence")
    alone = np.sum(cost.argmin(axis=1) != truth)
    together = np.sum(np.asarray(student.cheapest_row(cost, 0.1, 0.3)) != truth)
    assert together <= alone / 2, f"together {together} pixels are wrong, each alone {alone}"


def _steps(D, p1, p2):
    jump = np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
    return np.where(jump == 0, 0, np.where(jump == 1, p1, p2))


def _row(cost, V, shift=0, first=True, end=np.argmin, transposed=False):
    """Viterbi, right or with one thing changed."""
    W, D = cost.shape
    V = V.T if transposed else V
    total, origin = (cost[0] if first else np.zeros(D)), np.zeros((W, D), int)
    for x in range(1, W):
        reached = total[:, None] + V
        origin[x] = reached.argmin(axis=0)
        total = cost[x] + reached.min(axis=0)
    k = np.zeros(W, int)
    k[-1] = end(total)
    for x in range(W - 1, 0, -1):
        k[x - 1] = origin[max(x - shift, 0), k[x]]
    return k


@wrong("q5", says="each pixel decides alone: the penalties are not used")
def cheapest_row(cost, p1, p2):
    return cost.argmin(axis=1)


@wrong("q5", says="this is greedy: each pixel follows the choice of the one before, which can't be taken back")
def cheapest_row(cost, p1, p2):
    V, k = _steps(cost.shape[1], p1, p2), [int(cost[0].argmin())]
    for row in cost[1:]:
        k.append(int((row + V[k[-1]]).argmin()))
    return np.array(k)


@wrong(
    "q5", says="it doesn't walk back: the cheapest sum at each pixel belongs to paths that end there, not to one path"
)
def cheapest_row(cost, p1, p2):
    V, total, k = _steps(cost.shape[1], p1, p2), cost[0], [int(cost[0].argmin())]
    for row in cost[1:]:
        total = row + (total[:, None] + V).min(axis=0)
        k.append(int(total.argmin()))
    return np.array(k)


@wrong("q5", says="the penalty grows with the jump, p1 · |Δk|: a jump of any height costs p2")
def cheapest_row(cost, p1, p2):
    D = cost.shape[1]
    return _row(cost, p1 * np.abs(np.subtract.outer(np.arange(D), np.arange(D))))


@wrong("q5", says="a step of one costs p2 as well: it costs p1 only")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p2, p2))


@wrong("q5", says="large jumps cost p1 only: p2 is not used")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p1, p1))


@wrong("q5", says="p1 and p2 are exchanged: p1 is for steps of one")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p2, p1))


@wrong("q5", says="the sequence comes out backwards: turn it round at the end")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p1, p2))[::-1].copy()


@wrong("q5", says="the first pixel's costs are not counted")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p1, p2), first=False)


@wrong("q5", says="the walk back begins at candidate 0: begin at the cheapest end")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p1, p2), end=lambda total: 0)


@wrong("q5", says="the walk back reads the origins one pixel too early")
def cheapest_row(cost, p1, p2):
    return _row(cost, _steps(cost.shape[1], p1, p2), shift=1)


@wrong("q5", says="the costs are maximised: small costs are good")
def cheapest_row(cost, p1, p2):
    V = _steps(cost.shape[1], p1, p2)
    return _row(-np.where(np.isfinite(cost), cost, -1e3), V)


@wrong("q5", says=CHANGED)
def cheapest_row(cost, p1, p2):
    k = _row(cost, _steps(cost.shape[1], p1, p2))
    cost[1:] += cost[:-1]
    return k


@right("q5")
def cheapest_row(cost, p1, p2):
    """From the right to the left, with plain loops; then walk forward."""
    W, D = cost.shape
    rest = [[0.0] * D for _ in range(W)]  # what lies ahead of candidate k at pixel x
    goes = [[0] * D for _ in range(W)]
    for x in range(W - 2, -1, -1):
        ahead = [cost[x + 1, j] + rest[x + 1][j] for j in range(D)]
        least = min(range(D), key=ahead.__getitem__)
        for k in range(D):
            near = {j: ahead[j] + (0 if j == k else p1) for j in (k - 1, k, k + 1) if 0 <= j < D}
            options = {least: ahead[least] + p2} | near
            goes[x][k] = min(options, key=options.__getitem__)
            rest[x][k] = options[goes[x][k]]
    k = min(range(D), key=lambda j: cost[0, j] + rest[0][j])
    path = [k]
    for x in range(W - 1):
        path.append(goes[x][path[-1]])
    return np.array(path)
