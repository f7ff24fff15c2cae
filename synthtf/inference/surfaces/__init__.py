"""From level sets to meshes of the cortex, and the thickness between them."""
