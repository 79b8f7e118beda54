"""Run folders: what a run leaves behind, safe against being killed."""
