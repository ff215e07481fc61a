"""netCDF as movement (0.17 or later) keeps poses. The extra installs xarray and h5netcdf."""

import json
from collections.abc import Iterable
from pathlib import Path

from pawjax.files import replacing
from pawjax.tracks.tracks import Tracks, join


def write_movement(path: Path, pieces: Iterable[Tracks], scorer: str) -> None:
    """Writes all tracks at once (in memory), replacing the file atomically.

    Variables: position [time, space, keypoint, individual], px, and confidence [time, keypoint, individual]; time is
    the frames' presentation time, seconds.
    """
    import xarray

    tracks = join(list(pieces))
    dimensions = ("time", "space", "keypoint", "individual")
    dataset = xarray.Dataset(
        {
            "position": (dimensions, tracks.keypoints.transpose(0, 3, 2, 1)),
            "confidence": (("time", "keypoint", "individual"), tracks.likelihood.transpose(0, 2, 1)),
        },
        coords={
            "time": tracks.times,
            "space": ["x", "y"],
            "keypoint": list(tracks.bodyparts),
            "individual": [f"animal{number}" for number in range(tracks.likelihood.shape[1])],
        },
        attrs={
            "ds_type": "poses",
            "source_software": "pawjax",
            "source_file": tracks.origin.get("video", ""),
            "scorer": scorer,
            "origin": json.dumps(tracks.origin, ensure_ascii=False),
            "fps": tracks.frames_per_second,
            "time_unit": "seconds",
        },
    )
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="h5netcdf")
