"""From files to batches: pictures, layouts, scans, preprocessing, patches, augmentation."""
