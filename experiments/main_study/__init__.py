"""The main study: the tasks planned by every method, and what each costs."""
