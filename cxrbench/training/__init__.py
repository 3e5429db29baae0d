"""Training one stage run: DenseNet121, augmentation on the device, the loop, the checkpoint store."""
