"""One page that shows the designs of runs: table, plots and 3-D in a single offline file."""
