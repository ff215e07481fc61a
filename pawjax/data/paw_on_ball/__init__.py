"""`paw_on_ball`: synthetic frames of a head-fixed mouse on a ball, with the true position of its left forepaw.

`render` draws one frame; see `frame.py` for what is labelled. The package needs no other data.
"""

from pawjax.data.paw_on_ball.frame import BODYPART, Frame, frame_instant, render, render_at

__all__ = ["BODYPART", "Frame", "frame_instant", "render", "render_at"]
