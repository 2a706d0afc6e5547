"""Task synthesize: samples a labelled image set from a trained generator."""
