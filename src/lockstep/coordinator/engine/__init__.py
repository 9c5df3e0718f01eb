"""The engine: takes what was decided to the services, and brings back what they said."""
