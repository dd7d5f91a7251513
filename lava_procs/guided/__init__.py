"""The policy-guided planner as a Lava graph, in integers: copies of the policy act inside the model, the cheapest copy acts."""
