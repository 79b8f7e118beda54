"""How bytes become arrays: one module a kind of file, and what tasks of a kind share."""
