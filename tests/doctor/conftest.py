"""The scripts are read, and run by a slow test; pytest itself leaves them alone."""

collect_ignore = ["scripts"]
