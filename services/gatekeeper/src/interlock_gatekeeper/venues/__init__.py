"""One adapter a venue: typed order to signed request, answer bytes to a three-way reading."""
