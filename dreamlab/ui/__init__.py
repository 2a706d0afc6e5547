"""The dashboard. It submits specs and shows what run folders contain. It never imports torch."""
