"""Tracks: the points of every frame of a video, their files, and what is computed from them without any network.

Tracks that several networks made of one video, by whatever program, become one:

    from pawjax.tracks.ensemble_kalman import ensemble_smooth
    from pawjax.tracks.formats import read
    smooth = ensemble_smooth([read("net1.csv"), read("net2.csv"), read("net3.csv")])

`pawjax.tracks.ensemble_cameras` does so for several cameras at once, and `pawjax.tracks.file.write_tracks` writes them.
"""

from pawjax.tracks.tracks import Tracks

__all__ = ["Tracks"]
