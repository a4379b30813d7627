"""Read and change the settings of people and of the workspace."""
