"""What should become of custom resources: one row per attempt says whether it should exist or be cancelled."""
