"""What turns scored cases into scores.csv, summary.json, report.html and pictures."""
