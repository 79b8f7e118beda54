"""A measurement of batch variance in a few lines for the person at the terminal."""

from titan_repro.records.measured import Measurement
from titan_repro.records.variance import LAST_LAYER, findings_of


def variance_summary(measured: Measurement) -> str:
    """Say what is left of random selection's variance at each state, and where the rest is."""
    content, findings = measured.content, findings_of(measured.content)
    lines = [
        f"{content['task']} {content['model']} variance: measured"
        f"{' before, not measured again' if measured.already_there else ''}",
        f"  data: {content['data_source']}",
    ]
    for split in findings.decomposition:
        if split.gradients != LAST_LAYER:
            continue
        left = {
            "stratified": split.stratified,
            "is": split.importance_sampling,
            "cis at best": split.cis,
        }
        told = ", ".join(f"{name} {value / split.rs:.3f}" for name, value in left.items())
        lines.append(f"  {split.state:,} rounds, variance of a batch over that of rs: {told}")
    return "\n".join([*lines, f"  {measured.folder}"])
