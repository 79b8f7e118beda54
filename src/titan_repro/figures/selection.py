"""What selectors chose: classes, noise, how much of the training set, and how much in common.

A row a setting, a line a selector. Left: how often each class was trained, over how often it came;
middle: the part of the training set that was never trained or, of a noisy stream, the noisy part of
what was; right: whether two selectors trained the same samples.
"""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from titan_repro.analysis.replay import Replay
from titan_repro.analysis.selection_stats import Profile, SelectionStats, selection_stats
from titan_repro.errors import RunFolderError
from titan_repro.figures.planned import shown_runs
from titan_repro.figures.style import looks, pyplot
from titan_repro.figures.table import Table
from titan_repro.figures.titles import setting_title

EXPERIMENTS = ("campaign_movement", "campaign_images")
FURTHER = ("campaign_baselines", "campaign_resnet50", "campaign_resnet34", "fig11")
"""Experiments of which runs are shown, but none is missed."""

NOT_KEPT = "not kept"

NOTES = (
    "Of the trained samples, means over seeds. Most and least: the class that was trained "
    "most and least often in all seeds together, over how often it came. Distance: total variation "
    "between class shares trained and arriving, of each seed apart; that of rs is chance's part. "
    "Never: part of the training set that was never trained. Entropy: of the trained samples over "
    "the training set, 1 if all of it was trained equally often; compare rs, which has not had "
    "time for all in a short run. Repeats: of a sample that stood in its batch already.",
    "not kept: runs from before exports had it, or data whose size is not on record; exporting "
    "their folders again fills it in.",
)
NO_OVERLAP = "it takes two selectors with a common seed, or two seeds, and what they chose"
ESTIMATED = "What arrives is estimated by what rs trained with the same seed."
LEAST_RATIO = 1 / 16
"""Class ratios below are drawn there: a class that is never chosen has no place on the axis."""

OVERLAP_NOTES = (
    "Overlap: correlation of how often two selectors trained each of the same samples, mean over "
    "seeds; 0 as of independent choice, 1 the same samples. On the diagonal between runs of one "
    "selector with different seeds: how much of its choice is the sample's and not chance's.",
)


def load(source: Path, replay_on: Callable[[str], Replay]) -> list[SelectionStats]:
    """Read the campaign's runs below `source`, or all if it has none of these.

    Sweeps over one choice of a selector would crowd them out. Raises RunFolderError if there is
    nothing to show.
    """
    shown = shown_runs(source, EXPERIMENTS, further=FURTHER, else_all=True)
    if shown.runs is None:
        raise RunFolderError(f"{source}: the campaign's runs have no milestone yet")
    return selection_stats(shown.runs)


def tables(data: Sequence[SelectionStats]) -> list[Table]:
    """Return two tables a setting: what each selector chose, and their overlap."""
    return [
        table
        for one in data
        for table in (_choices(one), *([_overlap(one)] if _has_overlap(one) else []))
    ]


def _has_overlap(one: SelectionStats) -> bool:
    return bool(np.isfinite(one.overlap).any())


def _choices(one: SelectionStats) -> Table:
    noise = [] if one.noisy == 0 else [f"noisy, % (of the stream {_percent(one.noisy)})"]
    header = (
        *("selector", "seeds", "most", "least", "distance, %", *noise),
        *("never, %", "entropy", "repeats, %"),
    )
    rows = [
        [
            profile.label,
            str(profile.seeds),
            *_extremes(profile.ratios),
            _percent(profile.distance),
            *([_percent(profile.noisy)] if noise else []),
            _percent(profile.never),
            NOT_KEPT if np.isnan(profile.entropy) else f"{profile.entropy:.3f}",
            _percent(profile.repeats, 2),
        ]
        for profile in one.profiles
    ]
    notes = [*NOTES, *([ESTIMATED] if one.estimated else [])]
    if not _has_overlap(one):
        notes.append(f"No overlap of {setting_title(one.group)}: {NO_OVERLAP}.")
    return Table(f"What was chosen: {setting_title(one.group)}", header, rows, notes)


def _extremes(ratios: np.ndarray) -> tuple[str, str]:
    """Name the classes of the highest and the lowest ratio."""
    if np.isnan(ratios).all():
        return NOT_KEPT, NOT_KEPT
    most, least = int(np.nanargmax(ratios)), int(np.nanargmin(ratios))
    return f"class {most}: x{ratios[most]:.2f}", f"class {least}: x{ratios[least]:.2f}"


def _percent(share: float, digits: int = 1) -> str:
    return NOT_KEPT if np.isnan(share) else f"{100 * share:.{digits}f}"


def _overlap(one: SelectionStats) -> Table:
    labels = [profile.label for profile in one.profiles]
    rows = [
        [label, *("" if np.isnan(value) else f"{value + 0.0:.2f}" for value in np.round(line, 2))]
        for label, line in zip(labels, one.overlap, strict=True)
    ]
    title = f"Overlap of choices: {setting_title(one.group)}"
    return Table(title, ["", *labels], rows, OVERLAP_NOTES)


def panels(data: Sequence[SelectionStats]) -> tuple[Any, Sequence[Any]]:
    """Return a figure with three axes a setting, their lines side by side."""
    data = _drawn(data)
    heights = [1.9 + 0.27 * len(one.profiles) for one in data]
    figure = pyplot().figure(figsize=(12, sum(heights)))
    rows = figure.subfigures(len(data), 1, squeeze=False, height_ratios=heights)[:, 0]
    axes = []
    for row, one in zip(rows, data, strict=True):
        row.suptitle(textwrap.fill(setting_title(one.group), 120), fontsize="medium")
        axes += list(row.subplots(1, 3, width_ratios=(1.25, 1, 1)))
    return figure, axes


def draw(data: Sequence[SelectionStats], axes: Sequence[Any]) -> None:
    """Draw three panels of each setting."""
    for one, left, middle, right in zip(
        _drawn(data), axes[::3], axes[1::3], axes[2::3], strict=True
    ):
        _draw_classes(left, one.profiles)
        _draw_samples(middle, one)
        _draw_overlap(right, one)


def _drawn(data: Sequence[SelectionStats]) -> Sequence[SelectionStats]:
    """Leave out settings with a single selector, unless there are no others."""
    return [one for one in data if len(one.profiles) > 1] or data


def _draw_classes(axes: Any, profiles: Sequence[Profile]) -> None:
    """Draw a dot a class at its ratio, at LEAST_RATIO if it is less."""
    from matplotlib.ticker import LogLocator

    style = looks(profile.selector for profile in profiles)
    known = np.concatenate([[0.5, 2.0], *(profile.ratios for profile in profiles)])
    known = np.clip(known[np.isfinite(known)], LEAST_RATIO, None)
    for place, profile in enumerate(profiles):
        shown = np.clip(profile.ratios[np.isfinite(profile.ratios)], LEAST_RATIO, None)
        hue = style[profile.selector].colour
        if len(shown):
            axes.plot([shown.min(), shown.max()], [place, place], color=hue, linewidth=1)
            axes.plot(shown, [place] * len(shown), "o", color=hue, alpha=0.6, markersize=4)
        else:
            axes.text(1, place, NOT_KEPT, ha="center", va="center", fontsize="small")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"
    )
    axes.set_xlim(known.min() / 1.15, known.max() * 1.15)
    axes.axvline(1, color="#4d4d4d", linewidth=1)
    axes.set_xlabel("a dot a class: times as often as it came")
    axes.set_title("classes chosen", fontsize="small")
    _label_lines(axes, [profile.label for profile in profiles])


def _draw_samples(axes: Any, one: SelectionStats) -> None:
    """Draw a bar a selector: never trained or, of a noisy stream, trained noise."""
    noisy = one.noisy > 0
    style = looks(profile.selector for profile in one.profiles)
    for place, profile in enumerate(one.profiles):
        share = profile.noisy if noisy else profile.never
        if np.isnan(share):
            axes.text(0, place, f" {NOT_KEPT}", va="center", fontsize="small")
            continue
        axes.barh(place, 100 * share, color=style[profile.selector].colour, height=0.65)
        axes.text(100 * share, place, f" {100 * share:.0f}", va="center", fontsize="small")
    if noisy:
        axes.axvline(100 * one.noisy, color="#4d4d4d", linewidth=1)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the trained samples" if noisy else "% of the training set")
    title = (
        f"noise chosen (line: the stream's {100 * one.noisy:.0f} %)" if noisy else "never chosen"
    )
    axes.set_title(title, fontsize="small")
    _label_lines(axes, [""] * len(one.profiles))


def _draw_overlap(axes: Any, one: SelectionStats) -> None:
    """Draw the correlations of counts as colours, with their numbers."""
    if not _has_overlap(one):
        axes.text(0.5, 0.5, NOT_KEPT, ha="center", transform=axes.transAxes, fontsize="small")
    axes.imshow(one.overlap, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for row, line in enumerate(one.overlap):
        for column, value in enumerate(line):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.6 else "black"
                words = f"{round(value, 1) + 0.0:.1f}"
                axes.text(column, row, words, ha="center", va="center", color=ink, fontsize=6.5)
    labels = [profile.label for profile in one.profiles]
    axes.set_xticks(
        range(len(labels)), [_short(label) for label in labels], rotation=45, ha="right"
    )
    words = "same samples chosen (1 all, 0 as by chance);\ndiagonal: with another seed"
    axes.set_title(words, fontsize="small")
    axes.grid(visible=False)
    _label_lines(axes, [""] * len(labels))


def _label_lines(axes: Any, labels: Sequence[str]) -> None:
    """Give each line its name; the first on top."""
    axes.set_yticks(range(len(labels)), [_short(label, 34) for label in labels])
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _short(label: str, length: int = 22) -> str:
    return textwrap.shorten(label, length, placeholder=" …")
