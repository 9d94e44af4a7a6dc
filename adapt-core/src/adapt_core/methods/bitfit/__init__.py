"""BitFit (Ben Zaken et al. 2021, arXiv 2106.10199): training the biases alone."""
