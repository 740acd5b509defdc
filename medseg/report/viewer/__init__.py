"""The interactive viewer of the report: scans made small, NiiVue, and the piece of page that joins them."""
