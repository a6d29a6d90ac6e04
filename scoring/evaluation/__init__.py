"""A reward model over files that are no clips of a study: a benchmark's, and damaged copies of clips."""
