"""What people see: pages, tables, plots and progress."""
