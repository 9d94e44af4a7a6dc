"""Reading, checking and splitting the data of the language tasks.

``read`` finds the splits of a data set (a hub name, a file, a folder), ``files`` reads one file into a ``table``,
``columns`` and ``labels`` find what a task needs in it, ``sample`` draws rows with the seed, and ``classification``
and ``inputs`` make of it what the task trains on and predicts.
"""
