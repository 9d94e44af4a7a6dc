"""``python -m adapt_core.cli``: the command ``adapt``, for an interpreter whose scripts are not on the path."""

from adapt_core.cli import main

if __name__ == "__main__":
    main()
