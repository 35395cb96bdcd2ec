"""The programs are read by test_programs.py; pytest itself must not import them."""

collect_ignore_glob = ["programs/*"]
