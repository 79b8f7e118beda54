"""What each table and figure runs, beyond what a configuration can say."""
