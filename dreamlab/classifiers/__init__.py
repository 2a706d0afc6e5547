"""The networks of classifiers and their table. Training is in `dreamlab.tasks.classify`."""
