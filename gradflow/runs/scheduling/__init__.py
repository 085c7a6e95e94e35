"""Where the runs of a sweep are worked out, and where finished ones are kept.

Everything here speaks one interface, `concurrent.futures.Executor`: worker processes of this
machine (`processes`), a Dask cluster (`cluster`). `journal` keeps finished runs on disk.
"""
