"""Networks that hash, backbones whose features are hashed, unsupervised projections, rotations."""

from qsmi_lib.utils.lazy import lazy_names

__all__ = ["HashHead"]

__getattr__, __dir__ = lazy_names(__name__, {"HashHead": "qsmi_lib.models.networks"})
