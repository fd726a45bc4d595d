"""One variant on one page: what it must fulfil before it is trained, what its start predicts, how it compares."""
