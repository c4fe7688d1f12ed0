import math

import numpy as np
import pytest
import skimage.measure
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, optimize, signal

from cvcourse import classification, edges
from cvcourse.classification import numeric_gradient, relative_error
from cvcourse.neural_networks import (
    AveragePool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Network,
    Optimizer,
    ReLU,
    Value,
    convolve,
    convolve_backward,
    he_normal,
    max_pool,
    max_pool_backward,
    output_size,
    receptive_field,
    summary,
    to_planes,
    train,
    unfold,
)

RANDOM = np.random.default_rng(20)
X = RANDOM.normal(size=(3, 2, 7, 6))  # not square, an odd and an even side
W = RANDOM.normal(size=(4, 2, 3, 2))
numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 0.05)
settings_of = st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 2))  # stride, pad, dilation


def correlated(X, W, stride, pad, dilation):
    """Eq. (20.7) by SciPy: dilated kernels, every place, then every stride-th."""
    k = dilation * (np.array(W.shape[2:]) - 1) + 1
    big = np.zeros((*W.shape[:2], *k))
    big[:, :, ::dilation, ::dilation] = W
    X = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    maps = [[sum(signal.correlate2d(*two, mode="valid") for two in zip(x, w)) for w in big] for x in X]
    return np.array(maps)[:, :, ::stride, ::stride]


# --- gates


@given(numbers, numbers)
def test_gates_give_values_and_derivatives_of_the_formula(a, b):
    def formula(x, y, exp=math.exp, log=math.log, relu=lambda v: max(v, 0)):
        return x * y + relu(x - y) * x + exp(x) / (y * y) - log(x * x) + (2 - y) ** 3 + 1 / x

    x, y = Value(a), Value(b)
    out = formula(x, y, Value.exp, Value.log, Value.relu)
    out.backward()
    assert out.data == pytest.approx(formula(a, b))
    if abs(a - b) > 1e-3:  # away from the kink of relu
        numeric = optimize.approx_fprime([a, b], lambda p: formula(*p), 1e-7)
        np.testing.assert_allclose([x.grad, y.grad], numeric, rtol=2e-4, atol=1e-3)


@given(numbers, numbers, numbers)
def test_each_gate_does_to_the_gradient_what_it_is_known_for(a, b, upstream):
    def gradients(gate):
        x, y = Value(a), Value(b)
        (gate(x, y) * upstream).backward()
        return x.grad, y.grad

    assert gradients(lambda x, y: x + y) == (upstream, upstream)  # distributes
    assert gradients(lambda x, y: x * y) == pytest.approx((upstream * b, upstream * a))  # the other input
    assert gradients(Value.maximum) == ((upstream, 0) if a >= b else (0, upstream))  # routes
    assert gradients(lambda x, y: x.relu() + 0 * y)[0] == (upstream if a > 0 else 0)


def test_a_number_that_is_used_more_than_once_collects_from_all_uses():
    x = Value(3.0)
    (x + x).backward()
    assert x.grad == 2
    y = x * x
    (y * y + x).backward()  # x⁴ + x, and y is used twice too
    assert x.grad == 4 * 27 + 1
    z = Value(2.0)
    for _ in range(12):  # 4096 paths, 13 nodes
        z = z + z
    z.backward()
    assert z.graph()[0].grad == 4096


def test_a_second_backward_starts_from_nothing():
    x = Value(3.0)
    out = x * x
    out.backward()
    out.backward()
    assert x.grad == 6


def test_a_graph_lists_inputs_before_results_once_and_may_be_deep():
    x = Value(1.0)
    out = x
    for _ in range(5000):
        out = out + x
    order = out.graph()
    assert len(order) == 5001 and order[-1] is out
    place = {id(node): k for k, node in enumerate(order)}
    assert all(place[id(one)] < place[id(node)] for node in order for one in node.inputs)
    out.backward()
    assert x.grad == 5001


def test_in_a_tie_max_routes_to_the_first():
    x, y = Value(2.0), Value(2.0)
    x.maximum(y).backward()
    assert (x.grad, y.grad) == (1, 0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Value("3"), TypeError, "one real number, got str"),
        (lambda: Value(np.ones(2)), TypeError, "got ndarray"),
        (lambda: Value(math.inf), ValueError, "finite"),
        (lambda: Value(0.0) ** -1, ValueError, "no real value"),
        (lambda: Value(-2.0) ** 0.5, ValueError, "no real value"),
        (lambda: Value(2.0) ** Value(2.0), TypeError, "plain number"),
        (lambda: 1 / Value(0.0), ValueError, "no real value"),
        (lambda: Value(0.0).log(), ValueError, "log needs"),
        (lambda: Value(1000.0).exp(), ValueError, "overflows"),
        (lambda: Value(1e200) * 1e200, ValueError, "the × value is inf"),
    ],
)
def test_a_gate_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- convolution and pooling


@given(settings_of)
@settings(deadline=None)
def test_convolution_is_scipys_correlation(how):
    stride, pad, dilation = how
    b = np.array([0.5, -1, 2, 0])
    out = convolve(X, W, b, stride, pad, dilation)
    np.testing.assert_allclose(out, correlated(X, W, *how) + b[:, None, None], atol=1e-12)
    assert out.shape[2:] == tuple(output_size(n, k, stride, pad, dilation) for n, k in zip(X.shape[2:], W.shape[2:]))


def test_it_is_no_convolution_in_the_sense_of_lecture_1():
    image, kernel = X[:1, :1], W[:1, :1]
    true = signal.convolve2d(image[0, 0], kernel[0, 0], "valid")
    np.testing.assert_allclose(convolve(image, kernel[:, :, ::-1, ::-1])[0, 0], true, atol=1e-12)
    assert not np.allclose(convolve(image, kernel)[0, 0], true)


@given(settings_of)
@settings(deadline=None, max_examples=10)
def test_gradients_of_convolution_are_the_numeric_ones(how):
    dout = RANDOM.normal(size=convolve(X, W, None, *how).shape)
    b = np.zeros(4)
    found = convolve_backward(X, W, dout, *how)
    for got, wanted in [
        (found.dX, numeric_gradient(lambda x: np.sum(convolve(x, W, b, *how) * dout), X)),
        (found.dW, numeric_gradient(lambda w: np.sum(convolve(X, w, b, *how) * dout), W)),
        (found.db, numeric_gradient(lambda c: np.sum(convolve(X, W, c, *how) * dout), b)),
    ]:
        assert relative_error(got, wanted) < 1e-8  # linear in each: only rounding is left
    assert convolve_backward(X, W, dout, *how, to_input=False).dX.size == 0


def test_backward_is_the_full_correlation_with_the_flipped_kernel():
    dout = RANDOM.normal(size=(1, 1, 5, 5))
    dX = convolve_backward(X[:1, :1], W[:1, :1], dout).dX
    np.testing.assert_allclose(dX[0, 0], signal.convolve2d(dout[0, 0], W[0, 0], "full")[:7, :6], atol=1e-12)


@given(settings_of)
@settings(deadline=None)
def test_backward_is_the_transpose_of_forward(how):
    """<conv(X), Y> = <X, back(Y)>."""
    out = convolve(X, W, None, *how)
    Y = RANDOM.normal(size=out.shape)
    assert np.sum(out * Y) == pytest.approx(np.sum(X * convolve_backward(X, W, Y, *how).dX))


@pytest.mark.parametrize("n", [1, 7, 70])  # 70 images of this size are worked on in blocks
def test_blocks_of_images_change_nothing(n):
    many = RANDOM.normal(size=(n, 8, 20, 20))
    kernels = RANDOM.normal(size=(3, 8, 3, 3))
    out = convolve(many, kernels, pad=1)
    np.testing.assert_allclose(out[-1:], convolve(many[-1:], kernels, pad=1), atol=1e-12)
    back = convolve_backward(many, kernels, out, pad=1)
    np.testing.assert_allclose(back.dX[-1:], convolve_backward(many[-1:], kernels, out[-1:], pad=1).dX, atol=1e-11)
    apart = sum(convolve_backward(many[k : k + 1], kernels, out[k : k + 1], pad=1).dW for k in range(n))
    np.testing.assert_allclose(back.dW, apart, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_arguments_are_not_written_to(dtype):
    x, w = X.astype(dtype), W.astype(dtype)
    before = x.copy(), w.copy()
    out = convolve(x, w, np.ones(4), pad=1)
    back = convolve_backward(x, w, out, pad=1)
    pooled = max_pool(out)
    routed = max_pool_backward(out, pooled, pooled)
    assert {a.dtype for a in (out, *back, pooled, routed)} == {np.dtype(dtype)}
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(w, before[1])
    view = np.asfortranarray(x)  # another memory layout
    np.testing.assert_array_equal(convolve(view, w, np.ones(4), pad=1), out)


def test_unfold_is_a_sliding_window():
    windows = np.lib.stride_tricks.sliding_window_view(X, (3, 2), (2, 3))
    np.testing.assert_array_equal(unfold(X, (3, 2)), windows.transpose(0, 1, 4, 5, 2, 3))


def test_max_pool_is_block_reduce():
    np.testing.assert_array_equal(
        max_pool(X[:, :, :6]), skimage.measure.block_reduce(X[:, :, :6], (1, 1, 2, 2), np.max)
    )
    np.testing.assert_array_equal(max_pool(X)[:, :, :, :], max_pool(X[:, :, :6]))  # the row left over is dropped
    np.testing.assert_array_equal(max_pool(X, 3, 1), ndimage.maximum_filter(X, (1, 1, 3, 3))[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 3), (3, 1), (2, 1), (2, 3)])
def test_max_pool_routes_as_the_numeric_gradient_says(size, stride):
    out = max_pool(X, size, stride)
    dout = RANDOM.normal(size=out.shape)
    numeric = numeric_gradient(lambda x: np.sum(max_pool(x, size, stride) * dout), X, 1e-6)
    assert relative_error(max_pool_backward(X, out, dout, size, stride), numeric) < 1e-8


@pytest.mark.parametrize("stride", [2, 1])
def test_in_a_tie_one_pixel_takes_all(stride):
    flat = np.full((1, 1, 6, 8), 0.25)
    out = max_pool(flat, 2, stride)
    dX = max_pool_backward(flat, out, np.ones(out.shape), 2, stride)
    assert dX.sum() == out.size
    expected = np.zeros((6, 8))
    expected[: 2 * ((6 - 2) // stride) or None : stride, ::stride] = 0
    rows, cols = (np.arange(n) * stride for n in out.shape[2:])
    expected[np.ix_(rows, cols)] = 1  # the first of each window, row by row
    np.testing.assert_array_equal(dX[0, 0], expected)


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_output_size_counts_the_places(n, size, stride, pad, dilation):
    reach = dilation * (size - 1) + 1
    places = [x for x in range(-pad, n + pad, stride) if x + reach <= n + pad]
    if places:
        assert output_size(n, size, stride, pad, dilation) == len(places)
    else:
        with pytest.raises(ValueError, match="doesn't fit"):
            output_size(n, size, stride, pad, dilation)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: output_size(8, 3, stride=0), ValueError, "stride must be a whole number >= 1"),
        (lambda: output_size(8, 3, pad=-1), ValueError, "pad must be"),
        (lambda: output_size(8, 2.5), ValueError, "size must be a whole"),
        (lambda: convolve(X.astype(int), W), TypeError, "float32 or float64, got int64"),
        (lambda: convolve(X[0], W), ValueError, r"\(N, C, H, W\)"),
        (lambda: convolve(X, W[:, :1]), ValueError, r"1 channels deep, the input \(3, 2, 7, 6\) has 2"),
        (lambda: convolve(X, W[0]), ValueError, "kernels must have shape"),
        (lambda: convolve(X, W, np.zeros(3)), ValueError, "one bias for each kernel"),
        (lambda: convolve(X[:, :, :2], W), ValueError, "doesn't fit into 2"),
        (lambda: convolve_backward(X, W, X), ValueError, r"output's shape \(3, 4, 5, 5\)"),
        (lambda: max_pool([[1.0]]), TypeError, "got list"),
        (lambda: max_pool_backward(X, X, X), ValueError, r"must have shape \(3, 2, 3, 3\)"),
        (lambda: to_planes(np.zeros((4, 8, 8), int)), TypeError, "as_float"),
        (lambda: to_planes(np.zeros((8, 8))), ValueError, r"\(N, H, W\)"),
        (lambda: to_planes(np.full((1, 2, 2), np.nan)), ValueError, "NaN"),
        (lambda: he_normal((2, 2), 0, 0), ValueError, "fan_in"),
    ],
)
def test_a_kernel_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_to_planes():
    colour = RANDOM.random((2, 4, 5, 3))
    planes = to_planes(colour)
    assert planes.dtype == np.float32 and planes.flags.c_contiguous
    np.testing.assert_allclose(planes[1, 2], colour[1, :, :, 2], rtol=1e-6)
    assert to_planes(colour[..., 0], np.float64).shape == (2, 1, 4, 5)


# --- layers and networks

LAYERS = [
    (Dense(5), (6,)),
    (Conv(3, 3), (2, 5, 6)),
    (Conv(3, 2, stride=2, pad=1, bias=False), (2, 5, 6)),
    (Conv(2, 3, dilation=2), (2, 5, 6)),
    (ReLU(), (2, 5, 6)),
    (MaxPool(2), (2, 5, 6)),
    (MaxPool(3, stride=1), (2, 5, 6)),
    (AveragePool(2), (2, 5, 6)),
    (AveragePool(3, stride=1), (2, 5, 6)),
    (Flatten(), (2, 5, 6)),
    (BatchNorm(), (2, 5, 6)),
    (BatchNorm(), (6,)),
]


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_every_layer_has_the_numeric_gradient(layer, shape, trained):
    rng = np.random.default_rng(3)
    out_shape = layer.build(shape, rng, np.float64)
    x = rng.normal(size=(4, *shape))
    for name, p in layer.params.items():
        layer.params[name] = p + 0.1 * rng.normal(size=p.shape)
    out = layer.forward(x, trained)
    assert out.shape == (4, *out_shape)
    dout = rng.normal(size=out.shape)
    dX = layer.backward(dout)
    grads = dict(layer.grads)

    def loss(x):
        return np.sum(layer.forward(x, trained) * dout)

    state = {name: value.copy() for name, value in layer.state.items()}
    assert relative_error(dX, numeric_gradient(loss, x, 1e-5)) < 1e-7
    layer.state.update(state)
    assert set(grads) == set(layer.params)
    for name, p in layer.params.items():

        def of_parameter(value, name=name):
            old, layer.params[name] = layer.params[name], value
            result = loss(x)
            layer.params[name] = old
            return result

        assert relative_error(grads[name], numeric_gradient(of_parameter, p, 1e-5)) < 1e-7


def small(dtype=np.float64, rng=0):
    layers = [Conv(4), BatchNorm(), ReLU(), MaxPool(), Conv(5), ReLU(), AveragePool(2), Flatten(), Dense(3)]
    return Network(layers, (2, 8, 8), rng, dtype)


def test_a_whole_network_has_the_numeric_gradient():
    network, rng = small(), np.random.default_rng(4)
    x, y = rng.normal(size=(5, 2, 8, 8)), np.array([0, 1, 2, 1, 0])
    _, dscores = classification.softmax_loss(network.forward(x, train=True), y)
    dX = network.backward(dscores, to_input=True)
    numeric = numeric_gradient(lambda x: classification.softmax_loss(network.forward(x, True), y)[0], x, 1e-6)
    assert relative_error(dX, numeric) < 1e-6
    assert network.backward(dscores) is None


def test_batch_normalisation_makes_mean_0_and_variance_1_and_then_forgets_the_batch():
    layer = BatchNorm(momentum=0.5)
    layer.build((3, 5, 5), RANDOM, np.float64)
    x = RANDOM.normal(4, 3, size=(64, 3, 5, 5))
    out = layer.forward(x, train=True)
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=(0, 2, 3)), 1, atol=1e-5)
    for _ in range(20):
        layer.forward(x, train=True)
    np.testing.assert_allclose(layer.forward(x), out, atol=1e-4)  # the running averages have arrived
    np.testing.assert_allclose(layer.forward(x[:1]), layer.forward(x)[:1])  # one image alone: the same


def test_dropout_keeps_the_mean_and_is_off_after_training():
    layer = Dropout(0.3)
    layer.build((100,), np.random.default_rng(1), np.float64)
    x = np.ones((200, 100))
    out = layer.forward(x, train=True)
    assert set(np.unique(out)) == {0.0, 1 / 0.7}
    # 20,000 draws: sd of the share 0.0032, of the mean 0.0046; four of them
    assert np.mean(out == 0) == pytest.approx(0.3, abs=0.013)
    assert out.mean() == pytest.approx(1, abs=0.019)
    np.testing.assert_array_equal(layer.backward(x), out)
    np.testing.assert_array_equal(layer.forward(x), x)


def test_he_weights_keep_the_size_of_signals():
    """Second moments of 30 ReLU layers: 1 up to chance by He's, 2⁻³⁰ by half of the variance.

    With 400 units each layer's factor has a relative variance of 5 / 400, so the sd of the logarithm is 0.61.
    """
    x = np.random.default_rng(0).normal(size=(300, 400))
    kept, lost = x, x
    for k in range(30):
        weights = he_normal((400, 400), 400, k, np.float64)
        kept, lost = np.maximum(kept @ weights, 0), np.maximum(lost @ weights / np.sqrt(2), 0)
    assert abs(np.log(np.mean(kept**2))) < 3 * 0.61
    assert np.mean(lost**2) == pytest.approx(2.0**-30 * np.mean(kept**2))


def test_summary_counts_as_by_hand():
    layers = [Conv(16), ReLU(), MaxPool(), Conv(32, 5, stride=2), Flatten(), Dense(10)]
    rows = summary(Network(layers, (3, 32, 32), 0))
    assert [row.parameters for row in rows] == [(27 + 1) * 16, 0, 0, (16 * 25 + 1) * 32, 0, (32 * 64 + 1) * 10]
    assert [row.shape for row in rows][2:4] == [(16, 16, 16), (32, 8, 8)]
    assert rows[3].multiplications == 64 * 32 * 400
    assert rows[5].multiplications == 20480
    assert [(row.field, row.step) for row in rows[:4]] == [(3, 1), (3, 1), (4, 2), (12, 4)]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3))
@settings(deadline=None, max_examples=20)
def test_the_receptive_field_is_where_the_gradient_is_not_0(windows):
    field, step = receptive_field(windows)
    n = field + step  # room for exactly two outputs
    layers = [Conv(1, size, stride=stride, pad=0) for size, stride in windows]
    network = Network(layers, (1, n, n), 0, np.float64)
    for layer in layers:
        layer.params["W"] = np.ones_like(layer.params["W"])
    out = network.forward(np.zeros((1, 1, n, n)))
    assert out.shape[2:] == (2, 2)
    seen = []
    for k in (0, 1):
        above = np.zeros(out.shape)
        above[0, 0, 0, k] = 1
        seen.append(np.flatnonzero(network.backward(above, to_input=True)[0, 0].any(axis=0)))
    assert seen[0][0] == 0 and seen[0][-1] == field - 1
    assert seen[1][0] == step and seen[1][-1] == field + step - 1


def test_saved_weights_give_the_same_numbers(tmp_path):
    network, rng = small(np.float32), np.random.default_rng(5)
    x, y = rng.random((40, 2, 8, 8)), rng.integers(0, 3, 40)
    for _ in train(network, Optimizer("adam", 0.01), x, y, epochs=2, rng=0, batch=10):
        pass
    network.save(tmp_path / "weights.npz")
    other = small(np.float32, rng=99)
    assert not np.allclose(other.scores(x), network.scores(x))
    other.load(tmp_path / "weights.npz")
    np.testing.assert_array_equal(other.scores(x), network.scores(x))  # running averages are stored too


def test_loading_names_the_layer_that_does_not_fit(tmp_path):
    network = Network([Conv(4), Flatten(), Dense(3)], (1, 4, 4), 0)
    network.save(tmp_path / "w.npz")
    other = Network([Conv(4), Flatten(), Dense(2)], (1, 4, 4), 1)
    before = other.layers[0].params["W"].copy()
    with pytest.raises(ValueError, match=r"layer 2, Dense\(2\): 2.W of \(64, 2\) has shape \(64, 3\) in w.npz"):
        other.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(other.layers[0].params["W"], before)
    with pytest.raises(ValueError, match=r"layer 3, BatchNorm\(\): 3.gamma of \(3,\) is missing"):
        Network([Conv(4), Flatten(), Dense(3), BatchNorm()], (1, 4, 4), 1).load(tmp_path / "w.npz")
    with pytest.raises(ValueError, match="no layer"):
        Network([Conv(4), Flatten()], (1, 4, 4), 1).load(tmp_path / "w.npz")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Network([Conv(8), ReLU(), Dense(10)], (1, 8, 8), 0),
            ValueError,
            r"layer 2, Dense\(10\), after \(8, 8, 8\): .*put Flatten\(\) before it",
        ),
        (
            lambda: Network([Conv(8)], (64,), 0),
            ValueError,
            r"layer 0, Conv\(8, 3×3, pad 1\), after \(64,\): takes maps",
        ),
        (
            lambda: Network([MaxPool(), MaxPool(8)], (1, 8, 8), 0),
            ValueError,
            r"layer 1, MaxPool\(8\).*doesn't fit into 4",
        ),
        (lambda: Network([Flatten(), MaxPool()], (1, 8, 8), 0), ValueError, "layer 1.*takes maps"),
        (lambda: Network([], (1, 8, 8), 0), ValueError, "at least one layer"),
        (
            lambda: small().forward(np.zeros((5, 8, 8))),
            ValueError,
            r"layer 0, Conv.* shape \(2, 8, 8\), got 5 of shape \(8, 8\)",
        ),
        (lambda: small().forward(np.zeros((0, 2, 8, 8))), ValueError, "got 0"),
        (lambda: small().scores(np.zeros((0, 2, 8, 8))), ValueError, "got 0"),
        (lambda: small().forward(np.zeros((1, 2, 8, 8), int)), TypeError, "floating point"),
        (lambda: small().backward(np.zeros((5, 4))), ValueError, r"layer 8, Dense\(3\) gives \(3,\)"),
        (lambda: Dropout(1.0), ValueError, r"\[0, 1\)"),
        (lambda: BatchNorm(momentum=1.0), ValueError, r"\[0, 1\)"),
        (lambda: Optimizer("newton"), ValueError, "rule is one of plain, momentum"),
        (lambda: Optimizer(rate=0.0), ValueError, "rate"),
        (lambda: Optimizer(decay=-1), ValueError, "decay"),
        (lambda: receptive_field([(0, 1)]), ValueError, "reach and stride"),
    ],
)
def test_a_network_says_which_layer_and_which_shapes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_layer_alone_has_nothing_to_compute():
    with pytest.raises(NotImplementedError):
        Layer().forward(X)
    with pytest.raises(NotImplementedError):
        Layer().backward(X)


# --- training


def one_weight(rule, rate, decay=0.0):
    """A network of one weight and one bias, both 1, and a way to step down f = W²/2 (the bias has gradient 0)."""
    network = Network([Dense(1)], (1,), 0, np.float64)
    layer, optimizer = network.layers[0], Optimizer(rule, rate, decay)
    layer.params = {"W": np.ones((1, 1)), "b": np.ones(1)}

    def step(gradient=None):
        W = layer.params["W"]
        layer.grads = {"W": W.copy() if gradient is None else np.full((1, 1), gradient), "b": np.zeros(1)}
        optimizer.step(network)
        return layer.params["W"][0, 0], layer.params["b"][0]

    return step


def test_optimizers_go_where_their_formulas_say():
    """On f = x²/2, so g = x: the recursions written out; each parameter has its own memory."""
    step = one_weight("momentum", 0.1)
    x, v = 1.0, 0.0
    for _ in range(5):
        v = 0.9 * v - 0.1 * x
        x += v
        assert step() == pytest.approx((x, 1.0))
    step = one_weight("adam", 0.1)
    x, m, s = 1.0, 0.0, 0.0
    for t in range(1, 6):
        m, s = 0.9 * m + 0.1 * x, 0.999 * s + 0.001 * x * x
        x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
        assert step() == pytest.approx((x, 1.0))


@pytest.mark.parametrize("rule", ["plain", "momentum", "adam"])
def test_decay_shrinks_weights_and_no_biases(rule):
    assert one_weight(rule, 0.1, decay=0.5)(gradient=0.0) == pytest.approx((0.95, 1.0))


@pytest.mark.parametrize("rule", list(classification.STEPS))
def test_steps_keep_float32(rule):
    network = small(np.float32)
    x, y = RANDOM.random((10, 2, 8, 8)), RANDOM.integers(0, 3, 10)
    optimizer = Optimizer(rule, 0.01)
    for step in train(network, optimizer, x, y, epochs=2, rng=0):
        optimizer.rate = np.float64(0.01) / step.step
    assert {a.dtype for a in network.arrays().values()} == {np.dtype(np.float32)}


def test_it_learns_twenty_digits_by_heart():
    data = classification.dataset("digits")
    x, y = to_planes(data.X_train[:20]), data.y_train[:20]
    network = Network([Conv(8), ReLU(), MaxPool(), Flatten(), Dense(10)], (1, 8, 8), 0)
    steps = list(train(network, Optimizer("adam", 0.01), x, y, epochs=60, rng=0, batch=20))
    assert steps[0].loss == pytest.approx(math.log(10), abs=1)
    assert steps[-1].loss < 0.01 and network.accuracy(x, y) == 1
    assert steps[-1].step == steps[-1].steps == 60


def test_the_same_seed_trains_the_same_network():
    x, y = RANDOM.random((30, 2, 8, 8)), RANDOM.integers(0, 3, 30)
    losses = []
    for _ in range(2):
        network = small()
        losses.append(
            [step.loss for step in train(network, Optimizer("momentum", 0.05), x, y, epochs=3, rng=1, batch=8)]
        )
    assert losses[0] == losses[1]
    assert len(losses[0]) == 12  # the last batch of an epoch has 6


def test_a_convolution_learns_sobel_from_its_results():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(20, 1, 12, 12))
    target = np.stack([edges.gradient(image[0]).Ix for image in x])[:, None, 1:-1, 1:-1]
    layer = Conv(1, 3, pad=0)
    layer.build((1, 12, 12), rng, np.float64)
    for _ in range(150):
        difference = layer.forward(x) - target
        layer.backward(2 * difference / difference.size)
        layer.params = {name: p - 0.4 * layer.grads[name] for name, p in layer.params.items()}
    np.testing.assert_allclose(layer.params["W"][0, 0], edges.OPERATORS["sobel"][0], atol=1e-6)


def test_augment_gets_each_batch():
    seen = []

    def augment(few, rng):
        seen.append(len(few))
        return few + 0 * rng.random()

    x, y = RANDOM.random((10, 2, 8, 8)), np.zeros(10, int)
    list(train(small(), Optimizer(), x, y, 1, 0, batch=4, augment=augment))
    assert seen == [4, 4, 2]


def test_a_training_that_runs_away_names_the_step_and_the_layer():
    x, y = RANDOM.random((40, 2, 8, 8)), RANDOM.integers(0, 3, 40)
    network = Network([Flatten(), Dense(50), Dense(3)], (2, 8, 8), 0)
    with pytest.raises(
        FloatingPointError, match=r"infinite at step \d+ \(epoch \d+\), first after layer \d, .*Lower the rate"
    ):
        list(train(network, Optimizer("plain", 1e3), x, y, epochs=20, rng=0, batch=10))


@pytest.mark.parametrize(
    ("x", "y", "epochs", "error", "message"),
    [
        (np.zeros((2, 2, 8, 8)), [0, 3], 1, ValueError, r"label 3, but the classes are 0 … 2"),
        (np.zeros((2, 2, 8, 8)), [0, -1], 1, ValueError, "label -1"),
        (np.zeros((2, 2, 8, 8)), [0], 1, ValueError, "2 examples need y"),
        (np.zeros((2, 2, 8, 8)), [0.0, 1.0], 1, TypeError, "integers"),
        (np.zeros((2, 8, 8)), [0, 1], 1, ValueError, "layer 0, Conv"),
        (np.full((2, 2, 8, 8), np.nan), [0, 1], 1, ValueError, "NaN"),
        (np.zeros((2, 2, 8, 8)), [0, 1], 0, ValueError, "epochs"),
    ],
)
def test_training_refuses_before_the_first_step(x, y, epochs, error, message):
    with pytest.raises(error, match=message):
        train(small(), Optimizer(), x, y, epochs, rng=0)


# --- a law of lecture 19's experiment


def test_a_convolution_moves_with_its_input():
    image = np.zeros((1, 1, 12, 12))
    image[0, 0, 4:8, 4:8] = RANDOM.random((4, 4))
    moved = np.roll(image, (1, 2), axis=(2, 3))
    kernels = RANDOM.normal(size=(3, 1, 3, 3))
    np.testing.assert_allclose(
        np.roll(convolve(image, kernels, pad=1), (1, 2), axis=(2, 3)), convolve(moved, kernels, pad=1), atol=1e-12
    )
