"""Where prepared cases lie, who cuts their patches, and who works ahead."""
