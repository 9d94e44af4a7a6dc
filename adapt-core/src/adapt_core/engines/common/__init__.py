"""What every engine does alike: the order of rows, the loss of a step, measuring, and what failures say."""
