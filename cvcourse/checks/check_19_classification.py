"""Checks of exercise 19_classification, the mistakes they know, and second solutions.

Oracles: loops over single examples for distances, votes, losses and cross-validation, central differences
of losses written with ``math`` for gradients, ``scipy.special`` for softmax, and the law that labels tossed
by a coin leave nothing to learn.
"""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import special

from cvcourse.checks import expect, right, wrong

FORBIDDEN = {f"q{n}": ("scipy", "sklearn", "skimage", "cv2", "torch", "cvcourse") for n in range(1, 6)}

CHANGED = "an argument is overwritten: its owner needs it again; work on copies, or in new arrays"
LAST_BLOCK = "the last, smaller block is left out: M need not be a multiple of the rows of a block"
TIE_TO_SMALLEST = "a tie goes to the smallest label: it should go to the tied label that comes first in the row"


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
    read = read or (lambda answer: answer)
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case)))
        with np.errstate(all="ignore"):
            guesses = atlas(name, *case)
        for says, result in guesses.items():
            try:
                looks.setdefault(says, []).append(read(result))
            except AssertionError:
                continue
    looks = {says: given for says, given in looks.items() if len(given) == len(cases)}
    if len(cases) == 1:
        answers, truth, looks = answers[0], truth[0], {says: given[0] for says, given in looks.items()}
    expect(answers, truth, looks, atol=atol, what=what)


def part_of(number, names):
    """Make a reader of one of the values that a function returns together."""
    count = names.count(",") + 1

    def read(answer):
        if not isinstance(answer, tuple | list) or len(answer) != count:
            raise AssertionError(f"a tuple ({names}) is expected, got {kind(answer)}")
        return answer[number]

    return read


# ---------------------------------------------------------------------------------------------
# Question 1: nearest neighbours


def exact_distances(A, B):
    return np.array([[sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) for b in B] for a in A])


def exact_vote(row):
    count = Counter(row)
    most = max(count.values())
    return next(label for label in row if count[label] == most)


@pytest.mark.q("q1", 1)
def test_distances(student, atlas, rng):
    """Every pair: 5 examples against 4, of 3 numbers."""
    A, B = rng.normal(size=(5, 3)), 2 * rng.normal(size=(4, 3))
    judge(student, atlas, "squared_distances", [(A, B)], [exact_distances(A, B)], "the squared distances")
    assert not student.changed, CHANGED


NEGATIVE = "a squared distance is below 0 by rounding: cut it off there, or the root of it is NaN"


@pytest.mark.q("q1", 1)
def test_never_negative(student, atlas, rng):
    """Far from the origin and compared with itself: 0 on the diagonal, to rounding, and not below."""
    A = 300 + rng.normal(size=(40, 7))
    answer = student.squared_distances(A, A)
    # |a|² is about 6e5, so each of the three terms is rounded by about 1e-10
    expect(answer, exact_distances(A, A), atlas("squared_distances", A, A), atol=1e-8, what="the squared distances")
    assert np.min(answer) >= 0, NEGATIVE


@pytest.mark.q("q1", 1)
def test_vote(student, atlas, rng):
    """Majorities, and ties of two and three labels."""
    rows = rng.integers(0, 4, (60, 5))
    rows[:4] = [[3, 1, 1, 3, 0], [2, 0, 1, 3, 4], [0, 2, 2, 2, 0], [4, 4, 1, 1, 0]]
    judge(student, atlas, "vote", [(rows,)], [[exact_vote(row) for row in rows.tolist()]], "the labels")


def grid_case(rng, n=23, m=17):
    """Small whole numbers: distances are exact, and many are equal; labels have gaps."""
    X_train, X = rng.integers(0, 4, (n, 3)).astype(float), rng.integers(0, 4, (m, 3)).astype(float)
    return X_train, rng.choice([0, 2, 5], n), X


def exact_knn(X_train, y_train, X, k):
    order = np.argsort(exact_distances(X, X_train), axis=1, kind="stable")[:, :k]
    return [exact_vote(y_train[row].tolist()) for row in order]


@pytest.mark.q("q1", 2)
def test_labels(student, atlas, rng):
    """k = 1, 4 and 7; blocks of one row, of three and a last one that is smaller, and of all at once."""
    cases, truth = [], []
    for k, limit in ((1, 10_000), (4, 3 * 23 + 5), (7, 11)):
        data = grid_case(rng, m=46)
        cases.append((*data, k, limit))
        truth.append(exact_knn(*data, k))
        labels = part_of(0, "labels, largest")(student.knn(*cases[-1]))
        assert not 0 < np.size(labels) < len(data[2]), LAST_BLOCK
    judge(student, atlas, "knn", cases, truth, "the labels", part_of(0, "labels, largest"))
    assert not student.changed, CHANGED


@pytest.mark.q("q1", 1)
def test_blocks(student, atlas, rng):
    """The largest array of distances: as large as the limit allows, and never larger."""
    cases = [(*grid_case(rng), 3, limit) for limit in (23 * 4, 23 * 4 + 22, 23 * 4 - 1, 5, 10_000)]
    truth = [23 * 4, 23 * 4, 23 * 3, 23, 23 * 17]
    judge(student, atlas, "knn", cases, truth, "the largest array of distances", part_of(1, "labels, largest"))


def _squares(A, B):
    return np.sum(A * A, axis=1)[:, None], np.sum(B * B, axis=1)


@wrong("q1", says=NEGATIVE)
def squared_distances(A, B):
    a, b = _squares(A, B)
    return a + b - 2 * A @ B.T


@wrong("q1", says="the product is counted once: (a − b)² has it twice, − 2 a·b")
def squared_distances(A, B):
    a, b = _squares(A, B)
    return np.maximum(a + b - A @ B.T, 0)


@wrong("q1", says="these are distances, not squared ones: the root is not asked for, and order doesn't need it")
def squared_distances(A, B):
    a, b = _squares(A, B)
    return np.sqrt(np.maximum(a + b - 2 * A @ B.T, 0))


@wrong("q1", says="|b|² is missing: without it the distances of one row can't even be compared with each other")
def squared_distances(A, B):
    a, _ = _squares(A, B)
    return np.maximum(a - 2 * A @ B.T, 0)


@wrong("q1", says="|a|² and |b|² are exchanged, or the result transposed: row i belongs to a_i, column j to b_j")
def squared_distances(A, B):
    a, b = _squares(B, A)
    return np.maximum(a + b - 2 * B @ A.T, 0)


@wrong("q1", says="magnitudes are summed: that is the L1 distance")
def squared_distances(A, B):
    return np.abs(A[:, None] - B).sum(axis=2)


@wrong("q1", says="the mean over the D numbers is taken, not their sum")
def squared_distances(A, B):
    return np.mean((A[:, None] - B) ** 2, axis=2)


@wrong("q1", says=CHANGED)
def squared_distances(A, B):
    a, b = _squares(A, B)
    A *= -2
    return np.maximum(a + b + A @ B.T, 0)


@right("q1")
def squared_distances(A, B):
    """One column of differences after the other: N x M numbers at a time."""
    total = np.zeros((len(A), len(B)))
    for a, b in zip(A.T, B.T, strict=True):
        total += np.subtract.outer(a, b) ** 2
    return total


@wrong("q1", says=TIE_TO_SMALLEST)
def vote(labels):
    return np.array([np.bincount(row).argmax() for row in labels])


@wrong("q1", says="a tie goes to the farthest: of tied labels the one that comes first in the row should win")
def vote(labels):
    return np.array([exact_vote(row[::-1].tolist()) for row in labels])


@wrong("q1", says="only the nearest neighbour is asked: all k should vote")
def vote(labels):
    return labels[:, 0]


@wrong("q1", says="labels are averaged: they are names, and between 3 and 5 there is no 4; count them")
def vote(labels):
    return np.round(labels.mean(axis=1)).astype(int)


@wrong("q1", says="the middle label is taken: the median needs an order, and labels are names; count them")
def vote(labels):
    return np.median(labels, axis=1).astype(int)


@wrong("q1", says="this is how many votes the winner has, not its label")
def vote(labels):
    return np.array([np.bincount(row).max() for row in labels])


@wrong("q1", says="the least frequent label wins")
def vote(labels):
    return np.array([min(row.tolist(), key=row.tolist().count) for row in labels])


@right("q1")
def vote(labels):
    """Count with dictionaries."""
    return np.array([exact_vote(row) for row in np.asarray(labels).tolist()])


def _knn(X_train, y_train, X, k, rows, ordered=None, pick=None):
    ordered = ordered or (lambda d: np.argsort(d, axis=1, kind="stable")[:, :k])
    labels, largest = [], 0
    for i in range(0, len(X), rows):
        d = exact_distances(X[i : i + rows], X_train)
        nearest = ordered(d)
        labels += [exact_vote(row.tolist()) for row in (y_train[nearest] if pick is None else pick(nearest))]
        largest = max(largest, d.size)
    return np.array(labels), largest


@wrong("q1", says="all distances are made at once: the limit is not kept")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, len(X))


@wrong("q1", says="a block is one row more than the limit allows: round down")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, 1 + limit // len(X_train))


@wrong("q1", says="blocks are always one row: use as many as the limit allows, that is what makes it fast")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, 1)


@wrong("q1", says="the limit is divided by the number of new examples: a row has one number a *training* example")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, max(1, limit // len(X)))


@wrong("q1", says="the limit is taken for a number of rows: it counts distances, rows times N")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, limit)


@wrong("q1", says="the k farthest vote: argsort starts with the smallest")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, max(1, limit // len(X_train)), lambda d: np.argsort(d, axis=1)[:, -k:])


@wrong("q1", says="the numbers of the neighbours vote, not their labels: look them up in y_train")
def knn(X_train, y_train, X, k, limit):
    return _knn(X_train, y_train, X, k, max(1, limit // len(X_train)), pick=lambda nearest: nearest)


@wrong("q1", says="only one neighbour is used whatever k")
def knn(X_train, y_train, X, k, limit):
    return _knn(
        X_train, y_train, X, k, max(1, limit // len(X_train)), lambda d: np.argsort(d, axis=1, kind="stable")[:, :1]
    )


@wrong("q1", says="of equally near examples the later one is taken as nearer: the earlier should be")
def knn(X_train, y_train, X, k, limit):
    def ordered(d):
        return len(X_train) - 1 - np.argsort(d[:, ::-1], axis=1, kind="stable")[:, :k]

    return _knn(X_train, y_train, X, k, max(1, limit // len(X_train)), ordered)


@wrong("q1", says="the neighbours vote in the order of the training set, not nearest first: ties go astray")
def knn(X_train, y_train, X, k, limit):
    def ordered(d):
        return np.sort(np.argsort(d, axis=1, kind="stable")[:, :k], axis=1)

    return _knn(X_train, y_train, X, k, max(1, limit // len(X_train)), ordered)


@wrong("q1", says=LAST_BLOCK)
def knn(X_train, y_train, X, k, limit):
    rows = min(len(X), max(1, limit // len(X_train)))
    return _knn(X_train, y_train, X[: len(X) // rows * rows], k, rows)


@right("q1")
def knn(X_train, y_train, X, k, limit):
    """Sort pairs (distance, number), example by example, and only count the blocks."""
    labels = []
    for x in X:
        pairs = sorted((float(np.sum((x - t) ** 2)), i) for i, t in enumerate(X_train))[:k]
        labels.append(exact_vote([int(y_train[i]) for _, i in pairs]))
    return np.array(labels), min(len(X), max(1, limit // len(X_train))) * len(X_train)


# ---------------------------------------------------------------------------------------------
# Question 2: the hinge loss

LOSS, GRADIENT = part_of(0, "loss, dscores"), part_of(1, "loss, dscores")


def exact_hinge(scores, y):
    total = 0.0
    for s, c in zip(scores.tolist(), y.tolist(), strict=True):
        total += sum(max(0.0, s[j] - s[c] + 1) for j in range(len(s)) if j != c)
    return total / len(y)


def differences(f, w, h=1e-6):
    """Central differences of a function of an array, entry by entry."""
    found = np.zeros(w.shape)
    for place in np.ndindex(w.shape):
        step = np.zeros(w.shape)
        step[place] = h
        found[place] = (f(w + step) - f(w - step)) / (2 * h)
    return found


def scores_off_the_kinks(rng, n=6, classes=4):
    """Scores whose margins are all at least 0.05 from a kink, and labels; several classes violate in a row."""
    while True:
        scores, y = 1.5 * rng.normal(size=(n, classes)), rng.integers(0, classes, n)
        m = scores - scores[np.arange(n), y][:, None] + 1
        if np.abs(m).min() > 0.05 and np.max(np.sum(m > 0, axis=1)) > 3:
            return scores, y


@pytest.mark.q("q2", 1)
def test_hinge_loss(student, atlas, rng):
    """The loss, against a loop over examples and classes."""
    cases = [(np.zeros((3, 10)), rng.integers(0, 10, 3)), scores_off_the_kinks(rng)]
    judge(student, atlas, "hinge", cases, [exact_hinge(*case) for case in cases], "the loss", LOSS)
    assert not student.changed, CHANGED


@pytest.mark.q("q2", 2)
def test_hinge_gradient(student, atlas, rng):
    """The gradient, against central differences of that loop, off the kinks."""
    scores, y = scores_off_the_kinks(rng)
    truth = differences(lambda s: exact_hinge(s, y), scores)
    judge(student, atlas, "hinge", [(scores, y)], [truth], "the gradient", GRADIENT, atol=1e-7)  # 1e-16 / h


@pytest.mark.q("q2", 1)
def test_at_the_kink(student, atlas, rng):
    """Exactly at the margin: nothing to be gained, so the flat side; the other class violates."""
    c = int(rng.integers(0, 3))
    scores = np.full((1, 3), 1.0)
    scores[0, c], scores[0, (c + 1) % 3] = 2.0, 1.75
    truth = np.zeros((1, 3))
    truth[0, c], truth[0, (c + 1) % 3] = -1, 1
    judge(student, atlas, "hinge", [(scores, np.array([c]))], [truth], "the gradient", GRADIENT)


@pytest.mark.q("q2", 2)
def test_near_kink(student, atlas, rng):
    """Kinks within h, on either side, and just outside; the right score moves every term."""
    h = 0.125
    offsets = np.array([[-0.1, 0.5, -2], [0.1, -0.4, 3], [0.2, -0.2, 1], [-1, 0.06, 0.09], [-3, -1.1, 0.9]])
    y = rng.integers(0, 4, len(offsets))
    scores, truth = np.zeros((5, 4)), np.zeros((5, 4), bool)
    for i, c in enumerate(y):
        others = [j for j in range(4) if j != c]
        scores[i, c] = rng.normal()
        scores[i, others] = scores[i, c] - 1 + offsets[i]
        truth[i, others] = np.abs(offsets[i]) < h
        truth[i, c] = truth[i].any()
    judge(student, atlas, "near_kink", [(scores, y, h)], [truth], "the marks (1 for True)")
    assert not student.changed, CHANGED


def _margins(scores, y, margin=1.0):
    n = np.arange(len(y))
    m = scores - scores[n, y][:, None] + margin
    m[n, y] = 0
    return n, m


def _hinge(scores, y, margin=1.0):
    n, m = _margins(scores, y, margin)
    d = (m > 0).astype(float)
    d[n, y] = -d.sum(axis=1)
    return np.maximum(m, 0).sum() / len(y), d / len(y)


@wrong("q2", says="the gradient has the wrong sign: it would climb")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    return loss, -d


@wrong("q2", says="1/N is missing in the gradient: the loss is a mean, so is its derivative")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    return loss, d * len(y)


@wrong("q2", says="1/N is missing: the loss is the mean over the examples, not their sum")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    return loss * len(y), d * len(y)


@wrong("q2", says="the right class is counted too: j = y adds max(0, 1) = 1 for every example")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    return loss + 1, d


@wrong("q2", says="the margin is missing: the right score should win by 1")
def hinge(scores, y):
    return _hinge(scores, y, margin=0.0)


@wrong("q2", says="the right class has no gradient: raising its score lowers every active term")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    d[np.arange(len(y)), y] = 0
    return loss, d


@wrong("q2", says="the right class gets −1 once: it gets it for each class that violates the margin")
def hinge(scores, y):
    loss, d = _hinge(scores, y)
    d[np.arange(len(y)), y] = np.where(d[np.arange(len(y)), y] < 0, -1 / len(y), 0)
    return loss, d


@wrong("q2", says="only the worst class is counted: the sum goes over all that violate the margin")
def hinge(scores, y):
    n, m = _margins(scores, y)
    worst = m.argmax(axis=1)
    d = np.zeros(scores.shape)
    d[n, worst] += m[n, worst] > 0
    d[n, y] -= m[n, worst] > 0
    return np.maximum(m[n, worst], 0).sum() / len(y), d / len(y)


@wrong("q2", says="at the kink the steep side is taken: where m is exactly 0 the term contributes nothing")
def hinge(scores, y):
    n, m = _margins(scores, y)
    d = (m >= 0).astype(float)
    d[n, y] = 0
    d[n, y] = -d.sum(axis=1)
    return np.maximum(m, 0).sum() / len(y), d / len(y)


@wrong("q2", says="negative terms are summed as well: the maximum with 0 is missing")
def hinge(scores, y):
    n, m = _margins(scores, y)
    d = np.ones(scores.shape)
    d[n, y] = 1 - scores.shape[1]
    return m.sum() / len(y), d / len(y)


@wrong("q2", says=CHANGED)
def hinge(scores, y):
    result = _hinge(scores, y)
    scores -= scores[np.arange(len(y)), y][:, None]
    return result


@right("q2")
def hinge(scores, y):
    """Example by example, term by term."""
    loss, d = 0.0, np.zeros(np.shape(scores))
    for i, c in enumerate(y):
        for j, s in enumerate(scores[i]):
            if j != c and s - scores[i, c] + 1 > 0:
                loss += (s - scores[i, c] + 1) / len(y)
                d[i, j] += 1 / len(y)
                d[i, c] -= 1 / len(y)
    return loss, d


def _near(scores, y, h, margin=1.0):
    n, m = _margins(scores, y, margin)
    near = np.abs(m) < h
    near[n, y] = False
    return n, near


@wrong("q2", says="the right class is never marked: its score is in every term of its row")
def near_kink(scores, y, h):
    return _near(scores, y, h)[1]


@wrong("q2", says="the right class is always marked: only if one of its terms is near its kink")
def near_kink(scores, y, h):
    n, near = _near(scores, y, h)
    near[n, y] = True
    return near


@wrong("q2", says="the kink is looked for at equal scores: it is where the margin is used up, s − s_y + 1 = 0")
def near_kink(scores, y, h):
    n, near = _near(scores, y, h, margin=0.0)
    near[n, y] = near.any(axis=1)
    return near


@wrong("q2", says="only one side of the kink is looked at: take the magnitude")
def near_kink(scores, y, h):
    n, m = _margins(scores, y)
    near = (m < h) & (m >= 0)
    near[n, y] = False
    near[n, y] = near.any(axis=1)
    return near


@wrong("q2", says="every inactive term is marked: far from the kink, on the flat side, the difference is right")
def near_kink(scores, y, h):
    n, m = _margins(scores, y)
    near = m < h
    near[n, y] = False
    near[n, y] = near.any(axis=1)
    return near


@wrong("q2", says="2h is taken: an entry moves by h to either side, so a kink must be within h")
def near_kink(scores, y, h):
    n, near = _near(scores, y, 2 * h)
    near[n, y] = near.any(axis=1)
    return near


@wrong("q2", says="the whole row is marked: another wrong class's kink doesn't matter to an entry")
def near_kink(scores, y, h):
    _, near = _near(scores, y, h)
    return np.repeat(near.any(axis=1, keepdims=True), scores.shape[1], axis=1)


@right("q2")
def near_kink(scores, y, h):
    """A difference is right exactly if the two one-sided ones agree; each term's slope by its sign at both ends."""
    marks = np.zeros(scores.shape, bool)
    for i, c in enumerate(y):
        for j in range(scores.shape[1]):
            terms = [scores[i, k] - scores[i, c] + 1 for k in range(scores.shape[1]) if k != c and j in (k, c)]
            marks[i, j] = any(t - h < 0 < t + h for t in terms)
    return marks


# ---------------------------------------------------------------------------------------------
# Question 3: softmax, objective, accuracy

VALUE, BY_W, BY_B = (part_of(n, "J, dW, db") for n in range(3))
SCORES_CHANGED = "the scores are overwritten: their owner needs them again; subtract into a new array"
OVERFLOW = "exp overflows for large scores: subtract the largest score of each row first"
LOG_OF_ZERO = (
    "the logarithm of a probability that has become 0 is infinite: take ln Σ exp and the score itself, shifted"
)


@pytest.mark.q("q3", 1)
def test_softmax(student, atlas, rng):
    """Scores of moderate size, against SciPy; each row sums to 1."""
    scores = 2 * rng.normal(size=(5, 3))
    judge(student, atlas, "softmax", [(scores,)], [special.softmax(scores, axis=1)], "the probabilities")
    assert not student.changed, SCORES_CHANGED


@pytest.mark.q("q3", 1)
def test_large_scores(student, atlas, rng):
    """Thousands, positive in one row and negative in the next."""
    scores = rng.normal(size=(4, 3)) + np.array([[5000], [-5000], [0], [900]])
    with np.errstate(all="ignore"):
        # 5000 is stored to 1e-12
        judge(
            student, atlas, "softmax", [(scores,)], [special.softmax(scores, axis=1)], "the probabilities", atol=1e-10
        )


def exact_objective(W, b, X, y, lam):
    total = 0.0
    for x, c in zip(X, y, strict=True):
        s = [math.fsum(float(v) * float(w) for v, w in zip(x, W[:, j], strict=True)) + b[j] for j in range(len(b))]
        top = max(s)
        total += top + math.log(sum(math.exp(v - top) for v in s)) - s[c]
    return total / len(y) + lam * float(np.sum(W * W))


def model(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(6, 4)), rng.integers(0, 3, 6)


@pytest.mark.q("q3", 1)
def test_objective_value(student, atlas, rng):
    """The value: a moderate case, and one whose right class has probability 0 in floating point."""
    first, (W, b, X, _) = (*model(rng), 0.3), model(rng)
    second = (2000 * W, b, X, (X @ W).argmin(axis=1), 0.0)
    truth = [exact_objective(*case) for case in (first, second)]
    with np.errstate(all="ignore"):
        judge(student, atlas, "objective", [first, second], truth, "J", VALUE, atol=1e-7)
    assert not student.changed, CHANGED


@pytest.mark.q("q3", 1)
def test_gradient_of_weights(student, atlas, rng):
    """dW against central differences of the value."""
    W, b, X, y = model(rng)
    truth = differences(lambda w: exact_objective(w, b, X, y, 0.3), W)
    judge(student, atlas, "objective", [(W, b, X, y, 0.3)], [truth], "dW", BY_W, atol=1e-7)


@pytest.mark.q("q3", 1)
def test_gradient_of_bias(student, atlas, rng):
    """db against central differences of the value."""
    W, b, X, y = model(rng)
    truth = differences(lambda c: exact_objective(W, c, X, y, 0.3), b)
    judge(student, atlas, "objective", [(W, b, X, y, 0.3)], [truth], "db", BY_B, atol=1e-7)


@pytest.mark.q("q3", 1)
def test_accuracy(student, atlas, rng):
    """A share of the examples, with as many examples as classes and with more."""
    cases, truth = [], []
    for n in (4, 11):
        scores = rng.permuted(np.tile(np.arange(4.0), (n, 1)), axis=1)
        y = scores.argmax(axis=1)
        y[1 : n // 2] = (y[1 : n // 2] + 1) % 4
        cases.append((scores, y))
        truth.append(sum(s[c] == max(s) for s, c in zip(scores, y, strict=True)) / n)
    judge(student, atlas, "accuracy", cases, truth, "the accuracy")


@wrong("q3", says=OVERFLOW)
def softmax(scores):
    e = np.exp(scores)
    return e / e.sum(axis=1, keepdims=True)


@wrong("q3", says="one largest score is subtracted from all rows: rows far below it underflow, and 0/0 is NaN")
def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum(axis=1, keepdims=True)


@wrong("q3", says="each column sums to 1: the classes of one example lie along a row, axis 1")
def softmax(scores):
    return special.softmax(scores, axis=0)


@wrong("q3", says="all entries together sum to 1: each row should")
def softmax(scores):
    return special.softmax(scores)


@wrong("q3", says="the largest is divided by, not the sum")
def softmax(scores):
    return np.exp(scores - scores.max(axis=1, keepdims=True))


@wrong("q3", says="the scores are divided by their sum: they may be negative; exp makes them positive first")
def softmax(scores):
    return scores / scores.sum(axis=1, keepdims=True)


@wrong("q3", says="these are the logarithms of the probabilities")
def softmax(scores):
    return special.log_softmax(scores, axis=1)


@wrong("q3", says=SCORES_CHANGED)
def softmax(scores):
    scores -= scores.max(axis=1, keepdims=True)
    return special.softmax(scores, axis=1)


@right("q3")
def softmax(scores):
    """p_j = 1 / sum exp(s_k - s_j), cut off where exp would overflow."""
    gaps = np.clip(scores[:, None, :] - scores[:, :, None], -745, 700)
    return 1 / np.exp(gaps).sum(axis=2)


def _objective(W, b, X, y, lam):
    """Value, dW and db without regularisation, and the derivative by the scores."""
    S, n = X @ W + b, np.arange(len(y))
    dS = special.softmax(S, axis=1)
    dS[n, y] -= 1
    return np.mean(special.logsumexp(S, axis=1) - S[n, y]), X.T @ dS / len(y), dS.sum(axis=0) / len(y)


@wrong("q3", says="the gradient has the wrong sign: it is p minus what is true")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2), -dW + 2 * lam * W, -db


@wrong("q3", says="1/N is missing in the gradient: the loss is a mean, so is its derivative")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2), len(y) * dW + 2 * lam * W, len(y) * db


@wrong("q3", says="1/N is missing: the data term is a mean over the examples, not their sum")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return len(y) * J + lam * np.sum(W**2), len(y) * dW + 2 * lam * W, len(y) * db


@wrong("q3", says="b is regularised too: it should go free")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * (np.sum(W**2) + np.sum(b**2)), dW + 2 * lam * W, db + 2 * lam * b


@wrong("q3", says="the factor 2 of the regularisation is missing: the derivative of λW² is 2λW")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2), dW + lam * W, db


@wrong("q3", says="the regularisation is missing in the gradient: its derivative is 2λW")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2), dW, db


@wrong("q3", says="the regularisation is missing in the value: λ times the sum of the squares of W")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J, dW + 2 * lam * W, db


@wrong("q3", says="the regularisation is divided by N too: only the data term is a mean")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2) / len(y), dW + 2 * lam * W / len(y), db


@wrong("q3", says="1 is not subtracted at the right class: the gradient by the scores is p − 1 there")
def objective(W, b, X, y, lam):
    J, _, _ = _objective(W, b, X, y, lam)
    p = special.softmax(X @ W + b, axis=1) / len(y)
    return J + lam * np.sum(W**2), X.T @ p + 2 * lam * W, p.sum(axis=0)


@wrong("q3", says="db is a mean of a mean: dscores is divided by N already, so sum it")
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    return J + lam * np.sum(W**2), dW + 2 * lam * W, db / len(y)


@wrong("q3", says=LOG_OF_ZERO)
def objective(W, b, X, y, lam):
    _, dW, db = _objective(W, b, X, y, lam)
    p = special.softmax(X @ W + b, axis=1)
    return -np.mean(np.log(p[np.arange(len(y)), y])) + lam * np.sum(W**2), dW + 2 * lam * W, db


@wrong("q3", says=CHANGED)
def objective(W, b, X, y, lam):
    J, dW, db = _objective(W, b, X, y, lam)
    result = J + lam * np.sum(W**2), dW + 2 * lam * W, db
    X -= X.mean(axis=0)
    return result


@right("q3")
def objective(W, b, X, y, lam):
    """Example by example: each adds the outer product of its pixels and its p - 1_y."""
    J, dW, db = lam * float((W * W).sum()), 2 * lam * W, np.zeros(len(b))
    for x, c in zip(X, y, strict=True):
        s = W.T @ x + b
        s = s - s.max()
        total = np.exp(s).sum()
        J += (np.log(total) - s[c]) / len(y)
        d = (np.exp(s) / total - np.eye(len(b))[c]) / len(y)
        dW, db = dW + np.outer(x, d), db + d
    return J, dW, db


@wrong("q3", says="the highest score is looked for among the examples: the classes lie along axis 1")
def accuracy(scores, y):
    best = scores.argmax(axis=0)
    return np.mean(best[: len(y)] == y[: len(best)])


@wrong("q3", says="this is how many are right; the share of all is asked")
def accuracy(scores, y):
    return float(np.sum(scores.argmax(axis=1) == y))


@wrong("q3", says="this is the share of errors")
def accuracy(scores, y):
    return np.mean(scores.argmax(axis=1) != y)


@wrong("q3", says="the lowest score wins here")
def accuracy(scores, y):
    return np.mean(scores.argmin(axis=1) == y)


@wrong("q3", says="these are percent: a share in [0, 1] is asked")
def accuracy(scores, y):
    return 100 * np.mean(scores.argmax(axis=1) == y)


@right("q3")
def accuracy(scores, y):
    """Count the examples whose right score none exceeds."""
    return sum(float(s[c]) == max(s.tolist()) for s, c in zip(scores, y, strict=True)) / len(y)


# ---------------------------------------------------------------------------------------------
# Question 4: cross-validation

SELECTION = "the columns are selected with the left-out examples too: they have shown their labels; select in each fold"
SCALING = "mean and deviation are taken over all examples: those of the others must do, what is left out comes later"


def measurements(rng, n=22, d=7):
    """Two classes that a few columns tell apart a little, scales that differ much, and one odd example a fold."""
    y = rng.permutation(np.arange(n) % 2)
    fold = np.zeros(n, int)
    for c in (0, 1):
        fold[y == c] = rng.permutation(np.arange(n // 2) % 4)
    for c, moved in ((0, 2), (1, 1)):  # folds of different sizes, both classes in each
        fold[np.flatnonzero((fold == 1) & (y == c))[:moved]] = 0
    X = rng.normal(size=(n, d)) * rng.uniform(0.5, 20, d)
    X[:, :3] += np.outer(y, 1.2 * X[:, :3].std(axis=0))
    X[rng.integers(0, n, 3), rng.integers(0, d, 3)] *= 6
    return X, y, fold


def exact_cv(X, y, fold, m, select=None, scale=None, keep=None, gap_sign=1, judged=None):
    """The experiment, left out one fold at a time; the keywords say who takes part in what."""
    right_ones = []
    for f in sorted(set(fold.tolist())):
        out = fold == f
        train = ~out if keep is None else keep(out)
        chooser = train if select is None else select(out)
        gap = [abs(X[chooser & (y == 1), j].mean() - X[chooser & (y == 0), j].mean()) for j in range(X.shape[1])]
        best = sorted(range(X.shape[1]), key=lambda j: gap_sign * gap[j])[-m:]
        scaler = train if scale is None else scale(out)
        Z = (X[:, best] - X[scaler][:, best].mean(axis=0)) / X[scaler][:, best].std(axis=0)
        hits = []
        for i in np.flatnonzero(out if judged is None else judged(out)):
            d = np.sum((Z[train] - Z[i]) ** 2, axis=1)
            hits.append(y[train][d.argmin()] == y[i])
        right_ones.append(hits)
    return right_ones


def share(hits):
    return sum(map(sum, hits)) / sum(map(len, hits))


def everybody(out):
    return np.ones_like(out)


@pytest.mark.q("q4", 1)
def test_deal(student, atlas, rng):
    """Each class in turn, in the order of y; classes of different sizes, and a number that no class has."""
    y = rng.permutation(np.repeat([0, 1, 3], [9, 4, 6]))
    truth, seen = [], Counter()
    for c in y.tolist():
        truth.append(seen[c] % 4)
        seen[c] += 1
    judge(student, atlas, "deal", [(y, 4)], [truth], "the folds")


@pytest.mark.q("q4", 3)
def test_cross_validated(student, atlas, rng):
    """Ten small experiments with columns of different scales, against a loop over single examples."""
    cases = [(*measurements(rng), 3) for _ in range(10)]
    judge(student, atlas, "cross_validated", cases, [share(exact_cv(*case)) for case in cases], "the accuracies")
    assert not student.changed, CHANGED


@pytest.mark.q("q4", 1)
def test_lie_detector(student, atlas, rng):
    """600 columns of noise, labels tossed by a coin: about a half, on the average of six shuffles."""
    claims = []
    for _ in range(6):
        y = rng.permutation(np.arange(30) % 2)
        claims.append(student.cross_validated(rng.normal(size=(30, 600)), y, rng.permutation(np.arange(30) % 5), 8))
    mean = float(np.mean(np.asarray(claims, dtype=float)))
    # 180 judgements at 1/2 have deviation 0.037, a little more as those of a fold hang together: four of them
    assert mean <= 0.5 + 0.18, f"on labels that mean nothing this claims {mean:.2f} where 0.5 is to be had: it leaks"
    assert mean >= 0.5 - 0.22, f"on labels that mean nothing about a half should be right, not {mean:.2f}"


@wrong("q4", says="the examples are dealt in the order of y, whatever their class: a class may miss in a fold")
def deal(y, k):
    return np.arange(len(y)) % k


@wrong("q4", says="each class is cut into runs: deal it in turn, 0, 1, 2, … and again from 0")
def deal(y, k):
    fold = np.zeros(len(y), int)
    for c in np.unique(y):
        n = np.sum(y == c)
        fold[y == c] = np.arange(n) * k // n
    return fold


@wrong("q4", says="folds count from 0, not from 1")
def deal(y, k):
    return np.array([np.sum(y[:i] == c) % k for i, c in enumerate(y)]) + 1


@wrong("q4", says="the next class goes on where the last one ended: each class starts at fold 0")
def deal(y, k):
    fold = np.zeros(len(y), int)
    fold[np.argsort(y, kind="stable")] = np.arange(len(y)) % k
    return fold


@wrong("q4", says="the folds are not taken modulo k: after the last fold comes fold 0 again")
def deal(y, k):
    return np.array([np.sum(y[:i] == c) for i, c in enumerate(y)])


@wrong("q4", says="this is the class, not the fold")
def deal(y, k):
    return np.array(y)


@right("q4")
def deal(y, k):
    """Count how often the class has come before."""
    seen = {}
    fold = []
    for c in np.asarray(y).tolist():
        fold.append(seen.get(c, 0) % k)
        seen[c] = seen.get(c, 0) + 1
    return np.array(fold)


@wrong("q4", says=SELECTION)
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, select=everybody))


@wrong("q4", says=SCALING)
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, scale=everybody))


@wrong("q4", says="columns are selected and scaled with all examples, before the folds: both belong inside")
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, select=everybody, scale=everybody))


@wrong("q4", says="the fold that is judged is among the training examples: everyone is their own nearest neighbour")
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, keep=everybody))


@wrong("q4", says="the roles are exchanged: one fold trains and the others are judged")
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, keep=lambda out: out, judged=lambda out: ~out))


@wrong("q4", says="the folds' accuracies are averaged: folds differ in size; count over all N examples")
def cross_validated(X, y, fold, m):
    return float(np.mean([np.mean(hits) for hits in exact_cv(X, y, fold, m)]))


@wrong("q4", says="the columns that differ least are kept")
def cross_validated(X, y, fold, m):
    return share(exact_cv(X, y, fold, m, gap_sign=-1))


@wrong("q4", says="the share of errors is returned")
def cross_validated(X, y, fold, m):
    return 1 - share(exact_cv(X, y, fold, m))


@wrong("q4", says="the test fold is scaled by its own mean and deviation: use those of the others")
def cross_validated(X, y, fold, m):
    hits = 0
    for f in np.unique(fold):
        train, test = X[fold != f], X[fold == f]
        y_train = y[fold != f]
        best = np.argsort(np.abs(train[y_train == 1].mean(axis=0) - train[y_train == 0].mean(axis=0)))[-m:]
        A, B = ((part - part.mean(axis=0)) / part.std(axis=0) for part in (train[:, best], test[:, best]))
        hits += sum(y_train[np.sum((A - x) ** 2, axis=1).argmin()] == c for x, c in zip(B, y[fold == f], strict=True))
    return hits / len(y)


@wrong("q4", says="the columns are not scaled: the one with the largest numbers decides alone")
def cross_validated(X, y, fold, m):
    hits = 0
    for f in np.unique(fold):
        train, y_train = X[fold != f], y[fold != f]
        best = np.argsort(np.abs(train[y_train == 1].mean(axis=0) - train[y_train == 0].mean(axis=0)))[-m:]
        for x, c in zip(X[fold == f], y[fold == f], strict=True):
            hits += y_train[np.sum((train[:, best] - x[best]) ** 2, axis=1).argmin()] == c
    return hits / len(y)


@wrong("q4", says=CHANGED)
def cross_validated(X, y, fold, m):
    result = share(exact_cv(X, y, fold, m))
    X -= X.mean(axis=0)
    return result


@right("q4")
def cross_validated(X, y, fold, m):
    """Loops over single examples."""
    return float(share(exact_cv(X, y, fold, m)))


# ---------------------------------------------------------------------------------------------
# Question 5: templates


def exact_templates(W, shape):
    pictures = []
    for c in range(W.shape[1]):
        largest = max(abs(float(w)) for w in W[:, c]) or 1.0
        picture = np.empty(shape)
        for place, w in zip(np.ndindex(*shape), W[:, c], strict=True):
            picture[place] = 0.5 + 0.5 * w / largest
        pictures.append(picture)
    return np.array(pictures)


@pytest.mark.q("q5", 2)
def test_gray_templates(student, atlas, rng):
    """Pictures of 3 rows and 5 columns; five classes of different strength, one without weights."""
    W = rng.normal(size=(15, 5)) * [0.1, 1, 3, 0.01, 2] + [0.05, 0, 0, 0, 0]
    W[:, 3] = 0
    with np.errstate(all="ignore"):
        judge(student, atlas, "templates", [(W, (3, 5))], [exact_templates(W, (3, 5))], "the pictures")
    assert not student.changed, CHANGED


@pytest.mark.q("q5", 1)
def test_colour_templates(student, atlas, rng):
    """Colour pictures of 2 rows and 4 columns."""
    W = rng.normal(size=(24, 2))
    judge(student, atlas, "templates", [(W, (2, 4, 3))], [exact_templates(W, (2, 4, 3))], "the pictures")


def _scaled(W):
    largest = np.abs(W).max(axis=0)
    return 0.5 + 0.5 * W / np.where(largest > 0, largest, 1)


@wrong("q5", says="W is reshaped without being transposed: that cuts through the rows, one class is a column")
def templates(W, shape):
    return _scaled(W).reshape(-1, *shape)


@wrong("q5", says="smallest and largest weight are stretched to 0 and 1: then weight 0 isn't mid-gray")
def templates(W, shape):
    low, span = W.min(axis=0), np.ptp(W, axis=0)
    return ((W - low) / np.where(span > 0, span, 1)).T.reshape(-1, *shape)


@wrong("q5", says="one scale serves all classes: each template is scaled by its own largest magnitude")
def templates(W, shape):
    return (0.5 + 0.5 * W / np.abs(W).max()).T.reshape(-1, *shape)


@wrong("q5", says="a template of zeros becomes NaN: it should be gray all over")
def templates(W, shape):
    with np.errstate(all="ignore"):
        return (0.5 + 0.5 * W / np.abs(W).max(axis=0)).T.reshape(-1, *shape)


@wrong(
    "q5", says="it is scaled by the largest weight, not by the largest magnitude: a strong negative one leaves [0, 1]"
)
def templates(W, shape):
    largest = W.max(axis=0)
    return (0.5 + 0.5 * W / np.where(largest != 0, largest, 1)).T.reshape(-1, *shape)


@wrong("q5", says="negative weights are cut off: they should be darker than mid-gray")
def templates(W, shape):
    return np.maximum(_scaled(W), 0.5).T.reshape(-1, *shape)


@wrong("q5", says="values go from −1 to 1: 0 should be mid-gray, 0.5")
def templates(W, shape):
    return (2 * _scaled(W) - 1).T.reshape(-1, *shape)


@wrong("q5", says="rows and columns are exchanged: pixels are counted along the rows")
def templates(W, shape):
    swapped = _scaled(W).T.reshape(-1, shape[1], shape[0], *shape[2:])
    return np.swapaxes(swapped, 1, 2)


@wrong("q5", says="the classes are the last axis: the first should number them")
def templates(W, shape):
    return _scaled(W).reshape(*shape, -1)


@wrong("q5", says=CHANGED)
def templates(W, shape):
    W[:] = _scaled(W)
    return W.T.reshape(-1, *shape).copy()


@right("q5")
def templates(W, shape):
    """Pixel by pixel."""
    return exact_templates(W, tuple(shape))
