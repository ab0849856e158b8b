"""What the project runs on itself: references, bill of materials, delivery."""
