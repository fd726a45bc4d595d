"""What a run can measure of its model, one file per measurement. README.md lists them."""
