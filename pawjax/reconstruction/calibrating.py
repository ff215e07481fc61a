"""From pictures of a board to calibrated cameras, refusing what would make wrong ones."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from pawjax.data.board_corners import find_corners
from pawjax.data.board_views import Source, match_views, open_sources
from pawjax.errors import InputError, listed, warn
from pawjax.pose3d.board import Board
from pawjax.pose3d.bundle import Adjusted
from pawjax.pose3d.calibration import calibrate
from pawjax.pose3d.cameras import project
from pawjax.pose3d.movement import Movement, find_movement
from pawjax.pose3d.placing import board_places, pose_vector, vector_pose
from pawjax.pose3d.world import moved_world, upright_on_board
from pawjax.progress import announced
from pawjax.report.calibrated import Calibrated, rms

MOST_VIEWS = 200  # that are fitted; more cost time and tell nothing new
WRONG = 5.0  # times the median error of all pictures, from which a picture is left out
SURELY_RIGHT = 1.0  # px, errors below which none is
MOST_LEFT_OUT = 0.2  # of all pictures: where more have large errors, it is not they that are wrong
CLEARLY = 3.0  # times a camera's median error, from which a movement of its picture is no noise
LEAST_MOVE = 0.5  # px, a movement that is not spoken of
NAMED = 3  # pictures in a message


@dataclasses.dataclass(frozen=True)
class Options:
    """How cameras are calibrated.

    Attributes:
      lens: number of coefficients of the lenses, see `pawjax.pose3d.calibration.calibrate`.
      fisheye: names of the cameras with a fisheye.
      frames: of each video, or pictures of each camera, that are looked at.
      world: the picture or frame whose board the world stands on; '' for the first camera's frame.
      max_error_px: root mean square error of a camera, and movement of its picture, that is refused.
      force: warn of it instead.
    """

    lens: int = 2
    fisheye: Sequence[str] = ()
    frames: int = 400
    world: str = ""
    max_error_px: float = 2.0
    force: bool = False


def calibrate_from_pictures(cameras: Mapping[str, str], board: Board, options: Options) -> Calibrated:
    """Calibrates cameras.

    Args:
      cameras: {name: folder of pictures, pattern of pictures, or video}, which recorded the board at the same time.
      board: what they recorded.
      options: see there.

    Raises InputError for pictures that are missing or cannot be matched, a board that is not found, and whatever
    `calibrate` refuses; and, unless forced, for a camera whose error stays high or that was moved.
    """
    if unknown := [name for name in options.fisheye if name not in cameras]:
        raise InputError(f"--fisheye={unknown[0]}: there is no such camera: the cameras are {', '.join(cameras)}")
    sources = open_sources(cameras)
    views = match_views(sources, options.frames)
    board, corners = find_corners(sources, views, board)
    kept = _spread(np.isfinite(corners).any((-1, -2)))
    views, corners = views[:, kept], corners[:, kept]
    base = None if not options.world else _find_view(sources, views, options.world)
    sizes = [source.size for source in sources]
    wide = [source.camera in options.fisheye for source in sources]

    def fit(corners: np.ndarray, turns: Sequence[np.ndarray] | None = None) -> Adjusted:
        return calibrate(list(cameras), sizes, corners, board.points, options.lens, wide, turns=turns)

    with announced(f"fitting {len(sources)} cameras to {corners.shape[1]} views, and compiling that before"):
        result = fit(corners, board.turns())
        movement = find_movement(result, board.points)
        doubts = _doubts_of_movement(sources, views, movement, options)
        left_out = _wrong_pictures(result.errors)
        if left_out.any():
            result = _without(fit(np.where(left_out[..., None, None], np.nan, result.pixels)), result, left_out, board)
    made = Calibrated(
        sources, views, board, result, left_out, movement.pixels, _axes_of_camera(sources[0]), False, doubts
    )
    doubts = [*doubts, *_doubts_of_errors(made, options)]
    for doubt in doubts:
        if not options.force:
            raise InputError(f"{doubt}; or keep the result as it is with --force")
        warn(doubt)
    made = dataclasses.replace(made, doubts=tuple(doubts))
    return made if base is None else _stood_on_board(made, base, options.world)


def read_cameras(words: Sequence[str]) -> dict[str, str]:
    """{name: path} of the words NAME=PATH. Raises InputError for anything else, and a name that is there twice."""
    cameras: dict[str, str] = {}
    for word in words:
        name, _, path = word.partition("=")
        if not name or not path:
            raise InputError(f"--cameras={word} must be NAME=FOLDER_OR_VIDEO, separated by commas")
        if name in cameras:
            raise InputError(f"--cameras names the camera '{name}' twice: give each camera its own name")
        cameras[name] = path
    return cameras


def check_out(out: Path, report: Path, overwrite: bool) -> None:
    """Raises InputError, before any work, if the files exist and may not be overwritten."""
    if not overwrite and (existing := [path for path in (out, report) if path.exists()]):
        raise InputError(f"{existing[0]}: exists already: choose another --out, or write --overwrite")


def _spread(found: np.ndarray) -> np.ndarray:
    """At most MOST_VIEWS of the views in bool [C, V], evenly spaced; those that several cameras share first."""
    shared, any_ = (np.flatnonzero(found.sum(0) >= least) for least in (min(2, len(found)), 1))
    chosen = any_ if len(any_) <= MOST_VIEWS else shared
    return chosen[np.unique(np.linspace(0, len(chosen) - 1, min(MOST_VIEWS, len(chosen))).astype(int))]


def _find_view(sources: Sequence[Source], views: np.ndarray, name: str) -> int:
    for source, own in zip(sources, views, strict=True):
        for view, place in enumerate(own.tolist()):
            if place >= 0 and name in (source.label(place), str(place) if source.video else source.files[place].stem):
                return view
    example = sources[0].label(int(views[0].max()))
    raise InputError(f"--world={name} is none of the pictures in which the board was found, such as '{example}'")


def _doubts_of_movement(
    sources: Sequence[Source], views: np.ndarray, movement: Movement, options: Options
) -> list[str]:
    moved = movement.pixels
    clear = (moved > LEAST_MOVE) & (moved > CLEARLY * movement.noise)
    if not clear.any():
        return []
    first = int(np.argmax(np.where(clear, moved, 0)))
    as_much = [i for i in np.flatnonzero(clear) if moved[i] > moved[first] / 2]
    names = " or ".join(f"'{sources[i].camera}'" for i in as_much)
    view = int(movement.views[first])
    since = sources[first].moment(int(views[first, view]))
    sentence = (
        f"the camera {names} was moved during the recording: its picture is off by {moved[first]:.1f} px or more from "
        f"{since} on: calibrate with the pictures before or after it alone"
    )
    if moved[first] > options.max_error_px:
        return [sentence]
    warn(sentence)
    return []


def _wrong_pictures(errors: np.ndarray) -> np.ndarray:
    """bool [C, V], the few pictures whose error is far larger than that of the others."""
    pictures = rms(errors, -1)
    known = np.isfinite(pictures)
    wrong = known & (pictures > max(WRONG * np.median(pictures[known]), SURELY_RIGHT))
    return wrong if wrong.sum() <= MOST_LEFT_OUT * known.sum() else np.zeros_like(wrong)


def _without(result: Adjusted, before: Adjusted, left_out: np.ndarray, board: Board) -> Adjusted:
    """The result, with the pixels and errors also of the pictures that it was not fitted to."""
    places = board_places(board.points, result.blocks)
    with jax.enable_x64(True):
        now = np.linalg.norm(np.asarray(jax.jit(project)(result.cameras, places)) - before.pixels, axis=-1)
    known = np.isfinite(places).all((-1, -2))[:, None]  # a view of which all pictures are left out has no place
    errors = np.where(left_out[..., None], np.where(known, now, before.errors), result.errors)
    return result._replace(pixels=before.pixels, errors=errors)


def _doubts_of_errors(made: Calibrated, options: Options) -> list[str]:
    errors, pictures = made.used_errors(), made.picture_errors()
    of_cameras = rms(errors, (1, 2))
    worst = int(np.nanargmax(of_cameras))
    if not of_cameras[worst] > options.max_error_px:
        return []
    own = np.where(np.isfinite(pictures[worst]), pictures[worst], -np.inf)
    order = [view for view in np.argsort(-own) if np.isfinite(own[view])]
    source = made.sources[worst]
    named = [f"{source.label(int(made.views[worst, view]))} ({own[view]:.1f} px)" for view in order]
    return [
        f"the error of the camera '{source.camera}' stays high, {of_cameras[worst]:.2f} px where "
        f"--max_error_px={options.max_error_px:g}; its worst pictures are {listed(named, NAMED)}: look whether "
        f"they are sharp and of the same moment as those of the others, and whether the board is flat"
    ]


def _axes_of_camera(source: Source) -> str:
    return (
        f"the frame of the camera '{source.camera}', from which z points away, x goes right and y down; "
        f"--world=PICTURE makes z point up from the board in that picture"
    )


def _stood_on_board(made: Calibrated, view: int, name: str) -> Calibrated:
    """In the world on the board of a view. Raises InputError if that board was left out."""
    if not np.isfinite(made.result.blocks[view]).all():
        raise InputError(f"--world={name}: that picture was left out, as its error is large: name another one")
    motion = upright_on_board(made.result.blocks[view])
    blocks = np.full_like(made.result.blocks, np.nan)
    for number in np.flatnonzero(np.isfinite(made.result.blocks).all(-1)):
        blocks[number] = pose_vector(motion @ vector_pose(made.result.blocks[number]))
    result = made.result._replace(cameras=moved_world(made.cameras, motion), blocks=blocks)
    world = f"the board of {name}, from whose first corner x goes along a row, and z points up from the board"
    return dataclasses.replace(made, result=result, world=world, upright=True)
