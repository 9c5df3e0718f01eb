"""The faces over HTTP. They read requests, call the services, and render answers; they decide nothing."""
