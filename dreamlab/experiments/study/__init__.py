"""Study: a published experiment, its numbers beside ours."""
