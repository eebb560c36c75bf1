"""Photos: uploading, inspecting, listing, downloading and deleting them."""
