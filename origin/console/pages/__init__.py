"""One module per part of the console that people see."""
