"""The world outside, behind the ports: task services over HTTP, the clock, the feed of announcements."""
