"""Run the command line by `python -m digits_cli`."""

from digits_cli import main

if __name__ == "__main__":
    main()
