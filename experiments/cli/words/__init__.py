"""The words of each command group: arguments with their texts. What a command does is imported when it runs."""
