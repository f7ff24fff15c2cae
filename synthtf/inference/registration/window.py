"""The part of a scan that a registration network is shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.foreground import foreground_box
from synthtf.inference.normalize import normalize_intensity

if TYPE_CHECKING:
    from synthtf.data.map_sources import Conformer
    from synthtf.runs.run import Run


@dataclass(frozen=True)
class Window:
    """A scan on voxels of the network, and the part of them that the network is shown."""

    image: np.ndarray
    affine: np.ndarray  # of the image, voxels to mm
    corner: np.ndarray  # of the part, in voxels of the image
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, scan: Volume, run: "Run | Conformer") -> "Window":
        """Bring a scan to the network's voxels and put the window about the head.

        Args:
            scan: of three axes.
            run: has the voxel size and the shape of the window.

        Raises:
            ValueError: if the image is empty.
        """
        grid = ConformedGrid.of(scan.data.shape, scan.affine, run.spacing)
        image = grid.conform(scan.data)
        if not image.max() > image.min():
            raise ValueError(f"{scan.name}: the image is empty, every voxel is {image.max():g}")
        return cls(image, grid.affine, _head_corner(image, run), run.shape)

    @property
    def centred(self) -> np.ndarray:
        """`(4, 4)`, from voxels about the centre of the part to mm."""
        to_image = np.eye(4)
        to_image[:3, 3] = self.corner + (np.array(self.shape) - 1) / 2
        return self.affine @ to_image

    def sample(self, matrix: np.ndarray) -> np.ndarray:
        """The part, seen through a matrix between voxels about its centre; normalised."""
        from scipy import ndimage

        about = np.eye(4)
        about[:3, 3] = -(np.array(self.shape) - 1) / 2
        move = np.linalg.inv(self.affine) @ self.centred @ matrix @ about
        part = ndimage.affine_transform(
            self.image, move[:3, :3], move[:3, 3], self.shape, order=1, mode="constant"
        )
        return normalize_intensity(part)


def _head_corner(image: np.ndarray, run: "Run | Conformer") -> np.ndarray:
    """First voxel of the window: about the foreground, from its top where it is taller."""
    box = foreground_box(image, run.spacing)
    shape = np.array(run.shape)
    tall = box[2].stop - box[2].start - shape[2]
    if tall > 0:
        top = slice(box[2].start + tall, box[2].stop)
        inner = foreground_box(image[:, :, top], run.spacing)
        box = (*inner[:2], top)
    middle = np.array([(part.start + part.stop) / 2 for part in box])
    return np.round(middle - shape / 2)
