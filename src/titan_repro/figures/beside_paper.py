"""What the paper says beside the numbers of one setting: Table 1's own, or read off its curves."""

import math

import pandas as pd

from titan_repro.paper.published import (
    CURVES_TASK,
    FIGURE_OF_STREAM,
    TABLE1_ROUNDS,
    accuracy_at,
    rounds_ratio_at,
    table1_cell,
)


class Paper:
    """What the paper says of a setting, in cells. group: the setting's runs."""

    def __init__(self, group: pd.DataFrame) -> None:
        first = group.iloc[0]
        self.task, self.model = str(first["task"]), str(first["model"])
        self.rounds, self.stream = int(first["rounds"]), str(first["stream"])
        printed = table1_cell(self.model, "rs") if self.stream == "clean" else None
        self.other_task = None if printed is None else printed.task
        self.printed = printed is not None and printed.task == self.task
        self.figure = FIGURE_OF_STREAM.get(self.stream, "")
        self.drawn = self.task == CURVES_TASK and not math.isnan(self._accuracy("rs"))

    def header(self, kind: str) -> tuple[str, ...]:
        """Return the name of the column beside ours; none if the paper has nothing to say."""
        at = f"{self.rounds:,}"
        if kind == "time":
            return ("paper, 20,000",) if self.printed else ()
        if kind == "accuracy" and self.printed and self.rounds == TABLE1_ROUNDS:
            return (f"paper, {at}",)
        return (f"paper, {at}",) if self.drawn else ()

    def cells(self, kind: str, selector: str) -> tuple[str, ...]:
        """Return the cell beside ours, or none where there is no column."""
        if not self.header(kind):
            return ()
        printed = table1_cell(self.model, selector)
        if kind == "time":
            return ("" if printed is None else f"{printed.time_ratio:.2f}",)
        if kind == "rounds":
            return (_ratio_text(rounds_ratio_at(self.model, selector, self.rounds, self.figure)),)
        if self.printed and self.rounds == TABLE1_ROUNDS and printed is not None:
            return (f"{printed.accuracy:.1f}",)
        known = self._accuracy(selector)
        return ("" if math.isnan(known) else f"{known:.1f}",)

    def notes(self) -> tuple[str, ...]:
        """Say where the paper's numbers are from, or why there are none."""
        if not (self.printed or self.drawn):
            where = (
                f"the paper trained {self.model} on {self.other_task}"
                if self.other_task not in (None, self.task)
                else "it has none for this setting"
            )
            return (f"No numbers of the paper beside {self.task}, {self.model}: {where}.",)
        parts = []
        if self.printed:
            parts.append("Table 1 prints its times and accuracies of 20,000 rounds")
        if self.drawn:
            parts.append(
                f"rounds and accuracy at {self.rounds:,} rounds are read off Figure {self.figure}, "
                "which has curves of C-IS in place of Titan's"
                if self.figure == "7"
                else f"rounds and accuracy are read off Figure {self.figure}"
            )
        return (f"paper: {'; '.join(parts)}; empty where it shows none.",)

    def _accuracy(self, selector: str) -> float:
        return accuracy_at(self.model, selector, self.rounds, self.figure)


def _ratio_text(ratio: float) -> str:
    if math.isnan(ratio):
        return ""
    return "never" if math.isinf(ratio) else f"{ratio:.2f}"
