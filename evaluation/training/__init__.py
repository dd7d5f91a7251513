"""Networks that a task is compared with, made from its own teacher."""
