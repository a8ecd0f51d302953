"""From a checkpoint to scores, and from scores to a confusion matrix, a list of errors and a page to look at."""
