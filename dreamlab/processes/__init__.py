"""The processes that compute: worker, fork server, live sampling, and the probe that measures the
cost of a training."""
