"""Checks of exercise 10_ransac, the mistakes they know, and second solutions.

Oracles: ``decimal`` with 60 digits and ``scipy.stats.hypergeom`` for the rounds; ``scipy.spatial.distance``
and complex numbers for residuals; the circle through three points by its bisectors and scatter matrices for
the loop; a search through the lines of all pairs of points for what question 5 asks.
"""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from cvcourse.checks import StudentError, expect, right, wrong

LIBRARIES = ("cvcourse.ransac", "cvcourse.alignment", "scipy", "skimage", "sklearn", "cv2", "torch")
FORBIDDEN = {question: LIBRARIES for question in ("q1", "q2", "q3", "q4", "q5")}


def attempt(function, *arguments):
    """Call a function; give its result and what the student's code failed with, if it did."""
    try:
        return function(*arguments), ""
    except StudentError as problem:
        return None, str(problem)


def collected(student, atlas, name, cases):
    """Give the answers to several calls together, and what each wrong version gives to all of them."""
    answers, looks = [], {}
    for case in cases:
        answers.append(getattr(student, name)(*case))
        for says, result in atlas(name, *case).items():
            looks.setdefault(says, []).append(result)
    return answers, {says: results for says, results in looks.items() if len(results) == len(cases)}


# ---------------------------------------------------------------------------------------------
# Question 1: how many rounds

NEGATIVE = (
    "the logarithm of a negative number was taken; 1 − p^s never is negative: are p and s exchanged, as in s ** p?"
)
LOST = (
    "log(1 − q) loses a tiny q: 1 − 1e-17 is 1 in floating point, and its logarithm 0; a function of its own, log1p, "
    "is made for this"
)
ABOVE_ONE = "the logarithm of a negative number was taken: the q of Eq. (2) came out above 1; are its two coefficients exchanged?"
NO_INLIERS = "p = 0 makes the formula divide by log(1) = 0: answer it before, with math.inf"
NO_SAMPLE = "fewer inliers than a sample needs: no sample of inliers only exists, so the answer is math.inf"
ALL_INLIERS = "p = 1 makes the formula take log(0): answer it before; one round is enough, and it is needed"


def least_rounds(q, P):
    """The smallest R with (1 - q)^R <= 1 - P, in 60 digits; q and P are taken exactly as they are."""
    with localcontext() as context:
        context.prec = 60
        unlucky, allowed = (1 - Fraction(x) for x in (q, P))
        logs = [(Decimal(f.numerator) / Decimal(f.denominator)).ln() for f in (allowed, unlucky)]
        return math.ceil(logs[0] / logs[1])


def power(p, s):
    return Fraction(p) ** s


def asked(student, atlas, name, cases, domain=NEGATIVE):
    """Collect answers, but name what a logarithm complains about."""
    result, problem = attempt(collected, student, atlas, name, cases)
    assert "raised ValueError" not in problem, f"{domain} ({problem})"
    assert "raised ZeroDivisionError" not in problem, f"{LOST} ({problem})"
    assert not problem, problem
    return result


@pytest.mark.q("q1", 2)
def test_rounds(student, atlas, rng):
    """The number of rounds for a few shares p, sample sizes s and probabilities P."""
    # p and P with two digits of randomness: no case lies on the edge of a whole number.
    cases = [(float(rng.uniform(0.35, 0.45)), 4), (float(rng.uniform(0.55, 0.65)), 3, float(rng.uniform(0.6, 0.8)))]
    cases += [(float(rng.uniform(0.7, 0.8)), 8, 0.999), (float(rng.uniform(0.2, 0.3)), 2, 0.95)]
    truth = [least_rounds(power(p, s), *(P or [0.99])) for p, s, *P in cases]
    answers, looks = asked(student, atlas, "rounds_needed", cases)
    assert all(answer is not None for answer in answers), "rounds_needed returns None: does it end with a return?"
    assert not np.isnan(np.asarray(answers, dtype=float)).any(), NEGATIVE
    # Truths are rounded up from fractions, so a missing ceiling differs by more than this.
    expect(answers, truth, looks, atol=1e-6, what="the rounds of four cases")


@pytest.mark.q("q1", 1)
def test_rare_luck(student, atlas, rng):
    """Where p^s is 1e-12 or 1e-18, the rounds are still right to twelve digits."""
    for exponent in (-12, -18):
        s = int(rng.integers(5, 9))
        p = float(10 ** ((exponent + rng.uniform(-0.4, 0.4)) / s))
        answers, looks = asked(student, atlas, "rounds_needed", [(p, s)])
        truth = least_rounds(power(p, s), 0.99)
        assert answers[0] != math.inf, LOST
        # p ** s is rounded to about 1e-16 of itself, and so is the quotient.
        scaled = {says: np.asarray(result, dtype=float) / truth for says, result in looks.items()}
        expect(_over(answers[0], truth), 1.0, {k: v[0] for k, v in scaled.items()}, 1e-12, "the rounds over the truth")


def _over(answer, truth):
    try:
        return float(answer) / truth
    except (TypeError, ValueError):
        return answer


@pytest.mark.q("q1", 1)
def test_certain_and_impossible(student, atlas, rng):
    """One round if all data are inliers, math.inf if none are, one also if each round is very likely lucky."""
    s, p = int(rng.integers(2, 6)), float(rng.uniform(0.995, 0.999))
    for case, truth, sentence in [((1.0, s), 1, ALL_INLIERS), ((0.0, s), math.inf, NO_INLIERS), ((p, 1, 0.9), 1, LOST)]:
        answer, problem = attempt(student.rounds_needed, *case)
        assert " raised " not in problem, f"{sentence} ({problem})"
        assert not problem, problem
        expect(answer, truth, atlas("rounds_needed", *case), what=f"the rounds for p = {case[0]:.3g}")


@pytest.mark.q("q1", 1)
def test_different_data(student, atlas, rng):
    """With k inliers of n data, the probability is the one of scipy.stats.hypergeom."""
    cases = [(6, 12, 4), (int(rng.integers(24, 30)), int(rng.integers(50, 60)), 3, float(rng.uniform(0.7, 0.9)))]
    cases += [(int(rng.integers(9, 12)), 15, 7, 0.999), (int(rng.integers(500, 600)), 1000, 8)]
    truth = []
    for k, n, s, *P in cases:
        # The law is exact in integers; the library's value is right to 1e-10, to be sure of the law.
        q = Fraction(math.perm(k, s), math.perm(n, s))
        assert abs(float(q) / stats.hypergeom(n, k, s).pmf(s) - 1) < 1e-9
        truth.append(least_rounds(q, *(P or [0.99])))
    answers, looks = asked(student, atlas, "rounds_exact", cases, ABOVE_ONE)
    assert all(answer is not None for answer in answers), "rounds_exact returns None: does it end with a return?"
    expect(answers, truth, looks, atol=1e-6, what="the exact rounds of four cases")


@pytest.mark.q("q1", 1)
def test_exact_at_the_ends(student, atlas, rng):
    """All data inliers, just enough inliers, too few, and one chance in a huge number."""
    n = int(rng.integers(11, 16))
    cases = [((n, n, 4), 1), ((5, n, 5), least_rounds(Fraction(1, math.comb(n, 5)), 0.99)), ((3, n, 4), math.inf)]
    cases += [((0, n, 2), math.inf)]
    for case, truth in cases:
        answer, problem = attempt(student.rounds_exact, *case)
        assert " raised " not in problem, f"{NO_SAMPLE if truth == math.inf else ALL_INLIERS} ({problem})"
        assert not problem, problem
        what = f"the rounds for {case[0]} inliers of {n} and samples of {case[2]}"
        expect(answer, truth, atlas("rounds_exact", *case), atol=1e-6, what=what)
    k, s = int(rng.integers(20, 24)), 15
    q = Fraction(math.comb(k, s), math.comb(2000, s))
    answers, looks = asked(student, atlas, "rounds_exact", [(k, 2000, s)], ABOVE_ONE)
    truth = least_rounds(q, 0.99)
    scaled = {says: _over(result[0], truth) for says, result in looks.items()}
    assert answers[0] != math.inf, LOST
    expect(_over(answers[0], truth), 1.0, scaled, 1e-12, f"the rounds for {k} inliers of 2000, over the truth")


def _rounds(q, P):
    if q == 0:
        return math.inf
    return 1 if q == 1 else math.ceil(math.log1p(-P) / math.log1p(-q))


@wrong("q1", says="the rounds are not rounded up: a part of a round cannot be done, and fewer rounds are not enough")
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else 1 if p == 1 else math.log1p(-P) / math.log1p(-(p**s))


@wrong("q1", says="the rounds are rounded down: then the probability stays below P; the ceiling is asked for")
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else 1 if p == 1 else int(math.log1p(-P) / math.log1p(-(p**s)))


@wrong("q1", says="the rounds are one more than needed: adding 1 to the ceiling is once too often")
def rounds_needed(p, s, P=0.99):
    return _rounds(p**s, P) + 1


@wrong("q1", says=NEGATIVE)
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else 1 if p == 1 else math.ceil(math.log(1 - P) / math.log(1 - s**p))


@wrong("q1", says=LOST)
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else 1 if p == 1 else math.ceil(math.log(1 - P) / math.log(1 - p**s))


@wrong("q1", says="p is taken for the share of outliers: it is the probability that a drawn datum is an INlier")
def rounds_needed(p, s, P=0.99):
    return _rounds((1 - p) ** s, P)


@wrong("q1", says="1 − (1 − p)^s is the chance that at least one of s is an inlier; all s must be: p^s")
def rounds_needed(p, s, P=0.99):
    return _rounds(1 - (1 - p) ** s, P)


@wrong("q1", says="the fraction is upside down: log(1 − P) stands above")
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else 1 if p == 1 else math.ceil(math.log1p(-(p**s)) / math.log1p(-P))


@wrong("q1", says="log(P) instead of log(1 − P): what must become small is the chance that ALL rounds are unlucky")
def rounds_needed(p, s, P=0.99):
    return _rounds(p**s, 1 - P)


@wrong("q1", says="1 / p^s is the number of rounds until the first lucky one ON AVERAGE; to be nearly sure takes more")
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else math.ceil(1 / p**s)


@wrong("q1", says="the argument P is not used: the number is that for 0.99 whatever is asked for")
def rounds_needed(p, s, P=0.99):
    return _rounds(p**s, 0.99)


@wrong("q1", says="the sample size s is not used: one inlier is not enough, all s must be")
def rounds_needed(p, s, P=0.99):
    return _rounds(p, P)


@wrong("q1", says=NO_INLIERS)
def rounds_needed(p, s, P=0.99):
    return 1 if p == 1 else math.ceil(math.log1p(-P) / math.log1p(-(p**s)))


@wrong("q1", says=ALL_INLIERS)
def rounds_needed(p, s, P=0.99):
    return math.inf if p == 0 else math.ceil(math.log1p(-P) / math.log1p(-(p**s)))


@wrong("q1", says="no rounds at all for p = 1: log(1 − P) / −∞ is 0, but one sample must be drawn")
def rounds_needed(p, s, P=0.99):
    return 0 if p == 1 else _rounds(p**s, P)


@right("q1")
def rounds_needed(p, s, P=0.99):
    """The series of the logarithm where q is small, NumPy's elsewhere."""
    q = np.float64(p) ** s
    if q in (0.0, 1.0):
        return 1 if q else float("inf")
    log = -q - q * q / 2 - q**3 / 3 if q < 1e-6 else np.log(1 - q)
    return np.ceil(np.log(1 - P) / log)


@wrong("q1", says="this is Eq. (1) with p = k/n; the data of one sample are all different, so use Eq. (2)")
def rounds_exact(k, n, s, P=0.99):
    return _rounds((k / n) ** s, P)


@wrong("q1", says="only the inliers become fewer while a sample is drawn; what is left of the n data does too")
def rounds_exact(k, n, s, P=0.99):
    return _rounds(math.perm(k, s) / n**s, P)


@wrong("q1", says=ABOVE_ONE)
def rounds_exact(k, n, s, P=0.99):
    return math.ceil(math.log(1 - P) / math.log(1 - math.comb(n, s) / math.comb(k, s)))


@wrong("q1", says="the exact rounds are not rounded up: a part of a round cannot be done")
def rounds_exact(k, n, s, P=0.99):
    q = math.comb(k, s) / math.comb(n, s)
    return _rounds(q, P) if q in (0, 1) else math.log1p(-P) / math.log1p(-q)


@wrong("q1", says="P is not used in rounds_exact: the number is that for 0.99 whatever is asked for")
def rounds_exact(k, n, s, P=0.99):
    return _rounds(math.comb(k, s) / math.comb(n, s), 0.99)


@wrong("q1", says="this is the chance that a sample holds at least one inlier; all s of them must be")
def rounds_exact(k, n, s, P=0.99):
    return _rounds(1 - math.comb(n - k, s) / math.comb(n, s), P)


@wrong("q1", says=NO_SAMPLE)
def rounds_exact(k, n, s, P=0.99):
    q = math.comb(k, s) / math.comb(n, s)
    return 1 if q == 1 else math.ceil(math.log1p(-P) / math.log1p(-q))


@right("q1")
def rounds_exact(k, n, s, P=0.99):
    """Datum by datum: (k - i) of the (n - i) that are left are inliers."""
    q = np.prod([max(k - i, 0) / (n - i) for i in range(s)])
    with np.errstate(divide="ignore"):
        return max(1.0, np.ceil(np.log1p(-P) / np.log1p(-q))) if q > 0 else np.inf


# ---------------------------------------------------------------------------------------------
# Question 2: residuals

CHANGED = "the arguments are overwritten: the caller still needs the data; compute in new arrays"


@pytest.mark.q("q2", 1)
def test_line(student, atlas, rng):
    """Points placed at known distances on both sides of a line with a² + b² = 1."""
    angle = rng.uniform(0.3, 1.2)
    normal, along = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    distance = rng.uniform(0.2, 9, 11) * np.where(np.arange(11) % 2, 1, -1)
    points = 40 * normal + np.outer(distance, normal) + np.outer(rng.uniform(-60, 60, 11), along)
    line = np.append(normal, -40.0)
    answer = student.line_residuals(line, points)
    assert not student.changed, CHANGED
    expect(answer, np.abs(distance), atlas("line_residuals", line, points), what="the distances from the line")


@pytest.mark.q("q2", 1)
def test_line_of_any_scale(student, atlas, rng):
    """The same line times any number has the same residuals; upright and level lines too."""
    points = rng.uniform(-50, 90, (9, 2))
    for line in (rng.normal(size=3) * [3, 3, 50], np.array([-2.5, 0, 60.0]), np.array([0, 0.04, -1.0])):
        # Twice the area of a triangle over its base.
        on = -line[2] * line[:2] / (line[:2] @ line[:2])
        base = 10 * np.array([-line[1], line[0]]) / math.hypot(*line[:2])
        truth = np.abs(base[0] * (points[:, 1] - on[1]) - base[1] * (points[:, 0] - on[0])) / 10
        answer = student.line_residuals(line, points)
        assert not student.changed, CHANGED
        expect(answer, truth, atlas("line_residuals", line, points), what="the distances from a line of another scale")


def homography(rng):
    """A homography with some perspective, not symmetric, of a scale other than 1."""
    H = np.array([[1.2, -0.35, 12.0], [0.3, 0.8, -9.0], [1e-3, -6e-4, 1.0]])
    return (H + rng.uniform(-1, 1, (3, 3)) * [[0.1, 0.1, 5], [0.1, 0.1, 5], [2e-4, 2e-4, 0.1]]) * rng.uniform(0.3, 0.6)


def carried(H, points):
    """Carry points through a homography, row by row of the matrix."""
    x, y = np.asarray(points, dtype=float).T
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in H)
    return np.column_stack([u / w, v / w])


def adjugate(H):
    """The inverse up to scale, by cross products of the rows."""
    return np.column_stack([np.cross(H[1], H[2]), np.cross(H[2], H[0]), np.cross(H[0], H[1])])


@pytest.mark.q("q2", 2)
def test_pairs(student, atlas, rng):
    """Pairs that disagree with a homography: both images count, by Eq. (4)."""
    H, src = homography(rng), rng.uniform(0, 200, (12, 2))
    dst = carried(H, src) + rng.normal(0, 4, (12, 2))
    pairs = np.column_stack([src, dst])
    there, back = carried(H, src) - dst, carried(adjugate(H), dst) - src
    truth = np.hypot(np.hypot(*there.T), np.hypot(*back.T))
    answer = student.pair_residuals(H, pairs)
    assert not student.changed, CHANGED
    expect(answer, truth, atlas("pair_residuals", H, pairs), what="the residuals of the pairs")


@pytest.mark.q("q2", 1)
def test_pairs_of_a_similarity(student, atlas, rng):
    """Turned, enlarged c times and missed by d pixels: the residual is d √(1 + 1/c²); exact pairs have 0."""
    c, turn = rng.uniform(2, 4), rng.uniform(0.3, 1.2)
    shift, z = complex(*rng.uniform(5, 30, 2)), rng.uniform(0, 90, (7, 2)) @ [1, 1j]
    missed = np.append(0, rng.uniform(1, 8, 6))
    w = c * np.exp(1j * turn) * z + shift + missed * np.exp(1j * rng.uniform(0, 6, 7))
    a = c * np.exp(1j * turn)
    H = -0.2 * np.array([[a.real, -a.imag, shift.real], [a.imag, a.real, shift.imag], [0, 0, 1]])
    pairs = np.column_stack([z.real, z.imag, w.real, w.imag])
    truth = missed * math.sqrt(1 + 1 / c**2)
    expect(student.pair_residuals(H, pairs), truth, atlas("pair_residuals", H, pairs), what="the residuals")


def _line(line, points):
    return np.abs(points @ line[:2] + line[2]) / np.hypot(line[0], line[1])


@wrong("q2", says="the residual has a sign: far on the negative side would count as near; a distance is never negative")
def line_residuals(line, points):
    return (points @ line[:2] + line[2]) / np.hypot(line[0], line[1])


@wrong("q2", says="the line's residual is squared: a threshold in pixels needs a residual in pixels")
def line_residuals(line, points):
    return _line(line, points) ** 2


@wrong("q2", says="a x + b y + c is a distance only if a² + b² = 1: divide by the length of (a, b)")
def line_residuals(line, points):
    return np.abs(points @ line[:2] + line[2])


@wrong("q2", says="this is the distance straight up or down, |y − y(x)|: for a steep line it is far too large")
def line_residuals(line, points):
    return np.abs(points @ line[:2] + line[2]) / np.abs(line[1])


@wrong("q2", says="c does not belong under the root: only (a, b) is the direction across the line")
def line_residuals(line, points):
    return np.abs(points @ line[:2] + line[2]) / np.linalg.norm(line)


@wrong("q2", says="c is forgotten: these are distances from the parallel through (0, 0)")
def line_residuals(line, points):
    return np.abs(points @ line[:2]) / np.hypot(line[0], line[1])


@wrong("q2", says="the root is missing below: (a, b) has the length √(a² + b²)")
def line_residuals(line, points):
    return np.abs(points @ line[:2] + line[2]) / (line[0] ** 2 + line[1] ** 2)


@wrong("q2", says="x and y are exchanged: a belongs to the first column of the points")
def line_residuals(line, points):
    return _line(line, points[:, ::-1])


@wrong("q2", says=CHANGED)
def line_residuals(line, points):
    line /= np.hypot(line[0], line[1])
    return np.abs(points @ line[:2] + line[2])


@right("q2")
def line_residuals(line, points):
    """Point by point: how far is the foot of the perpendicular?"""
    a, b, c = (float(x) for x in line)
    found = []
    for x, y in points.tolist():
        step = (a * x + b * y + c) / (a * a + b * b)
        found.append(math.dist((x, y), (x - step * a, y - step * b)))
    return np.array(found)


def _there_and_back(H, pairs, inverse=np.linalg.inv):
    src, dst = pairs[:, :2], pairs[:, 2:]
    there, back = carried(H, src) - dst, carried(inverse(H), dst) - src
    return np.sum(there**2, axis=1), np.sum(back**2, axis=1)


@wrong(
    "q2", says="the error is measured in image 2 only: a map that squeezes all of image 1 into a spot would look good"
)
def pair_residuals(H, pairs):
    return np.sqrt(_there_and_back(H, pairs)[0])


@wrong("q2", says="the error is measured in image 1 only: H x must be compared with x' too")
def pair_residuals(H, pairs):
    return np.sqrt(_there_and_back(H, pairs)[1])


@wrong("q2", says="the pair's residual is squared: without the root a threshold of 2 would mean 1.4 pixels")
def pair_residuals(H, pairs):
    return sum(_there_and_back(H, pairs))


@wrong("q2", says="the two distances are added; Eq. (4) adds their squares and takes the root")
def pair_residuals(H, pairs):
    return sum(np.sqrt(part) for part in _there_and_back(H, pairs))


@wrong("q2", says="this is the mean of the two squares; Eq. (4) takes their sum")
def pair_residuals(H, pairs):
    return np.sqrt(sum(_there_and_back(H, pairs)) / 2)


@wrong("q2", says="H is applied in the wrong direction: it carries image 1, the first two columns, to image 2")
def pair_residuals(H, pairs):
    return np.sqrt(sum(_there_and_back(H, pairs[:, [2, 3, 0, 1]])))


@wrong("q2", says="H is transposed: points in rows need points @ H.T, columns need H @ points")
def pair_residuals(H, pairs):
    return np.sqrt(sum(_there_and_back(H.T, pairs)))


@wrong("q2", says="the transpose is not the inverse: that holds for rotations only")
def pair_residuals(H, pairs):
    return np.sqrt(sum(_there_and_back(H, pairs, inverse=np.transpose)))


@wrong("q2", says="the division by the third coordinate is missing: (u, v, w) is the point (u/w, v/w)")
def pair_residuals(H, pairs):
    src, dst = pairs[:, :2], pairs[:, 2:]
    back = np.linalg.inv(H)
    there = src @ H[:2, :2].T + H[:2, 2] - dst
    return np.sqrt(np.sum(there**2 + (dst @ back[:2, :2].T + back[:2, 2] - src) ** 2, axis=1))


@right("q2")
def pair_residuals(H, pairs):
    """Pair by pair; the way back by solving instead of inverting."""
    found = []
    for x, y, x2, y2 in pairs:
        there, back = H @ [x, y, 1], np.linalg.solve(H, [x2, y2, 1])
        parts = (*(there[:2] / there[2] - [x2, y2]), *(back[:2] / back[2] - [x, y]))
        found.append(math.hypot(*parts))
    return np.array(found)


# ---------------------------------------------------------------------------------------------
# Question 3: samples and the loop

REPEATS = (
    "a sample holds the same datum twice: then it determines no model, and the round is lost; draw without putting back"
)
SAME_AGAIN = "every round has the same sample: a generator made anew from the same seed begins anew; make it once, before the loop"
IGNORED = "another rng gives the same samples: all randomness must come from the argument rng"
NOT_REPEATED = (
    "the same rng gives other samples the second time: some of the randomness comes from elsewhere, such as NumPy's "
    "global generator"
)
GLOBAL = (
    "np.random.seed takes only small seeds, and sets the one generator that the whole program shares: make a generator "
    "of your own from rng, with np.random.default_rng"
)
FROM_ONE = "the indices run from 1 to n: data are counted from 0 to n − 1"
LAST_LEFT_OUT = "one datum at the end is never drawn: the upper end of integers(0, n) is left out by itself"
NEIGHBOURS = "the data of a sample are always neighbours: each of the s must be drawn, not only the first"
DEALT_OUT = (
    "the rounds depend on one another: a datum comes again only when all others have been dealt out; each round draws "
    "from all n"
)
UNEVEN = "some samples come up more often than others; every choice of s different data must be equally likely"
TRANSPOSED = "the samples stand in columns: asked for is a row for each round, shape (rounds, s)"


def drawn(student, n, s, rounds, rng):
    """Call draw_samples and see that whole numbers in the right range and shape came back."""
    answer, problem = attempt(student.draw_samples, n, s, rounds, rng)
    assert "eed must be between" not in problem, GLOBAL
    assert not problem, problem
    assert answer is not None, "draw_samples returns None: does it end with a return?"
    try:
        samples = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise AssertionError(f"draw_samples should return an array of shape {(rounds, s)}") from None
    assert samples.shape != (s, rounds) or s == rounds, TRANSPOSED
    assert samples.shape == (rounds, s), f"draw_samples should give the shape {(rounds, s)}, got {samples.shape}"
    assert np.all(samples == np.round(samples)), "the samples should be whole numbers"
    assert not (samples.max() == n and samples.min() >= 1), FROM_ONE
    assert samples.min() >= 0, "there are indices below 0"
    assert samples.max() <= n - 1, f"there are indices above n − 1 = {n - 1}"
    return samples.astype(int)


@pytest.mark.q("q3", 1)
def test_samples_without_repeats(student, atlas, rng):
    """Each row holds s different indices of 0 … n - 1; all of them if s = n."""
    for n, s, rounds in [(9, 4, 200), (5, 5, 40), (31, 2, 400)]:
        samples = drawn(student, n, s, rounds, int(rng.integers(1000)))
        assert all(len(set(row)) == s for row in samples.tolist()), REPEATS
        assert len(np.unique(samples)) > 1, "all indices are the same"


@pytest.mark.q("q3", 1)
def test_samples_from_the_seed(student, atlas, rng):
    """The same seed gives the same samples, another seed others, and every round its own."""
    first, second = (int(seed) for seed in rng.integers(2**40, 2**50, 2))
    samples = drawn(student, 50, 3, 30, first)
    assert np.array_equal(samples, drawn(student, 50, 3, 30, first)), NOT_REPEATED
    assert not np.array_equal(samples, drawn(student, 50, 3, 30, second)), IGNORED
    assert np.any(samples != samples[0]), SAME_AGAIN


@pytest.mark.q("q3", 1)
def test_samples_are_fair(student, atlas, rng):
    """All choices come up equally often, within what chance allows, and the rounds are independent."""
    n, s, rounds = 7, 3, 3500
    samples = np.sort(drawn(student, n, s, rounds, int(rng.integers(1000))), axis=1)
    assert samples.max() == n - 1, LAST_LEFT_OUT
    assert np.any(samples[:, -1] - samples[:, 0] > s - 1), NEIGHBOURS
    assert len(np.unique(samples, axis=0)) > 1, SAME_AGAIN
    # Two rounds in a row share a datum with probability 1 - C(4, 3) / C(7, 3) = 0.886 ± 0.006.
    shared = [len(set(a) & set(b)) > 0 for a, b in itertools.pairwise(samples.tolist())]
    assert np.mean(shared) > 0.75, DEALT_OUT
    codes = samples @ [49, 7, 1]
    counts = [np.sum(codes == np.dot(row, [49, 7, 1])) for row in itertools.combinations(range(n), s)]
    assert sum(counts) == rounds, REPEATS
    # A fair sampler fails one time in a million.
    assert stats.chisquare(counts).pvalue > 1e-6, UNEVEN


def _rng(rng):
    return np.random.default_rng(rng)


@wrong("q3", says=REPEATS)
def draw_samples(n, s, rounds, rng):
    return _rng(rng).integers(0, n, (rounds, s))


@wrong("q3", says=SAME_AGAIN)
def draw_samples(n, s, rounds, rng):
    return np.array([np.random.default_rng(rng).choice(n, s, replace=False) for _ in range(rounds)])


@wrong("q3", says=IGNORED)
def draw_samples(n, s, rounds, rng):
    generator = np.random.default_rng(0)
    return np.array([generator.choice(n, s, replace=False) for _ in range(rounds)])


@wrong("q3", says=NOT_REPEATED)
def draw_samples(n, s, rounds, rng):
    return np.array([np.random.choice(n, s, replace=False) for _ in range(rounds)])  # noqa: NPY002


@wrong("q3", says=GLOBAL)
def draw_samples(n, s, rounds, rng):
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(rng)  # noqa: NPY002
        return np.array([np.random.permutation(n)[:s] for _ in range(rounds)])  # noqa: NPY002
    finally:
        np.random.set_state(state)  # noqa: NPY002


@wrong("q3", says=FROM_ONE)
def draw_samples(n, s, rounds, rng):
    return np.argsort(_rng(rng).random((rounds, n)), axis=1)[:, :s] + 1


@wrong("q3", says=LAST_LEFT_OUT)
def draw_samples(n, s, rounds, rng):
    return np.argsort(_rng(rng).random((rounds, max(n - 1, s))), axis=1)[:, :s]


@wrong("q3", says=NEIGHBOURS)
def draw_samples(n, s, rounds, rng):
    return _rng(rng).integers(0, n - s + 1, (rounds, 1)) + np.arange(s)


@wrong("q3", says=DEALT_OUT)
def draw_samples(n, s, rounds, rng):
    generator, rows = _rng(rng), []
    while len(rows) < rounds:
        order = generator.permutation(n)
        rows += [order[k : k + s] for k in range(0, n - s + 1, s)]
    return np.array(rows[:rounds])


@wrong("q3", says=UNEVEN)
def draw_samples(n, s, rounds, rng):
    generator, rows = _rng(rng), []
    for first in generator.integers(0, n, rounds):  # repeats are mended by taking the next that is free
        row = [int(first)]
        while len(row) < s:
            index = int(generator.integers(0, n))
            while index in row:
                index = (index + 1) % n
            row.append(index)
        rows.append(row)
    return np.array(rows)


@wrong("q3", says=TRANSPOSED)
def draw_samples(n, s, rounds, rng):
    return np.argsort(_rng(rng).random((rounds, n)), axis=1)[:, :s].T


@right("q3")
def draw_samples(n, s, rounds, rng):
    """Draw again until all are different."""
    generator, rows = _rng(rng), []
    while len(rows) < rounds:
        row = generator.integers(0, n, s).tolist()
        if len(set(row)) == s:
            rows.append(row)
    return rows


# The loop.  Its oracle has its own models: a line through two points, a circle by two bisectors.

DEGENERATE = (
    "a sample that determines no model stops the program: its fit is None, and the loop must go on with the next"
)
NOTHING = "if no sample gives a model there is nothing to return: raise a ValueError that says so"
PLACES = "inliers should be (N,) bools, one for each datum, not the places of the inliers"


def exact_line(points):
    (x1, y1), (x2, y2) = points
    a, b = y1 - y2, x2 - x1
    length = math.hypot(a, b)
    return np.array([a, b, -(a * x1 + b * y1)]) / length if length > 1e-9 else None


def exact_circle(points):
    p, q, r = (complex(*point) for point in points)
    w = (r - p) / (q - p) if q != p else 0
    if abs(w.imag if isinstance(w, complex) else 0) < 1e-9:
        return None
    middle = p + (q - p) * (w - abs(w) ** 2) / (2j * w.imag)
    return np.array([middle.real, middle.imag, abs(middle - p)])


def distances(kind, model, points):
    x, y = points.T
    if kind == "line":
        return np.abs(model[0] * x + model[1] * y + model[2])
    return np.abs(np.abs(x + 1j * y - complex(*model[:2])) - model[2])


def best_fit(kind, points):
    """Least squares: by the scatter matrix for a line, by the normal equations for a circle."""
    mean = points.mean(axis=0)
    q = points - mean
    if kind == "line":
        normal = np.linalg.eigh(q.T @ q)[1][:, 0]
        return np.append(normal, -normal @ mean)
    A = np.column_stack([2 * q, np.ones(len(q))])
    x, y, d = np.linalg.solve(A.T @ A, A.T @ np.sum(q * q, axis=1))
    return np.array([x + mean[0], y + mean[1], math.sqrt(d + x * x + y * y)])


def counts_of(kind, data, threshold, samples):
    """Mark the inliers of each sample's model, none if there is no model."""
    exact = exact_line if kind == "line" else exact_circle
    models = [exact(data[row]) for row in samples]
    none = np.zeros(len(data), dtype=bool)
    return np.array([none if m is None else distances(kind, m, data) <= threshold for m in models])


def truth_of(kind, data, threshold, samples):
    inliers = counts_of(kind, data, threshold, samples)
    mask = inliers[np.argmax(inliers.sum(axis=1))]  # the first of the largest
    return best_fit(kind, data[mask]), mask


def ring(rng, k, n, threshold, size=1.0):
    """Make k points near a circle and others in a box around it, mixed; some lie two or three thresholds off."""
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.full(n, 30.0)
    radius[:k] += rng.uniform(-0.5, 0.5, k) * threshold / size
    radius[k : k + 4] += rng.uniform(2, 4, 4) * threshold / size
    points = np.column_stack([40 + radius * np.cos(angle), 25 + radius * np.sin(angle)])
    points[k + 4 :] = rng.uniform([-10, -25], [90, 75], (n - k - 4, 2))
    return size * points[rng.permutation(n)]


def band(rng, k, n, threshold):
    """Make k points near a line, the others anywhere, mixed."""
    across = np.append(rng.uniform(-0.5, 0.5, k) * threshold, rng.uniform(-60, 60, n - k))
    z = (rng.uniform(-50, 50, n) + 1j * across) * np.exp(1j * rng.uniform(0.3, 1.2)) + 30 + 40j
    return np.column_stack([z.real, z.imag])[rng.permutation(n)]


def rows(rng, n, s, rounds):
    return np.argsort(rng.random((rounds, n)), axis=1)[:, :s]


def clear_rows(rng, kind, data, threshold, rounds):
    """Draw samples of which the first and the last are far from the best."""
    for _ in range(100):
        samples = rows(rng, len(data), 2 if kind == "line" else 3, rounds)
        counts = counts_of(kind, data, threshold, samples).sum(axis=1)
        if max(counts[0], counts[-1]) < 0.6 * counts.max():
            break
    return samples


def fixed(model):
    """Give a line or a homography one scale and one sign."""
    model = np.asarray(model, dtype=float)
    return model / np.linalg.norm(model) * np.sign(model.flat[np.argmax(np.abs(model))])


def line_form(model):
    model = np.asarray(model, dtype=float)
    if model.shape != (3,):
        return model
    return model / np.hypot(*model[:2]) * np.sign(model[np.argmax(np.abs(model[:2]))])


def found(answer, n, parts=2):
    """Split (model, inliers, ...) and see that the inliers are a mask."""
    names = "model, inliers" + ", rounds" * (parts - 2)
    good = isinstance(answer, tuple | list) and len(answer) == parts
    assert good, f"{parts} values are expected, as in  return {names}"
    mask = np.asarray(answer[1])
    assert mask.dtype.kind == "b" or mask.shape == (n,), PLACES
    assert mask.shape == (n,), f"inliers should have the shape ({n},), got {mask.shape}"
    return answer


def compare(answer, looks, truth, n, what, form=np.asarray):
    """Compare inliers first, then the model; a mistake is named by both together where it can be."""
    model, inliers = found(answer, n)[:2]
    assert model is not None, "the model is None"
    looks = {says: result for says, result in looks.items() if isinstance(result, tuple) and len(result) == 2}
    masks = {says: result[1] for says, result in looks.items() if np.shape(result[1]) == (n,)}
    expect(inliers, truth[1], masks, what=f"inliers {what}")
    same = [says for says, mask in masks.items() if np.array_equal(mask, truth[1]) and looks[says][0] is not None]
    models = {says: form(looks[says][0]) for says in same}
    # Fits of well-spread points a few times 10 to 100 px in size: rounding is far below.
    expect(form(model), form(truth[0]), models, atol=1e-6, what=f"the model {what}")


@pytest.mark.q("q3", 1)
def test_best_round(student, atlas, rng):
    """Of many rounds the one with the most inliers counts, and all its inliers are marked."""
    threshold = rng.uniform(1.2, 2)
    data = ring(rng, 20, 37, threshold)
    samples = clear_rows(rng, "circle", data, threshold, 60)
    truth = truth_of("circle", data, threshold, samples)
    answer = student.ransac(data, "circle", threshold, samples)
    assert not student.changed, CHANGED
    _, inliers = found(answer, 37)
    masks = {says: result[1] for says, result in atlas("ransac", data, "circle", threshold, samples).items()}
    expect(inliers, truth[1], masks, what="inliers of a circle")


@pytest.mark.q("q3", 2)
def test_refit(student, atlas, rng):
    """The model returned is the fit to all inliers of the best round."""
    for kind in ("circle", "line"):
        threshold = rng.uniform(1.2, 2)
        for _ in range(100):  # until the refitted model has other inliers than those it was fitted to
            data = (ring if kind == "circle" else band)(rng, 24, 41, threshold)
            samples = clear_rows(rng, kind, data, threshold, 50)
            truth = truth_of(kind, data, threshold, samples)
            if np.any((distances(kind, truth[0], data) <= threshold) != truth[1]):
                break
        looks = atlas("ransac", data, kind, threshold, samples)
        answer = student.ransac(data, kind, threshold, samples)
        compare(answer, looks, truth, 41, f"of a {kind}", line_form if kind == "line" else np.asarray)


@pytest.mark.q("q3", 1)
def test_units(student, atlas, rng):
    """The same data in metres instead of pixels, and the threshold with them: the same inliers, the model to scale."""
    threshold = rng.uniform(1.2, 2)
    data = ring(rng, 20, 37, threshold)
    samples = clear_rows(rng, "circle", data, threshold, 40)
    model, mask = truth_of("circle", data, threshold, samples)
    for unit in (0.01, 20.0):
        case = (unit * data, "circle", unit * threshold, samples)
        compare(student.ransac(*case), atlas("ransac", *case), (unit * model, mask), 37, f"in units of {1 / unit:g}")


@pytest.mark.q("q3", 1)
def test_degenerate_samples(student, atlas, rng):
    """Samples that determine no model are passed over; of equal counts the first wins; nothing at all is refused."""
    # Two lines of six points each, exact, in whole numbers, and three times one point beside them.
    steps = np.arange(6.0)
    first, second = np.outer(steps, [7, 3]) + np.array([2, 60]), np.outer(steps, [5, -4]) + np.array([20, 30])
    data = np.concatenate([first, second, np.tile(rng.uniform([70, 0], [90, 15]), (3, 1))])
    good, bad = [rng.permutation(6)[:2], rng.permutation(6)[:2] + 6], [[12, 13], [13, 14], [14, 12]]
    for order in ((0, 1), (1, 0)):
        samples = np.array([bad[0], good[order[0]], bad[1], [0, 12], good[order[1]], [6, 13], bad[2]])
        mask = np.arange(15) // 6 == order[0]
        truth = (exact_line(data[good[order[0]]]), mask)
        case = (data, "line", 0.5, samples)
        answer, problem = attempt(student.ransac, *case)
        assert "None" not in problem, f"{DEGENERATE} ({problem})"
        assert not problem, problem
        compare(answer, atlas("ransac", *case), truth, 15, "of two equal lines", line_form)
    _, problem = attempt(student.ransac, data, "line", 0.5, np.array(bad))
    assert "raised ValueError" in problem, f"{NOTHING} ({problem or 'nothing was raised'})"


@pytest.mark.q("q3", 1)
def test_homography(student, atlas, rng):
    """The same loop for pairs of points: the homography that made fifteen of the twenty-four is found again."""
    H, src = homography(rng), rng.uniform(0, 200, (24, 2))
    pairs = np.column_stack([src, carried(H, src)])
    out = rng.permutation(24)[:9]
    pairs[out, 2:] += rng.uniform(15, 60, (9, 2)) * rng.choice([-1, 1], (9, 2))
    samples = rows(rng, 24, 4, 60)
    inside = np.setdiff1d(np.arange(24), out)
    samples[[17, 44]] = inside[[[0, 3, 7, 11], [2, 5, 9, 14]]]
    looks = atlas("ransac", pairs, "homography", 2.0, samples)
    answer = student.ransac(pairs, "homography", 2.0, samples)
    compare(answer, looks, (H, np.isin(np.arange(24), inside)), 24, "of a homography", fixed)


def _fit(kind, points):
    """Fit a model of any kind, None where it is undetermined."""
    if kind == "homography":
        return _homography(points)
    if np.linalg.matrix_rank(points - points.mean(axis=0), 1e-9) < (1 if kind == "line" else 2):
        return None
    return best_fit(kind, points)


def _homography(pairs):
    """Solve the linear equations between points that are moved and scaled."""
    scaled, moves = [], []
    for points in (pairs[:, :2], pairs[:, 2:]):
        mean, size = points.mean(axis=0), np.abs(points - points.mean(axis=0)).max() or 1.0
        scaled.append((points - mean) / size)
        moves.append(np.array([[size, 0, mean[0]], [0, size, mean[1]], [0, 0, 1]]))
    equations = []
    for (x, y), (u, v) in zip(*scaled, strict=True):
        equations += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    _, spread, Vt = np.linalg.svd(np.array(equations))
    H = Vt[-1].reshape(3, 3)
    if spread[7] < 1e-6 * spread[0] or abs(np.linalg.det(H)) < 1e-6:
        return None
    return moves[1] @ H @ np.linalg.inv(moves[0])


def _residuals(kind, model, data):
    return np.sqrt(sum(_there_and_back(model, data))) if kind == "homography" else distances(kind, model, data)


def _rounds_of(data, kind, threshold, samples):
    """List (model, residuals, inliers) of the rounds that have a model."""
    models = [_fit(kind, data[row]) for row in samples]
    measured = [(model, _residuals(kind, model, data)) for model in models if model is not None]
    if not measured:
        raise ValueError("no sample determines a model")
    return [(model, residuals, residuals <= threshold) for model, residuals in measured]


def _best(trials):
    return max(trials, key=lambda trial: trial[2].sum())


@wrong(
    "q3",
    says="the round that is kept is the last one: a model must have MORE inliers than the best so far to replace it",
)
def ransac(data, kind, threshold, samples):
    _, _, inliers = _rounds_of(data, kind, threshold, samples)[-1]
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="only the first round counts: compare the inliers of all rounds")
def ransac(data, kind, threshold, samples):
    _, _, inliers = _rounds_of(data, kind, threshold, samples)[0]
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="of equal counts the last is kept; a model as good as the best so far does not replace it")
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples)[::-1])
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="the last step is missing, the refit: this model goes through the few noisy data of its sample")
def ransac(data, kind, threshold, samples):
    model, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return model, inliers


@wrong("q3", says="the refit takes all data: the outliers, just found, are back in; fit to the inliers only")
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return _fit(kind, data), inliers


@wrong(
    "q3",
    says="the inliers are those of the refitted model; asked for are those it was fitted to, of the best sample's model",
)
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    model = _fit(kind, data[inliers])
    return model, _residuals(kind, model, data) <= threshold


@wrong("q3", says="the rounds are compared by the sum of all residuals: then the outliers decide; count the inliers")
def ransac(data, kind, threshold, samples):
    _, _, inliers = min(_rounds_of(data, kind, threshold, samples), key=lambda trial: trial[1].sum())
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="the squares of the residuals are compared with the threshold: r ≤ t compares pixels with pixels")
def ransac(data, kind, threshold, samples):
    trials = [(model, r, r**2 <= threshold) for model, r, _ in _rounds_of(data, kind, threshold, samples)]
    _, _, inliers = _best(trials)
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="the threshold is squared but the residuals are not: both are in pixels already")
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold**2, samples))
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says="the threshold plays no part: with r ≤ 0 hardly the sample itself is counted; an inlier has r ≤ t")
def ransac(data, kind, threshold, samples):
    trials = _rounds_of(data, kind, threshold, samples)
    model, r, _ = _best([(model, r, r <= 0) for model, r, _ in trials])
    return model, r <= 0


@wrong("q3", says="the outliers are marked: True is for inliers")
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return _fit(kind, data[inliers]), ~inliers


@wrong("q3", says="only the sample itself is marked: all data within the threshold are inliers")
def ransac(data, kind, threshold, samples):
    trials = _rounds_of(data, kind, threshold, samples)
    kept = [row for row in samples if _fit(kind, data[row]) is not None]
    best = kept[int(np.argmax([inliers.sum() for _, _, inliers in trials]))]
    return _fit(kind, data[best]), np.isin(np.arange(len(data)), best)


@wrong("q3", says=PLACES)
def ransac(data, kind, threshold, samples):
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return _fit(kind, data[inliers]), np.flatnonzero(inliers)


@wrong("q3", says=DEGENERATE)
def ransac(data, kind, threshold, samples):
    models = [_fit(kind, data[row]) for row in samples]
    inliers = max((_residuals(kind, model, data) <= threshold for model in models), key=np.sum)
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says=NOTHING)
def ransac(data, kind, threshold, samples):
    try:
        _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    except ValueError:
        return None, np.zeros(len(data), dtype=bool)
    return _fit(kind, data[inliers]), inliers


@wrong("q3", says=CHANGED)
def ransac(data, kind, threshold, samples):
    data -= data.mean(axis=0)
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return _fit(kind, data[inliers]), inliers


@right("q3")
def ransac(data, kind, threshold, samples):
    """Collect the counts first, and choose afterwards."""
    trials = [(row, _fit(kind, data[row])) for row in samples.tolist()]
    marked = [_residuals(kind, model, data) <= threshold for _, model in trials if model is not None]
    if len(marked) == 0:
        raise ValueError("all samples are degenerate")
    counts = [int(np.count_nonzero(mask)) for mask in marked]
    mask = marked[counts.index(max(counts))]
    return _fit(kind, data[mask]).tolist(), mask.tolist()


# ---------------------------------------------------------------------------------------------
# Question 4: stopping early


def stop_of(kind, data, threshold, samples, P):
    """Give the round after which Eq. (6) lets one stop."""
    s, counts = len(samples[0]), counts_of(kind, data, threshold, samples).sum(axis=1)
    for done in range(1, len(samples) + 1):
        k = int(counts[:done].max())
        if k == len(data) or (k and done >= least_rounds(power(k / len(data), s), P)):
            return done
    return len(samples)


def same_stop(student, atlas, case, truth, what):
    """Compare rounds, inliers and model, in this order; name a mistake by the first that differs."""
    answer, problem = attempt(student.ransac_adaptive, *case)
    assert "None" not in problem, f"{DEGENERATE} ({problem})"
    assert not problem, problem
    n = len(case[0])
    model, inliers, rounds = found(answer, n, 3)
    looks = atlas("ransac_adaptive", *case)
    expect(rounds, truth[2], {says: result[2] for says, result in looks.items()}, what=f"the number of rounds {what}")
    looks = {says: result for says, result in looks.items() if result[2] == truth[2]}
    expect(inliers, truth[1], {says: result[1] for says, result in looks.items()}, what=f"inliers {what}")
    looks = {says: result for says, result in looks.items() if np.array_equal(result[1], truth[1])}
    form = line_form if case[1] == "line" else np.asarray
    assert model is not None, "the model is None"
    models = {says: form(result[0]) for says, result in looks.items()}
    expect(form(model), form(truth[0]), models, atol=1e-6, what=f"the model {what}")


def adaptive_truth(kind, data, threshold, samples, P=0.99):
    done = stop_of(kind, data, threshold, samples, P)
    return *truth_of(kind, data, threshold, samples[:done]), done


@pytest.mark.q("q4", 2)
def test_stop(student, atlas, rng):
    """A line and a circle: the rounds done, the inliers and the refitted model, well before the samples end."""
    data, samples = line_with_later_luck(rng)
    truth = adaptive_truth("line", data, 1.5, samples)
    same_stop(student, atlas, (data, "line", 1.5, samples), truth, "of a line")
    assert not student.changed, CHANGED
    threshold = rng.uniform(1.2, 2)
    data, samples = ring(rng, 20, 37, threshold), rows(rng, 37, 3, 200)
    truth = adaptive_truth("circle", data, threshold, samples)
    same_stop(student, atlas, (data, "circle", threshold, samples), truth, "of a circle")


def line_with_later_luck(rng):
    """Make points and samples: a fair start, and after the stop an equally good round and then a better one."""
    pairs = np.array(list(itertools.combinations(range(41), 2)))
    for _ in range(100):
        data, samples = band(rng, 17, 41, 3.0), rows(rng, 41, 2, 200)
        of_pairs = counted(all_lines(data), data, 1.5)
        samples[0] = pairs[np.argmax((of_pairs == 8) | (of_pairs == 7))]  # alone, it would ask for 119 or 156 rounds
        counts, done = counts_of("line", data, 1.5, samples).sum(axis=1), stop_of("line", data, 1.5, samples, 0.99)
        better = pairs[of_pairs > counts[:done].max()]
        if 10 < done < 90 and counts[0] in (7, 8) and len(better):
            samples[done + 2] = samples[np.argmax(counts[:done])]
            samples[done + 9] = better[0]
            break
    return data, samples


@pytest.mark.q("q4", 1)
def test_stop_for_other_probabilities(student, atlas, rng):
    """A smaller P stops earlier, a larger one later."""
    threshold = rng.uniform(1.2, 2)
    data, samples = ring(rng, 17, 37, threshold), rows(rng, 37, 3, 200)
    for P in (0.6, 0.9, 0.999):
        truth = adaptive_truth("circle", data, threshold, samples, P)
        same_stop(student, atlas, (data, "circle", threshold, samples, P), truth, f"for P = {P:g}")


@pytest.mark.q("q4", 1)
def test_ends(student, atlas, rng):
    """One round if all data agree; all samples if they are too few for Eq. (6)."""
    turn = np.exp(1j * rng.uniform(0.2, 1.2))
    z = np.linspace(-30, 40, 9) * turn + 15
    data, samples = np.column_stack([z.real, z.imag]), rows(rng, 9, 2, 12)
    truth = (exact_line(data[[0, 8]]), np.ones(9, dtype=bool), 1)
    same_stop(student, atlas, (data, "line", 1.0, samples), truth, "where all data agree")
    data = ring(rng, 12, 60, 1.5)
    samples = rows(rng, 60, 3, 30)
    truth = adaptive_truth("circle", data, 1.5, samples)
    same_stop(student, atlas, (data, "circle", 1.5, samples), truth, "with few samples")


@pytest.mark.q("q4", 1)
def test_degenerate_rounds_count(student, atlas, rng):
    """A sample without a model is a round as well."""
    u, out = rng.uniform(-50, 50, 26), rng.uniform(-50, 50, (15, 2))
    out[:, 1] = 0.4 * out[:, 0] + rng.choice([-1, 1], 15) * rng.uniform(12, 60, 15)
    out[11:] = out[11]  # four times one point
    data = np.concatenate([np.column_stack([u, 0.4 * u + rng.uniform(-0.3, 0.3, 26)]), out])
    samples = rows(rng, 41, 2, 90)
    samples[:25] = 26 + rows(rng, 11, 2, 25)  # outliers only, then the first lucky round
    samples[[0, 4, 5, 11, 17, 24]] = 37 + rows(rng, 4, 2, 6)
    samples[25] = [np.argmin(u), np.argmax(u)]
    order = rng.permutation(41)
    data, samples = data[order], np.argsort(order)[samples]
    truth = adaptive_truth("line", data, 1.5, samples)
    assert truth[2] == 26
    same_stop(student, atlas, (data, "line", 1.5, samples), truth, "with degenerate samples")


def _adaptive(data, kind, threshold, samples, P, stop, skip=False, only_better=False):
    """Run until stop(done, counts, share of the best, s, P); wrong versions change one thing each."""
    counts, marks, done = [], [], 0
    for row in samples:
        model = _fit(kind, data[row])
        if model is None and skip:
            continue
        done += 1
        mask = np.zeros(len(data), bool) if model is None else _residuals(kind, model, data) <= threshold
        better = not counts or mask.sum() > max(counts)
        counts.append(int(mask.sum()))
        marks.append(mask)
        if (better or not only_better) and stop(done, counts, max(counts) / len(data), len(row), P):
            break
    best = marks[int(np.argmax(counts))]
    if not best.any():
        raise ValueError("no sample determines a model")
    return _fit(kind, data[best]), best, done


def _enough(done, counts, p, s, P):
    return done >= _rounds(p**s, P)


@wrong("q4", says="the bound follows the count of the present round, which may be worse: Eq. (6) takes the best so far")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(
        data, kind, threshold, samples, P, lambda done, n, p, s, P: _enough(done, n, n[-1] / len(data), s, P)
    )


@wrong("q4", says="the rounds are counted from 0: after the first, one round is done")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    model, inliers, done = _adaptive(data, kind, threshold, samples, P, _enough)
    return model, inliers, done - 1


@wrong(
    "q4",
    says="it stops one round late: as soon as the rounds done are R, they are enough; test after each round, with ≥",
)
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(data, kind, threshold, samples, P, lambda done, n, p, s, P: _enough(done - 1, n, p, s, P))


@wrong("q4", says="it never stops: all samples are used, whatever was found")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(data, kind, threshold, samples, P, lambda *state: False)


@wrong(
    "q4", says="the stop is tested only when a better model comes: the bound may be reached in a round that brings none"
)
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(data, kind, threshold, samples, P, _enough, only_better=True)


@wrong("q4", says="after each improvement R more rounds are done: the earlier rounds count too, R is the total")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    def stop(done, counts, p, s, P):
        return done - 1 - int(np.argmax(counts)) >= _rounds(p**s, P)

    return _adaptive(data, kind, threshold, samples, P, stop)


@wrong("q4", says="the bound is computed once, from the first round: lower it whenever the best count grows")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(
        data, kind, threshold, samples, P, lambda done, n, p, s, P: _enough(done, n, n[0] / len(data), s, P)
    )


@wrong("q4", says="rounds whose sample gave no model are not counted: they were drawn, and the formula includes them")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(data, kind, threshold, samples, P, _enough, skip=True)


@wrong("q4", says="s is not the size of the samples: it is the number of columns of `samples`, not those of the data")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    def stop(done, counts, p, s, P):
        return _enough(done, counts, p, data.shape[1], P)

    return _adaptive(data, kind, threshold, samples, P, stop)


@wrong("q4", says="the argument P is not used: it stops as if 0.99 were asked for")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    return _adaptive(data, kind, threshold, samples, 0.99, _enough)


@wrong("q4", says="the bound R is returned; asked for is the number of rounds done, which may be smaller or larger")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    model, inliers, _ = _adaptive(data, kind, threshold, samples, P, _enough)
    return model, inliers, _rounds(np.mean(inliers) ** samples.shape[1], P)


@wrong("q4", says="the refit is missing: stopping early is no reason to keep the model of one sample")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    _, inliers, done = _adaptive(data, kind, threshold, samples, P, _enough)
    return _best(_rounds_of(data, kind, threshold, samples[:done]))[0], inliers, done


@wrong("q4", says="the early stop is computed, but the model comes from all samples: those not done must not count")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    _, _, done = _adaptive(data, kind, threshold, samples, P, _enough)
    _, _, inliers = _best(_rounds_of(data, kind, threshold, samples))
    return _fit(kind, data[inliers]), inliers, done


@right("q4")
def ransac_adaptive(data, kind, threshold, samples, P=0.99):
    """A running maximum of all counts, and the first round at which it is enough."""
    models = [_fit(kind, data[row]) for row in samples]
    marked = [np.zeros(len(data), bool) if m is None else _residuals(kind, m, data) <= threshold for m in models]
    counts = np.array([mask.sum() for mask in marked])
    if counts.max() == 0:
        raise ValueError("no sample determines a model")
    with np.errstate(divide="ignore"):
        unlucky = np.log1p(-((np.maximum.accumulate(counts) / len(data)) ** samples.shape[1]))
        needed = np.ceil(np.log1p(-P) / np.where(unlucky == 0, -1e-300, unlucky))
    enough = np.flatnonzero(np.arange(1, len(samples) + 1) >= np.maximum(needed, 1))
    done = int(enough[0]) + 1 if len(enough) else len(samples)
    mask = marked[int(np.argmax(counts[:done]))]
    return _fit(kind, data[mask]), mask, done


# ---------------------------------------------------------------------------------------------
# Question 5: find the failure

HOW_MANY = "as many outliers as asked for, and nothing else: an array of shape (m, 2), without the given points"
TOO_NEAR = "some of the outliers lie within three thresholds of the true line: those help it, and are no outliers"
NO_STRUCTURE = (
    "the outliers do not agree: no line has most of them within the threshold; scattered ones each spoil a few samples, "
    "but never win"
)
HEAP = "two of the outliers stand in one place, or nearly: keep half a threshold between any two"
SAME_WAY = "the outliers' line runs within 30° of the true one: a nearly parallel line is not yet the failure asked for"
MISSED = (
    "the outliers agree, but their line passes none of the given points: m < k, so alone they are outnumbered; let it "
    "cross where it gains some"
)
TOO_FEW = (
    "the outliers' line crosses the true one where the points stand thinly: it gains fewer of them than it needs; "
    "cross it where they crowd"
)
FOOL_CHANGED = "fool overwrites the given points: make the outliers in a new array"


def bent_posts(rng, k, crowd, threshold):
    """Make k points of a line: evenly spread, a gap in the middle, and a crowd away from it."""
    n = k - crowd
    u = 5 * threshold * (np.arange(n) - (n - 1) / 2 + rng.uniform(-0.2, 0.2, n))
    u += np.where(u > 0, 4, -4) * threshold
    place = rng.choice([-1, 1]) * rng.uniform(0.25, 0.4) * np.ptp(u)
    u = np.append(u, place + threshold * rng.uniform(-0.6, 0.6, crowd))
    turn = np.exp(1j * (rng.uniform(0.3, 1.2) + np.pi / 2 * rng.integers(4)))
    z = (u + 1j * threshold * rng.uniform(-0.1, 0.1, k)) * turn + complex(*rng.uniform(-50, 50, 2))
    return np.column_stack([z.real, z.imag])[rng.permutation(k)]


def all_lines(points):
    """Give the lines through all pairs of points that differ: unit normals and offsets."""
    i, j = np.triu_indices(len(points), 1)
    step = points[j] - points[i]
    length = np.hypot(*step.T)
    i, step, length = i[length > 1e-9], step[length > 1e-9], length[length > 1e-9]
    normal = np.column_stack([-step[:, 1], step[:, 0]]) / length[:, None]
    return np.column_stack([normal, -np.sum(normal * points[i], axis=1)])


def counted(lines, points, threshold):
    return np.sum(np.abs(points @ lines[:, :2].T + lines[:, 2]) <= threshold * (1 + 1e-9), axis=0)


def trapped(student, inliers, m, threshold):
    """Call fool, see that the outliers are such, and give them with the true line."""
    answer = student.fool(inliers, m, threshold)
    assert not student.changed, FOOL_CHANGED
    assert answer is not None, "fool returns None: does it end with a return?"
    outliers = np.asarray(answer, dtype=float)
    assert outliers.shape == (m, 2), f"{HOW_MANY} (got {outliers.shape})"
    assert np.isfinite(outliers).all(), "the outliers hold NaN or infinity"
    apart = np.abs(outliers[:, None] - outliers) @ [1, 1j]
    assert np.abs(apart[np.triu_indices(m, 1)]).min() > 0.5 * threshold * (1 - 1e-9), HEAP
    truth = best_fit("line", inliers)
    assert distances("line", truth, outliers).min() > 3 * threshold * (1 - 1e-9), TOO_NEAR
    return outliers, truth


def steep(lines, truth):
    """Tell which lines are at more than 30 degrees to the true one."""
    return np.abs(lines[:, :2] @ truth[:2]) < math.cos(math.pi / 6)


def agreeing(outliers, truth, threshold):
    """See that most of the outliers lie on a line, at an angle; give the best such line."""
    lines = all_lines(outliers)
    counts = counted(lines, outliers, threshold)
    assert counts.max() >= 0.8 * len(outliers), NO_STRUCTURE
    assert np.any(counts[steep(lines, truth)] >= 0.8 * len(outliers)), SAME_WAY
    return lines[np.argmax(np.where(steep(lines, truth), counts, 0))]


@pytest.mark.q("q5", 1)
def test_outliers_that_agree(student, atlas, rng):
    """m outliers, all far enough from the true line, most of them on another line, at more than 30° to it."""
    for k, crowd, m, threshold in [(31, 7, 28, rng.uniform(0.8, 1.5)), (45, 9, 40, rng.uniform(3, 5))]:
        outliers, truth = trapped(student, bent_posts(rng, k, crowd, threshold), m, threshold)
        agreeing(outliers, truth, threshold)


def is_fooled(student, inliers, m, threshold):
    """Search all lines through two points: the largest count must be a wrong one's."""
    outliers, truth = trapped(student, inliers, m, threshold)
    data = np.concatenate([inliers, outliers])
    lines = all_lines(data)
    counts, wrong_way = counted(lines, data, threshold), steep(lines, truth)
    right_count = max(counts[~wrong_way].max(), counted(truth[None], data, threshold)[0])
    wrong_count = counts[wrong_way].max()
    if wrong_count > right_count:
        return
    own = agreeing(outliers, truth, threshold)
    says = TOO_FEW if counted(own[None], inliers, threshold)[0] else MISSED
    raise AssertionError(f"{says} (it has {wrong_count} points, the true line {right_count})")


@pytest.mark.q("q5", 2)
def test_ransac_is_fooled(student, atlas, rng):
    """The largest consensus of all lines is a wrong line's, with 28 outliers against 31 points."""
    threshold = rng.uniform(0.8, 1.5)
    is_fooled(student, bent_posts(rng, 31, 7, threshold), 28, threshold)


@pytest.mark.q("q5", 2)
def test_ransac_is_fooled_again(student, atlas, rng):
    """Another size, another threshold, and fewer outliers: the crowd must be found."""
    for k, crowd, m in ((45, 11, 37), (24, 8, 18)):
        threshold = rng.uniform(0.02, 0.05) if k == 24 else rng.uniform(3, 5)
        is_fooled(student, bent_posts(rng, k, crowd, threshold), m, threshold)


def _frame(inliers):
    """Give the true line's normal, direction, and the places of the points along it."""
    a, b, c = best_fit("line", inliers)
    normal, along = np.array([a, b]), np.array([-b, a])
    return normal, along, -c * normal, inliers @ along


def _gang(inliers, m, threshold, place, nearest=4.0, tilt=0.0, width=0.0):
    normal, along, foot, _ = _frame(inliers)
    across = threshold * np.linspace(nearest, nearest + 26, m)
    direction = math.cos(tilt) * normal + math.sin(tilt) * along
    spread = width * threshold * (np.arange(m) % 5 - 2)
    return foot + place * along + np.outer(across / math.cos(tilt), direction) + np.outer(spread, along)


def _crowd(inliers, threshold):
    """Slide a window of twice the threshold along the line; give the middle of the fullest."""
    u = np.sort(_frame(inliers)[3])
    full = [np.searchsorted(u, x + 2 * threshold, side="right") - k for k, x in enumerate(u)]
    k = int(np.argmax(full))
    return (u[k] + u[k + full[k] - 1]) / 2


@wrong("q5", says=NO_STRUCTURE)
def fool(inliers, m, threshold):
    normal, along, foot, u = _frame(inliers)
    chance = np.random.default_rng(5)
    places, across = chance.uniform(u.min(), u.max(), m), threshold * chance.uniform(4, 80, m)
    return foot + np.outer(places, along) + np.outer(across, normal)


@wrong("q5", says=SAME_WAY)
def fool(inliers, m, threshold):
    normal, along, foot, u = _frame(inliers)
    return foot + np.outer(np.linspace(u.min(), u.max(), m), along) + 5 * threshold * normal


@wrong("q5", says=MISSED)
def fool(inliers, m, threshold):
    u = _frame(inliers)[3]
    return _gang(inliers, m, threshold, u.max() + 10 * threshold)


@wrong("q5", says=TOO_FEW)
def fool(inliers, m, threshold):
    u = _frame(inliers)[3]
    return _gang(inliers, m, threshold, u.max())


@wrong("q5", says=TOO_NEAR)
def fool(inliers, m, threshold):
    return _gang(inliers, m, threshold, _crowd(inliers, threshold), nearest=1.5)


@wrong("q5", says=HEAP)
def fool(inliers, m, threshold):
    return np.tile(_gang(inliers, 1, threshold, _crowd(inliers, threshold), nearest=9.0), (m, 1))


@wrong("q5", says=HOW_MANY)
def fool(inliers, m, threshold):
    return np.concatenate([inliers, _gang(inliers, m, threshold, _crowd(inliers, threshold))])


@wrong("q5", says=FOOL_CHANGED)
def fool(inliers, m, threshold):
    outliers = _gang(inliers, m, threshold, _crowd(inliers, threshold))
    inliers -= inliers.mean(axis=0)
    return outliers


@right("q5")
def fool(inliers, m, threshold):
    """On both sides, and at 60° to the true line."""
    place, half = _crowd(inliers, threshold), m // 2
    one = _gang(inliers, m - half, threshold, place, tilt=math.radians(30))
    foot = _gang(inliers, 1, 0.0, place)[0]
    return np.concatenate([one, 2 * foot - _gang(inliers, half, threshold, place, tilt=math.radians(30))])
