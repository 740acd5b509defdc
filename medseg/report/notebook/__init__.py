"""What Python programs and notebooks get of a run: tables, pictures, and a viewer."""
