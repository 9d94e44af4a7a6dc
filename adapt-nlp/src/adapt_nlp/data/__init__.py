"""Reading, checking, splitting and preparing the data of the language tasks.

``loading`` is the way of all tasks: ``source`` finds the splits of a data set (a hub name, files, a folder), ``files``
reads one file part by part into ``table``, ``store`` keeps it in the ``cache``, and ``views`` are its columns there.
``columns`` and ``labels`` find what a task needs in it, ``sample`` draws rows with the seed, ``preprocessing`` makes
the model's input, ``streaming`` does all that while rows are trained on, and ``inputs`` reads what is to be predicted.
"""
