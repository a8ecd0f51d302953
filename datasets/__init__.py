"""From a line of a list file to a batch: lists, sampling, sources of frames, data sets, loaders, protocols."""
