"""What a run leaves behind: status, tables, TensorBoard events, provenance, outcome."""
