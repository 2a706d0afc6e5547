"""Plotly figures and small drawings, as pure functions of data and theme."""
