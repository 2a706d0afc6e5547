"""Mix: does synthetic data help, by how much, and at which mix?"""
