"""From videos and official split files to frames and lists: command-line tools."""
