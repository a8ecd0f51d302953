import cv2
import numpy as np
import pytest

from datasets.prepare.optical_flow import FlowOfFrames, flow_to_grey
from utils.random_streams import stream


def test_tsns_mapping_to_8_bits() -> None:
    flow = np.array([-100.0, -20.0, -3.0, 0.0, 3.0, 10.0, 20.0, 100.0], dtype=np.float32)
    assert flow_to_grey(flow).tolist() == [0, 0, 108, 128, 147, 191, 255, 255]
    assert flow_to_grey(flow).dtype == np.uint8


@pytest.mark.parametrize(("shift", "axis"), [(3, 0), (-2, 0), (3, 1)])
def test_flow_of_a_moved_texture(shift: int, axis: int) -> None:
    noise = stream(0, "texture").integers(0, 256, (96, 128), dtype=np.uint8)
    smooth = cv2.equalizeHist(cv2.GaussianBlur(noise, (0, 0), 2))
    first = np.repeat(np.asarray(smooth)[..., None], 3, axis=2)
    flows = FlowOfFrames()
    assert flows.next(first) is None
    pair = flows.next(np.roll(first, shift, axis=1 - axis))
    assert pair is not None
    pixels = [picture[16:-16, 16:-16].mean() * 40 / 255 - 20 for picture in pair]
    assert pixels[axis] == pytest.approx(shift, abs=0.3)
    assert pixels[1 - axis] == pytest.approx(0.0, abs=0.1)
