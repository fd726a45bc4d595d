"""Tables, figures and TensorBoard. Views read run folders and nothing else."""
