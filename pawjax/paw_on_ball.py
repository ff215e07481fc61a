"""python -m pawjax.paw_on_ball --out=VIDEO.mp4 [--frames=300] [--height=150 --width=200] [--seed=1] [--session=0]

Writes a synthetic video of a mouse on a ball, at 150 frames/s, and beside it VIDEO.csv, the true place of its paw in
every frame (a table as DeepLabCut writes tracks, empty where the paw is hidden). The frames of `config.data.source =
"paw_on_ball"` are drawn with seed 0: any other seed shows other mice. A video that is there already is kept.
"""

from absl import flags

from pawjax import cli
from pawjax.files import user_path


def main(values: flags.FlagValues, arguments: list[str]) -> None:
    """Writes the video. Raises InputError for user errors."""
    from pawjax.data.paw_on_ball.video import write_video  # imported after the process is set up

    cli.no_arguments(arguments)
    path = user_path(values.out)
    if path.exists() and path.with_suffix(".csv").exists():
        print(f"{path} is there already and is kept")
        return
    size = {"height": values.height, "width": values.width}
    truth = write_video(path, seed=values.seed, session=values.session, n_frames=values.frames, **size)
    print(f"{values.frames} frames of {values.width}x{values.height} -> {path}, their truth -> {truth}")


def define_flags(values: flags.FlagValues) -> None:
    """The flags of this entry point."""
    flags.DEFINE_string("out", None, "The video, .mp4.", flag_values=values)
    flags.DEFINE_integer("frames", 300, "Number of frames.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("height", 600, "Height of the frames, px; even.", lower_bound=16, flag_values=values)
    flags.DEFINE_integer("width", 800, "Width of the frames, px; even.", lower_bound=16, flag_values=values)
    flags.DEFINE_integer("seed", 1, "Random seed of mice, cameras and movements.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("session", 0, "Which of the seed's sessions.", lower_bound=0, flag_values=values)


ENTRY_POINT = cli.EntryPoint(
    command="python -m pawjax.paw_on_ball",
    usage=__doc__,
    examples=("python -m pawjax.paw_on_ball --out=runs/quickstart/video.mp4 --height=150 --width=200",),
    main=main,
    define_flags=define_flags,
    required=("out",),
)

if __name__ == "__main__":
    cli.run(ENTRY_POINT)
