"""The engine: cells unrolled through time and backpropagated, a block of steps at a time.

`flow` runs one layer, `network` stacks of them; `backward` goes back through a block of steps, and
`block` is what observers are shown of it. `uses`, `outer` and `terms` form sums of outer products.
"""
