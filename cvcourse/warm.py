"""Compile every kernel once: ``python -m cvcourse.warm``.

Numba keeps the compiled code beside the source, so this is a wait of a minute or two once per
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
    corners,
    descriptors,
    edges,
    filtering,
    panoramas,
    ransac,
    sampling,
    single_view,
    transforms,
    warping,
)
from cvcourse.images import Array

SHRINK = np.diag([0.4, 0.2, 1.0])
PINHOLE = np.array([[20, 0, 20], [0, 20, 16], [0, 0, 1.0]]), np.eye(3)  # K and R of a camera
SQUARE = [(0, 0), (9, 0), (9, 9), (0, 9)]  # corners, for the fits of transforms

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
