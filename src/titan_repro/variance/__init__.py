"""How far a selector's batches are from the mean gradient, measured at training states."""
