"""The files of deploy/ and docker-compose.yml against the command and the settings."""
