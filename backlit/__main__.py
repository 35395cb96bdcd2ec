"""`python -m backlit` is the `backlit` command."""

from backlit.cli import main

if __name__ == "__main__":
    main()
