"""Task synthesize: a labelled image set from a trained generator."""
