"""Tracks: the points of every frame of a video, their files, and what is computed from them without any network."""

from pawjax.tracks.tracks import Tracks

__all__ = ["Tracks"]
