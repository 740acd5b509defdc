"""Parts of the train stage: what it reads, how it scores validation scans, what it says about its weights."""
