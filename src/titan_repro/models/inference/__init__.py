"""Forward passes of selection: all that is here for speed alone, and changes no result."""
