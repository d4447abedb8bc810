from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwnas.data.frames import frames_of_folder, frames_of_video
from hwnas.errors import DataError


def picture(seed: int, size_hw: tuple[int, int] = (8, 12)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)


def test_a_folders_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, seed in (("b.png", 1), ("a.png", 0), ("c.PNG", 2)):
        Image.fromarray(picture(seed)).save(tmp_path / name, format="png")
    (tmp_path / "notes.txt").write_text("no image")
    frames = frames_of_folder(tmp_path, (8, 12))
    np.testing.assert_array_equal(frames, np.stack([picture(seed) for seed in range(3)]))
    assert frames_of_folder(tmp_path, (4, 6), most=2).shape == (2, 4, 6, 3)


def test_error_on_a_zero_byte_image_and_on_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no image"):
        frames_of_folder(tmp_path, (8, 12))
    with pytest.raises(DataError, match="there is no folder"):
        frames_of_folder(tmp_path / "nowhere", (8, 12))
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png cannot be decoded"):
        frames_of_folder(tmp_path, (8, 12))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path_factory.mktemp("video") / "drive.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_videos_frames_come_in_order(video: Path) -> None:
    frames = frames_of_video(video, (24, 32), count=12)
    assert frames.shape == (12, 24, 32, 3) and frames.dtype == np.uint8
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [20 * level for level in range(12)], atol=6)
    assert len(frames_of_video(video, (24, 32), count=100, most=5)) == 5


def test_error_on_a_video_that_ends_early_or_is_none(video: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ends after 12 frames, and 60 are wanted"):
        frames_of_video(video, (24, 32), count=60)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:700])
    with pytest.raises(DataError, match=r"cut\.mp4"):
        frames_of_video(cut, (24, 32), count=12)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match="cannot be decoded after 0 frames"):
        frames_of_video(tmp_path / "text.mp4", (24, 32), count=1)
    with pytest.raises(DataError, match="there is no video"):
        frames_of_video(tmp_path / "nowhere.mp4", (24, 32), count=1)
