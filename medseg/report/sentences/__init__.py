"""Plain sentences for statistics: what was found, what differs, how sure that is, and what nothing but luck does."""
