"""The fusion study: what an event camera adds to a robot that follows a moving leader."""
