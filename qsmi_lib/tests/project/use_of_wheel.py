"""What a person does with the installed package, in an empty folder: run by `make test-wheel` and by test_wheel.py.

Jupyter and its kin cannot be imported here, whether they are installed or not, and there is no repository.
"""

import hashlib
import sys
from pathlib import Path

JUPYTER = {
    *("IPython", "ipywidgets", "jupyter", "jupyter_client", "jupyter_core", "jupyterlab"),
    *("matplotlib", "nbclient", "nbconvert", "nbformat", "papermill", "tornado", "traitlets"),
}


sys.modules |= dict.fromkeys(JUPYTER)  # None: an import fails as if it were not installed

import numpy as np  # noqa: E402
import torch  # noqa: E402
from click.testing import CliRunner  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

import qsmi_lib  # noqa: E402
from qsmi_lib import QSMIHasher, configure, datasets, evaluate, extract, losses  # noqa: E402
from qsmi_lib.cli import main  # noqa: E402
from qsmi_lib.codes import binarize  # noqa: E402
from qsmi_lib.models import backbones  # noqa: E402
from qsmi_lib.search import CodeIndex, collection  # noqa: E402
from qsmi_lib.training.records import Store  # noqa: E402
from qsmi_lib.utils import paths  # noqa: E402

HERE = Path.cwd()


def call(*arguments: str, fails: bool = False) -> str:
    """The output of a command, which must end as expected."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == int(fails), f"{arguments}: {result.output}"
    return result.output


def losses_and_scores() -> None:
    torch.manual_seed(0)
    embeddings, labels = torch.randn(40, 12, requires_grad=True), torch.arange(40) % 4
    losses.qsmi_loss(embeddings, losses.relevance_matrix(labels)).backward()
    codes = binarize(embeddings.detach())
    assert 0 < evaluate(codes[:10], codes[10:], labels[:10], labels[10:]).map_11pt < 1
    answers = CodeIndex(codes).search(codes[:3], 5)
    assert (answers.items[:, 0] == np.arange(3)).all() and not answers.distances[:, 0].any()


def features() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 16)).eval()
    assert extract(torch.rand(20, 3, 8, 8), network, "mine").shape == (20, 16)
    assert list((HERE / "results" / "cache" / "features").iterdir())


def hasher() -> None:
    split = datasets.load("digits")
    x, y = split.train.inputs.flatten(1).numpy(), split.train.labels.numpy()
    codes = QSMIHasher(bits=12, epochs=1).fit(x, y).transform(x[:20])
    assert codes.shape == (20, 12) and set(np.unique(codes)) == {-1, 1}


def runs() -> None:
    output = call("run", "--dataset", "digits", "--method", "qsmi", "--bits", "12", "--epochs", "1")
    assert "map_11pt" in output and len(list((HERE / "results" / "digits" / "runs").glob("*.json"))) == 1
    assert "1 probes agree, 0 disagree" in call("verify", "--profile", "digits")


class Tiny(torch.nn.Module):
    """A backbone in place of one whose weights must be downloaded: means of the colours."""

    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(3, 8)

    def forward(self, images):
        return self.dense(images.mean((2, 3)))


def pictures() -> None:
    data = paths.data()
    assert data == paths.user_cache() / "qsmi_lib" and not data.exists()
    data.mkdir(parents=True)
    save_file(Tiny().state_dict(), data / "tiny.safetensors")
    digest = hashlib.sha256((data / "tiny.safetensors").read_bytes()).hexdigest()
    backbones.BACKBONES["tiny"] = backbones.Backbone(
        "Tiny", Tiny, lambda network: network, 8, 32, {"tiny.safetensors": digest}, "", "nothing"
    )
    for number in range(24):
        colour = (200, 40, number) if number % 2 else (40, 200, number)
        path = HERE / "pictures" / ("red" if number % 2 else "green") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (40, 30), colour)
        image.paste("black", (10, 5, 15 + number % 8, 25))  # a blank picture has no code
        image.save(path)
    assert "24" in call("datasets", "check", "pictures")
    words = ["--dataset", "pictures", "--backbone", "tiny", "--method", "qsmi", "--bits", "8", "--epochs", "2"]
    assert "map_11pt" in call("run", *words)
    hasher = collection.Hasher.of(configure("digits", "qsmi", 12, epochs=1), Store(HERE / "results" / "digits"))
    searched = collection.of_folder("pictures", hasher)
    [first, *_] = searched.search(Image.open(HERE / "pictures" / "red" / "1.png"), 5)
    assert len(searched) == 24 and first.distance == 0


def commands() -> None:
    assert "Usage: " in call("--help") and "fashion_mnist" in call("datasets")
    listed = ["run", "--dataset", "digits", "--method", "qsmi", "--bits", "8", "--protocol", "sampled"]
    for words in (["reproduce"], ["tables"], listed):
        message = call(*words, fails=True)
        assert message.startswith("Error: ") and "clone the repository" in message and message.count("\n") == 1
    assert 'pip install "qsmi-lib[app]"' in call("app", fails=True)


if __name__ == "__main__":
    assert not paths.is_checkout() and not list(HERE.iterdir())
    for step in (losses_and_scores, features, hasher, runs, pictures, commands):
        step()
    assert not any(module for name, module in sys.modules.items() if name.partition(".")[0] in JUPYTER)
    print(f"qsmi_lib {qsmi_lib.__version__} works from {Path(qsmi_lib.__file__).parent}")
