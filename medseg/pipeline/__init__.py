"""The store of finished stages: it knows keys and folders, and no medicine."""
