"""Studies: one file per paper, each with the figures that it draws and the claims that it checks."""
