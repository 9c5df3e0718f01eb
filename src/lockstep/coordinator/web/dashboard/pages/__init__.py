"""What each page shows and what its forms do; one module for each part of the dashboard."""
