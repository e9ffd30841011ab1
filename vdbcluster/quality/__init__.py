"""Pure stage: how good a result is. Arrays in, numbers out."""
