"""Every measure of one scan: overlap, surfaces, lesions, certainty, and the rows they fill."""
