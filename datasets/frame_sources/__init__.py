"""Where frames come from: one small protocol, a file per kind of storage, memcached in front of any of them."""

from datasets.frame_sources.folder import FolderSource
from datasets.frame_sources.image_file import ImageFileSource
from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.packed import PackedSource
from datasets.frame_sources.protocol import FrameSource
from datasets.frame_sources.video import VideoSource

__all__ = ["FolderSource", "FrameSource", "ImageFileSource", "Memcached", "PackedSource", "VideoSource"]
