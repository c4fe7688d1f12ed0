"""Compile every kernel once: ``python -m cvcourse.warm``.

Numba keeps the compiled code beside the source, so this is a wait of three or four minutes once per
machine; afterwards nothing in a lecture compiles.  Each entry of `CALLS` is called with tiny
arrays of float64 and of float32.  With names, as in ``python -m cvcourse.warm edges``, only these
modules are compiled anew.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cvcourse import (
    alignment,
    blobs,
    cameras,
    classification,
    corners,
    descriptors,
    edges,
    filtering,
    neural_networks,
    panoramas,
    photometric_stereo,
    ransac,
    sampling,
    single_view,
    stereo,
    structure_from_motion,
    transforms,
    two_view,
    warping,
)
from cvcourse.images import Array

SHRINK = np.diag([0.4, 0.2, 1.0])
PINHOLE = np.array([[20, 0, 20], [0, 20, 16], [0, 0, 1.0]]), np.eye(3)  # K and R of a camera
SQUARE = [(0, 0), (9, 0), (9, 9), (0, 9)]  # corners, for the fits of transforms
SPACE = np.random.default_rng(0).uniform(1, 2, (12, 3))  # points before two cameras, one unit apart
FIRST, SECOND = SPACE[:, :2] / SPACE[:, 2:], (SPACE[:, :2] - [1, 0]) / SPACE[:, 2:]
TURNS = np.stack([np.eye(3)] * 3)
AHEAD = np.eye(3) + np.array([0, 0, 5])
THREE = structure_from_motion.Cameras(TURNS * [50, 50, 1], np.zeros((3, 2)), TURNS, AHEAD)
CUBE = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
SEEN = structure_from_motion.Seen(np.repeat(np.arange(3), 8), np.tile(np.arange(8), 3), np.zeros((24, 2)))
LIGHTS = np.array([photometric_stereo.light_direction(azimuth, 1.0) for azimuth in (0.0, 2.0, 4.0)])


def _volumes(image: Array) -> object:
    found = []
    for cost in stereo.COSTS:
        volume = stereo.cost_volume(image, image, (-2, 3), cost, 3)
        smooth = [stereo.semi_global(volume, 0.1, 0.5, guide) for guide in (None, image)]
        found.append([stereo.winner(volume), stereo.winner(smooth[1]), stereo.winner(stereo.seen_from_right(volume))])
    return [found, stereo.is_flat(volume), stereo.best_path(volume.cost[0], 0.1, 0.2)]


def _two_views(image: Array) -> object:
    K, P = np.eye(3), np.eye(3, 4)
    fits = [two_view.fit_fundamental(FIRST, SECOND), two_view.seven_point(FIRST[:7], SECOND[:7])]
    fits += [two_view.five_point(FIRST, SECOND)]
    found = [two_view.ransac_fundamental(FIRST, SECOND, 0.01, rng=0)]
    found += [two_view.ransac_essential(FIRST, SECOND, K, K, 0.01, rng=0)]
    other = P - np.outer([1, 0, 0], [0, 0, 0, 1])
    points = [two_view.triangulate(P, other, FIRST, SECOND, method) for method in two_view.METHODS]
    return [fits, [one.inliers for one in found], points]


def _bundle(image: Array) -> object:
    for terms in ((), ("f",), ("f", "k1"), ("f", "k1", "k2")):
        structure_from_motion.jacobian_blocks(THREE, CUBE, SEEN, terms)
        structure_from_motion.bundle_adjust(THREE, CUBE, SEEN, terms=terms)
    links = structure_from_motion.link_tracks({(0, 1): [(0, 0)]}, (1, 1))
    return [
        structure_from_motion.parallax(THREE, CUBE, SEEN),
        links,
        structure_from_motion.reproject(THREE, CUBE, SEEN),
    ]


def _shading(image: Array) -> object:
    normals = photometric_stereo.surface_normals(image)
    pictures = photometric_stereo.shade(normals, image, LIGHTS)
    weights = photometric_stereo.trimmed_weights(pictures, 0, 0)
    found = [
        photometric_stereo.fit_normals(pictures, LIGHTS, weights=one) for one in (None, weights, image + 0 * pictures)
    ]
    slopes = photometric_stereo.slopes(normals)
    lit = photometric_stereo.cast_shadows(image, LIGHTS[0])
    return [found, photometric_stereo.integrate(*slopes), photometric_stereo.integrate_periodic(*slopes), lit]


def _neighbors(image: Array) -> object:
    labels = np.arange(len(image)) % 3
    return [classification.knn_predict(image, labels, image, 3, metric) for metric in classification.METRICS]


def _network(image: Array) -> object:
    nn = neural_networks
    layers = [nn.Conv(2), nn.MaxPool(), nn.Conv(2, stride=2), nn.MaxPool(3), nn.BatchNorm(), nn.AveragePool()]
    network = nn.Network(layers, (1, *image.shape), 0, image.dtype)
    return network.backward(network.forward(image[None, None], train=True), to_input=True)


CALLS: list[tuple[str, Callable[[Array], object]]] = [
    ("correlate", lambda image: filtering.correlate(image, [[1, 2]])),
    ("correlate 3 x 3", lambda image: filtering.correlate(image, np.ones((3, 3)))),
    ("gaussian", lambda image: filtering.gaussian(image, 1.0)),
    ("box", lambda image: filtering.box(image, 3)),
    ("sharpen", lambda image: filtering.sharpen(image, 1.0, 1.0)),
    ("median 3 x 3", lambda image: filtering.median(image, 3)),
    ("median 5 x 5", lambda image: filtering.median(image, 5)),
    ("bilateral", lambda image: filtering.bilateral(image, 1.0, 0.1)),
    ("gradient", lambda image: edges.magnitude_orientation(*edges.gradient(image))),
    ("polar gradient", lambda image: edges.polar_gradient(image)),
    ("canny", lambda image: edges.canny(image, 1.0, 0.02, 0.05)),
    ("edge points", lambda image: edges.edge_points(np.zeros(image.shape, bool), image, image, image)),
    ("sample", lambda image: [sampling.sample(image, 1.5, 1.5, method) for method in sampling.METHODS]),
    ("resize", lambda image: [sampling.resize(image, (20, 50), method) for method in sampling.METHODS[:4]]),
    ("pyramid", lambda image: sampling.from_laplacian_pyramid(sampling.laplacian_pyramid(image, 3))),
    ("corners", lambda image: corners.find_peaks(corners.harris_response(image))),
    ("refined corners", lambda image: corners.refine_corners(image, [[12, 12]])),
    ("blobs", lambda image: blobs.dog_blobs(image)),
    ("sift", lambda image: descriptors.sift(image, contrast=0.0)),
    ("describe", lambda image: descriptors.describe(descriptors.scale_space(image), [[20, 16]], [2.0], [0.0])),
    (
        "dominant orientations",
        lambda image: descriptors.dominant_orientations(descriptors.scale_space(image), [[20, 16]], [2.0]),
    ),
    ("mops", lambda image: descriptors.mops(image, [[20, 16]])),
    ("match", lambda image: descriptors.match(image, image)),
    ("warp", lambda image: [warping.warp(image, SHRINK, None, method) for method in warping.WARPS]),
    (
        "warp with a prefilter",
        lambda image: [warping.warp(image, SHRINK, None, method, antialias=True) for method in warping.WARPS],
    ),
    ("splat", lambda image: warping.splat(image, SHRINK)),
    ("four points", lambda image: transforms.through_four_points(*[[[0, 0], [1, 0], [1, 1], [0, 1]]] * 2)),
    ("homography", lambda image: alignment.fit_homography(SQUARE, SQUARE)),
    ("ransac", lambda image: ransac.ransac(SQUARE, SQUARE, ransac.HOMOGRAPHY, 1.0, rng=0)),
    ("ransac of homographies", lambda image: ransac.ransac_homography(SQUARE, SQUARE, 1.0, rng=0)),
    ("undistort", lambda image: cameras.undistort(SQUARE, cameras.NO_DISTORTION)),
    ("segments", lambda image: single_view.detect_segments(image)),
    ("cylinder", lambda image: panoramas.cylinder(image, 20.0)),
    ("panorama", lambda image: panoramas.render(image, *PINHOLE, panoramas.Canvas("sphere", 20.0, (-5, -5), (11, 11)))),
    ("stereo", _volumes),
    ("two views", _two_views),
    ("bundle adjustment", _bundle),
    ("photometric stereo", _shading),
    ("nearest neighbours", _neighbors),
    ("neural network", _network),
]
"""(label, function of a tiny image): together they reach every specialisation a lecture can."""


def forget(modules: Sequence[str] = ("*",)) -> None:
    """Delete what Numba keeps of this package, or of some of its modules.

    It notices a change of a kernel's own file, but not of a helper that the kernel calls in another.
    """
    for module in modules:
        for kept in Path(__file__).parent.glob(f"__pycache__/{module}.*.nb[ic]"):
            kept.unlink(missing_ok=True)


def main(*modules: str) -> None:
    """Compile everything, or some modules, anew by running all of `CALLS`; a progress bar goes to standard error."""
    forget(modules or ("*",))
    image = np.random.default_rng(0).random((32, 40))
    jobs = [(label, call, image.astype(dtype)) for label, call in CALLS for dtype in (np.float64, np.float32)]
    for done, (label, call, tiny) in enumerate(jobs, start=1):
        bar = "#" * (30 * done // len(jobs))
        print(f"\rcompiling kernels [{bar:<30}] {done}/{len(jobs)} {label:<32}", end="", file=sys.stderr, flush=True)
        call(tiny)
    print(file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
