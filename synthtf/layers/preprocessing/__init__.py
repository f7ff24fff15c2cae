"""Steps of preprocessing between the scan and the network."""
