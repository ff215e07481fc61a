"""NWB with ndx-pose: the tracks of one animal seen by one camera. The extra installs pynwb and ndx-pose."""

import datetime
import hashlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pawjax import __version__
from pawjax.errors import warn
from pawjax.files import replacing
from pawjax.tracks.deeplabcut import values_of
from pawjax.tracks.tracks import Tracks, join

UNKNOWN_START = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)  # nwbinspector reports it as a placeholder


def write_nwb(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes all tracks at once (in memory), replacing the file atomically.

    A PoseEstimation in the processing module 'behavior' has a series for each bodypart with its confidence and the
    frames' presentation times. A video does not say when its session began: the file says 1970-01-01, with a warning.
    """
    import ndx_pose
    import pynwb

    tracks = join(list(pieces))
    points = values_of(tracks).reshape(len(tracks), -1, 3)
    origin = json.dumps(tracks.origin, sort_keys=True, ensure_ascii=False)
    file = pynwb.NWBFile(
        session_description=f"Tracks of {tracks.origin.get('video', 'a video')} by pawjax: {origin}",
        identifier=hashlib.sha256(f"{scorer} {origin}".encode()).hexdigest(),
        session_start_time=UNKNOWN_START,
    )
    skeleton = ndx_pose.Skeleton(name="animal", nodes=list(tracks.bodyparts), edges=np.empty((0, 2), np.uint8))
    series = [_series(tracks.bodyparts[0], points[:, 0], tracks.times)]
    for k, name in enumerate(tracks.bodyparts[1:], start=1):
        series.append(_series(name, points[:, k], series[0]))  # the times are written once, and linked
    behavior = file.create_processing_module(name="behavior", description="Pose of the animal in each frame")
    behavior.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    behavior.add(
        ndx_pose.PoseEstimation(
            name="PoseEstimation",
            pose_estimation_series=series,
            description=f"Points of a network, in pixels of {tracks.size[1]}x{tracks.size[0]} frames",
            scorer=scorer,
            source_software="pawjax",
            source_software_version=__version__,
            skeleton=skeleton,
        )
    )
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not end in '.nwb'")  # the temporary name does not
        with pynwb.NWBHDF5IO(str(temporary), mode="w") as io:
            io.write(file)
    warn("a video does not say when its session began: NWB files state 1970-01-01; correct session_start_time there")


def _series(name: str, points: np.ndarray, times):  # noqa: ANN001, ANN202 - classes of the extra
    """The series of one bodypart from x, y and likelihood [T, 3]; `times` [T], or another series that has them."""
    import ndx_pose

    return ndx_pose.PoseEstimationSeries(
        name=name.replace("/", "_").replace(":", "_"),  # names are paths in NWB
        description=f"Position of {name}",
        data=points[:, :2],
        unit="pixels",
        reference_frame="(0, 0) is the centre of the top left pixel; x goes right, y down",
        timestamps=times,
        confidence=points[:, 2],
        confidence_definition="Likelihood of the point by the network's score map, from 0 to 1",
    )
