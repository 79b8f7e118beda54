"""Federated learning: many devices train one model in turn (paper appendix B, figure 10)."""
