"""Study: a published experiment is repeated, and the published numbers are shown beside those
measured here."""
