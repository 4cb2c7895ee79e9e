"""Scores of clients by which an attack guesses who took part.

Without the other clients known: a global threshold on the loss, or likelihood
ratios against reference models. With the other clients known: what is left of a
released sum is tested against the noise. Larger means "took part".

Sources: Yeom et al. 2018, arXiv 1709.01604, section 3; Watson et al. 2022,
arXiv 2111.08440, section 4 (calibration by difficulty); Carlini et al. 2022,
"Membership Inference Attacks From First Principles", arXiv 2112.03570, section
IV (likelihood ratios). Theirs are about examples, here clients.
"""

import numpy as np

from tff_pipelines.privacy import error_rates


def loss_scores(losses: np.ndarray) -> np.ndarray:
  """Returns -loss: members have the lower losses (Yeom et al. 2018).

  Args:
    losses: float[clients], the mean loss of the model on each client's data.
  """
  return -np.asarray(losses, dtype=np.float64)


def calibrated_scores(
  losses: np.ndarray, reference_losses: np.ndarray
) -> np.ndarray:
  """Returns by how much the loss is below that of models without the client.

  Args:
    losses: float[clients].
    reference_losses: float[references, clients], of models of the same
      population on which the client was not trained.
  """
  losses = np.asarray(losses, dtype=np.float64)
  reference_losses = _references(reference_losses, losses, 1)
  return np.mean(reference_losses, axis=0) - losses


def offline_likelihood_ratios(
  statistics: np.ndarray, without: np.ndarray, *, share_stddev: bool = False
) -> np.ndarray:
  """Returns how unlikely each statistic is without the client, as a z-score.

  Carlini et al. 2022, section IV-D, offline: monotone in the probability that a
  model without the client gives less, and not rounded to 1.

  Args:
    statistics: float[clients], of the model under attack; larger for members
      and about normal, so scaled logits of confidences (`logit`), or -loss.
    without: float[references, clients], of reference models without the client,
      at least 2.
    share_stddev: Estimate one stddev for all clients: better than one each with
      fewer than about 64 references (their section VI).
  """
  statistics = np.asarray(statistics, dtype=np.float64)
  without = _references(without, statistics, 2)
  return (statistics - np.mean(without, axis=0)) / _stddev(
    without, share_stddev
  )


def online_likelihood_ratios(
  statistics: np.ndarray,
  with_client: np.ndarray,
  without: np.ndarray,
  *,
  share_stddev: bool = False,
) -> np.ndarray:
  """Returns log p(statistic | with) / p(statistic | without), both normal.

  Carlini et al. 2022, algorithm 1.

  Args:
    statistics: float[clients], as for `offline_likelihood_ratios`.
    with_client: float[references, clients], of models with the client, >= 2.
    without: float[references, clients], of models without it, at least 2.
    share_stddev: One stddev for all clients in each of the two.
  """
  statistics = np.asarray(statistics, dtype=np.float64)
  logs = []
  for references in (with_client, without):
    references = _references(references, statistics, 2)
    stddev = _stddev(references, share_stddev)
    z = (statistics - np.mean(references, axis=0)) / stddev
    logs.append(-(z**2) / 2 - np.log(stddev))
  return logs[0] - logs[1]


def logit(confidences: np.ndarray) -> np.ndarray:
  """Returns log(p / (1 - p)), about normal over models (section IV-C).

  Args:
    confidences: float[...], probabilities of the true labels, strictly between
      0 and 1; a client's statistic is the mean over its examples.
  """
  confidences = np.asarray(confidences, dtype=np.float64)
  if not np.all((confidences > 0.0) & (confidences < 1.0)):
    raise error_rates.AuditError(
      'Expected confidences strictly between 0 and 1, found some that are not; '
      'compute them in float64, or clip them.'
    )
  return np.log(confidences) - np.log1p(-confidences)


def residual_scores(
  released: np.ndarray,
  others: np.ndarray,
  updates: np.ndarray,
  noise_stddev: float,
) -> np.ndarray:
  """Returns likelihood ratios for who knows all clients but one.

  The adversary of differential privacy: it subtracts the others from a released
  sum and tests what is left, r, for N(u, s^2 I) against N(0, s^2 I), where u is
  the candidate's clipped update: log ratio (<r, u> - |u|^2 / 2) / s^2. By
  Neyman and Pearson no attack on that release does better; its scores are
  N(-mu^2/2, mu^2) without the candidate and N(mu^2/2, mu^2) with it, where mu
  is |u| / s. Several rounds: add the scores.

  Args:
    released: float[clients, d] or [d], the sums that were released.
    others: Same shapes, the sums of the other clients' clipped updates.
    updates: float[clients, d], each candidate's clipped update.
    noise_stddev: s, of a coordinate of the sum, above 0.
  """
  updates = np.asarray(updates, dtype=np.float64)
  if noise_stddev <= 0.0:
    raise error_rates.AuditError(
      f'Expected a noise_stddev above 0, found {noise_stddev}; without noise '
      'who knows the others reads the update itself.'
    )
  if updates.ndim != 2:
    raise error_rates.AuditError(
      f'Expected updates of shape [clients, d], found {updates.shape}; '
      'concatenate the parts of the model.'
    )
  try:
    residuals = np.broadcast_to(
      np.asarray(released, np.float64) - np.asarray(others, np.float64),
      updates.shape,
    )
  except ValueError as error:
    raise error_rates.AuditError(
      f'Expected sums that fit updates of shape {updates.shape}, found '
      f'{np.shape(released)} released and {np.shape(others)} of others; give '
      'one for all or one for each.'
    ) from error
  inner = np.einsum('nd,nd->n', residuals, updates)
  return (inner - np.sum(updates**2, axis=1) / 2) / noise_stddev**2


def _references(
  references: np.ndarray, statistics: np.ndarray, minimum: int
) -> np.ndarray:
  references = np.asarray(references, dtype=np.float64)
  if (
    references.ndim != 2
    or references.shape[1:] != statistics.shape
    or len(references) < minimum
  ):
    raise error_rates.AuditError(
      f'Expected references of shape [at least {minimum}, '
      f'{statistics.size} clients], found {references.shape}; give one row for '
      'each reference model.'
    )
  return references


def _stddev(references: np.ndarray, shared: bool) -> np.ndarray:
  variances = np.var(references, axis=0, ddof=1)
  if shared:
    variances = np.full_like(variances, np.mean(variances))
  if np.any(variances <= 0.0):
    raise error_rates.AuditError(
      'Expected reference models that differ for every client, found a stddev '
      'of 0; train them on different clients or seeds, or share_stddev.'
    )
  return np.sqrt(variances)
