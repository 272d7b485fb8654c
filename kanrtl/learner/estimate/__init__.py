"""What a learner takes of a device, before it is synthesised."""
