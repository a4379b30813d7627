"""Changes of executions after the fact: busts, corrections, and the adoptions that they contradict."""
