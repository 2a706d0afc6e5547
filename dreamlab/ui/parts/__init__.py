"""Parts of pages: tables, reports, pictures and verdicts. Most are pure functions."""
