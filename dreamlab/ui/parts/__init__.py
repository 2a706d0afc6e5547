"""Parts of pages as pure functions: tables, reports, badges."""
