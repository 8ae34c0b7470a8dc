"""A role change that takes effect: from what is observed to the next decision, as pure functions.
Nothing here calls AWS or sleeps; ``executor.cutover_runner`` does that."""
