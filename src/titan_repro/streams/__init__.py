"""Rounds of fresh samples: order, noise, drift, imbalance, partition over devices."""
