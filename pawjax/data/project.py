"""DeepLabCut projects that pawjax writes or adds to: config.yaml and frames with machine labels.

`pawjax.data.deeplabcut` reads them. A project that exists keeps every byte of its config.yaml but for lines that list
new videos; frames and labels that are there are never changed.
"""

import datetime
import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pawjax.data.deeplabcut import READERS, ProjectConfig, project_folder, read_project_config
from pawjax.data.names import nfc
from pawjax.data.video import PICTURE_ENDINGS, Video
from pawjax.errors import InputError
from pawjax.files import replacing, write_text

# Fields that DeepLabCut's later steps read, with its usual values.
TEMPLATE = """\
Task: {task}
scorer: {scorer}
date: {date}
multianimalproject: false
identity:

project_path: {path}
engine: pytorch

video_sets:
bodyparts:
{bodyparts}
start: 0
stop: 1
numframes2pick: 20

skeleton: {skeleton}
skeleton_color: black
pcutoff: 0.6
dotsize: 12
alphavalue: 0.7
colormap: rainbow

TrainingFraction:
- 0.95
iteration: 0
default_net_type: resnet_50
default_augmenter: default
snapshotindex: -1
detector_snapshotindex: -1
batch_size: 8
detector_batch_size: 1

cropping: false
x1: 0
x2: 640
y1: 277
y2: 624

corner2move2:
- 50
- 50
move2corner: true
"""


@dataclass(frozen=True)
class Project:
    """A project that frames are added to; `create` writes a new one's config.yaml.

    Attributes:
      folder: its folder.
      scorer: who labels.
      bodyparts: its names.
      skeleton: pairs of bodyparts.
      source: folder of the project that the network was trained on, if known, whose frames are labelled as well.
    """

    folder: Path
    scorer: str
    bodyparts: tuple[str, ...]
    skeleton: tuple[tuple[str, str], ...]
    source: Path | None = None

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def labelled_frames(self, video: str) -> set[int]:
        """Numbers of the video's frames that are pictures or rows of a label table, here or in `source`."""
        folders = [root / "labeled-data" / video for root in (self.folder, self.source) if root]
        files = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
        names = [file.name for file in files if file.suffix.lower() in PICTURE_ENDINGS]
        for file in files:
            if file.name.startswith("CollectedData_") and file.suffix in READERS:
                names += [name.rpartition("/")[2] for name in READERS[file.suffix](file).files]
        return {int(number) for name in names for number in re.findall(r"(\d+)\.\w+$", name)}

    def labels_name(self, video: str) -> str:
        """The first name machinelabels-iterN, from the project's iteration on, that is free in the video's folder."""
        folder, stated = self.folder / "labeled-data" / video, _parsed(_read(self.config)).get("iteration")
        number = int(stated) if isinstance(stated, str) and stated.isdecimal() else 0
        while any((folder / f"machinelabels-iter{number}{ending}").exists() for ending in READERS):
            number += 1
        return f"machinelabels-iter{number}"

    def config_with(self, video: Video) -> str:
        """The text of config.yaml that lists the video. Raises InputError if it cannot be added to it."""
        text = _read(self.config)
        videos, root = read_project_config(self.folder).videos, self.folder / "labeled-data"
        labelled = {nfc(path.name) for path in root.iterdir() if path.is_dir()} if root.is_dir() else set()
        # DeepLabCut reads every folder where video_sets lists none of them: a single one would hide the others.
        if nfc(video.path.stem) in videos or (labelled and not labelled & videos):
            return text
        return add_video(self.config, text, video)

    def add(self, video: str, made: Path, config: str) -> None:
        """Moves the files in the folder `made` to those of a video, and writes config.yaml.

        Raises InputError if one of them is there by now.
        """
        folder = self.folder / "labeled-data" / video
        taken = [file.name for file in made.iterdir() if (folder / file.name).exists()]
        if taken:
            raise InputError(f"{folder / taken[0]} was written meanwhile, and is not replaced: give the command again")
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(made.iterdir()):
            file.rename(folder / file.name)
        made.rmdir()
        if config != _read(self.config):
            with replacing(self.config.resolve()) as temporary:
                temporary.write_bytes(config.encode())
                shutil.copymode(self.config, temporary)

    def create(self) -> None:
        """Writes config.yaml if it is not there."""
        if self.config.exists():
            return
        words = {
            "task": self.folder.resolve().name,
            "scorer": self.scorer,
            "date": datetime.date.today().strftime("%b%d"),
            "path": str(self.folder.resolve()),
            "skeleton": [list(pair) for pair in self.skeleton],
        }
        bodyparts = "\n".join(f"- {_quoted(name)}" for name in self.bodyparts)
        values = {name: _quoted(value) for name, value in words.items()}
        write_text(self.config, TEMPLATE.format(**values, bodyparts=bodyparts))


def frame_name(number: int, n_frames: int) -> str:
    """The file name that DeepLabCut gives a frame of a video of `n_frames`, e.g. img0042.png."""
    return f"img{number:0{max(1, math.ceil(math.log10(n_frames)))}d}.png"


def open_project(folder: Path, bodyparts: Sequence[str], like: ProjectConfig | None, scorer: str) -> Project:
    """The project in a folder, or a new one if it is empty or not there; nothing is written yet.

    Args:
      folder: of the project, or its config.yaml.
      bodyparts: that a network predicts; an existing project must have all of them.
      like: the project that the network was trained on, if known: its frames are labelled, and a new project takes its
        scorer and skeleton.
      scorer: of a new project instead; '' for that of `like`, or 'labeller'.

    Raises InputError for a folder that holds something else, for several animals, or other bodyparts.
    """
    source = like.file.parent if like else None
    folder = project_folder(folder)
    if (folder / "config.yaml").exists():
        own = read_project_config(folder)
        known = {nfc(name) for name in own.bodyparts}
        if unknown := [name for name in bodyparts if nfc(name) not in known]:
            raise InputError(
                f"{own.file}: the field 'bodyparts' lacks '{unknown[0]}', which the network predicts: use another --out"
            )
        if scorer not in ("", own.scorer):
            raise InputError(f"--scorer={scorer}: the scorer of {own.file} is {own.scorer}: leave --scorer out")
        return Project(folder, own.scorer, own.bodyparts, own.skeleton, source)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"{folder} is neither empty nor a DeepLabCut project (it has no config.yaml): use another --out"
        )
    if re.search(r"[\\/\0]", scorer):
        raise InputError(f"--scorer={scorer!r} stands in the names of files: leave slashes out")
    skeleton = tuple(pair for pair in (like.skeleton if like else ()) if set(pair) <= set(bodyparts))
    return Project(folder, scorer or (like.scorer if like else "labeller"), tuple(bodyparts), skeleton, source)


def add_video(file: Path, text: str, video: Video) -> str:
    """The text of a config.yaml with a video added to its field 'video_sets'; all other lines stay as they are.

    Raises InputError if that field is written in a way that lines cannot be added to.
    """
    path, crop = str(video.path.resolve()), f"0, {video.width}, 0, {video.height}"
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    place = next((i for i, line in enumerate(lines) if re.match(r"\ufeff?video_sets *:", line)), None)
    if place is None:
        lines += [end, f"video_sets:{end}"]
        place = len(lines) - 1
    elif re.fullmatch(r"video_sets *: *(\{ *\}|null|~) *", lines[place].rstrip()):
        lines[place] = f"video_sets:{end}"
    below = next((line for line in lines[place + 1 :] if line.strip() and not line.lstrip().startswith("#")), "")
    indent = re.match(" *", below)[0] or "  "
    entry = [f"{indent}{_quoted(path)}:{end}", f"{indent}  crop: {crop}{end}"]
    changed = "".join([*lines[: place + 1], *entry, *lines[place + 1 :]])
    fields = _parsed(text)
    videos = fields["video_sets"] if isinstance(fields.get("video_sets"), dict) else {}
    try:
        done = _parsed(changed) == fields | {"video_sets": videos | {path: {"crop": crop}}}
    except yaml.YAMLError:
        done = False
    if not done:
        raise InputError(
            f"{file}: the field 'video_sets' is not written as one video a line, so {video.path.name} cannot be added: "
            f"write it there by hand, then give the command again"
        )
    return changed


def _parsed(text: str) -> dict:
    return yaml.load(text.removeprefix("\ufeff"), Loader=yaml.BaseLoader)  # noqa: S506 - the base loader makes strings


def _quoted(value: object) -> str:
    """A value in one line of YAML."""
    return json.dumps(value, ensure_ascii=False)


def _read(file: Path) -> str:
    """The text with its line ends as they are."""
    return file.read_bytes().decode()
