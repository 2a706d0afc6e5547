"""Networks of classifiers, without a training loop."""
