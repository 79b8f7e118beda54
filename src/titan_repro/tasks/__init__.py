"""One module a data set: from files on disk to labelled tensors in memory."""
