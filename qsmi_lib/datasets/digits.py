"""Handwritten digits that scikit-learn contains, alone and in pairs: no network, no download."""

import hashlib
import importlib.util
import zlib
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Dataset, Part, Split
from qsmi_lib.datasets.sampling import stratified
from qsmi_lib.utils.reading import damaged

N_QUERY = 500
SINGLE = 5  # one pair in so many shows its left digit alone, beside an empty half
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"  # of the pixels as uint8, then the labels


class Digits(Dataset):
    """1,797 digits of 8 x 8 pixels: 500 stratified queries; the other 1,297 are training set and database."""

    name = "digits"
    classes = tuple("0123456789")
    mean, std = 0.3053, 0.3760  # of all pixels, scaled to [0, 1]

    def find(self) -> str:
        """Where the data lie."""
        return "inside scikit-learn"

    def fingerprint(self, draw: int) -> str:
        """Identifies the data and the division."""
        return f"{SHA256[:16]}-stratified-{N_QUERY}-draw-{draw}"

    def load(self, draw: int) -> Split:
        """The digits, float32 (n, 1, 8, 8): pixels 0 to 16 scaled to [0, 1], then normalised by `mean` and `std`.

        Raises:
            ValueError: this scikit-learn contains other digits.
        """
        try:
            rows = np.loadtxt(_file(), delimiter=",", dtype=np.uint8)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise damaged(_file(), error, "install scikit-learn again") from error
        pixels, labels = rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
        digest = hashlib.sha256(pixels.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
        if digest != SHA256:
            raise ValueError(f"scikit-learn's digits have changed: expected SHA-256 {SHA256}, got {digest}")
        images = torch.from_numpy((pixels[:, None] / 16.0 - self.mean) / self.std).float()
        query = torch.from_numpy(stratified(labels, N_QUERY, draw))
        labels = torch.from_numpy(labels)
        train = Part(images[~query], labels[~query])
        query = Part(images[query], labels[query])
        return Split(self.name, train, query, train, self.fingerprint(draw), self.classes)


def _file() -> Path:
    """The file that `sklearn.datasets.load_digits` reads; importing scikit-learn for it would take a second."""
    package = importlib.util.find_spec("sklearn")
    return Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"


class DigitPairs(Digits):
    """Each digit beside another one of the same part: a data set of one or two labels an item."""

    name = "digit_pairs"

    def fingerprint(self, draw: int) -> str:
        """Identifies the data and the division, which is that of the digits."""
        return f"pairs-{super().fingerprint(draw)}"

    def load(self, draw: int) -> Split:
        """Pictures (n, 1, 8, 16), labels multi-hot (n, 10); each digit is once on the left.

        The digit on the right is drawn at random, by `draw`.
        """
        digits = super().load(draw)
        generator = torch.Generator().manual_seed(draw)
        train, query = (self._pairs(part, generator) for part in (digits.train, digits.query))
        return Split(self.name, train, query, train, self.fingerprint(draw), self.classes)

    def _pairs(self, part: Part, generator: torch.Generator) -> Part:
        partner = torch.randperm(len(part), generator=generator)
        single = torch.randperm(len(part), generator=generator) < len(part) // SINGLE
        empty = torch.full_like(part.inputs, -self.mean / self.std)  # pixels of 0, normalised
        right = torch.where(single[:, None, None, None], empty, part.inputs[partner])
        labels = torch.nn.functional.one_hot(part.labels, len(self.classes))
        labels = torch.where(single[:, None], labels, labels | labels[partner])
        return Part(torch.cat([part.inputs, right], dim=3), labels)
