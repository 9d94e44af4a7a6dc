from adapt_core.testing import MethodContract


class TestBiases(MethodContract):
    method = "biases"
    works_on = ("tied_lm", "encoder", "vision_transformer", "convolutional")
