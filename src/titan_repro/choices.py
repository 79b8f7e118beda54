"""The values that named choices may have: one list each, for signatures, checks and help.

It imports nothing, so that a configuration is checked before PyTorch is loaded. What each value
means stands in the docstring of the class that takes it.
"""

from typing import Literal

Gradient = Literal["last_layer", "logits", "full"]
ClassImportance = Literal["plugin", "bessel", "ema"]
ClassMass = Literal["candidates", "stream"]
Weighting = Literal["none", "unbiased", "self_normalised"]
Sampling = Literal["systematic", "multinomial", "without_replacement"]
Preference = Literal["low", "high"]

Score = Literal["rep_plus_div", "rep", "div", "rank_mix", "random"]
Quota = Literal["per_class_proportional", "per_class_drawn", "per_class_equal", "global"]
Pooling = Literal["none", "average"]
Norm = Literal["batch", "group", "none"]
ScoringNorm = Literal["running", "batch"]
