"""What a round costs: measured side by side here, and modelled."""
