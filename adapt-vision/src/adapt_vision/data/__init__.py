"""Reading the images of the vision tasks.

``source`` finds the splits of a data set, ``folders`` and ``tables`` list what each holds, ``integrity`` decodes every
image once before training, ``decoding`` makes RGB images out of files of any kind, ``cache`` keeps them, and ``sample``
draws rows with the seed.
"""
