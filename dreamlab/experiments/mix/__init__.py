"""Mix: does synthetic data help the classifier, by how much, and at which mix?"""
