"""The report on a period of history: frames added up, judged, and drawn for four readers."""
