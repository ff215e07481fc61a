"""Faults of methods, networks, the training, prediction, weight files and reports; see `tests/faults.py`."""

from tests.faults_of_numbers import METHODS, fault

MODELS, ENGINE, WEIGHTS, REPORT = "pawjax/models/", "pawjax/engine/", "pawjax/weights/", "pawjax/report/"
TARGETS = (
    METHODS + "detection_targets.py",
    METHODS + "faster_rcnn/targets.py",
    METHODS + "faster_rcnn/detection_targets.py",
)
DETECTOR = (
    METHODS + "faster_rcnn.py",
    METHODS + "faster_rcnn/method.py",
    METHODS + "faster_rcnn/__init__.py",
    METHODS + "faster_rcnn/faster_rcnn.py",
)
OPTIM = (ENGINE + "optim.py", "pawjax/optim.py")
VIEWS = (ENGINE + "views.py", "pawjax/inference/views.py")
HOST_STREAM = (ENGINE + "host_stream.py", ENGINE + "feed.py")


def anywhere(files: tuple[str, ...], *pairs: tuple[str, str]) -> list[tuple[str, str, str]]:
    """Each change in each of the files."""
    return [(file, old, new) for file in files for old, new in pairs]


FAULTS = (
    # Methods
    fault(
        "labels of padded frames count",
        "tests/methods/test_deeplabcut.py -k padding",
        (
            METHODS + "deeplabcut.py",
            'weights = batch["weight"][:, None, None, None]',
            "weights = jnp.ones((1, 1, 1, 1))",
        ),
    ),
    fault(
        "a missing label teaches that nothing is there",
        "tests/methods/test_deeplabcut.py -k counts",
        (METHODS + "deeplabcut.py", 'batch["labelled"] | batch["absent"]', 'batch["labelled"] | True'),
    ),
    fault(
        "an absent bodypart teaches nothing",
        "tests/methods/test_deeplabcut.py -k counts",
        (METHODS + "deeplabcut.py", 'batch["labelled"] | batch["absent"]', 'batch["labelled"]'),
    ),
    fault(
        "a gap is absent where nobody looked for the bodypart",
        "tests/data/test_absent.py -k no_column",
        ("pawjax/data/bodyparts.py", "np.zeros((n, a, 1), bool)", "np.ones((n, a, 1), bool)"),
    ),
    fault(
        "ties do not count in the area under the ROC curve",
        "tests/test_metrics.py -k roc",
        ("pawjax/metrics.py", "- (counts - 1) / 2)[places]", ")[places]"),
    ),
    fault(
        "a calibration is fitted to what another made of the likelihoods",
        "tests/integration/test_likelihood.py -k says_which",
        ("pawjax/metrics.py", "fit_calibration(raw, right)", "fit_calibration(p, right)"),
    ),
    fault(
        "all checkpoints have the calibration of the best",
        "tests/integration/test_likelihood.py -k own",
        ("pawjax/inference/run.py", "checkpoints.calibration(str(step))", 'checkpoints.calibration("best")'),
    ),
    fault(
        "offsets are learnt in pixels and decoded in deviations",
        "tests/methods/test_deeplabcut.py -k units_of",
        (METHODS + "deeplabcut.py", "offsets = offsets / settings.locref_stdev", "offsets = offsets / 1.0"),
        (METHODS + "deeplabcut.py", "offsets = offsets / self.locref_stdev", "offsets = offsets / 1.0"),
    ),
    fault(
        "the class of a region is one too low",
        "tests/methods -k 'background or by_hand'",
        *anywhere(TARGETS, ("matches.index[index] + 1, 0)", "matches.index[index], 0)")),
    ),
    fault(
        "training and prediction swap their numbers of proposals",
        "tests/methods -k proposals",
        (
            METHODS + "faster_rcnn/method.py",
            "    settings, model, dtype = Settings.of(config), Model.of(config), jnp.dtype(config.dtype)\n",
            "    settings, model, dtype = Settings.of(config), Model.of(config), jnp.dtype(config.dtype)\n"
            "    settings = dataclasses.replace(settings, proposals_after=settings.proposals_after[::-1])\n",
        ),
        *anywhere(TARGETS, ("rule.after[not train]", "rule.after[train]")),
    ),
    fault(
        "the head's gradient moves the proposals",
        "tests/methods -k proposal",
        *anywhere(TARGETS, ("jax.lax.stop_gradient(deltas)[best]", "deltas[best]")),
    ),
    fault(
        "background's logit is a class",
        "tests/methods -k 'best_box or answers'",
        *anywhere(
            (METHODS + "detection_decoding.py", METHODS + "faster_rcnn/decoding.py"),
            ("jax.nn.softmax(logits)[:, 1:]", "jax.nn.softmax(logits)[:, :-1]"),
        ),
    ),
    fault(
        "a box is shifted the same way when it is read back",
        "tests/methods -k 'boxes_and_keypoints or boxes_stand'",
        *anywhere(TARGETS, ("/ 2 - jnp.array(settings.box_shift", "/ 2 + jnp.array(settings.box_shift")),
        *anywhere(TARGETS, ("/ 2 - jnp.array(self.shift)", "/ 2 + jnp.array(self.shift)")),
    ),
    # Networks
    fault(
        "colours are not brought to 0..1",
        "tests/weights/test_slim.py -k 'features_and_maps and 50'",
        *anywhere(
            (MODELS + "pose_net.py", MODELS + "layers.py", MODELS + "backbones.py", MODELS + "resnet.py"),
            ("images.astype(jnp.float32) / 255.0", "images.astype(jnp.float32) / 256.0"),
            ("images.astype(jnp.float32) / 255", "images.astype(jnp.float32) / 256"),
        ),
    ),
    fault(
        "dilation begins a unit too late",
        "tests/models/test_resnet.py -k 'torchvision and 50'",
        (MODELS + "resnet.py", "unit >= lineage.dilated_from", "unit > lineage.dilated_from"),
        (MODELS + "resnet.py", "unit >= variant.dilated_from", "unit > variant.dilated_from"),
        (MODELS + "resnet.py", "unit >= geometry.dilated_from", "unit > geometry.dilated_from"),
    ),
    fault(
        "running statistics swap old and new",
        "tests/models/test_layers.py",
        (
            MODELS + "layers.py",
            "self.momentum * running.value + (1 - self.momentum) * moment",
            "self.momentum * moment + (1 - self.momentum) * running.value",
        ),
    ),
    fault(
        "dropout does not keep the mean",
        "tests/models/test_vgg.py",
        (MODELS + "box_heads.py", "x / (1 - share)", "x"),
        (MODELS + "vgg.py", "x / (1 - share)", "x"),
    ),
    # Training
    fault(
        "weight decay acts on biases too",
        "tests/engine/test_optim.py tests/test_optim.py",
        *anywhere(OPTIM, ('path[-1].key == "kernel"', "True")),
    ),
    fault(
        "a rate holds until the boundary before",
        "tests/engine/test_optim.py tests/test_optim.py",
        *anywhere(
            OPTIM,
            ("for b in boundaries[:-1]]", "for b in boundaries[1:]]"),
            ("np.round(boundaries[:-1] * stretch)", "np.round(boundaries[1:] * stretch)"),
        ),
    ),
    fault(
        "the warm-up begins at a rate of zero",
        "tests/engine/test_optim.py tests/test_optim.py",
        *anywhere(OPTIM, ("rise(step + 1)", "rise(step)"), ("(step + 1) / max(warmup, 1)", "step / max(warmup, 1)")),
    ),
    fault(
        "a group thaws a step too late",
        "tests/engine/test_optim.py tests/test_optim.py",
        *anywhere(
            OPTIM, ("jnp.where(step >= from_step", "jnp.where(step > from_step"), (">= from_step", "> from_step")
        ),
    ),
    fault(
        "momentum of adamw is ignored",
        "tests/engine/test_optim.py tests/test_optim.py",
        *anywhere(
            OPTIM,
            ("b1=config.momentum, ", ""),
            ("b1=settings.momentum, ", ""),
            ("b1=self.momentum, ", ""),
            ("b1=settings.momentum), decay", "), decay"),
        ),
    ),
    fault(
        "every step draws the same augmentation",
        "tests/engine/test_host_stream.py tests/engine/test_feed.py",
        (ENGINE + "step.py", 'jax.random.fold_in(stream(key, "augment"), step)', 'stream(key, "augment")'),
    ),
    fault(
        "streamed frames resume a step too late",
        "tests/engine/test_host_stream.py tests/engine/test_feed.py",
        *anywhere(HOST_STREAM, ("pool.submit(fetch, first_step)", "pool.submit(fetch, first_step + 1)")),
    ),
    fault(
        "the seed of the run is ignored",
        "tests/integration/test_train.py -k another_seed",
        (ENGINE + "state.py", "key = jax.random.key(seed)", "key = jax.random.key(0 * seed)"),
    ),
    fault(
        "the average keeps what it should forget",
        "tests/engine/test_average.py",
        (ENGINE + "step.py", "jnp.minimum(decay, (1 + t) / (10 + t))", "jnp.maximum(decay, (1 + t) / (10 + t))"),
    ),
    fault(
        "each device keeps its own gradients",
        "tests/engine/test_step.py -k 'devices and matter and pmap and not detector'",
        (ENGINE + "step.py", "loss, totals, gradients = add_up(sums)", "loss, totals, gradients = sums"),
    ),
    fault(
        "the best checkpoint is the worst",
        "tests/engine/test_checkpoints.py",
        (ENGINE + "checkpoints.py", 'best_mode="min"', 'best_mode="max"'),
    ),
    fault(
        "other arrays than those saved are read",
        "tests/engine/test_damaged_checkpoints.py",
        (ENGINE + "checkpoints.py", 'hashes[item]["arrays"] != digest(restored)["arrays"]', "hashes is None"),
    ),
    fault(
        "a run that ends by an error does not wait for its checkpoint",
        "tests/integration/test_endings.py -k refusal",
        (ENGINE + "checkpoints.py", "            self.close()\n        if kind:", "            pass\n        if kind:"),
    ),
    fault(
        "nohup does not protect a training",
        "tests/test_interruptions.py -k ignored",
        ("pawjax/interruptions.py", "if old not in (signal.SIG_IGN, None)", "if old is not None"),
    ),
    fault(
        "the steps of any run may change",
        "tests/integration/test_endings.py -k steps_change",
        (ENGINE + "setup.py", "if not np.array_equal(*rates):", "if False:"),
    ),
    fault(
        "a resumed run measures its minutes again",
        "tests/integration/test_minutes.py",
        (ENGINE + "loop.py", "if is_new else (choices.resumed(config, workdir), {})", "if True else (config, {})"),
    ),
    fault(
        "a run ends one evaluation too early",
        "tests/engine/test_criterion.py",
        (ENGINE + "criterion.py", "if since < config.patience", "if since + 1 < config.patience"),
    ),
    fault(
        "the new layers of a frozen network are frozen",
        "tests/methods/test_deeplabcut.py -k not_frozen",
        (MODELS + "backbones.py", 'return "batch" if self.norm == "frozen" else self.norm', "return self.norm"),
    ),
    fault(
        "a run predicts with the last weights, not their average",
        "tests/engine/test_average.py",
        (ENGINE + "state.py", "return self.average or self.variables", "return self.variables"),
        (ENGINE + "state.py", "return self.average or {", "return {"),
    ),
    # Prediction
    fault(
        "a mirrored view is a pixel off",
        "tests/engine/test_views.py tests/inference/test_views.py",
        *anywhere(VIEWS, ("[-1, 0, width - 1]", "[-1, 0, width]")),
    ),
    fault(
        "a temperature sharpens",
        "tests/engine/test_views.py tests/inference/test_views.py",
        *anywhere(VIEWS, ("1e-6)) / temperature", "1e-6)) * temperature")),
    ),
    fault(
        "a view that disagrees costs no likelihood",
        "tests/engine/test_views.py tests/inference/test_views.py",
        *anywhere(VIEWS, ('"likelihood": weights.mean(0)', '"likelihood": weights.max(0)')),
    ),
    fault(
        "points of a resized view stay where they are",
        "tests/engine/test_views.py tests/inference/test_views.py",
        *anywhere(
            VIEWS, ('{"keypoints": apply_affine(matrix, points["keypoints"])}', '{"keypoints": points["keypoints"]}')
        ),
    ),
    # Weight files
    fault(
        "convolutions are transposed with width before height",
        "tests/weights/test_parity.py -k state_dict",
        (
            WEIGHTS + "names.py",
            'return f"params/{place}/kernel", value.transpose(2, 3, 1, 0)',
            'return f"params/{place}/kernel", value.transpose(3, 2, 1, 0)',
        ),
    ),
    fault(
        "anchors are read in the order of another system",
        "tests/weights/test_detection.py -k 'maps and vgg'",
        (WEIGHTS + "detection.py", "value.reshape(ratios, sizes, channels", "value.reshape(sizes, ratios, channels"),
    ),
    fault(
        "tensors begin where their storage does",
        "tests/weights/test_files.py",
        (WEIGHTS + "torch_file.py", "values[self.offset :]", "values"),
    ),
    fault(
        "running mean and variance change places",
        "tests/weights/test_slim.py -k 'features_and_maps and 50'",
        (WEIGHTS + "slim.py", '"BatchNorm/beta": "params/{}/bias"', '"BatchNorm/beta": "batch_stats/{}/mean"'),
    ),
    # Reports
    fault(
        "errors are written for points without a label",
        "tests/report",
        (REPORT + "tables.py", "= ~labelled[..., None]", "= False & labelled[..., None]"),
    ),
    fault(
        "x and y of a prediction change places",
        "tests/report",
        (REPORT + "tables.py", '"y_true", "x", "y", "likelihood"', '"y_true", "y", "x", "likelihood"'),
    ),
    fault(
        "the spread over seeds is of the population",
        "tests/report/test_sweep.py",
        (REPORT + "sweep.py", "values.std(ddof=1)", "values.std()"),
    ),
    # What people look at
    fault(
        "frames of a labelled video are rounded to its rate",
        "tests/report/test_labelled_video.py -k times",
        (REPORT + "mp4.py", "round(time * TICKS)", "round(25 * time) * TICKS // 25"),
    ),
    fault(
        "points are drawn at the corners of magnified pixels",
        "tests/report/test_labelled_video.py -k places",
        (
            REPORT + "labelled_video.py",
            "(keypoints.astype(float) + 0.5) * scale - 0.5",
            "keypoints.astype(float) * scale",
        ),
    ),
    fault(
        "points in doubt are drawn in trajectories",
        "tests/report/test_trajectories.py -k sure",
        (
            REPORT + "trajectories.py",
            "return np.where(tracks.likelihood[:, 0, :, None] >= pcutoff,",
            "return np.where(True,",
        ),
    ),
    fault(
        "points in doubt jump",
        "tests/tracks/test_moments.py",
        ("pawjax/tracks/moments.py", "sure & np.roll(sure, 1, axis=0)", "sure | np.roll(sure, 1, axis=0)"),
    ),
    fault(
        "names end the script of a review page",
        "tests/report/test_review_page.py -k code_of_names",
        (REPORT + "browser_page.py", '.replace("<", "\\\\u003c")', ""),
    ),
    fault(
        "a long video's page leaves moments out",
        "tests/report/test_review_page.py -k long",
        (REPORT + "review_page.py", "near = {moment.worst for moment in moments}", "near = set()"),
    ),
    fault(
        "a review page draws the tracks of the frame that it seeks",
        "tests/report/test_review_page.py -k playing",
        (REPORT + "review/page.js", "frame = frameAt(picture.timestamp / 1e6)", "frame = wanted"),
    ),
    fault(
        "a review page seeks the next frame",
        "tests/report/test_review_page.py -k keys",
        (REPORT + "review/content.js", "return (start + end) / 2", "return end + 0.001"),
    ),
    # Ensembles and refinement
    fault(
        "refinement: the covariance of an ensemble leaves out the spread between its members",
        "tests/inference/test_ensemble.py -k by_hand",
        ("pawjax/inference/views.py", " + apart[..., :, None] * apart[..., None, :]", ""),
    ),
    fault(
        "refinement: bodyparts of an ensemble are matched by their order",
        "tests/inference/test_ensemble.py -k by_name",
        ("pawjax/inference/ensemble.py", "names.index(name) for name in wanted", "k for k, _ in enumerate(wanted)"),
    ),
    fault(
        "refinement: frames close to labelled ones are chosen",
        "tests/tracks/test_choice.py -k apart",
        ("pawjax/tracks/choice.py", "if frame < len(tracks):", "if frame < 0:"),
    ),
    fault(
        "refinement: any frame of a look is chosen",
        "tests/tracks/test_choice.py -k look",
        ("pawjax/tracks/choice.py", "np.flatnonzero(clusters == label)[0]", "np.flatnonzero(clusters == label)[-1]"),
    ),
    fault(
        "refinement: a listed video hides the folders that are not",
        "tests/data/test_project.py -k none_of_its_folders",
        ("pawjax/data/project.py", " or (labelled and not labelled & videos)", ""),
    ),
    fault(
        "refinement: machine labels replace earlier ones",
        "tests/inference/test_refinement.py -k second_call",
        ("pawjax/data/project.py", 'while any((folder / f"machine', 'if any((folder / f"nothing'),
        ("pawjax/data/project.py", "if taken:", "if False:"),
    ),
    fault(
        "refinement: tracks that were predicted otherwise are used",
        "tests/inference/test_refinement.py -k same_network",
        ("pawjax/inference/refinement.py", "        return False\n", "        return True\n"),
    ),
)
