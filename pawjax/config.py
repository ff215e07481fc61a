"""Every field of a config, with its default and meaning. The files in configs/ start here and set what differs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from pawjax.data.augment import Augment
from pawjax.errors import InputError
from pawjax.optim import Optimizer


def default_config() -> ConfigDict:
    """DeepLabCut on a ResNet-50, trained on the synthetic `paw_on_ball`."""
    config = ConfigDict()
    config.seed = 0  # of the weights, the order of the frames and every augmentation
    config.steps = 10_000
    config.batch_size = 8
    config.microbatches = 1  # in which a batch passes through the network one after another, for less memory
    config.steps_per_dispatch = 1  # taken in one call of the device; more help small nets on fast devices
    config.log_every = 20
    config.eval_every = 500  # dev and as many training frames; a checkpoint goes with it
    config.checkpoint_every = 500
    config.parallel = "jit"  # or 'pmap'; both use all devices and give the same numbers
    config.init_from = ""  # weights to start from: a file, URL#sha256=HEX, or a run folder
    config.dtype = "float32"  # of the network's arithmetic; 'bfloat16' on a GPU
    config.device_budget = 8.0  # GB of frames kept on the device; more stream from the host, the same batches
    config.deterministic = False  # on GPUs the same bits every time, at some cost; CPUs always give them
    config.tensorboard = False  # also write TensorBoard events (extra 'tensorboard')
    config.method = "deeplabcut"  # or 'faster_rcnn'
    config.scale = 1.0  # of the frames, before the network sees them
    config.pcutoff = 0.6  # likelihood from which a point counts as seen, in reports

    config.data = ConfigDict()
    config.data.source = "paw_on_ball"  # or 'deeplabcut', 'lightning_pose'
    config.data.path = ""  # folder of the project
    config.data.labels = "auto"  # or 'csv', 'h5': which table to trust where the two differ
    config.data.bodyparts = ()  # () for all
    config.data.cache = ""  # of prepared data; default $PAWJAX_CACHE, then ~/.cache/pawjax
    config.data.split = ""  # JSON of frame ids, or DeepLabCut's Documentation_data pickle; '' draws one
    config.data.split_fractions = (0.6, 0.2, 0.2)  # train, dev, test
    config.data.split_by = "frame"  # or 'video': no video on two sides
    config.data.split_seed = 0
    config.data.n_train = 0  # train on so many of the training frames, drawn by split_seed; 0 for all
    config.data.n_frames = 1623  # this and the rest: of paw_on_ball
    config.data.height = 600
    config.data.width = 800
    config.data.data_seed = 0

    config.model = ConfigDict()
    config.model.depth = 50  # of the ResNet: 26, 50, 101, 152
    config.model.width = 64  # of its stem; a smaller one makes a smaller net
    config.model.norm = "batch"  # or 'frozen', 'group'; see pawjax/models/layers.py
    config.model.lineage = "torchvision"  # or 'slim', for TensorFlow's weights; see pawjax/models/resnet.py
    config.model.remat = False  # work a unit out again in the backward pass: less memory, more time
    config.model.score_bias = 0.0
    config.model.intermediate = ""  # unit with heads of its own, 'block3_unit12' in DeeperCut; '' for none
    config.model.intermediate_locref = False

    config.target = ConfigDict()  # see pawjax/methods/deeplabcut.py; 'faster_rcnn' reads `unlabelled` alone
    config.target.target = "disc"
    config.target.radius = 17.0
    config.target.sigma = 11.33
    config.target.score_loss = "cross_entropy"
    config.target.locref_weight = 0.05
    config.target.locref_stdev = 7.2801
    config.target.intermediate_weight = 1.0
    config.target.unlabelled = "ignore"

    config.detector = ConfigDict()  # of method 'faster_rcnn'; lengths in pixels of the network's input
    config.detector.backbone = "resnet"  # config.model's; or 'vgg16', which takes its width alone
    config.detector.map = "c4"  # of a ResNet: stride 16, block 4 is the head; or 'fine', stride 8
    config.detector.pool = "align"  # or 'pool', the paper's, to whole cells
    config.detector.class_agnostic = False  # one box a region instead of one for each bodypart
    config.detector.dropout = 0.0  # in the head of VGG-16
    config.detector.box = (100.0, 100.0)  # (width, height) of the box that stands for a keypoint
    config.detector.box_shift = (0.0, 0.0)  # (x, y) from the keypoint to the centre of its box
    config.detector.anchor_sizes = (128.0, 256.0, 512.0)
    config.detector.anchor_ratios = (0.5, 1.0, 2.0)  # height / width
    config.detector.anchors_inside = False  # train on those within the image alone, as py-faster-rcnn does
    config.detector.rpn_low = 0.3  # IoU under which an anchor is background
    config.detector.rpn_high = 0.7  # IoU from which on it is an object
    config.detector.rpn_sampled = 256  # anchors of an image in the loss
    config.detector.rpn_positive = 0.5  # of them at most this share are objects
    config.detector.rpn_beta = 1 / 9  # error up to which smooth L1 is a square; 0 for L1
    config.detector.proposals_before = (2000, 1000)  # non-maximum suppression, in (training, prediction)
    config.detector.proposals_after = (1000, 300)
    config.detector.proposals_iou = 0.7  # above which one suppresses another
    config.detector.proposals_min_side = 1.0
    config.detector.head_iou = 0.5  # from which on a region is an object
    config.detector.head_sampled = 128  # regions of an image in the loss
    config.detector.head_positive = 0.25
    config.detector.head_weights = (10.0, 10.0, 5.0, 5.0)  # of its deltas x, y, width, height
    config.detector.head_beta = 1.0
    config.detector.agree_iou = 0.6  # with the likeliest box, from which on a box is averaged with it
    config.detector.refinements = 0  # times that the head looks again at its own answer

    config.predict = ConfigDict()  # may also be chosen when a run is evaluated or loaded
    config.predict.refine = "locref"  # of score maps, see pawjax/ops/decoding.py
    config.predict.proposals = 0  # regions that a detector's head looks at; 0 for detector.proposals_after's
    config.predict.flip = False  # also look at the mirrored frame; pairs as in augment.symmetric_pairs
    config.predict.temperature = 1.0  # likelihoods become sigmoid(logit / temperature); see metrics.json of dev
    config.predict.scales = (1.0,)  # look at the frame at each of these sizes

    config.augment = ConfigDict(dataclasses.asdict(Augment()))  # see pawjax/data/augment.py

    config.optimizer = ConfigDict(dataclasses.asdict(Optimizer()))  # see pawjax/optim.py
    return config


def check_choices(config: ConfigDict, choices: Mapping[str, Sequence[Any]]) -> None:
    """Raises InputError for a field, named as 'model.depth', whose value is not one of its choices."""
    for field, allowed in choices.items():
        section, name = field.split(".")
        if config[section][name] not in allowed:
            told = ", ".join(map(str, allowed))
            raise InputError(f"config.{field} = {config[section][name]!r} is not one of {told}")


def variant(config: ConfigDict, argument: str) -> ConfigDict:
    """The config that `--config=FILE.py:ARGUMENT` asks for: itself, or its smoke version.

    Raises InputError for another argument than 'smoke'.
    """
    if argument not in ("", "smoke"):
        raise InputError(f"--config=...:{argument}: behind the colon stands 'smoke', or leave both away")
    return smoke(config) if argument else config


def smoke(config: ConfigDict) -> ConfigDict:
    """The same experiment in a minute on a laptop: tiny synthetic frames and a few steps. Proves that it runs."""
    config.steps = 6
    config.batch_size = 4
    config.log_every = 2
    config.eval_every = 3
    config.checkpoint_every = 3
    config.scale = 1.0
    config.data.n_frames = 20
    config.data.height, config.data.width = 96, 128
    config.model.width = min(config.model.width, 16)
    config.augment.crop = (0, 0)
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, 2)
    return config
