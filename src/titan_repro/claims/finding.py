"""What was found of a claim, before it is judged."""

from dataclasses import dataclass, replace

from titan_repro.analysis.statistics import Interval

Range = tuple[float, float]


@dataclass(frozen=True)
class ClaimFinding:
    """A quantity of one part of a claim, in the claim's unit.

    part: which part, such as a model, where the claim is of several.
    value: None if there is nothing to test it on; interval: 95 %, None with fewer than two seeds.
    seeds: behind it. exact: no seeds are needed, as in arithmetic and on a modelled board.
    against: the paper's number that it may be held against; None: only the direction can be.
    lean: range of what shows the direction, above 0 on the paper's side; None: no direction.
    limit: why it shows a direction at best, either way, "" if the claim may hold or fail by it.
    one_sided: why the claim cannot hold by it, though it may fail: seeds that diverged or never got
        there, rounds of a pipeline counted as if it cost nothing.
    runs: ids of the runs behind it. note: what is missing or differs. command: that makes it.
    """

    part: str = ""
    value: float | None = None
    interval: Range | None = None
    seeds: int = 0
    exact: bool = False
    against: float | None = None
    lean: Range | None = None
    limit: str = ""
    one_sided: str = ""
    runs: tuple[str, ...] = ()
    note: str = ""
    command: str = ""

    @property
    def limited(self) -> bool:
        """Whether the claim cannot hold by it."""
        return bool(self.limit or self.one_sided)

    def of(self, part: str) -> "ClaimFinding":
        """Return the same finding as that of a part."""
        return replace(self, part=part)


def gap(note: str, command: str, part: str = "") -> ClaimFinding:
    """Return that there is nothing to test a claim, or a part of it, on."""
    return ClaimFinding(part=part, note=note, command=command)


def range_of(interval: Interval) -> Range | None:
    """Return the ends of an interval; None if one seed, or none, leaves them open."""
    return (interval.low, interval.high) if interval.number > 1 else None


def lean_of(interval: Range | None, threshold: float | None, sign: int) -> Range | None:
    """Return an interval's place beside a threshold, turned so that the paper's side is above 0."""
    if interval is None or threshold is None:
        return None
    low, high = (sign * (end - threshold) for end in interval)
    return min(low, high), max(low, high)


def joined(*notes: str) -> str:
    """Return the notes in one sentence, each part of them once."""
    return "; ".join(dict.fromkeys(part for note in notes for part in note.split("; ") if part))
