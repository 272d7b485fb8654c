"""The command line as a module: ``python -m kanrtl`` does what ``kanrtl`` does."""

from .cli import main

if __name__ == "__main__":
    main()
