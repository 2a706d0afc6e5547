"""The processes that compute: worker, fork server, live sampling, probe."""
