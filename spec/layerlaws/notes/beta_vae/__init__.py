"""The beta-VAE: a latent is sampled around its mean, and pays beta for its divergence from the prior.

Note of 2021-11-15. A variational autoencoder encodes an example as a normal distribution over latents, with a mean and
a variance for each, samples from it in a way that can be differentiated, and decodes the sample (Kingma, Welling,
Auto-Encoding Variational Bayes, 2014, sections 2.3, 2.4 and appendix B). Its loss is the reconstruction error plus the
Kullback-Leibler divergence of that distribution from the standard normal one. The beta-VAE weighs the divergence by
beta, so that latents come apart (Higgins et al., beta-VAE, 2017, section 2, equation 4).

Claimed: the sample has the mean and the variance it is told; the divergence is the expectation of log q(z) / p(z), is
not negative and adds up over latents; the loss is affine in beta, with the divergence as its slope; beta = 1 is the
VAE. Expectations are taken by Gauss-Hermite quadrature, which is exact for the quadratic functions in question with two
nodes, and no number of samples is. Not claimed: that latents come apart.

Conventions. The encoder returns the logarithm of the variance, not of the deviation. Pixels are Bernoulli variables
with logits; their cross-entropy is summed over pixels and the divergence over latents, and both are averaged over the
batch. Averages over pixels or latents are another beta: torch's `reduction="mean"` divides beta's counterpart by the
number of pixels.

The divergence is defined as it is written, 1/2 sum(mean^2 + exp(lv) - 1 - lv), with the rounding of that form: next to
lv = 0 it may come out negative by an amount within its error. With expm1 in place of exp - 1 it does not.

Erratum. The study of the brain that the note cites for beta-VAE's latents models single neurons of the face patches,
not the brain; that it is "self-supervised" is the word of its later version (Higgins et al., Unsupervised deep learning
identifies semantic disentanglement in single inferotemporal face patch neurons, 2021). No law shows it.
"""

from layerlaws.notes.beta_vae import divergence, loss, sampling

parts = (sampling, divergence, loss)
