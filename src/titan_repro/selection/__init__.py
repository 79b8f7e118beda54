"""Data selection as pure functions over tensors: filter, scores, policies."""
