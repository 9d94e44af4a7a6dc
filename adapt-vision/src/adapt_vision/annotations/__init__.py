"""Images with annotated objects.

``objects`` is the form that every reader gives, ``coco`` reads COCO's JSON and says what is wrong with it, ``source``
finds the files of a data set, ``rows`` splits it, ``augmentation`` changes images with what is annotated in them, and
``drawing`` shows them.
"""
