"""Named helpers that everything else stands on: config, transforms, loss, random streams, errors."""
