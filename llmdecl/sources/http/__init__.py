"""HTTP as a transport: one `Web` a run, on urllib3; what its failures mean is in `problems`."""
