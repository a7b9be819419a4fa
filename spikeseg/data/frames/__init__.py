"""The first cuts of recordings: frames, background activity, first spikes, augmentation."""
