"""Models of the OpenMMLab libraries: MMDet and MMPose."""
