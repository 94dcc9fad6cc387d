"""The runs and settings that each artefact of a profile must be made from; a new artefact is one entry."""

from qsmi_lib.reproduction.analysis import causes, claims, class_agreement, significance, tie_orders, tsne, uit
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import run_id


def expected(results: Results) -> dict[str, dict]:
    """Name of each artefact -> the runs and settings it must be made from."""
    shared_codes = run_id(results.grid("fig_2b")[0])  # the repository carries the codes of this run
    maps = [tsne.map_name(space, perplexity) for space in tsne.SPACES for perplexity in tsne.PERPLEXITIES]
    return {
        causes.FILE: causes.made_by(results),
        claims.ASTRAY: claims.astray_made_by(results),
        class_agreement.AGREEMENT: class_agreement.made_by(results),
        f"{shared_codes}.npz": {"runs": [shared_codes]},
        tie_orders.FILE: tie_orders.made_by(results),
        uit.DSH_FILE: uit.dsh_made_by(results),
        uit.FILE: uit.lsh_made_by(results),
        **{significance.artefact_of(bits): significance.made_by(results, bits) for bits in results.profile.lengths},
        **dict.fromkeys([tsne.MEASURED, *maps], tsne.made_by(results)),
    }
