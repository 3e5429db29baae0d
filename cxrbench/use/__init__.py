"""What people do with a trained network: find it, score new images with it, hand it on."""
