import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from scipy.spatial.distance import cdist

from cvcourse import classification
from cvcourse.classification import (
    LOSSES,
    METRICS,
    STEPS,
    Training,
    accuracy,
    as_labels,
    as_rows,
    confusion_matrix,
    cross_validate,
    dataset,
    descend,
    distances,
    fit_linear,
    fit_ridge,
    hinge_loss,
    k_folds,
    knn_predict,
    largest_rate,
    lie_detector,
    linear_loss,
    nearest_neighbors,
    numeric_gradient,
    relative_error,
    shift,
    softmax,
    softmax_loss,
    vote,
    wilson_interval,
)

RNG = np.random.default_rng(19)
SCORES = RNG.normal(size=(7, 4))
LABELS = np.array([0, 1, 2, 3, 1, 1, 0])
X = RNG.normal(size=(7, 5))
SCIPY = {"l2": "euclidean", "l1": "cityblock", "cosine": "cosine"}


def clouds(n=60, classes=3, spread=1.0, seed=0):
    """Points around the corners of a triangle, and which corner."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    corners = 4 * np.array([[0, 0], [1, 0], [0.3, 1], [1.2, 1.1]])[:classes]
    return corners[y] + spread * rng.normal(size=(n, 2)), y


# --- data


@pytest.mark.parametrize(
    ("name", "shapes", "classes"),
    [
        ("digits", [(899, 8, 8), (898, 8, 8)], 10),
        ("fashion", [(6000, 28, 28), (1500, 28, 28)], 10),
        ("materials", [(2400, 32, 32, 3), (600, 32, 32, 3)], 10),
    ],
)
def test_the_sets_are_what_the_course_says(name, shapes, classes):
    data = dataset(name)
    assert [data.X_train.shape, data.X_test.shape] == shapes
    assert len(data.classes) == classes
    for images, labels in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        assert images.dtype == np.float64
        assert images.min() >= 0
        assert 0.9 < images.max() <= 1
        assert len(labels) == len(images)
        assert set(labels) == set(range(classes))


def test_an_unknown_set_is_refused():
    with pytest.raises(KeyError, match="digits, fashion, materials"):
        dataset("faces")


# --- losses


@pytest.mark.parametrize("size", [1, 30, 1e4, 1e300])
def test_probabilities_sum_to_one_whatever_the_scores(size):
    p = softmax(size * SCORES)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert np.isfinite(p).all()
    assert (p.argmax(axis=1) == SCORES.argmax(axis=1)).all()


def test_a_constant_added_to_the_scores_changes_nothing():
    np.testing.assert_allclose(softmax(SCORES + 700), softmax(SCORES), rtol=1e-12)
    assert softmax_loss(SCORES + 700, LABELS)[0] == pytest.approx(softmax_loss(SCORES, LABELS)[0], rel=1e-12)
    assert hinge_loss(SCORES + 700, LABELS)[0] == pytest.approx(hinge_loss(SCORES, LABELS)[0], rel=1e-12)


def test_cross_entropy_agrees_with_scipy():
    expected = -np.mean(special.log_softmax(SCORES, axis=1)[np.arange(7), LABELS])
    assert softmax_loss(SCORES, LABELS)[0] == pytest.approx(expected, rel=1e-14)


def test_hinge_agrees_with_its_definition():
    total = 0.0
    for s, right in zip(SCORES, LABELS, strict=True):
        total += sum(max(0, s[j] - s[right] + 1.5) for j in range(4) if j != right)
    assert hinge_loss(SCORES, LABELS, margin=1.5)[0] == pytest.approx(total / 7, rel=1e-14)


def test_the_loss_of_equal_scores_is_known_before_training():
    assert softmax_loss(np.zeros((6, 10)), np.arange(6))[0] == pytest.approx(np.log(10), rel=1e-15)
    assert hinge_loss(np.zeros((6, 10)), np.arange(6))[0] == 9


@pytest.mark.parametrize("loss", [softmax_loss, hinge_loss])
def test_gradients_of_the_scores(loss):
    dscores = loss(SCORES, LABELS)[1]
    numeric = numeric_gradient(lambda s: loss(s, LABELS)[0], SCORES)
    assert relative_error(dscores, numeric) < 1e-8  # h² + 1e-16 / h
    np.testing.assert_allclose(dscores.sum(axis=1), 0, atol=1e-16)


def test_at_the_kink_the_flat_side_counts():
    loss, dscores = hinge_loss([[2.0, 1.0]], [0])  # exactly at the margin
    assert loss == 0
    assert not dscores.any()


@pytest.mark.parametrize("loss", [softmax_loss, hinge_loss])
def test_a_loss_keeps_precision_and_arguments(loss):
    scores = SCORES.astype(np.float32)
    before = scores.copy()
    assert loss(scores, LABELS)[1].dtype == np.float32
    np.testing.assert_array_equal(scores, before)
    assert loss(scores, LABELS)[0] == pytest.approx(loss(SCORES, LABELS)[0], rel=1e-6)


@given(st.integers(1, 6), st.integers(2, 5), st.floats(0.01, 1e3))
@settings(max_examples=30, deadline=None)
def test_softmax_is_never_negative_and_hinge_neither(n, classes, size):
    rng = np.random.default_rng([n, classes])
    scores, y = size * rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    for loss in (softmax_loss, hinge_loss):
        value, dscores = loss(scores, y)
        assert value >= 0
        assert (dscores[np.arange(n), y] <= 0).all()


@pytest.mark.parametrize("loss", [softmax_loss, hinge_loss])
@pytest.mark.parametrize(
    ("scores", "y", "error", "message"),
    [
        (SCORES, [0, 1, 2, 4, 0, 0, 0], ValueError, "label 4, but the classes are 0 … 3"),
        (SCORES, [0, 1, 2, -1, 0, 0, 0], ValueError, "label -1"),
        (SCORES, LABELS[:5], ValueError, "7 examples need y of shape"),
        (SCORES, LABELS.astype(float), TypeError, "integers"),
        (SCORES * np.nan, LABELS, ValueError, "NaN.*diverged"),
        (SCORES[0], LABELS, ValueError, r"\(N, C\)"),
        (np.empty((0, 3)), [], ValueError, r"\(N, C\)"),
    ],
)
def test_losses_say_why_they_refuse(loss, scores, y, error, message):
    with pytest.raises(error, match=message):
        loss(scores, y)


def test_a_margin_must_be_positive():
    with pytest.raises(ValueError, match="margin"):
        hinge_loss(SCORES, LABELS, margin=0)


# --- nearest neighbours


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-7), (np.float32, 2e-3)])  # root of rounding of |a|²
def test_distances_agree_with_scipy(metric, dtype, atol):
    A, B = RNG.random((6, 13)).astype(dtype), RNG.random((9, 13)).astype(dtype)
    found = distances(A, B, metric)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, cdist(A, B, SCIPY[metric]), atol=atol)
    assert np.abs(np.diag(distances(A, A, metric))).max() < atol


@pytest.mark.parametrize("metric", ["l2", "l1"])
def test_neighbours_come_nearest_first_and_the_earlier_of_equals(metric):
    A, B = RNG.integers(0, 3, (2, 40, 4)).astype(float)  # small whole numbers: exact, and many ties
    exact = cdist(B, A, SCIPY[metric])
    found = nearest_neighbors(A, B, 7, metric)
    np.testing.assert_array_equal(found.indices, np.argsort(exact, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(found.distance, np.sort(exact, axis=1)[:, :7], atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_change_nothing(metric, monkeypatch):
    A, B = RNG.random((50, 6)), RNG.random((33, 6))
    whole = nearest_neighbors(A, B, 5, metric)
    monkeypatch.setattr(classification, "BLOCK", 170)  # four rows a block
    parts = nearest_neighbors(A, B, 5, metric)
    np.testing.assert_array_equal(whole.indices, parts.indices)
    np.testing.assert_allclose(whole.distance, parts.distance, atol=1e-7)


def test_memory_does_not_grow_with_what_is_classified():
    train, y, X = RNG.random((8000, 4)), np.arange(8000) % 3, RNG.random((8000, 4))
    knn_predict(train[:9], y[:9], X[:9])
    tracemalloc.start()
    knn_predict(train, y, X, k=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # all distances at once would be 512 MB


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 4), st.sampled_from([np.float32, np.float64]))
@settings(max_examples=30, deadline=None)
def test_k_nearest_of_any_size(n, m, dim, dtype):
    rng = np.random.default_rng([n, m, dim])
    A, B = rng.normal(size=(n, dim)).astype(dtype), rng.normal(size=(m, dim)).astype(dtype)
    found = nearest_neighbors(A, B, n)
    assert found.indices.shape == (m, n)
    assert (np.sort(found.indices, axis=1) == np.arange(n)).all()
    assert (np.diff(found.distance, axis=1) >= 0).all()


def test_equal_votes_go_to_the_class_with_the_nearest_member():
    assert vote([[5, 2, 2, 5], [1, 0, 0, 1], [4, 3, 3, 3]]).tolist() == [5, 1, 3]
    assert knn_predict([[0.0], [10.0]], [7, 3], [[4.0], [6.0]], k=2).tolist() == [7, 3]


def test_one_nearest_neighbour_knows_its_training_set():
    points, y = clouds()
    assert accuracy(y, knn_predict(points, y, points, 1)) == 1


def test_all_neighbours_together_give_the_largest_class():
    points, _ = clouds(30)
    y = np.r_[np.zeros(16, int), np.ones(14, int)]
    assert not knn_predict(points, y, points, 30).any()


def test_the_digits_as_the_lecture_says():
    data = dataset("digits")
    near = nearest_neighbors(data.X_train, data.X_test, 51)
    shares = [accuracy(data.y_test, vote(data.y_train[near.indices[:, :k]])) for k in (1, 51)]
    assert shares == pytest.approx([0.987, 0.929], abs=0.002)
    moved = [shift(data.X_test, dx, dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    hits = [accuracy(data.y_test, knn_predict(data.X_train, data.y_train, X)) for X in moved]
    assert np.mean(hits) == pytest.approx(0.615, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, X, 8), ValueError, "1 … 7, got 8"),
        ((X, X, 0), ValueError, "1 … 7, got 0"),
        ((X, X[:, :3], 1), ValueError, "5 and 3 numbers"),
        ((X, X, 1, "l3"), ValueError, "l2, l1, cosine"),
        ((X, np.zeros((2, 5)), 1, "cosine"), ValueError, "no direction"),
        ((X, X * np.nan, 1), ValueError, "second set holds NaN"),
        (((9 * X).astype(np.uint8), X, 1), TypeError, "floating-point"),
        ((X[0], X, 1), ValueError, r"got shape \(5,\)"),
        ((X, np.empty((0, 5)), 1), ValueError, "not empty"),
    ],
)
def test_neighbours_say_why_they_refuse(arguments, error, message):
    with pytest.raises(error, match=message):
        nearest_neighbors(*arguments)


def test_labels_must_fit():
    with pytest.raises(ValueError, match="7 examples need y_train"):
        knn_predict(X, LABELS[:6], X)
    with pytest.raises(ValueError, match="label -2"):
        knn_predict(X, LABELS - 2, X)
    with pytest.raises(ValueError, match=r"\(M, k\)"):
        vote([1, 2, 3])
    assert as_labels(np.array([0, 3], np.uint8), 2).dtype == np.int64


def test_rows_are_flattened_images_of_the_same_precision():
    images = RNG.random((4, 3, 5, 2)).astype(np.float32)
    rows = as_rows(images[:, ::-1])
    assert rows.shape == (4, 30) and rows.dtype == np.float32 and rows.flags.c_contiguous
    assert np.isfinite(as_rows(np.full((2, 2), 1e308)).max()), "numbers whose sum overflows are finite all the same"


# --- linear classifiers


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_weights_and_bias(loss):
    W, b = RNG.normal(size=(5, 4)), RNG.normal(size=4)
    _, dW, db = linear_loss(W, b, X, LABELS, 0.3, loss)
    assert relative_error(dW, numeric_gradient(lambda w: linear_loss(w, b, X, LABELS, 0.3, loss)[0], W)) < 1e-8
    assert relative_error(db, numeric_gradient(lambda c: linear_loss(W, c, X, LABELS, 0.3, loss)[0], b)) < 1e-8


def test_the_bias_is_not_regularised():
    W, b = np.zeros((5, 4)), np.arange(4.0)
    assert linear_loss(W, b, X, LABELS, 0.0)[0] == linear_loss(W, b, X, LABELS, 100.0)[0]


@pytest.mark.parametrize("rule", STEPS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_rule_tells_clouds_apart(rule, loss):
    points, y = clouds(spread=0.4)
    model = fit_linear(points, y, loss, 1e-3, Training(rule, 0.1, 60, 10), rng=1)
    assert accuracy(y, model.predict(points)) > 0.97
    assert model.losses[-1] < model.losses[0] / 3
    assert model.losses.shape == (60,)


def test_descent_finds_the_minimum_that_scipy_finds():
    points, y = clouds()
    lam = 0.01

    def objective(w):
        value, dW, db = linear_loss(w[:6].reshape(2, 3), w[6:], points, y, lam)
        return value, np.r_[dW.ravel(), db]

    best = optimize.minimize(objective, np.zeros(9), jac=True, method="BFGS", options={"gtol": 1e-9})
    rate = largest_rate(points, lam)
    model = fit_linear(points, y, lam=lam, training=Training("momentum", 0.5 * rate, 3000, 0))
    value = linear_loss(model.W, model.b, points, y, lam)[0]
    assert value == pytest.approx(best.fun, rel=1e-9)
    np.testing.assert_allclose(model.W.ravel(), best.x[:6], atol=1e-5)


def test_training_repeats_itself_and_keeps_its_arguments():
    points, y = clouds()
    before = points.copy()
    first, second = (fit_linear(points, y, training=Training(epochs=3), rng=5) for _ in range(2))
    np.testing.assert_array_equal(first.W, second.W)
    np.testing.assert_array_equal(points, before)
    assert fit_linear(points.astype(np.float32), y, training=Training(epochs=1)).W.dtype == np.float32


def test_ridge_agrees_with_least_squares_on_extended_rows():
    points, y = clouds(25)
    lam, n = 0.2, 25
    centred, Y = points - points.mean(axis=0), np.eye(3)[y]
    extended = np.vstack([centred / np.sqrt(n), np.sqrt(lam) * np.eye(2)])
    targets = np.vstack([(Y - Y.mean(axis=0)) / np.sqrt(n), np.zeros((2, 3))])
    model = fit_ridge(points, y, lam)
    np.testing.assert_allclose(model.W, np.linalg.lstsq(extended, targets)[0], atol=1e-12)

    def objective(W):
        return np.sum((points @ W + model.b - Y) ** 2) / n + lam * np.sum(W**2)

    assert model.losses[0] == pytest.approx(objective(model.W), rel=1e-12)
    assert np.abs(numeric_gradient(objective, model.W)).max() < 1e-9


def test_weight_decay_makes_weights_small():
    points, y = clouds()
    sizes = [np.linalg.norm(fit_ridge(points, y, lam).W) for lam in (0, 0.1, 1, 10, 100)]
    assert (np.diff(sizes) < 0).all()


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_the_bound_on_the_rate_of_ridge_is_sharp(factor):
    points, y = clouds()
    lam, Y = 0.1, np.eye(3)[y]
    ones = np.column_stack([points, np.ones(60)])
    keep = np.diag([lam, lam, 0])

    def gradient(w):
        return 2 * ones.T @ (ones @ w - Y) / 60 + 2 * keep @ w

    path = descend(gradient, np.ones((3, 3)), rate=factor * largest_rate(points, lam, "ridge"), steps=800)
    assert (np.linalg.norm(path[-1]) < 10) == (factor < 1)


def test_below_the_bound_every_step_lowers_the_loss():
    points, y = clouds()
    model = fit_linear(points, y, training=Training("plain", largest_rate(points), 100, 0))
    assert (np.diff(model.losses) <= 1e-12).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (dict(y=np.zeros(7, int)), ValueError, "all 7 examples are of class 0"),
        (dict(y=LABELS * 2), ValueError, "no example is of class 1, though classes go up to 6"),
        (dict(y=LABELS[:3]), ValueError, "7 examples need y"),
        (dict(training=Training("plain", np.inf, 1)), FloatingPointError, "weights are not finite"),
        (dict(loss="l2"), ValueError, "softmax, hinge"),
        (dict(lam=-1.0), ValueError, "lam .* >= 0"),
        (dict(training=Training("newton")), ValueError, "plain, momentum"),
        (dict(X=np.full((7, 5), np.nan)), ValueError, "X holds NaN"),
        (dict(X=1e200 * X, training=Training("plain", 1e200, 9)), FloatingPointError, "lower the rate"),
        (dict(rng="seed"), TypeError, "rng"),
    ],
)
def test_training_says_why_it_refuses(change, error, message):
    with pytest.raises(error, match=message):
        fit_linear(**({"X": X, "y": LABELS} | change))


def test_a_model_refuses_other_images():
    model = fit_ridge(X, LABELS, 0.1)
    with pytest.raises(ValueError, match="made for 5 numbers an example, got 6"):
        model.predict(np.zeros((2, 6)))


@pytest.mark.parametrize(
    ("W", "b"), [(np.zeros((4, 4)), np.zeros(4)), (np.zeros((5, 4)), np.zeros(3)), (np.zeros(5), np.zeros(1))]
)
def test_weights_must_fit_the_examples(W, b):
    with pytest.raises(ValueError, match=r"needs W of shape \(5, C\)"):
        linear_loss(W, b, X, LABELS)


def test_linear_loss_refuses_labels_without_a_column():
    with pytest.raises(ValueError, match="label 3, but the classes are 0 … 2"):
        linear_loss(np.zeros((5, 3)), np.zeros(3), X, LABELS)


def test_ridge_refuses_what_is_not_determined():
    doubled = np.hstack([X, X[:, :1]])
    with pytest.raises(ValueError, match="raise lam"):
        fit_ridge(doubled, LABELS, 0.0)
    assert np.isfinite(fit_ridge(doubled, LABELS, 1e-6).W).all()
    with pytest.raises(ValueError, match="class 2"):
        fit_ridge(X, np.full(7, 2), 0.1)


def test_a_bound_is_known_for_two_losses():
    with pytest.raises(ValueError, match="softmax and ridge"):
        largest_rate(X, loss="hinge")


# --- going downhill


def bowl(w):
    return np.array([1.0, 10.0]) * w


@pytest.mark.parametrize("rule", STEPS)
def test_every_rule_goes_down_a_bowl(rule):
    path = descend(bowl, [3.0, 2.0], rule, 0.5 if rule == "adagrad" else 0.05, 300)
    assert path.shape == (301, 2)
    assert np.linalg.norm(path[-1]) < 1e-2


def test_plain_descent_shrinks_each_direction_by_its_own_factor():
    path = descend(bowl, [3.0, 2.0], "plain", 0.15, 5)
    np.testing.assert_allclose(path[5], [3 * 0.85**5, 2 * (-0.5) ** 5], rtol=1e-12)


def test_momentum_by_hand():
    path = descend(bowl, [3.0, 0.0], "momentum", 0.1, 3)
    w, v = 3.0, 0.0
    for _ in range(3):
        v = 0.9 * v - 0.1 * w
        w += v
    assert path[-1, 0] == pytest.approx(w, rel=1e-14)


def test_nesterov_takes_the_gradient_where_the_roll_leads_to():
    w, v = np.array([3.0, 2.0]), np.zeros(2)
    for _ in range(6):
        v = 0.9 * v - 0.02 * bowl(w + 0.9 * v)
        w = w + v
    np.testing.assert_allclose(descend(bowl, [3.0, 2.0], "nesterov", 0.02, 6)[-1], w + 0.9 * v, rtol=1e-12)


@pytest.mark.parametrize("rule", ["adagrad", "adam"])
def test_the_first_adaptive_step_has_one_length_in_all_directions(rule):
    path = descend(bowl, [3.0, -2.0], rule, 0.1, 1)
    np.testing.assert_allclose(path[1], [2.9, -1.9], rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((bowl, [1.0, 1.0], "newton"), ValueError, "rule is one of plain"),
        ((bowl, [1.0, 1.0], "plain", 0.0), ValueError, "rate must be > 0"),
        ((lambda w: w[0], [1.0, 1.0]), ValueError, r"shape \(2,\)"),
        ((lambda w: w**3, [9.0], "plain", 9.0), FloatingPointError, "lower the rate"),
    ],
)
def test_descent_says_why_it_refuses(arguments, error, message):
    with np.errstate(over="ignore"), pytest.raises(error, match=message):
        descend(*arguments)


def test_the_error_of_differences_falls_with_the_square_of_h():
    errors = [abs(numeric_gradient(lambda w: float(np.exp(w[0])), [1.0], h)[0] - np.e) for h in (1e-1, 1e-2)]
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.01)


def test_numeric_gradient_leaves_the_point_and_refuses_float32():
    w = np.arange(6.0).reshape(2, 3)
    before = w.copy()
    np.testing.assert_allclose(numeric_gradient(lambda v: float((v**2).sum()), w), 2 * w, atol=1e-9)
    np.testing.assert_array_equal(w, before)
    with pytest.raises(TypeError, match="float64"):
        numeric_gradient(lambda v: 0.0, w.astype(np.float32))
    with pytest.raises(ValueError, match="h must be"):
        numeric_gradient(lambda v: 0.0, w, 0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        numeric_gradient(lambda v: np.nan, w)


def test_relative_error():
    assert relative_error([1.0, 2.0], [1.0, 4.0]) == 0.5
    assert relative_error([0.0], [0.0]) == 0
    with pytest.raises(ValueError, match="one shape"):
        relative_error([1.0], [1.0, 2.0])


# --- judging


def test_accuracy_and_its_interval():
    assert accuracy([0, 1, 2, 2], [0, 1, 1, 2]) == 0.75
    for share, n in ((0.987, 898), (0.5, 10), (0.0, 7), (1.0, 7)):
        expected = stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
        found = wilson_interval(round(share * n) / n, n, stats.norm.ppf(0.975))
        assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
    with pytest.raises(ValueError, match="two lists"):
        accuracy([0, 1], [0])
    with pytest.raises(ValueError, match="share"):
        wilson_interval(1.2, 10)


def test_the_interval_holds_the_truth_in_95_of_100_cases():
    rng, truth, n = np.random.default_rng(3), 0.96, 600
    held = [low <= truth <= high for low, high in (wilson_interval(k / n, n) for k in rng.binomial(n, truth, 2000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_confusion_counts_truth_in_rows():
    y, predicted = RNG.integers(0, 4, (2, 50))
    expected = np.zeros((4, 4), int)
    np.add.at(expected, (y, predicted), 1)
    found = confusion_matrix(y, predicted, 4)
    np.testing.assert_array_equal(found, expected)
    assert np.trace(found) / 50 == accuracy(y, predicted)


def test_confusion_refuses_unseen_labels():
    with pytest.raises(ValueError, match="predicted holds the label 4"):
        confusion_matrix([0, 1], [1, 4], 4)
    with pytest.raises(ValueError, match="label 9, but the classes are 0 … 3"):
        confusion_matrix([0, 9], [1, 2], 4)
    with pytest.raises(ValueError, match="2 examples need predicted"):
        confusion_matrix([0, 1], [1], 4)


@given(st.integers(2, 7), st.integers(14, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_folds_part_the_examples_and_share_out_the_classes(k, n, seed):
    y = np.random.default_rng(seed).permutation(np.arange(n) % 3)
    folds = k_folds(y, k, seed)
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(n))
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    for c in range(3):
        counts = [np.sum(y[fold] == c) for fold in folds]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("y", "k", "message"), [([0, 1, 0, 1], 5, "2 … 4"), ([0, 1, 0, 1], 1, "got k = 1"), ([0, 0, 0, 4], 2, "class 4")]
)
def test_folds_say_why_they_refuse(y, k, message):
    with pytest.raises(ValueError, match=message):
        k_folds(y, k, 0)


def test_cross_validation_never_shows_the_labels_of_what_is_left_out():
    points, y = clouds(40, classes=2)
    marked = np.column_stack([points, np.arange(40.0)])

    def spy(X_train, y_train, X):
        assert not set(X_train[:, 2]) & set(X[:, 2])
        assert len(X_train) == len(y_train) == 32
        return knn_predict(X_train[:, :2], y_train, X[:, :2], 3)

    assert cross_validate(spy, marked, y, 5, 0).shape == (5,)
    with pytest.raises(ValueError, match="two lists of one length"):
        cross_validate(lambda X_train, y_train, X: y_train, points, y, 5, 0)


def honest(X, y, rng):
    return float(cross_validate(knn_predict, X, y, 5, rng).mean())


def on_what_it_trained_with(X, y, rng):
    return accuracy(y, knn_predict(X, y, X))


def with_copies_on_both_sides(X, y, rng):
    return honest(np.concatenate([X, X + 1e-3]), np.concatenate([y, y]), rng)


def features_chosen_with_all_labels(X, y, rng):
    noise = rng.normal(size=(len(y), 2000))
    difference = np.abs(noise[y == 0].mean(axis=0) - noise[y == 1].mean(axis=0))
    return honest(noise[:, np.argsort(difference)[-20:]], y, rng)


@pytest.mark.parametrize(
    ("evaluation", "lies"),
    [
        (honest, False),
        (on_what_it_trained_with, True),
        (with_copies_on_both_sides, True),
        (features_chosen_with_all_labels, True),
    ],
)
def test_the_lie_detector(evaluation, lies):
    points, y = clouds(60, classes=2)
    test = lie_detector(evaluation, points, y, 12, 4)
    assert test.chance == 0.5
    assert test.claims.shape == (12,)
    assert test.caught == lies


def test_an_honest_experiment_is_hardly_ever_accused():
    points, y = clouds(30, classes=2)
    assert sum(lie_detector(honest, points, y, 12, seed).caught for seed in range(30)) <= 1


def test_the_lie_detector_says_why_it_refuses():
    points, y = clouds(12, classes=2)
    with pytest.raises(ValueError, match="two shuffles"):
        lie_detector(honest, points, y, 1)
    with pytest.raises(ValueError, match="all labels are the same"):
        lie_detector(honest, points, 0 * y)


def test_shifting_there_and_back_loses_only_the_rim():
    images = RNG.random((2, 5, 6, 3))
    back = shift(shift(images, 2, -1), -2, 1)
    np.testing.assert_array_equal(back[:, 1:, :-2], images[:, 1:, :-2])
    assert not back[:, 0].any() and not back[:, :, -2:].any()
    assert not shift(images, 6, 0).any()
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        shift(images[0, 0])
