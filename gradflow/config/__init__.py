"""The YAML config: text to tree, tree to a validated Experiment, Experiment to its runs."""
