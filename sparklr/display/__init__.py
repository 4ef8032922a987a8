"""The output for people: pages, tables, plots and progress bars."""
