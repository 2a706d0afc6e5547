"""The processes that compute: worker, fork server, live sampling, and a short
measurement of cost."""
