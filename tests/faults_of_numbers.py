"""Small faults that fast tests must catch; `tests/faults.py` puts them in, one at a time."""

import shlex
from typing import NamedTuple


class Fault(NamedTuple):
    """A fault, the tests that should catch it, and its code change.

    Attributes:
      name: a short description.
      tests: arguments of pytest. Files missing from a tree are left out.
      changes: (file, old text, new text). The first one whose file has the old text exactly once is applied; the others
        are the same fault in other versions of the code.
    """

    name: str
    tests: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]


def fault(name: str, tests: str, *changes: tuple[str, str, str]) -> Fault:
    return Fault(name, tuple(shlex.split(tests)), changes)


OPS, DATA, METHODS = "pawjax/ops/", "pawjax/data/", "pawjax/methods/"

FAULTS = (
    # Operations
    fault(
        "a resize shifts points the other way",
        "tests/ops/test_warp.py",
        (OPS + "warp.py", "0.5 * sx - 0.5]", "0.5 - 0.5 * sx]"),
    ),
    fault(
        "the axes of a warp are swapped",
        "tests/ops/test_warp.py",
        (OPS + "warp.py", "jnp.stack([source_x, source_y], axis=-1)", "jnp.stack([source_y, source_x], axis=-1)"),
    ),
    fault(
        "two affine maps are composed the wrong way round",
        "tests/ops/test_warp.py",
        (OPS + "warp.py", "linear = outer[..., :2] @ inner[..., :2]", "linear = inner[..., :2] @ outer[..., :2]"),
    ),
    fault(
        "a cell stands for its corner",
        "tests/ops/test_scoremaps.py",
        (
            OPS + "scoremaps.py",
            "x = jnp.arange(width, dtype=jnp.float32) * stride + center",
            "x = jnp.arange(width, dtype=jnp.float32) * stride",
        ),
    ),
    fault(
        "a pyramid's cells are a cell off",
        "tests/models/test_pyramid.py",
        ("pawjax/models/pyramid.py", "_between(x, before, shift / 2)", "_between(x, before, 0)"),
    ),
    fault(
        "an EfficientNet's cells are half a cell off",
        "tests/models/test_pyramid.py",
        ("pawjax/models/efficientnet.py", "return stride - 1.0", "return stride / 2"),
    ),
    fault(
        "the dilated stage begins a unit early",
        "tests/models/test_efficientnet.py",
        ("pawjax/models/efficientnet.py", "(stride, dilation * step)", "(stride, dilation)"),
    ),
    fault(
        "batch norm is folded with another network's epsilon",
        "tests/models/test_efficientnet.py tests/methods/test_deeplabcut.py -k folded",
        ("pawjax/models/fold.py", 'epsilon = getattr(net, "epsilon", epsilon)', "epsilon = EPSILON"),
    ),
    fault(
        "SAME pads an even size at its beginning",
        "tests/models/test_pyramid.py",
        (
            "pawjax/models/layers.py",
            "return total // 2, total - total // 2",
            "return total - total // 2, total // 2",
        ),
    ),
    fault(
        "a depthwise gradient leaves out the second tap of a stride",
        "tests/ops/test_depthwise.py",
        (OPS + "depthwise.py", "if not any(rest for _, rest in steps):", "if not any(map(sum, steps)):"),
    ),
    fault(
        "ReLU6 lets the gradient through its ceiling",
        "tests/ops/test_depthwise.py",
        (OPS + "relu.py", "(x > 0) & (x < ceiling)", "x > 0"),
    ),
    fault(
        "a named file of weights is not checked",
        "tests/engine/test_published.py",
        ("pawjax/engine/published.py", ".startswith(digits_of(name))", '.startswith("")'),
    ),
    fault(
        "the rim of a disc is outside",
        "tests/ops/test_scoremaps.py",
        (OPS + "scoremaps.py", "axis=-1) <= radius**2", "axis=-1) < radius**2"),
    ),
    fault(
        "offsets of x are read as y",
        "tests/ops/test_decoding.py",
        (OPS + "decoding.py", "offsets = maps.offsets.reshape(", "offsets = maps.offsets[..., ::-1].reshape("),
        (
            OPS + "decoding.py",
            "offsets = locref.reshape(batch, height * width, parts, 2)",
            "offsets = locref[..., ::-1].reshape(batch, height * width, parts, 2)",
        ),
    ),
    fault(
        "the column of a cell is counted by the height",
        "tests/ops/test_decoding.py",
        (OPS + "decoding.py", "best % width + right", "best % height + right"),
    ),
    fault(
        "the mixed derivative has the wrong sign",
        "tests/ops/test_decoding.py",
        (OPS + "decoding.py", "(dxy * dy - dyy * dx) / safe", "(-dxy * dy - dyy * dx) / safe"),
    ),
    fault(
        "a union counts the intersection twice",
        "tests/ops/test_boxes.py",
        (OPS + "boxes.py", "box_area(second) - intersection", "box_area(second)"),
        (OPS + "boxes.py", "box_area(second, convention) - intersection", "box_area(second, convention)"),
    ),
    fault(
        "deltas are not divided by the anchor's sides",
        "tests/ops/test_boxes.py",
        (OPS + "boxes.py", "(centre - anchor_centre) / anchor_sides", "(centre - anchor_centre) / sides"),
    ),
    fault(
        "boxes of different classes suppress each other",
        "tests/ops/test_nms.py",
        (OPS + "nms.py", " & (classes[:, None] == other_classes)", ""),
    ),
    fault(
        "padding suppresses boxes",
        "tests/ops/test_nms.py",
        (OPS + "nms.py", "valid[padded] & (jnp.arange", "(jnp.arange"),
        (OPS + "nms.py", "valid[order]", "jnp.ones_like(valid[order])"),
    ),
    fault(
        "a threshold belongs to the lower label",
        "tests/ops/test_matching.py",
        (OPS + "matching.py", "jnp.where(best >= high", "jnp.where(best > high"),
    ),
    fault(
        "padded labels take part in the matching",
        "tests/ops/test_matching.py",
        (OPS + "matching.py", "jnp.where(valid[:, None] & usable, iou, -1)", "jnp.where(usable, iou, -1)"),
    ),
    fault(
        "a ratio is width by height",
        "tests/ops/test_anchors.py",
        (OPS + "anchors.py", "np.sqrt(sizes**2 / ratios)", "np.sqrt(sizes**2 * ratios)"),
    ),
    fault(
        "positives fill the whole sample",
        "tests/ops/test_sampling.py",
        (OPS + "sampling.py", "jnp.minimum(positive.sum(), int(size * positive_fraction))", "positive.sum()"),
    ),
    fault(
        "aligned regions are not moved by half a cell",
        "tests/ops/test_roi_align.py",
        (OPS + "roi_align.py", "ends * grid.scale - 0.5 * grid.aligned", "ends * grid.scale"),
    ),
    fault(
        "of equal pixels the last one gets the gradient",
        "tests/ops/test_pooling.py",
        (OPS + "pooling.py", "jnp.where(first >= second", "jnp.where(first > second"),
    ),
    fault(
        "the variance of a group keeps its mean",
        "tests/ops/test_norm.py",
        (OPS + "norm.py", "jnp.square(flat - mean[:, None])", "jnp.square(flat)"),
    ),
    # Losses and metrics
    fault(
        "the Huber loss is twice as steep",
        "tests/test_losses.py",
        ("pawjax/losses.py", "0.5 * errors**2", "errors**2"),
        (
            "pawjax/losses.py",
            "optax.losses.huber_loss(errors, delta=delta)",
            "2 * optax.losses.huber_loss(errors, delta=delta)",
        ),
        ("pawjax/losses.py", "optax.huber_loss(errors, delta=delta)", "2 * optax.huber_loss(errors, delta=delta)"),
    ),
    fault(
        "weights are counted before they are broadcast",
        "tests/test_losses.py",
        ("pawjax/losses.py", "weights = jnp.broadcast_to(weights, values.shape)", "weights = jnp.asarray(weights)"),
    ),
    fault(
        "a term is a sum instead of a mean",
        "tests/test_losses.py",
        ("pawjax/losses.py", "total / jnp.maximum(count, 1e-12)", "total"),
    ),
    fault(
        "the mean error is the median",
        "tests/test_metrics.py",
        ("pawjax/metrics.py", '"mean_error_px": float(np.mean(d))', '"mean_error_px": float(np.median(d))'),
    ),
    fault(
        "an error of exactly 5 px is not within 5 px",
        "tests/test_metrics.py",
        ("pawjax/metrics.py", "np.mean(d <= t)", "np.mean(d < t)"),
    ),
    fault(
        "an error of exactly 50 px is a gross miss",
        "tests/test_metrics.py",
        ("pawjax/metrics.py", "np.sum(d > GROSS_MISS)", "np.sum(d >= GROSS_MISS)"),
    ),
    fault(
        "the 95th percentile is the 90th",
        "tests/test_metrics.py",
        ("pawjax/metrics.py", "np.percentile(d, 95)", "np.percentile(d, 90)"),
    ),
    fault(
        "a likelihood at the cut-off is not trusted",
        "tests/test_metrics.py",
        ("pawjax/metrics.py", "(likelihood >= pcutoff)", "(likelihood > pcutoff)"),
    ),
    # Data and augmentation
    fault(
        "a test frame is trained on",
        "tests/data/test_splits.py",
        (
            DATA + "splits.py",
            "    return {name: np.sort(rows[name]) for name in SPLITS}",
            '    rows["train"] = np.append(rows["train"], rows["test"][:1])\n'
            "    return {name: np.sort(rows[name]) for name in SPLITS}",
        ),
        (
            DATA + "splits.py",
            "    return {name: np.sort(parts[name]) for name in PARTS}",
            '    parts["train"] = np.append(parts["train"], parts["test"][:1])\n'
            "    return {name: np.sort(parts[name]) for name in PARTS}",
        ),
    ),
    fault(
        "the seed of the split is ignored",
        "tests/data/test_splits.py",
        (DATA + "splits.py", "rng = np.random.default_rng(config.split_seed)", "rng = np.random.default_rng(0)"),
    ),
    fault(
        "videos are split frame by frame",
        "tests/data/test_splits.py",
        (DATA + "splits.py", 'if by == "video":', 'if by == "":'),
    ),
    fault(
        "x and y of a label table are swapped",
        "tests/data/test_label_csv.py",
        (DATA + "label_table.py", 'enumerate("xy")', 'enumerate("yx")'),
    ),
    fault(
        "occluded points are trained on",
        "tests/data/test_label_csv.py",
        (DATA + "label_table.py", "np.isnan(visible) | (visible == VISIBLE)", "np.isnan(visible) | (visible > 0)"),
    ),
    fault(
        "bodyparts keep the order of the table",
        "tests/data/test_deeplabcut.py",
        (
            DATA + "bodyparts.py",
            "tuple(bodyparts), padded[:, :, columns], ",
            "tuple(bodyparts), padded[:, :, : len(columns)], ",
        ),
        (
            DATA + "label_table.py",
            "tuple(bodyparts), table.keypoints[:, :, columns])",
            "tuple(bodyparts), table.keypoints)",
        ),
        (
            DATA + "label_table.py",
            "tuple(bodyparts), table.keypoints[:, columns])",
            "tuple(bodyparts), table.keypoints)",
        ),
    ),
    fault(
        "a slip of the pen is another bodypart",
        "tests/data/test_bodyparts.py",
        (DATA + "bodyparts.py", "SLIP = 0.75", "SLIP = 1.01"),
    ),
    fault(
        "a bodypart that a table lacks takes the labels of another",
        "tests/data/test_bodyparts.py",
        (DATA + "bodyparts.py", "if name in table.names else k for", "if name in table.names else 0 for"),
    ),
    fault(
        "the second of two rows of a frame is not looked at",
        "tests/data/test_deeplabcut.py -k rows_of_one_frame",
        (DATA + "label_table.py", "if not same.all():", "if False:"),
    ),
    fault(
        "the digits of every script are numbers",
        "tests/data/test_label_csv.py",
        (
            DATA + "label_csv.py",
            "if NUMBER.fullmatch(text):",
            'if NUMBER.fullmatch(text) or text.strip(".").isdigit():',
        ),
    ),
    fault(
        "an image that is missing is taken from another folder",
        "tests/data/test_image_files.py",
        (DATA + "image_files.py", 'if folder_of[row] in gone | {""}:', "if True:"),
    ),
    fault(
        "a fingerprint depends on the composed form of paths",
        "tests/data/test_image_files.py -k fingerprint",
        (DATA + "sources.py", "*table.bodyparts, *table.files]", "*table.bodyparts, *table.ids]"),
    ),
    fault(
        "frames without labels fill the split",
        "tests/data/test_splits.py",
        (DATA + "splits.py", "if not config.needs_labels:", "if config.source:"),
    ),
    fault(
        "a resumed run draws its split anew",
        "tests/engine/test_setup.py",
        ("pawjax/engine/setup.py", "return data.read_split(path, frames)", "return None"),
    ),
    fault(
        "every epoch begins anew with each batch",
        "tests/data/test_batches.py",
        (DATA + "batches.py", "order[first - first_epoch * n_frames + ", "order[0 * first + "),
    ),
    fault(
        "padded frames of an evaluation count",
        "tests/data/test_batches.py",
        (
            DATA + "batches.py",
            "yield np.pad(chunk, (0, batch_size - len(chunk))), len(chunk)",
            "yield np.pad(chunk, (0, batch_size - len(chunk))), batch_size",
        ),
    ),
    fault(
        "a relabelled data set keeps its key",
        "tests/data/test_sources.py -k relabelling",
        (DATA + "sources.py", ".encode() + labels + marks)", ".encode() + marks)"),
    ),
    fault(
        "the key of a synthetic set leaves its seed out",
        "tests/data/test_sources.py -k paw_on_ball",
        (
            DATA + "sources.py",
            'text = "x".join(map(str, scene.values()))',
            'text = "x".join(map(str, list(scene.values())[:3]))',
        ),
    ),
    fault(
        "points of a warped frame move the other way",
        "tests/data/test_augment.py -k move_with_the_picture",
        (
            DATA + "augment.py",
            '_moved(invert_affine(to_source), sample["keypoints"])',
            '_moved(to_source, sample["keypoints"])',
        ),
        (
            DATA + "augment.py",
            'apply_affine(invert_affine(to_source), sample["keypoints"])',
            'apply_affine(to_source, sample["keypoints"])',
        ),
    ),
    fault(
        "a mirrored frame keeps left and right",
        "tests/data/test_augment.py -k flip",
        (DATA + "symmetry.py", "order[left], order[right] = right, left", "order[left], order[right] = left, right"),
        (DATA + "augment.py", "order[i], order[j] = j, i", "order[i], order[j] = i, j"),
    ),
    fault(
        "a mirrored frame keeps which points are labelled",
        "tests/data/test_augment.py -k flip",
        (
            DATA + "augment.py",
            "jnp.where(flipped, swap_sides(labelled, pairs, axis=1), labelled)",
            "jnp.where(flipped, labelled, labelled)",
        ),
        (
            DATA + "augment.py",
            "jnp.where(flipped, labelled[order], labelled)",
            "jnp.where(flipped, labelled, labelled)",
        ),
    ),
    fault(
        "the way back to the original frame is the wrong way round",
        "tests/data/test_augment.py -k move_with_the_picture",
        (
            DATA + "augment.py",
            'compose_affine(sample["to_original"], to_source)',
            'compose_affine(to_source, sample["to_original"])',
        ),
    ),
    fault(
        "every sample is augmented with the same key",
        "tests/data/test_augment.py -k keys",
        (DATA + "augment.py", "return jax.vmap(one)(keys, batch)", "return jax.vmap(one)(0 * keys + keys[0], batch)"),
    ),
)
