"""gradflow's speed, as ratios to what else computes the same; `python -m benchmarks` runs it."""
