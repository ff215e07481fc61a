"""python -m pawjax.calibrate --board=chessboard|charuco --squares=9x6 --square_mm=30
                           --cameras=NAME=FOLDER_OR_VIDEO,... --out=calibration.toml

Calibrates cameras from pictures or videos of a flat board that was moved and tilted through their view. --cameras gives
each camera a folder of pictures, a pattern such as left=shots/left*.jpg, or a video. Cameras must have recorded at the
same time: videos are matched by the number of the frame, pictures by the last number in their names (left07.jpg and
right07.jpg) or, if that does not match them, by their order. 20 views and more are good, also at the frame's edges.

--squares counts the inner corners of a chessboard and the squares of a ChArUco board, as OpenCV does. With an odd and
an even number of inner corners a chessboard looks the same from no two sides; of other boards pawjax tries all turns.
A ChArUco board also needs --marker_mm and --dictionary. OpenCV finds the corners: pip install 'pawjax[calibrate]'.

The world is the first camera's frame: z points away from the camera and y down. --world=left07.jpg (of videos the
number of a frame) puts it on the board in that picture, with z up from the board: lay the board on the ground there.

Beside --out, whose ending gives the format (.toml of anipose, .pickle of DeepLabCut, .mat of DANNCE, .yaml of OpenCV,
.npz), a folder OUT_report holds index.html, the numbers as report.json, and pictures of errors, of what the corners
cover, of the rig, and of the worst pictures. A camera whose error or movement exceeds --max_error_px is refused.
"""

from pathlib import Path

from absl import flags

from pawjax import cli
from pawjax.files import need_output, user_path


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Calibrates the cameras that --cameras names. Raises InputError for user errors."""
    from pawjax.pose3d.board import Board, parse_size
    from pawjax.pose3d.calibration_files import check_ending, write_calibration
    from pawjax.pose3d.corners import opencv
    from pawjax.reconstruction.calibrating import (  # imported after the process is set up
        Options,
        calibrate_from_pictures,
        check_out,
        read_cameras,
    )
    from pawjax.report.calibration import check_report, write_report

    cli.no_arguments(arguments)
    opencv()
    size = parse_size(values.squares)
    board = Board(values.board, size, values.square_mm, values.marker_mm, values.dictionary)
    cameras = read_cameras(values.cameras)
    out = user_path(values.out)
    report = report_of(out)
    check_ending(out)
    check_out(out, report, values.overwrite)
    check_report(report)
    need_output(out.parent, [out.name])
    options = Options(values.lens, values.fisheye or (), values.frames, values.world, values.max_error_px, values.force)
    made = calibrate_from_pictures(cameras, board, options)
    write_calibration(out, made.cameras, overwrite=values.overwrite)
    print(write_report(report, made))
    print(f"world: {made.world}\n-> {out}, {report / 'index.html'}")


def report_of(out: Path) -> Path:
    """The folder of the report beside a calibration."""
    return out.with_name(f"{out.stem}_report")


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    kinds = ["chessboard", "charuco"]
    flags.DEFINE_enum("board", None, kinds, "What the cameras recorded.", flag_values=values)
    text = "Columns x rows: inner corners of a chessboard, squares of a ChArUco board."
    flags.DEFINE_string("squares", None, text, flag_values=values)
    flags.DEFINE_float("square_mm", None, "Side of a square, mm.", flag_values=values)
    flags.DEFINE_list("cameras", None, "NAME=FOLDER_OR_VIDEO of each camera.", flag_values=values)
    flags.DEFINE_string("out", None, "File of the calibration; its ending gives the format.", flag_values=values)
    flags.DEFINE_float("marker_mm", 0.0, "Side of a marker of a ChArUco board, mm.", flag_values=values)
    text = "OpenCV's name of the dictionary of a ChArUco board's markers."
    flags.DEFINE_string("dictionary", "4X4_50", text, flag_values=values)
    text = "Coefficients of the lenses that are fitted: k1, k2, p1, p2, k3 in this order; of a fisheye k1 to k4."
    flags.DEFINE_integer("lens", 2, text, lower_bound=0, upper_bound=5, flag_values=values)
    flags.DEFINE_list("fisheye", None, "Names of the cameras that have a fisheye.", flag_values=values)
    text = "Frames of each video, or pictures of each camera, that are searched for the board, evenly spaced."
    flags.DEFINE_integer("frames", 400, text, lower_bound=1, flag_values=values)
    text = "Picture, or number of a frame, whose board carries the world, z up; empty for the first camera's frame."
    flags.DEFINE_string("world", "", text, flag_values=values)
    text = "Refuse a camera whose root mean square error, or the movement of whose picture, is larger."
    flags.DEFINE_float("max_error_px", 2.0, text, lower_bound=0.0, flag_values=values)
    flags.DEFINE_bool("force", False, "Warn of what is refused otherwise.", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "Replace an existing calibration and its report.", flag_values=values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.calibrate",
    usage=__doc__,
    examples=(
        "python -m pawjax.calibrate --board=chessboard --squares=9x6 --square_mm=30 "
        "--cameras=left=left/,right=right/ --out=calibration.toml",
    ),
    main=main,
    define_flags=define_flags,
    required=("board", "squares", "square_mm", "cameras", "out"),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
