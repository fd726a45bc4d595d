"""Studies: one file per paper or question, each with the figures that it draws and the claims that it checks."""
