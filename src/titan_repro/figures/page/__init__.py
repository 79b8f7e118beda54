"""`titan-report page`: all results on one HTML page that needs nothing else."""
