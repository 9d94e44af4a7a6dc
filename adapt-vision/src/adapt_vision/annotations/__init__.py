"""Images with annotated objects.

``objects`` is the form that every reader gives. ``source`` finds the files of a data set and their format:
``coco_files`` with ``coco``, ``yolo`` with ``yolo_lines``, ``voc``, ``objects_column`` and ``palette`` read one each,
``reading`` is what they share. ``rows`` splits a data set, ``augmentation`` changes images with what is annotated in
them, and ``drawing`` shows them.
"""
