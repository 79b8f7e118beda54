"""How many training samples of each class the data of a run have, though the data be elsewhere."""

from collections.abc import Mapping
from typing import Any

_BEFORE: Mapping[str, tuple[int, ...]] = {
    "71eaa066a6537d4f": (142, 146, 142, 146, 145, 146, 145, 143, 139, 144),  # digits
    "d5617fe596f8d150": (1350,) * 19,  # dsads
    "251709f28f1dddcd": (5000,) * 10,  # cifar10
    "9221211a37be19bb": (311, 295, 318, 292, 313, 301, 300, 310, 305, 301),  # speech_commands_10
    "cf764984bc1f3be6": (  # speech_spectrograms
        *(3228, 3130, 2948, 3134, 3037, 3019, 3086, 2970, 3111, 3106),
        *(654, 605, 586, 564, 604, 632, 618, 641, 602, 645),
    ),
}
"""By fingerprint, the data of runs from before 2026-11-28, when provenance.json began to say it."""


def class_sizes(provenance: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return how many samples of each class the training split has; None if that is not known.

    provenance: contents of a run's provenance.json, whose `data.class_sizes` says it. Of older
    runs, the data sets that this project had then are known by their fingerprint.
    """
    data = provenance.get("data", {})
    found = data.get("class_sizes", _BEFORE.get(data.get("fingerprint", "")))
    return None if found is None else tuple(found)
