"""TV-L1 optical flow between frames, stored the way TSN does.

Zach, Pock, Bischof: A Duality Based Approach for Realtime TV-L1 Optical Flow, DAGM 2007 (OpenCV's implementation,
its default parameters); the 8-bit mapping is that of Wang et al., Temporal Segment Networks, ECCV 2016.
"""

import cv2
import numpy as np

from datasets.broken_video import BrokenVideo

FLOW_BOUND = 20.0  # pixels per frame


def flow_to_grey(flow: np.ndarray) -> np.ndarray:
    """uint8 of a flow component in pixels: [-20, 20] becomes 0 ... 255, no motion 128; beyond is clipped."""
    clipped = np.clip(flow, -FLOW_BOUND, FLOW_BOUND)
    return np.floor(255.0 * (clipped + FLOW_BOUND) / (2.0 * FLOW_BOUND) + 0.5).astype(np.uint8)


class FlowOfFrames:
    """Flow from each frame to the one after it; one thread."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)
        self._tvl1 = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]  # not in its stubs
        self._previous: np.ndarray | None = None

    def next(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """From uint8 (H, W, 3) RGB: x and y flow since the frame before, each uint8 (H, W); None for the first one.

        Positive is to the right and downwards. Raises `BrokenVideo` where no flow can be computed.
        """
        previous, self._previous = self._previous, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if previous is None:
            return None
        try:
            flow = self._tvl1.calc(previous, self._previous, None)
        except cv2.error as error:
            raise BrokenVideo(f"flow of frames of {frame.shape[1]}x{frame.shape[0]} fails ({error.err})") from error
        return flow_to_grey(flow[..., 0]), flow_to_grey(flow[..., 1])
