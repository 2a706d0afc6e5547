"""The dashboard: a reader of run directories. It submits specs, shows what runs say, and never
imports torch."""
